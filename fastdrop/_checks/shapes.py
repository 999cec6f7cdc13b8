# SPDX-License-Identifier: BSD-3-Clause
"""Checks of shapes, axes and indices."""

import math
import operator
from typing import Any

import numpy as np

from fastdrop._checks.display import check_given, described, is_array, shown
from fastdrop._checks.refusals import refuse_both
from fastdrop._checks.values import check_integer, entries_of
from fastdrop._typing import Shape

__all__ = [
    "check_axes",
    "check_axes_to_come",
    "check_broadcast",
    "check_channel_axis",
    "check_noise_lengths",
    "check_noise_shape",
    "check_one_way_to_share",
    "check_shape",
    "check_window",
    "selects",
]


MOST_AXES = 64  # as NumPy


def check_shape(value: Any, name: str = "shape") -> Shape:
    """Return a shape as a tuple of ints that are not negative; an int is one axis."""
    lengths: Shape
    try:
        one = hasattr(value, "__index__") and not is_array(value)
        entries = (value,) if one else entries_of(value, ordered=True)
        if bool in map(type, entries):
            raise TypeError
        lengths = tuple(map(operator.index, entries))
    except TypeError:
        check_given(name, value)
        raise TypeError(
            f"{name} must be an integer or a sequence of integers, not {described(value)}"
        ) from None
    if lengths and min(lengths) < 0:
        raise ValueError(f"{name} must have no negative length, not {shown(value)}")
    if len(lengths) > MOST_AXES:
        raise ValueError(f"{name} must have at most {MOST_AXES} axes, not {len(lengths)}")
    if max(lengths, default=0) >= 2**63 or math.prod(lengths) >= 2**63:
        raise ValueError(
            f"{name} must have fewer than 2**63 elements, and lengths below 2**63, not "
            f"{shown(value)}"
        )
    return lengths


def check_noise_lengths(value: Any) -> tuple[int | None, ...]:
    """Return the entries of a noise_shape, integers and None, of an x that is yet to come."""
    try:
        entries = entries_of(value, ordered=True)
        if bool in map(type, entries):
            raise TypeError
        lengths = tuple(None if length is None else operator.index(length) for length in entries)
    except TypeError:
        raise TypeError(
            f"noise_shape must be a sequence of integers and None, not {described(value)}"
        ) from None
    if any(length is not None and length < 0 for length in lengths):
        raise ValueError(f"noise_shape must have no negative length, not {shown(value)}")
    return lengths


def check_one_way_to_share(
    noise_shape: Any, broadcast_axes: Any, name: str = "broadcast_axes"
) -> None:
    """Check that one of the two is given at most."""
    if noise_shape is not None and broadcast_axes is not None:
        refuse_both(**{name: broadcast_axes, "noise_shape": noise_shape})


def check_noise_shape(value: Any, shape: Shape, of: str = "x") -> Shape:
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
            f"noise_shape must have at most {len(shape)} axes, as {of} has, of shape {shape}; "
            f"{lengths} has {len(lengths)}"
        )
    whole = check_shape(
        tuple(
            shape[missing + axis] if length is None else length
            for axis, length in enumerate(lengths)
        ),
        "noise_shape",
    )
    check_broadcast("noise_shape", whole, shape, of)
    return whole


def check_broadcast(name: str, lengths: Shape, shape: Shape, of: str = "x") -> None:
    """Check that an array of shape ``lengths`` broadcasts to ``shape`` without enlarging it."""
    missing = len(shape) - len(lengths)
    if missing < 0 or any(
        length not in (1, shape[missing + axis]) for axis, length in enumerate(lengths)
    ):
        raise ValueError(
            f"{name} {lengths} does not broadcast to {of}'s shape {shape}: each axis, counted "
            f"from the last, must be 1 or {of}'s length"
        )


def check_axes(name: str, value: Any, shape: Shape, of: str = "x's shape") -> tuple[int, ...]:
    """Return axes of a ``shape``, one or a sequence of them, as ints that are not negative."""
    end = len(shape)
    which = f"in [{-end}, {end}), an axis of {of} {shape}"
    if not end:
        which = f"that is an axis, and {of} {shape} has none"
    entries = _entries_of_axes(name, value)
    axes = tuple(check_integer(name, entry, -end, end, which) % end for entry in entries)
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name} must name an axis once, not {value!r}")
    return axes


def check_axes_to_come(name: str, value: Any) -> None:
    """Check axes of an x that is yet to come: None, an integer or a sequence of integers."""
    if value is None:
        return
    entries = _entries_of_axes(name, value)
    which = f"in [{-MOST_AXES}, {MOST_AXES}), an axis of x"
    axes = [check_integer(name, entry, -MOST_AXES, MOST_AXES, which) for entry in entries]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name} must name an axis once, not {value!r}")


def _entries_of_axes(name: str, value: Any) -> tuple[Any, ...]:
    """Return what may be axes, one or several, as a tuple."""
    try:
        one = hasattr(value, "__index__") and not is_array(value)
        return (value,) if one else entries_of(value, ordered=False)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer or a sequence of integers, not {described(value)}"
        ) from None


def check_channel_axis(value: Any, axes: int) -> int:
    """Return the axis of channels in a batch of ``axes`` axes as an int that is not negative."""
    which = f"in [1, {axes}) or [{1 - axes}, 0), an axis of x other than that of samples"
    axis = check_integer("channel_axis", value, 1 - axes, axes, which)
    if axis == 0:
        raise ValueError(f"channel_axis must be an integer {which}, not 0")
    return axis % axes


def check_window(value: Any, shape: Shape) -> tuple[Any, ...]:
    """Return the entries of an index of a mask of that shape: an int or a slice for each axis."""
    entries = [*map(_check_entry, value if isinstance(value, tuple) else (value,))]
    missing = len(shape) - len(entries)
    if ... in entries:
        place = entries.index(...)
        entries[place : place + 1] = [slice(None)] * (missing + 1)
    else:
        entries += [slice(None)] * missing
    if ... in entries:
        raise IndexError("an index of a mask must have at most one ellipsis")
    if len(entries) > len(shape):
        raise IndexError(
            f"an index of this mask must have at most {len(shape)} entries, one for each axis, not "
            f"{len(entries)}"
        )
    for axis, (entry, length) in enumerate(zip(entries, shape, strict=True)):
        if not (isinstance(entry, slice) or -length <= entry < length):
            raise IndexError(f"index {entry} is out of bounds for axis {axis} of length {length}")
    return tuple(entries)


def selects(index: Any) -> bool:
    """Tell whether an index is none of a window, but one that arrays have: lists, bools, None."""
    entries = index if isinstance(index, tuple) else (index,)
    kinds = (list, bool, np.bool_, type(None))
    return any(isinstance(entry, kinds) or hasattr(entry, "__array__") for entry in entries)


def _check_entry(value: Any) -> Any:
    """Return one entry of a mask's index: an int, a slice or an ellipsis."""
    if type(value) is slice or type(value) is int or value is ...:
        return value
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            "an index of a mask must be of integers, slices and an ellipsis, not "
            f"{described(value)}: np.asarray(mask) takes the others"
        ) from None
