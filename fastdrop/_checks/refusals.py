# SPDX-License-Identifier: BSD-3-Clause
"""What is said of what compiled code has found wrong: it tests by itself, and calls these to raise.

So a call that is right pays for a comparison, and all sentences stand in this room.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from fastdrop._checks.display import described, either, shown
from fastdrop._typing import NDArray, Shape

__all__ = [
    "cure_of_class",
    "refuse_attribute",
    "refuse_base",
    "refuse_both",
    "refuse_call",
    "refuse_changed",
    "refuse_complex",
    "refuse_copy",
    "refuse_dtype",
    "refuse_each_p",
    "refuse_generator",
    "refuse_init_again",
    "refuse_lanes",
    "refuse_level",
    "refuse_other",
    "refuse_other_dtype",
    "refuse_out",
    "refuse_positions",
    "refuse_rng",
    "refuse_scalar",
    "refuse_seed",
    "refuse_truth",
    "refuse_unlike",
    "refuse_variable",
    "refuse_with_mask",
    "refuse_without_axes",
    "refuse_without_init",
    "refuse_zoneout",
]

REAL = "float16, bfloat16, float32 or float64"
NUMBERS = "float16, bfloat16, float32, float64, complex64 or complex128"


def refuse_dtype(name: str, value: Any, array: NDArray[Any], real: bool = False) -> NoReturn:
    """Raise the error of a value that is no array of a dtype that there are kernels for."""
    dtypes = REAL if real else NUMBERS
    if array.ndim == 0 and not isinstance(value, np.ndarray):  # None, say
        raise TypeError(f"{name} must be an array of {dtypes}, not {described(value)}")
    cure = f": {name}.astype(np.float32) converts it" if array.dtype.kind in "biuf" else ""
    raise TypeError(f"{name} must have dtype {dtypes}, not {array.dtype}{cure}")


def refuse_complex(name: str, array: NDArray[Any]) -> NoReturn:
    """Raise the error of complex numbers where there is no sense in them."""
    raise TypeError(f"{name} must have dtype {REAL}, not {array.dtype}")


def refuse_other_dtype(name: str, array: NDArray[Any], of: str, x: NDArray[Any]) -> NoReturn:
    """Raise the error of an array that has not the dtype of x, called ``of``."""
    raise TypeError(f"{name} must have {of}'s dtype, {x.dtype}, not {array.dtype}")


def refuse_scalar(name: str) -> NoReturn:
    """Raise the error of an array without axes where rows are needed."""
    raise ValueError(f"{name} must have at least one axis, not shape ()")


def refuse_each_p() -> NoReturn:
    """Raise the error of a mask whose elements have a p each where one number is needed."""
    raise ValueError("mask must have one p, not a p for each element")


def refuse_unlike(name: str, array: NDArray[Any], of: str, x: NDArray[Any]) -> NoReturn:
    """Raise the error of an array that has not the dtype or the shape of x, called ``of``."""
    if array.dtype != x.dtype:
        refuse_other_dtype(name, array, of, x)
    raise ValueError(f"{name} must have {of}'s shape, {x.shape}, not {array.shape}")


def refuse_other(name: str, value: Any, array: NDArray[Any], of: str, x: NDArray[Any]) -> NoReturn:
    """Raise the error of a second array, made of ``value``, that is unlike x, called ``of``."""
    if x.ndim and array.ndim == 0 and not isinstance(value, np.ndarray):  # p, say
        raise TypeError(
            f"{name} must be an array of {of}'s shape, {x.shape}, not {described(value)}"
        )
    refuse_unlike(name, array, of, x)


def refuse_out(out: Any) -> NoReturn:
    """Raise the error of an ``out`` that cannot be written to."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {described(out)}")
    raise ValueError("out must be writeable, not a read-only array")


def refuse_both(**given: Any) -> NoReturn:
    """Raise the error of two arguments of which one can be given."""
    both = " and ".join(f"{name}={shown(value)}" for name, value in given.items())
    raise TypeError(f"{both} exclude each other: give one of the two")


def refuse_with_mask(name: str, value: Any) -> NoReturn:
    """Raise the error of an argument that was given with a mask, which has its own."""
    raise TypeError(
        f"{name}={shown(value)} and a mask exclude each other: leave {name} out, as the mask has "
        "its own"
    )


def refuse_changed(sentence: str, error: type[Exception] = ValueError) -> NoReturn:
    """Raise the error of an argument that another thread has changed since it was checked."""
    raise error(sentence)


