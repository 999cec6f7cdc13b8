# SPDX-License-Identifier: BSD-3-Clause
# Design: a window of an array in C order is an offset and strides, in elements; that is all that a
# window of a window is, too.
import math
import operator

from fastdrop._checks import check_index


def contiguous_strides(shape):
    """Return the strides of C order, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def is_contiguous(shape, strides):
    """Tell whether elements of those strides follow each other in C order."""
    return all(
        length <= 1 or stride == full
        for length, stride, full in zip(shape, strides, contiguous_strides(shape), strict=True)
    )


def window_entries(window, shape):
    """Return the checked entries of an index, one for each axis of a mask of that shape."""
    entries = window if isinstance(window, tuple) else (window,)
    entries = list(map(check_index, entries))
    missing = len(shape) - len(entries)
    if ... in entries:
        place = entries.index(...)
        entries[place : place + 1] = [slice(None)] * (missing + 1)
    else:
        entries += [slice(None)] * missing
    if ... in entries:
        raise IndexError("an index of a mask has more than one ellipsis; one is the most")
    if len(entries) > len(shape):
        raise IndexError(
            f"an index of a mask has {len(entries)} entries; the mask has {len(shape)} axes"
        )
    return tuple(entries)


def window_of(shape, strides, entries):
    """Return (offset, shape, strides), in elements, of what those entries take of an array."""
    offset = 0
    window_shape, window_strides = [], []
    for axis, (entry, length, stride) in enumerate(zip(entries, shape, strides, strict=True)):
        if isinstance(entry, slice):
            places = range(*entry.indices(length))
            window_shape.append(len(places))
            window_strides.append(places.step * stride)
            offset += places.start * stride if places else 0
        elif -length <= entry < length:
            offset += entry % length * stride
        else:
            raise IndexError(f"index {entry} is out of bounds for axis {axis} of length {length}")
    return offset, tuple(window_shape), tuple(window_strides)


def check_strides(strides, shape, position):
    """Return the strides of a seeded mask whose decisions are all at positions of a source."""
    steps = contiguous_strides(shape) if strides is None else tuple(map(operator.index, strides))
    if len(steps) != len(shape):
        raise ValueError(f"strides is {strides!r}; there must be one for each axis of {shape}")
    reach = [(length - 1) * step for length, step in zip(shape, steps, strict=True)]
    first = position + sum(min(step, 0) for step in reach)
    last = position + sum(max(step, 0) for step in reach)
    if 0 not in shape and not 0 <= first <= last < 2**64:
        raise ValueError(
            f"the mask goes from position {first} to {last} of its source; they must be in "
            "[0, 2**64)"
        )
    return None if strides is None else steps
