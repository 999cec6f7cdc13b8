# SPDX-License-Identifier: BSD-3-Clause
"""What a type checker knows of the results: dtypes survive, masks need no cast."""

from pathlib import Path

import pytest

import fastdrop

RIGHT = """
from typing import assert_type
import numpy as np
from numpy.typing import NDArray
import fastdrop as fd

x = np.ones((2, 3, 4, 4), np.float32)
w = np.ones((3, 4), np.float32)
Floats = NDArray[np.float32]
assert_type(fd.dropout(x), tuple[Floats, fd.Mask])
assert_type(fd.dropout_backward(x, fd.dropout_mask(3)), Floats)
assert_type(fd.dropout1d(x)[0], Floats)
assert_type(fd.dropout2d(x)[0], Floats)
assert_type(fd.dropout3d(x)[0], Floats)
assert_type(fd.alpha_dropout(x)[0], Floats)
assert_type(fd.feature_alpha_dropout(x)[0], Floats)
assert_type(fd.gaussian_dropout(x, 0.1), tuple[Floats, fd.GaussianMask])
assert_type(fd.drop_path(x, 0.1)[0], Floats)
assert_type(fd.embedding_dropout(w, 0.1)[0], Floats)
assert_type(fd.drop_block2d(x, 0.1)[0], Floats)
assert_type(fd.dropout_add(x, x, bias=w[0])[0], Floats)
assert_type(fd.relu_dropout(x)[0], Floats)
assert_type(fd.zoneout(x, x, 0.1)[0], Floats)
assert_type(fd.zoneout_backward(x, fd.dropout_mask(3)), tuple[Floats, Floats])
assert_type(fd.drop_connect(w, w, 0.1)[0], Floats)
assert_type(fd.drop_connect_backward(w, w, w, fd.dropout_mask(3)), tuple[Floats, Floats, Floats])
layer = fd.Dropout(0.5, rng=1)
assert_type(layer(x), Floats)
assert_type(layer.backward(x), Floats)
assert_type(layer.mask.shape, tuple[int, ...])
assert_type(fd.GaussianDropout(0.5).mask, fd.GaussianMask)
assert_type(fd.Zoneout(0.5)(x, x), Floats)
assert_type(fd.DropoutAdd(0.5)(x, x, bias=w[0]), Floats)
assert_type(fd.DropConnect(w, 0.5)(w), Floats)
fd.dropout([1.0, 2.0])


def passed_on(rng: fd.typing.RNGLike) -> fd.Mask:
    return fd.dropout_mask(3, rng=rng)
"""
WRONG = (
    "fd.Dropout(0.5)(x, training=True)",
    "fd.dropout(x, rate=0.5)",
    "fd.dropout_mask(3, seed=1)",
)


@pytest.mark.slow
def test_types_of_results(tmp_path):
    api = pytest.importorskip("mypy.api")
    program = tmp_path / "program.py"
    program.write_text(RIGHT + "".join(f"{line}\n" for line in WRONG))
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        f"[mypy]\nstrict = true\nmypy_path = {Path(fastdrop.__file__).parents[1]}\n"
        "[mypy-torch.*]\nignore_missing_imports = true\nfollow_imports = skip\n"
        "[mypy-fastdrop.*]\nfollow_imports = silent\n"
    )
    found, _, _ = api.run([str(program), "--config-file", str(settings), "--hide-error-context"])
    lines = RIGHT.count("\n")
    wrong = {line.split(":")[1] for line in found.splitlines() if "program.py" in line}
    assert wrong == {str(lines + 1 + number) for number in range(len(WRONG))}, found
