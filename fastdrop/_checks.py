# SPDX-License-Identifier: BSD-3-Clause
"""Checks of arguments: one clear sentence with the value and what is allowed.

All of them run before any source advances and before any output is written.
"""

import math
import operator
import reprlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.random.bit_generator import ISeedSequence

from fastdrop._typing import NDArray, Shape

__all__ = [
    "as_array",
    "check_axes",
    "check_bits",
    "check_booleans",
    "check_bools",
    "check_broadcast",
    "check_channel_axis",
    "check_choice",
    "check_entries",
    "check_gaussian_p",
    "check_index",
    "check_integer",
    "check_jumps",
    "check_keep_prob",
    "check_no_pair",
    "check_noise_lengths",
    "check_noise_shape",
    "check_numbers",
    "check_one_way_to_share",
    "check_p",
    "check_position",
    "check_positive",
    "check_probabilities",
    "check_probability",
    "check_seed",
    "check_shape",
    "check_switch",
    "check_words",
    "is_array",
    "shown",
    "takes_array",
]

MOST_AXES = 64  # as NumPy


def check_probability(name: str, value: Any) -> float:
    """Return the probability ``value`` as a float in [0, 1]."""
    if not isinstance(value, float):
        if is_array(value):
            raise TypeError(
                f"{name} is an array of shape {tuple(value.shape)}; allowed are numbers in [0, 1]"
            )
        # Of NumPy's scalars and arrays without axes; V is that of bfloat16.
        kind = getattr(getattr(value, "dtype", None), "kind", "f")
        if (
            isinstance(value, (bool, str, bytes, type))
            or kind not in "iufV"
            or not hasattr(value, "__float__")
        ):
            raise TypeError(
                f"{name} is {value!r}, a {type(value).__name__}; allowed are numbers in [0, 1]"
            )
    # As it is, since an integer may be larger than any float; and as a float, since a subclass may
    # compare in its own way. NaN is neither.
    if 0 <= value <= 1:
        number = float(value)
        if 0.0 <= number <= 1.0:
            return number
    raise ValueError(f"{name} is {value!r}; allowed are numbers in [0, 1]")


def is_array(value: Any) -> bool:
    """Tell an array from a number, which an array without axes is, too."""
    axes = getattr(value, "ndim", 0)  # of a class of arrays, no number
    return isinstance(axes, int) and axes > 0


def takes_array(name: str, value: Any) -> bool:
    """Tell an array of probabilities from a number; lists are neither."""
    if isinstance(value, (list, tuple)):
        raise TypeError(
            f"{name} is {shown(value)}, a {type(value).__name__}; allowed are numbers in [0, 1] "
            "and NumPy arrays of them"
        )
    return is_array(value)


def shown(value: Any) -> str:
    """Return what an error shows of a value: itself, cut short, or the shape of an array."""
    of_numpy = isinstance(value, np.ndarray)  # whose subclasses may say anything of their shape
    shape = np.ndarray.shape.__get__(value) if of_numpy else getattr(value, "shape", ())
    if shape and (of_numpy or is_array(value)):
        return f"a {type(value).__name__} of shape {tuple(shape)}"
    return reprlib.repr(value) if isinstance(value, (list, tuple)) else repr(value)


# Arrays of others, which NumPy would turn into its own without a word: what to do instead.
FOREIGN = {
    "torch": "fastdrop.torch has these functions for tensors",
    "dask": "call the functions of fastdrop.dask, or compute it first, by its method compute",
}


def _check_not_foreign(name: str, value: Any) -> None:
    """Check that an array is not one of a framework whose users expect to get their own back."""
    for base in type(value).__mro__:
        advice = FOREIGN.get(base.__module__.partition(".")[0])
        if advice is not None:
            raise TypeError(
                f"{name} is a {type(value).__name__} of {base.__module__.partition('.')[0]}; it "
                f"must be an array of NumPy: {advice}"
            )


