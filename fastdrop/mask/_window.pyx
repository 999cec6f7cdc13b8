# SPDX-License-Identifier: BSD-3-Clause
# Design: a window of an array in C order is an offset and strides, in elements; that is all that a
# window of a window is, too.
import math


def contiguous_strides(shape):
    """Return the strides of C order, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def is_contiguous(shape, strides):
    """Tell whether elements of those strides follow each other in C order."""
    return all(
        length <= 1 or stride == full
        for length, stride, full in zip(shape, strides, contiguous_strides(shape), strict=True)
    )


def window_of(shape, strides, entries):
    """Return (offset, shape, strides), in elements, of what checked entries take of an array."""
    offset = 0
    window_shape, window_strides = [], []
    for entry, length, stride in zip(entries, shape, strides, strict=True):
        if isinstance(entry, slice):
            places = range(*entry.indices(length))
            window_shape.append(len(places))
            window_strides.append(places.step * stride)
            offset += places.start * stride if places else 0
        else:
            offset += entry % length * stride
    return offset, tuple(window_shape), tuple(window_strides)
