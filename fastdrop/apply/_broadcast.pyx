# SPDX-License-Identifier: BSD-3-Clause
# Design: how the elements of an array share those of a smaller one is a length and a step for each
# axis. Axes that go on in steps of the same length are merged, from the last one on: so the kernels
# see runs that are as long as can be, and whatever is one to one has no axes.
from libc.stdint cimport int64_t

import math

from fastdrop._checks import refuse_changed

from fastdrop.kernels._kernels cimport FD_MAX_DIMS, fd_broadcast


cdef int add_axis(fd_broadcast *broadcast, int64_t length, int64_t step) except -1:
    """Add the next axis outwards, or let the last one go on."""
    cdef int last = broadcast.ndim - 1
    if length == 1:
        return 0
    if last >= 0 and step == broadcast.stride[last] * broadcast.shape[last]:
        broadcast.shape[last] *= length
        return 0
    if broadcast.ndim == FD_MAX_DIMS:
        raise RuntimeError(f"decisions are shared along more than {FD_MAX_DIMS} axes")
    broadcast.shape[broadcast.ndim], broadcast.stride[broadcast.ndim] = length, step
    broadcast.ndim += 1
    return 0


cdef void turn(fd_broadcast *broadcast) noexcept:
    """Put the outermost of all axes first."""
    cdef int first, last
    for first in range(broadcast.ndim // 2):
        last = broadcast.ndim - 1 - first
        broadcast.shape[first], broadcast.shape[last] = (
            broadcast.shape[last], broadcast.shape[first]
        )
        broadcast.stride[first], broadcast.stride[last] = (
            broadcast.stride[last], broadcast.stride[first]
        )
    if broadcast.ndim == 1 and broadcast.stride[0] == 1:
        broadcast.ndim = 0


cdef int set_broadcast(fd_broadcast *broadcast, tuple small, tuple shape) except -1:
    cdef int axis, missing = len(shape) - len(small)
    cdef int64_t step = 1, length, small_length
    broadcast.ndim = 0
    if small == shape:
        return 0
    for axis in range(len(shape) - 1, -1, -1):
        length = shape[axis]
        small_length = small[axis - missing] if axis >= missing else 1
        if missing < 0 or small_length not in (1, length):
            refuse_changed(f"shape {small} does not broadcast to {shape} any more")
        add_axis(broadcast, length, step if small_length > 1 else 0)
        step *= small_length
    turn(broadcast)
    return 0


cdef class Broadcast:
    """How elements that follow each other along some axes share those of a smaller array.

    Parameters
    ----------
    lengths, steps : sequence of int
        Of each axis, outermost first; a step along it is so many elements of the smaller array.

    Attributes
    ----------
    elements, shared : int
        How many there are, and how many of the smaller array they need.
    """

    def __init__(self, lengths, steps):
        self.laid.ndim = 0
        self.elements = math.prod(lengths)
        self.shared = 0
        if self.elements:
            self.shared = 1 + sum(map(math.prod, zip([n - 1 for n in lengths], steps, strict=True)))
        for length, step in zip(reversed(lengths), reversed(steps), strict=True):
            add_axis(&self.laid, length, step)
        turn(&self.laid)

    @property
    def has_kernel(self):
        """Whether the elements of the last axis follow each other in the smaller array."""
        return self.laid.ndim == 0 or self.laid.stride[self.laid.ndim - 1] <= 1

    def repeated(self, count):
        """Return the same for ``count`` arrays in a row, which share all."""
        lengths = [self.laid.shape[axis] for axis in range(self.laid.ndim)]
        steps = [self.laid.stride[axis] for axis in range(self.laid.ndim)]
        if not lengths:
            lengths, steps = [self.elements], [1]
        return Broadcast([count, *lengths], [0, *steps])