def check_no_pair(name: str, value: Any) -> None:
    """Check that a value is not the (y, mask) that a function of arrays returned."""
    if isinstance(value, tuple) and len(value) == 2 and hasattr(value[1], "backward"):
        kind = type(value[1])
        if kind.__module__.partition(".")[0] == "fastdrop":  # masks are no part of this room
            raise TypeError(
                f"{name} is a pair of an array and a {kind.__name__}; pass y, not (y, mask)"
            )


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return ``value`` as an array that is no subclass.

    A subclass may say anything of its shape, dtype or flags: what NumPy itself knows counts.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray):
        if np.any(np.ma.getmask(value)):
            raise ValueError(
                f"{name} has masked elements; allowed are arrays without, as its method filled "
                "makes them"
            )
    elif isinstance(value, (list, tuple)):
        check_no_pair(name, value)
        try:
            return np.asarray(value)
        except ValueError:
            raise ValueError(
                f"{name} is a {type(value).__name__} of parts that differ in length; allowed are "
                "arrays"
            ) from None
    else:
        _check_not_foreign(name, value)
    return np.asarray(value)


def check_switch(name: str, value: Any) -> bool:
    """Return ``value``, which is True or False."""
    if isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{name} is {shown(value)}; allowed are True and False")


@np.errstate(invalid="ignore")  # signalling NaN
def check_probabilities(name: str, value: Any) -> NDArray[np.float64]:
    """Return an array of probabilities as a read-only copy of float64 in C order."""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"{name} has dtype {array.dtype}; allowed are floats and integers in [0, 1]"
        )
    array = array.copy()  # checked is what is used, whoever writes to the caller's array meanwhile
    right = (array >= 0) & (array <= 1)  # not so NaN
    if not right.all():
        place = tuple(np.argwhere(~right)[0].tolist())
        raise ValueError(
            f"{name}{list(place)} is {array[place].item()!r}; allowed are numbers in [0, 1]"
        )
    probabilities = np.array(array, np.float64, order="C")
    probabilities.flags.writeable = False
    return probabilities


def check_p(value: Any) -> float:
    """Return the probability of dropping as a float in [0, 1]."""
    return check_probability("p", value)


def check_gaussian_p(value: Any) -> float:
    """Return the p of Gaussian dropout as a float in [0, 1)."""
    p = check_probability("p", value)
    if p == 1.0:
        raise ValueError("p is 1.0; allowed are numbers in [0, 1): at 1 the variance is infinite")
    return p


def check_keep_prob(value: Any) -> float:
    """Return the probability of being present as a float in [0, 1]."""
    return check_probability("keep_prob", value)


def check_choice(name: str, value: Any, choices: Collection[str]) -> str:
    """Return ``value``, one of the strings ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {shown(value)}; allowed are {', '.join(map(repr, choices))}")
    return value


def check_integer(name: str, value: Any, least: int, end: float, allowed: str) -> int:
    """Return ``value`` as an int in [least, end)."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {shown(value)}, a {type(value).__name__}; allowed are integers {allowed}"
        ) from None
    if not least <= number < end:
        raise ValueError(f"{name} is {number}; allowed are integers {allowed}")
    return number


def check_positive(name: str, value: Any) -> int:
    """Return ``value`` as an int of at least 1."""
    return check_integer(name, value, 1, math.inf, "of at least 1")


def check_jumps(value: Any) -> int:
    """Return a number of jumps as an int that is not negative."""
    return check_integer("jumps", value, 0, math.inf, "that are not negative")


def check_position(value: Any) -> int:
    """Return a position of a source as an int in [0, 2**64)."""
    return check_integer("position", value, 0, 2**64, "in [0, 2**64)")


