# SPDX-License-Identifier: BSD-3-Clause
"""Make golden_floats.json: digests of what the public functions compute, for every dtype.

Run it from the root of the repository: ``python tests/data/make_golden_floats.py``. The file is
frozen. docs/compatibility.md says which of its digests may change in which release.
"""

import hashlib
import json
from pathlib import Path

import ml_dtypes
import numpy as np

import fastdrop as fd

FILE = Path(__file__).with_name("golden_floats.json")
SHAPE = (37, 211)  # neither is a multiple of anything; together they are more than a tile
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}


def source(number):
    """Return the source of a call."""
    return fd.Philox4x32(key=20260101, counter=number << 64)


def numbers(number, shape, dtype):
    """Return numbers between -8 and 8, which are made of integers alone."""
    words = source(number).random_raw(int(np.prod(shape))) >> np.uint64(40)
    return (words.astype(np.float64) / 2**20 - 8).reshape(shape).astype(dtype)


def norms(name, dtype):
    """Return the results of a norm, forward and backward."""
    x, residual, dy = (numbers(i, SHAPE, dtype) for i in (1, 2, 3))
    weight, bias, linear_bias = (numbers(i, SHAPE[1], dtype) for i in (4, 5, 6))
    given = (x, residual, weight, bias) if name == "layer" else (x, residual, weight)
    forward = getattr(fd, f"dropout_add_{name}_norm")
    backward = getattr(fd, f"dropout_add_{name}_norm_backward")
    y, mask = forward(*given, 0.1, linear_bias=linear_bias, rng=source(0))
    return [y, *backward(dy, *given[:3], mask, linear_bias=linear_bias)]


def activations(name, dtype, **options):
    """Return the results of an activation, forward and backward."""
    x, dy, bias = (numbers(1, SHAPE, dtype), numbers(2, SHAPE, dtype), numbers(3, SHAPE[1], dtype))
    y, mask = getattr(fd, f"{name}_dropout")(x, 0.1, bias=bias, rng=source(0), **options)
    backward = getattr(fd, f"{name}_dropout_backward")
    return [y, backward(dy, x, mask, bias=bias, **options)]


def dropped(name, dtype, p=0.1, shape=SHAPE, **options):
    """Return the results of a function of one array, forward and backward."""
    x, dy = numbers(1, shape, dtype), numbers(2, shape, dtype)
    y, mask = getattr(fd, name)(x, p, rng=source(0), **options)
    return [y, fd.dropout_backward(dy, mask)]


def calls(dtype):
    """Return the arrays of each call."""
    x, other, bias = (
        numbers(1, SHAPE, dtype),
        numbers(2, SHAPE, dtype),
        numbers(3, SHAPE[1], dtype),
    )
    each = (numbers(4, SHAPE, np.float64) + 8) / 16
    return {
        "dropout": dropped("dropout", dtype),
        "dropout of one third": dropped("dropout", dtype, 1 / 3),
        "dropout, a p for each element": dropped("dropout", dtype, each),
        "dropout of rows": dropped("dropout", dtype, broadcast_axes=1),
        "alpha_dropout": dropped("alpha_dropout", dtype),
        "feature_alpha_dropout": dropped("feature_alpha_dropout", dtype, shape=(3, 37, 71)),
        "gaussian_dropout": dropped("gaussian_dropout", dtype),
        "drop_path": dropped("drop_path", dtype),
        "dropout_add": [fd.dropout_add(x, other, 0.1, bias=bias, rng=source(0))[0]],
        "relu_dropout": [fd.relu_dropout(x, 0.1, bias=bias, rng=source(0))[0]],
        "zoneout": [fd.zoneout(x, other, 0.1, rng=source(0))[0]],
        "gelu_dropout": activations("gelu", dtype),
        "gelu_dropout, tanh": activations("gelu", dtype, approximate="tanh"),
        "silu_dropout": activations("silu", dtype),
        "dropout_add_layer_norm": norms("layer", dtype),
        "dropout_add_rms_norm": norms("rms", dtype),
    }


def digest(arrays):
    """Return the SHA-256 of arrays, in little endian order."""
    found = hashlib.sha256()
    for array in arrays:
        if array is not None:
            words = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
            found.update(words.astype(f"<u{array.dtype.itemsize}").tobytes())
    return found.hexdigest()


def golden_floats(name):
    """Return the digests of a dtype: call -> digest."""
    return {call: digest(arrays) for call, arrays in calls(DTYPES[name]).items()}


if __name__ == "__main__":
    made = {
        "stream_version": 1,
        "sha256_of_floats": {name: golden_floats(name) for name in DTYPES},
    }
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
