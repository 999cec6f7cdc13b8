# SPDX-License-Identifier: BSD-3-Clause
# Design: what elements are kept is a place in a stream, of which the bits are made again whenever
# they are needed, or bits. `strides` (in decisions) is None unless a window skipped some: whatever
# is not one contiguous range of decisions is packed before it is applied.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import (
    check_bits,
    check_entries,
    check_integer,
    check_shape,
    check_strides,
    refuse_copy,
)

from fastdrop.apply._apply cimport (
    all_plain,
    apply_boxes,
    apply_mask,
    axes_of,
    fit_boxes,
    needs_order,
    order_of_memory,
    view_of,
)
from fastdrop.kernels._kernels cimport (
    engine,
    fd_any_mask,
    fd_arrays,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_numbers,
    fd_seeded,
    fd_threshold,
    fd_view,
)
from fastdrop.mask._any_mask cimport AnyMask
from fastdrop.mask._bits cimport (
    gather,
    lent,
    padded_bits,
    padded_copy,
    permuted,
    size_of,
    unpack,
)
from fastdrop.mask._state cimport check_version, place_of, seeded_at
from fastdrop.mask._window import ascending, is_contiguous
from fastdrop.source._source cimport Source

cnp.import_array()

cdef object BOOL = np.dtype(bool)


