# SPDX-License-Identifier: BSD-3-Clause
"""Random calls of every public function and layer give what the twin says; none is left out."""

import os
from random import Random

import numpy as np
import pytest
from face import ELSEWHERE, MEMBERS
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import unaligned

import fastdrop as fd

EXAMPLES = int(os.environ.get("FASTDROP_TEST_EXAMPLES", "40"))  # of each function and layer


def test_every_public_name_is_in_the_table():
    assert sorted([*MEMBERS, *ELSEWHERE]) == sorted(fd.__all__)


@pytest.mark.parametrize("name", MEMBERS)
@given(seed=st.integers(0, 2**64))
@settings(max_examples=EXAMPLES)
def test_random_calls(name, seed):
    random = Random(seed)
    fd.set_num_threads(random.choice((1, 2, 3)))
    call = MEMBERS[name](random, layouts=True)
    # A BLAS may compute with what lies behind a small matrix, and warn of numbers that it drops.
    with fd.use_simd(random.choice(fd.simd_levels())), np.errstate(invalid="ignore"):
        call.check()


@pytest.mark.parametrize("name", MEMBERS)
def test_unaligned_arrays(name, level):
    """Kernels get aligned copies; that nothing else reaches them is what sanitizers tell."""
    for dtype in MEMBERS[name].dtypes:
        call = MEMBERS[name](Random(name), dtype=dtype, size=60)
        call.moved(lambda _, array: unaligned(array)).check()