# ---- settings ------------------------------------------------------------------------------------


def refuse_level(name: str, levels: Iterable[str], level: object) -> NoReturn:
    """Raise the error of a level that this machine has not."""
    raise ValueError(
        f"{name} must be {either(map(repr, (*levels, 'auto')))} on this machine, not {shown(level)}"
    )


def refuse_variable(name: str, value: str) -> NoReturn:
    """Raise the error of a variable of the environment that must be a number of threads."""
    raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")


# ---- sources -------------------------------------------------------------------------------------


# How others than bit generators are made, by their package and their name.
CALLS = {
    ("fastdrop", "Source"): "Philox4x32(7)",
    ("fastdrop", "NumPySource"): "NumPySource(numpy.random.PCG64(7))",
    ("numpy", "BitGenerator"): "PCG64(7)",
    ("numpy", "Generator"): "default_rng(7)",
    ("numpy", "RandomState"): "RandomState(7)",
    ("numpy", "SeedSequence"): "SeedSequence(7)",
    ("torch", "Generator"): "Generator()",
}


def cure_of_class(rng: Any) -> str:
    """Return what is to be said of a class that was given in the place of its object."""
    if not isinstance(rng, type):
        return ""
    package, name = rng.__module__.partition(".")[0], rng.__name__
    seeded = f"{name}(7)" if hasattr(rng, "random_raw") else ""
    call = CALLS.get((package, name), seeded)
    return call and f": call it, as in {call}"


def refuse_rng(rng: Any) -> NoReturn:
    """Raise the error of an ``rng`` that nothing can be drawn from."""
    raise TypeError(
        "rng must be None, a seed (an integer, a sequence of integers or a SeedSequence), a "
        f"source, or NumPy's Generator, BitGenerator or RandomState, not {described(rng)}"
        f"{cure_of_class(rng)}"
    )


def refuse_generator(value: Any) -> NoReturn:
    """Raise the error of what is no bit generator of NumPy's kind."""
    raise TypeError(
        "bit_generator must be NumPy's BitGenerator, Generator or RandomState, or an object with "
        f"their capsule and lock, not {described(value)}{cure_of_class(value)}"
    )


def refuse_base() -> NoReturn:
    """Raise the error of the base of sources, which was called."""
    raise TypeError(
        "Source is a base class: call Xoshiro256PlusPlus, Xorshift128Plus or Philox4x32"
    )


def refuse_seed(seed: Any) -> NoReturn:
    """Raise the error of a seed that was given with the words that it would stand for."""
    raise TypeError(
        f"seed={shown(seed)} excludes key and counter: give either a seed or these words"
    )


def refuse_positions(n: int, position: int) -> NoReturn:
    """Raise the error of a call that needs more positions than a source has left."""
    raise OverflowError(
        f"{n} positions from {position} on would pass the end of the source, which is 2**64"
    )


def refuse_lanes() -> NoReturn:
    """Raise the error of states of lanes that are not those of the place."""
    raise ValueError(
        "state['s'] contradicts key, counter and position: leave 's' out, or give the lane states "
        "that these three give"
    )


def refuse_init_again(why: str) -> NoReturn:
    """Raise the error of a source whose ``__init__`` was called a second time."""
    raise TypeError(f"__init__ was called again{why}")


def refuse_without_init(source: object, base: str) -> NoReturn:
    """Raise the error of a source of a class whose ``__init__`` did not call that of ``base``."""
    raise TypeError(
        f"{type(source).__name__}.__init__ was not called, or does not call {base}.__init__"
    )


HINTS = {
    "advance": ": add to its position",
    "seed": ": make another source with that seed",
}


def refuse_attribute(source: object, name: str) -> NoReturn:
    """Raise the error of an attribute that a source has not; of a Generator's, say where it is."""
    hint = HINTS.get(name, "")
    if hasattr(np.random.Generator, name) and not name.startswith("_"):
        hint = ": numpy.random.Generator(source) has it"
    raise AttributeError(
        f"{type(source).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=source
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
        f"the truth of a mask of shape {shape} is ambiguous: call its method any() or all()"
    )


def refuse_zoneout(mask: object) -> NoReturn:
    """Raise the error of a mask of zoneout that was asked for its one gradient."""
    raise ValueError(
        f"mask must be given to zoneout_backward, for zoneout has two gradients: it is {mask!r}"
    )
