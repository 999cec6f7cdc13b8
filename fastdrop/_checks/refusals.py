# SPDX-License-Identifier: BSD-3-Clause
"""What is said of what compiled code has found wrong: it tests by itself, and calls these to raise.

So a call that is right pays for a comparison, and all sentences stand in this room.
"""

from typing import Any, NoReturn

import numpy as np

from fastdrop._typing import NDArray, Shape

__all__ = [
    "refuse_base",
    "refuse_call",
    "refuse_changed",
    "refuse_complex",
    "refuse_copy",
    "refuse_dtype",
    "refuse_each_p",
    "refuse_generator",
    "refuse_init_again",
    "refuse_lanes",
    "refuse_out",
    "refuse_positions",
    "refuse_rng",
    "refuse_scalar",
    "refuse_seed",
    "refuse_truth",
    "refuse_unlike",
    "refuse_without_axes",
    "refuse_without_init",
    "refuse_zoneout",
]

REAL = "float16, bfloat16, float32 and float64"
NUMBERS = "float16, bfloat16, float32, float64, complex64 and complex128"


def refuse_dtype(name: str, value: Any, array: NDArray[Any]) -> NoReturn:
    """Raise the error of a value that is no array of a dtype that there are kernels for."""
    if array.ndim == 0 and not isinstance(value, np.ndarray):  # None, say
        raise TypeError(
            f"{name} is {value!r}, of dtype {array.dtype}; allowed are arrays of {NUMBERS}"
        )
    raise TypeError(f"{name} has dtype {array.dtype}; allowed are {NUMBERS}")


def refuse_complex(name: str, array: NDArray[Any]) -> NoReturn:
    """Raise the error of complex numbers where there is no sense in them."""
    raise TypeError(f"{name} has dtype {array.dtype}; allowed are {REAL}")


def refuse_scalar(name: str) -> NoReturn:
    """Raise the error of an array without axes where rows are needed."""
    raise ValueError(f"{name} has shape (); must have a last axis")


def refuse_each_p() -> NoReturn:
    """Raise the error of a mask whose elements have a p each where one number is needed."""
    raise ValueError("mask has a p for each element; must have one p")


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


# ---- sources -------------------------------------------------------------------------------------


def refuse_rng(rng: Any) -> NoReturn:
    """Raise the error of an ``rng`` that nothing can be drawn from."""
    raise TypeError(
        f"rng is {rng!r}, a {type(rng).__name__}; allowed are None, a seed (an integer, a sequence "
        "of integers or a SeedSequence), a source, and NumPy's Generator, BitGenerator and "
        "RandomState"
    )


def refuse_generator(value: Any) -> NoReturn:
    """Raise the error of what is no bit generator of NumPy's kind."""
    raise TypeError(
        f"bit_generator is a {type(value).__name__}; allowed are NumPy's BitGenerator, Generator, "
        "RandomState and objects with their capsule and lock"
    )


def refuse_base() -> NoReturn:
    """Raise the error of the base of sources, which was called."""
    raise TypeError(
        "Source is a base class; allowed are Xoshiro256PlusPlus, Xorshift128Plus and Philox4x32"
    )


def refuse_seed(seed: Any) -> NoReturn:
    """Raise the error of a seed that was given with the words that it would stand for."""
    raise TypeError(f"seed is {seed!r} beside key or counter; allowed is a seed or words, not both")


def refuse_positions(n: int, position: int) -> NoReturn:
    """Raise the error of a call that needs more positions than a source has left."""
    raise OverflowError(
        f"{n} positions from {position} on would pass the end of the source; allowed are positions "
        "below 2**64"
    )


def refuse_lanes() -> NoReturn:
    """Raise the error of states of lanes that are not those of the place."""
    raise ValueError(
        "state['s'] contradicts key, counter and position; allowed are the lane states that these "
        "three give, or no 's'"
    )


def refuse_init_again(why: str) -> NoReturn:
    """Raise the error of a source whose ``__init__`` was called a second time."""
    raise TypeError(f"__init__ was called again{why}")


def refuse_without_init(source: object, base: str) -> NoReturn:
    """Raise the error of a source of a class whose ``__init__`` did not call that of ``base``."""
    raise TypeError(
        f"{type(source).__name__}.__init__ was not called, or does not call {base}.__init__; it "
        "must"
    )


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
