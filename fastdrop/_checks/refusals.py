# SPDX-License-Identifier: BSD-3-Clause
"""What is said of what compiled code has found wrong: it tests by itself, and calls these to raise.

So a call that is right pays for a comparison, and all sentences stand in this room.
"""

from typing import Any, NoReturn

import numpy as np

from fastdrop._typing import NDArray, Shape

__all__ = [
    "refuse_call",
    "refuse_changed",
    "refuse_complex",
    "refuse_copy",
    "refuse_dtype",
    "refuse_out",
    "refuse_truth",
    "refuse_unlike",
    "refuse_without_axes",
    "refuse_zoneout",
]

REAL = "float16, bfloat16, float32"


def refuse_dtype(name: str, value: Any, array: NDArray[Any]) -> NoReturn:
    """Raise the error of a value that is no array of a dtype that there are kernels for."""
    numbers = f"{REAL}, float64, complex64 and complex128"
    if array.ndim == 0 and not isinstance(value, np.ndarray):  # None, say
        raise TypeError(
            f"{name} is {value!r}, of dtype {array.dtype}; allowed are arrays of {numbers}"
        )
    raise TypeError(f"{name} has dtype {array.dtype}; allowed are {numbers}")


def refuse_complex(name: str, array: NDArray[Any]) -> NoReturn:
    """Raise the error of complex numbers where there is no sense in them."""
    raise TypeError(f"{name} has dtype {array.dtype}; allowed are {REAL} and float64")


def refuse_unlike(name: str, array: NDArray[Any], of: str, x: NDArray[Any]) -> NoReturn:
    """Raise the error of an array that has not the dtype or the shape of x, called ``of``."""
    if array.dtype != x.dtype:
        raise TypeError(f"{name} has dtype {array.dtype}; allowed is {of}'s dtype, {x.dtype}")
    raise ValueError(f"{name} has shape {array.shape}; allowed is {of}'s shape, {x.shape}")


def refuse_out(out: Any) -> NoReturn:
    """Raise the error of an ``out`` that cannot be written to."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; allowed are NumPy arrays")
    raise ValueError("out is read-only; allowed are writeable arrays")


def refuse_changed(sentence: str, error: type[Exception] = ValueError) -> NoReturn:
    """Raise the error of an argument that another thread has changed since it was checked."""
    raise error(sentence)


# ---- masks ---------------------------------------------------------------------------------------


def refuse_call(cls: str, makers: str) -> NoReturn:
    """Raise the error of a class that was called."""
    raise TypeError(f"{cls} is made by {makers}, not by calling its class")


def refuse_copy(why: str) -> NoReturn:
    """Raise the error of ``copy=False``."""
    raise ValueError(f"copy=False is not possible: {why}")


def refuse_without_axes(what: str) -> NoReturn:
    """Raise the error of what needs a first axis."""
    raise TypeError(f"{what} a mask without axes")


def refuse_truth(shape: Shape) -> NoReturn:
    """Raise the error of a mask that was asked for its truth."""
    raise ValueError(
        f"the truth of a mask of shape {shape} is ambiguous; it must have one element, or ask its "
        "methods any or all"
    )


def refuse_zoneout(mask: object) -> NoReturn:
    """Raise the error of a mask of zoneout that was asked for its one gradient."""
    raise ValueError(
        f"mask is {mask!r}; it must be given to zoneout_backward, for zoneout has two gradients"
    )
