# SPDX-License-Identifier: BSD-3-Clause
"""Random calls of every public function and layer give what the twin says; none is left out."""

import pytest
from face import ELSEWHERE, MEMBERS
from hypothesis import given, settings
from hypothesis import strategies as st

import fastdrop as fd


def test_every_public_name_is_in_the_table():
    assert sorted([*MEMBERS, *ELSEWHERE]) == sorted(fd.__all__)


@pytest.mark.parametrize("name", MEMBERS)
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_random_calls(name, random):
    fd.set_num_threads(random.choice((1, 2, 3)))
    call = MEMBERS[name](random, layouts=True)
    with fd.use_simd(random.choice(fd.simd_levels())):
        call.check()
