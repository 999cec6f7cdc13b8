# SPDX-License-Identifier: BSD-3-Clause
# Design: a window of an array in C order is an offset and strides, in elements; that is all that a
# window of a window is, too.


def contiguous_strides(tuple shape):
    """Return the strides of C order, in elements."""
    cdef Py_ssize_t axis
    cdef list strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return tuple(strides)


def is_contiguous(tuple shape, tuple strides):
    """Tell whether elements of those strides follow each other in C order."""
    cdef Py_ssize_t axis
    full = 1
    for axis in range(len(shape) - 1, -1, -1):
        length = shape[axis]
        if length > 1 and strides[axis] != full:
            return False
        full *= length
    return True


def window_of(tuple shape, tuple strides, tuple entries):
    """Return (offset, shape, strides), in elements, of what checked entries take of an array."""
    cdef Py_ssize_t axis
    cdef list window_shape = [], window_strides = []
    offset = 0
    for axis in range(len(shape)):
        entry, length, stride = entries[axis], shape[axis], strides[axis]
        if isinstance(entry, slice):
            start, stop, step = entry.indices(length)
            taken = len(range(start, stop, step))
            window_shape.append(taken)
            window_strides.append(step * stride)
            if taken:
                offset += start * stride
        else:
            offset += entry % length * stride
    return offset, tuple(window_shape), tuple(window_strides)


def ascending(tuple shape, tuple strides):
    """Return what a window takes, in ascending order of places, and where it is in that order.

    Parameters
    ----------
    shape, strides : tuple of int
        Those of a window that has elements.

    Returns
    -------
    first : int
        Place of the first element in that order.
    shape, strides : tuple of int
        Of the window in that order: no stride is negative, and none is larger than the one before.
    offset : int
    pitches : tuple of int
        Offset and strides with which the window's elements are found there.
    """
    steps = [stride if length > 1 else 0 for length, stride in zip(shape, strides, strict=True)]
    axes = sorted(range(len(shape)), key=lambda axis: -abs(steps[axis]))
    lengths = tuple(shape[axis] for axis in axes)
    first = offset = 0
    pitches = [0] * len(shape)
    for axis, pitch in zip(axes, contiguous_strides(lengths), strict=True):
        pitches[axis] = pitch
        if steps[axis] < 0:
            pitches[axis] = -pitch
            offset += (shape[axis] - 1) * pitch
            first += (shape[axis] - 1) * steps[axis]
    return first, lengths, tuple(abs(steps[axis]) for axis in axes), offset, tuple(pitches)