def check_booleans(out: Any, dtypes: Collection[np.dtype[Any]], shape: Shape) -> None:
    """Check that ``out`` is an array of one of the dtypes, and of the shape, that is writeable."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; allowed are NumPy arrays")
    array = np.asarray(out)  # of subclasses, the array beneath, whatever they say of themselves
    if array.dtype not in dtypes:
        raise TypeError(f"out has dtype {array.dtype}; allowed is {' or '.join(map(str, dtypes))}")
    if array.shape != shape:
        raise ValueError(f"out has shape {array.shape}; allowed is {shape}")
    if not array.flags.writeable:
        raise ValueError("out is read-only; allowed are writeable arrays")


def check_bools(name: str, value: Any) -> NDArray[np.bool_]:
    """Return ``value`` as an array of bool."""
    array = as_array(name, value)
    if array.dtype != bool:
        raise TypeError(f"{name} has dtype {array.dtype}; it must be bool")
    return array


def check_bits(name: str, value: Any, shape: Shape) -> NDArray[np.uint8]:
    """Return the bits of a mask of that shape, of bytes or an array, as a flat array of uint8."""
    size = math.prod(shape)
    count = -(-size // 8)
    bits = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else as_array(name, value)
    if bits.dtype != np.uint8:
        raise TypeError(f"{name} has dtype {bits.dtype}; it must be bytes or an array of uint8")
    if bits.shape != (count,):
        raise ValueError(
            f"{name} has shape {bits.shape}; a mask of shape {shape} must have {count} bytes"
        )
    if size % 8 and bits[-1] >> size % 8:
        raise ValueError(
            f"{name} ends in {bits[-1]:#04x}; the bits after the {size} of the mask must be 0"
        )
    return bits


def check_shape(value: Any, name: str = "shape") -> Shape:
    """Return a shape as a tuple of ints that are not negative; an int is one axis."""
    lengths: Shape
    try:
        if hasattr(value, "__index__") and not is_array(value):
            lengths = (operator.index(value),)
        else:
            lengths = tuple(map(operator.index, value))
    except TypeError:
        raise TypeError(
            f"{name} is {shown(value)}; allowed are an integer or a sequence of integers"
        ) from None
    if lengths and min(lengths) < 0:
        raise ValueError(f"{name} is {value!r}; allowed are lengths that are not negative")
    if len(lengths) > MOST_AXES:
        raise ValueError(f"{name} has {len(lengths)} axes; allowed are at most {MOST_AXES}")
    if max(lengths, default=0) >= 2**63 or math.prod(lengths) >= 2**63:
        raise ValueError(
            f"{name} is {value!r}; allowed are fewer than 2**63 elements, and lengths below 2**63"
        )
    return lengths


def check_noise_lengths(value: Any) -> tuple[int | None, ...]:
    """Return the entries of a noise_shape, integers and None, of an x that is yet to come."""
    try:
        return tuple(
            length if length is None else operator.index(length) for length in tuple(value)
        )
    except TypeError:
        raise TypeError(
            f"noise_shape is {shown(value)}; allowed is a sequence of integers and None"
        ) from None


def check_one_way_to_share(
    noise_shape: Any, broadcast_axes: Any, name: str = "broadcast_axes"
) -> None:
    """Check that one of the two is given at most."""
    if noise_shape is not None and broadcast_axes is not None:
        raise TypeError(
            f"{name} is {broadcast_axes!r} beside noise_shape {noise_shape!r}; "
            "allowed is one of the two"
        )


def check_noise_shape(value: Any, shape: Shape) -> Shape:
    """Return the shape of a mask that broadcasts to ``shape``; None entries take x's length."""
    if type(value) is tuple and len(value) == len(shape):
        for length, full in zip(value, shape, strict=True):
            if type(length) is not int or length not in (1, full):
                break
        else:
            return value  # nothing to settle; of a small call, this saves a third
    lengths = check_noise_lengths(value)
    missing = len(shape) - len(lengths)
    if missing < 0:
        raise ValueError(
            f"noise_shape {lengths} has {len(lengths)} axes; allowed are at most the "
            f"{len(shape)} of x's shape {shape}"
        )
    whole = check_shape(
        tuple(
            shape[missing + axis] if length is None else length
            for axis, length in enumerate(lengths)
        ),
        "noise_shape",
    )
    check_broadcast("noise_shape", whole, shape)
    return whole


def check_broadcast(name: str, lengths: Shape, shape: Shape, of: str = "x") -> None:
    """Check that an array of shape ``lengths`` broadcasts to ``shape`` without enlarging it."""
    missing = len(shape) - len(lengths)
    if missing < 0 or any(
        length not in (1, shape[missing + axis]) for axis, length in enumerate(lengths)
    ):
        raise ValueError(
            f"{name} {lengths} does not broadcast to {of}'s shape {shape}; "
            f"allowed are, from the last axis on, {of}'s length or 1"
        )