@cython.no_gc
cdef class Decisions(AnyMask):
    """A decision for each element of an array: seeded or packed."""

    @property
    def dtype(self):
        """Type of the elements of ``np.asarray(mask)``: bool."""
        return BOOL

    @property
    def nbytes(self):
        """Bytes that the decisions take: 0 (seeded) or one bit each (packed)."""
        return 0 if self.padded is None else (self.size + 7) // 8

    @property
    def bits(self):
        """The bits of a packed mask, read-only, as of ``np.packbits``; None of a seeded one."""
        if self.padded is None:
            return None
        return lent(self.padded, self)[: self.nbytes]

    cdef void place_at(self, tuple shape, fd_seeded seeded):
        """Become those that are drawn there."""
        self.shape = shape
        self.size = size_of(shape)
        self.seeded = seeded

    cdef void hold(self, tuple shape, ndarray padded):
        """Become those bits."""
        self.shape = shape
        self.size = size_of(shape)
        self.padded = padded

    cdef int view(self, Decisions part, int64_t offset, tuple shape, tuple strides) except -1:
        """Make ``part`` the decisions at offset + index * strides."""
        cdef fd_view view
        if self.padded is None:
            part.place_at(shape, self.later(0 if 0 in shape else offset))
            if part.size and not is_contiguous(shape, strides):
                part.strides = strides
            return 0
        part.hold(shape, padded_bits(size_of(shape)))
        set_view(&view, offset, shape, strides)
        return gather(self.padded, view, <uint8_t *>cnp.PyArray_DATA(part.padded))

    cdef int reserve(self, Source source, tuple shape, fd_threshold threshold) except -1:
        """Become the next ones of a source, which advances."""
        self.shape = shape
        self.size = size_of(shape)
        source.reserve(self.size, &self.seeded, &self.start)
        self.seeded.threshold = threshold
        return 0

    cdef ndarray tell(self, fd_any_mask *mask, int64_t bits, fd_cursor *cursor, ndarray room,
                      const fd_executor *executor):
        """Tell the engine of them; it reads the array that is returned, or None.

        If ``bits`` is not 0, it cannot make them as it goes: the first so many are drawn now, in
        that room or, where it is None, in new room. Then ``cursor`` moves to their end.
        """
        cdef ndarray padded = self.padded
        if padded is None and (bits or self.strides is not None):
            padded = self.draw_bits(bits or self.size, cursor, room, executor)
        mask.each, mask.packed, mask.broadcast = NULL, NULL, NULL
        if padded is None:
            mask.seeded = self.seeded
        else:
            mask.packed = <uint8_t *>cnp.PyArray_DATA(padded)
        return padded

    cdef int run(self, fd_job *job, ndarray x, ndarray other, ndarray y,
                 fd_cursor *cursor, tuple room) except -1:
        """Do something with it to checked arrays; ``cursor`` moves to the end of the mask.

        ``room`` is that of `room_for`, or None: then it is made now, where it is needed.
        """
        cdef fd_any_mask mask
        cdef fd_executor pool = engine.pool()
        cdef bint reordered = needs_order(x, other, y)
        cdef int64_t bits = 0
        if reordered or self.size != cnp.PyArray_SIZE(x):
            bits = self.size
        cdef ndarray padded = self.tell(
            &mask, bits, cursor, None if room is None else room[0], &pool
        )
        if reordered:
            return self.run_reordered(job, x, other, y, padded, room)
        return apply_mask(job, &mask, self.shape, cursor, x, other, y)

    cdef int run_reordered(self, fd_job *job, ndarray x, ndarray other, ndarray y, ndarray padded,
                           tuple room) except -1:
        """Do it in the order of y's memory, to which the bits are brought."""
        cdef fd_any_mask mask
        cdef fd_cursor unused = self.start
        cdef uint8_t *changed = job.changed
        cdef ndarray changed_there
        cdef ndarray reordered = padded
        cdef bint turned = order_of_memory(y) is not None
        cdef tuple axes = axes_of(y)
        cdef tuple shape = (1,) * (y.ndim - len(self.shape)) + self.shape
        if turned:
            reordered = padded_bits(self.size) if room is None else room[1]
            gather(padded, view_of(shape, axes), <uint8_t *>cnp.PyArray_DATA(reordered))
        mask.each, mask.packed = NULL, <uint8_t *>cnp.PyArray_DATA(reordered)
        if turned and changed != NULL:  # relu: as many bits, to be brought back
            changed_there = padded_bits(self.size) if room is None else room[2]
            changed_there[:] = 0
            job.changed = <uint8_t *>cnp.PyArray_DATA(changed_there)
        cdef ndarray x_there = x.transpose(axes), y_there = y.transpose(axes)
        cdef ndarray other_there = None if other is None else other.transpose(axes)
        if job.each_by_index or (
            not all_plain(x_there, other_there, y_there) and fit_boxes(x, other, y)
        ):
            apply_boxes(job, &mask, permuted(shape, axes), axes, x, other, y)
        else:
            apply_mask(
                job, &mask, permuted(shape, axes), &unused, x_there, other_there, y_there
            )
        if turned and changed != NULL:
            back = np.argsort(axes).tolist()
            gather(changed_there, view_of(permuted(shape, axes), back), changed)
        return 0

    cdef ndarray draw_bits(self, int64_t n, fd_cursor *cursor, ndarray room,
                           const fd_executor *executor):
        """Return the first ``n`` as padded bits; ``cursor`` moves to their end.

        Those of a window are all of them.
        """
        if room is None:
            room = padded_bits(n)
        self.draw(cnp.PyArray_DATA(room), False, n, cursor, executor)
        return room

    cdef ndarray all_bits(self):
        """Return all of them as padded bits."""
        cdef fd_cursor cursor = self.start
        cdef fd_executor pool = engine.pool()
        if self.padded is not None:
            return self.padded
        return self.draw_bits(self.size, &cursor, None, &pool)

    cdef int draw(self, void *to, bint bytes_, size_t n, fd_cursor *cursor,
                  const fd_executor *executor) except -1:
        """Write the first ``n`` of a place, as bytes or as bits; ``cursor`` moves to their end.

        Those of a window are all of them.
        """
        cdef fd_job job
        cdef fd_any_mask mask
        if self.strides is not None and n:
            return self.draw_window(to, bytes_, cursor, executor)
        set_drawing(&job, &mask, &self.seeded, NULL, False, bytes_)
        with nogil:
            draw(&job, to, cursor, n, executor)
        return 0

    cdef int draw_window(self, void *to, bint bytes_, fd_cursor *cursor,
                         const fd_executor *executor) except -1:
        """Write those of a window, which are drawn as their places ascend."""
        cdef fd_view window, back
        cdef fd_job job
        cdef fd_any_mask mask
        cdef fd_seeded seeded
        cdef ndarray drawn = None, bits = None
        cdef void *room = to
        first, shape, strides, offset, pitches = ascending(self.shape, self.strides)
        set_view(&window, 0, shape, strides)
        in_order = offset == 0 and is_contiguous(self.shape, pitches)
        if not in_order:
            drawn = padded_bits(self.size)
            room = cnp.PyArray_DATA(drawn)
        seeded = self.later(first)
        set_drawing(&job, &mask, &seeded, NULL, False, bytes_ and in_order)
        job.window = &window
        with nogil:
            draw(&job, room, cursor, self.size, executor)
        if in_order:
            return 0
        set_view(&back, offset, self.shape, pitches)
        if not bytes_:
            return gather(drawn, back, <uint8_t *>to)
        bits = padded_bits(self.size)
        gather(drawn, back, <uint8_t *>cnp.PyArray_DATA(bits))
        return unpack(bits, self.size, <uint8_t *>to)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            refuse_copy("a mask is stored as a seed or as bits")
        cdef fd_cursor cursor = self.start
        cdef fd_executor pool = engine.pool()
        cdef ndarray kept = np.empty(self.shape, bool)
        if self.padded is not None:
            unpack(self.padded, self.size, <uint8_t *>cnp.PyArray_DATA(kept))
        else:
            self.draw(cnp.PyArray_DATA(kept), True, self.size, &cursor, &pool)
        return kept if dtype is None else kept.astype(dtype, copy=False)

    cdef dict entries(self):
        """Return what the state of a mask says of them: the bits, or where they were drawn."""
        threshold = self.seeded.threshold
        if self.padded is not None:
            return {"bits": self.bits.tobytes()}
        return place_of(&self.seeded) | {
            "threshold": 2**64 if threshold.drops_all else threshold.value,
            "strides": self.strides,
        }

    cdef int take(self, dict state) except -1:
        """Become those of a state, which may hold anything: all of it is checked."""
        if "bits" in state:
            check_version(state)
            shape = check_shape(state["shape"])
            self.hold(shape, padded_copy(check_bits("bits", state["bits"], shape)))
            return 0
        check_entries("the state of the mask", state, ("threshold", "strides"))
        cdef fd_seeded seeded = seeded_at(state)
        threshold = check_integer("threshold", state["threshold"], 0, 2**64 + 1, "in [0, 2**64]")
        seeded.threshold.drops_all = threshold == 2**64
        seeded.threshold.value = threshold % 2**64
        self.place_at(check_shape(state["shape"]), seeded)
        self.strides = check_strides(state["strides"], self.shape, seeded.position)
        return 0

    cdef fd_seeded later(self, int64_t offset):
        cdef fd_seeded seeded = self.seeded
        seeded.position += <uint64_t>offset
        return seeded


cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes_,
                  void *out, fd_cursor *cursor, size_t n,
                  const fd_executor *executor) except -1 nogil:
    cdef fd_job job
    cdef fd_any_mask mask
    set_drawing(&job, &mask, seeded, each, dropped, bytes_)
    return draw(&job, out, cursor, n, executor)


cdef void set_drawing(fd_job *job, fd_any_mask *mask, const fd_seeded *seeded,
                      const fd_numbers *each, bint dropped, bint bytes_) noexcept nogil:
    memset(job, 0, sizeof(fd_job))
    mask.seeded, mask.each, mask.packed = seeded[0], each, NULL
    job.kernels, job.mask = engine.kernels(), mask
    job.as_dropped, job.as_bytes = dropped, bytes_


cdef int draw(const fd_job *job, void *out, fd_cursor *cursor, size_t n,
              const fd_executor *executor) except -1 nogil:
    cdef fd_arrays arrays
    arrays.x, arrays.other, arrays.y = NULL, NULL, <char *>out
    return engine.draw(job, cursor, n, arrays, executor)


cdef int set_view(fd_view *view, int64_t offset, tuple shape, tuple strides) except -1:
    view.offset, view.ndim = offset, len(shape)
    for axis in range(view.ndim):
        view.shape[axis], view.stride[axis] = shape[axis], strides[axis]
    return 0


cdef Decisions decisions_at(tuple shape, fd_seeded seeded):
    cdef Decisions decisions = Decisions.__new__(Decisions)
    decisions.place_at(shape, seeded)
    return decisions


cdef Decisions decisions_of(tuple shape, ndarray padded):
    cdef Decisions decisions = Decisions.__new__(Decisions)
    decisions.hold(shape, padded)
    return decisions
