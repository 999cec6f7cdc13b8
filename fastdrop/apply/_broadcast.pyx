# SPDX-License-Identifier: BSD-3-Clause
# Design: how the elements of an array share those of a smaller one is a length and a step for each
# axis. Axes that go on in steps of the same length are merged, from the last one on: so the kernels
# see runs that are as long as can be, and whatever is one to one has no axes.
from libc.stdint cimport int64_t

import math

from fastdrop._checks import refuse_changed

from fastdrop.kernels._kernels cimport FD_MAX_DIMS, fd_broadcast


cdef int refuse_axes() except -1:
    raise RuntimeError(f"decisions are shared along more than {FD_MAX_DIMS} axes")


cdef int add_axis(fd_broadcast *broadcast, int64_t length, int64_t step) except -1:
    """Add the next axis outwards, or let the last one go on."""
    cdef int last = broadcast.ndim - 1
    if length == 1:
        return 0
    if last >= 0 and step == broadcast.stride[last] * broadcast.shape[last]:
        broadcast.shape[last] *= length
        return 0
    if broadcast.ndim == FD_MAX_DIMS:
        refuse_axes()
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
    gathers : bool
        Whether those needed do not follow each other in the order of the elements: then they are
        gathered first.
    """

    def __init__(self, lengths, steps):
        cdef int64_t length, step, follows = 1
        if sum([length > 1 for length in lengths]) > FD_MAX_DIMS:
            refuse_axes()
        taken = [(length, step) for length, step in zip(lengths, steps) if length > 1 and step]
        self.laid.ndim = 0
        self.elements = math.prod(lengths)
        self.shared = 0
        if self.elements:
            self.shared = 1 + sum(map(math.prod, zip([n - 1 for n in lengths], steps, strict=True)))
        for length, step in zip(reversed(lengths), reversed(steps)):
            if length > 1 and step:
                self.gathers |= step != follows
                add_axis(&self.laid, length, follows)
                follows *= length
            else:
                add_axis(&self.laid, length, 0)
        turn(&self.laid)
        self.view.offset, self.view.ndim = 0, len(taken)
        for axis, (length, step) in enumerate(taken):
            self.view.shape[axis], self.view.stride[axis] = length, step