def check_axes(name: str, value: Any, shape: Shape) -> tuple[int, ...]:
    """Return axes of x's ``shape``, one or a sequence of them, as ints that are not negative."""
    end = len(shape)
    allowed = f"in [{-end}, {end}), the axes of x's shape {shape}"
    try:
        if isinstance(value, str):
            raise TypeError
        entries = (value,) if hasattr(value, "__index__") and not is_array(value) else tuple(value)
    except TypeError:
        raise TypeError(
            f"{name} is {shown(value)}; allowed are an integer or a sequence of integers"
        ) from None
    axes = tuple(check_integer(name, entry, -end, end, allowed) % end for entry in entries)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name} is {value!r}; allowed is to name an axis once")
    return axes


def check_channel_axis(value: Any, axes: int) -> int:
    """Return the axis of channels in a batch of ``axes`` axes as an int that is not negative."""
    allowed = f"in [1, {axes}) and [{1 - axes}, 0), the axes of a batch but for that of samples"
    axis = check_integer("channel_axis", value, 1 - axes, axes, allowed)
    if axis == 0:
        raise ValueError(f"channel_axis is 0; allowed are integers {allowed}")
    return axis % axes


def check_index(value: Any) -> Any:
    """Return one entry of a mask's index: an int, a slice or an ellipsis."""
    if value is ... or isinstance(value, slice):
        return value
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"index is {value!r}; allowed are integers, slices and an ellipsis"
        ) from None


def check_seed(value: Any, name: str = "seed") -> ISeedSequence:
    """Return the ``SeedSequence`` of a seed: None, integers that are not negative, or itself."""
    if isinstance(value, ISeedSequence):
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        return SeedSequence(value)
    except ValueError:
        raise ValueError(
            f"{name} is {value!r}; allowed are integers that are not negative"
        ) from None
    except TypeError:
        raise TypeError(
            f"{name} is {value!r}, a {type(value).__name__}; allowed are None, an integer, "
            "a sequence of integers or a SeedSequence"
        ) from None


def check_entries(name: str, value: Any, wanted: Collection[str]) -> None:
    """Check that what was pickled is a dict that has these entries."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a dict")
    missing = [entry for entry in wanted if entry not in value]
    if missing:
        raise ValueError(f"{name} has no {missing[0]!r}; it must have {', '.join(wanted)}")


def check_numbers(name: str, value: Any, shape: Shape, most: float) -> float | NDArray[np.float64]:
    """Return a number, or a copy of an array of them for a mask of ``shape``, in [0, most]."""
    numbers = np.array(as_array(name, value), order="C")
    if numbers.dtype != np.float64:
        raise TypeError(f"{name} has dtype {numbers.dtype}; it must be float64")
    if not ((numbers >= 0) & (numbers <= most)).all():  # not so NaN
        raise ValueError(f"{name} is {shown(value)}; it must be in [0, {most:g}]")
    check_broadcast(f"{name} shape", numbers.shape, shape, "the mask")
    return numbers if numbers.ndim else float(numbers)


def check_words(name: str, value: Any, count: int) -> tuple[int, ...]:
    """Return ``count`` 32-bit words from a sequence of them, or from one int, low word first."""
    try:
        number = operator.index(value)
    except TypeError:
        pass
    else:
        if not 0 <= number < 1 << 32 * count:
            raise ValueError(f"{name} is {value!r}; allowed are integers in [0, 2**{32 * count})")
        return tuple(number >> 32 * i & 0xFFFFFFFF for i in range(count))
    try:
        words = tuple(map(operator.index, value))
    except TypeError:
        raise TypeError(
            f"{name} is {value!r}; allowed are an integer or a sequence of {count} integers"
        ) from None
    if len(words) != count or not all(0 <= word < 1 << 32 for word in words):
        raise ValueError(f"{name} is {value!r}; allowed are {count} words in [0, 2**32)")
    return words
