# SPDX-License-Identifier: BSD-3-Clause
# Design: all checks, and all memory, come before a source advances. Then a mask is a range of an
# addressable source, or the bits of a sequential one, and what is done with it follows.
from libc.stdint cimport uint8_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop._checks import check_noise_shape
from fastdrop.source.default import as_source

from fastdrop.apply._apply cimport (
    apart,
    as_input,
    as_output,
    fit_boxes,
    job_of,
    order_of_memory,
)
from fastdrop.kernels._kernels cimport (
    FD_SCALE,
    FD_SCALE_EACH,
    engine,
    fd_cursor,
    fd_executor,
    fd_job,
    fd_numbers,
    fd_numpy_limit,
    fd_seeded,
)
from fastdrop.mask._bits cimport pack, padded_bits, room_for, size_of, unpack
from fastdrop.mask._decisions cimport draw_all
from fastdrop.mask._mask cimport Mask, mask_of_bits, packed_mask, seeded_mask
from fastdrop.mask._probability cimport Probability, multiplier, probability_of
from fastdrop.source._numpy_source cimport NumPySource
from fastdrop.source._source cimport Source

cnp.import_array()


def kept_mask(tuple shape, scale):
    """Return a mask that keeps every element, times ``scale``; it draws nothing."""
    cdef fd_seeded seeded
    memset(&seeded, 0, sizeof(seeded))
    return seeded_mask(shape, seeded).with_numbers(0.0, scale)


def unscaled(Mask mask):
    """Return the same mask with 1 as the factor of the kept elements."""
    cdef Mask same = mask.with_bits(mask.padded)
    same.factor = 1.0
    if mask.numbers is not None:
        same.numbers = mask.numbers.with_factors(1.0)
    same.seeded, same.start, same.strides = mask.seeded, mask.start, mask.strides
    return same


def mask_from_array(kept, Probability probability, scale):
    """Return the packed mask of a caller's bool array, True where kept.

    ``scale`` is a number, or None for that of the probability.
    """
    return mask_of_bits(kept.shape, pack(kept), probability, scale)


def apply_drawn(ndarray kept, ndarray padded, ndarray spare, Probability probability, double scale,
                ndarray x, ndarray y):
    """Write x to y under a bool array, True where kept, and return that as a mask.

    It takes room that was made before the array was drawn: for the mask's bits, ``padded``, and
    for as many, ``spare``; x is apart from y.
    """
    cdef Mask mask = packed_mask((<object>kept).shape, pack(kept, padded))
    cdef fd_job job = job_of(FD_SCALE, multiplier(scale, probability.drop))
    cdef fd_cursor cursor
    mask.with_probability(probability, scale)
    mask.run(&job, x, None, y, &cursor, (None, spare))
    return mask


cdef Mask reserve_mask(object source, tuple shape, Probability probability, double scale):
    """Draw a mask of one probability: a range of an addressable source, or bits."""
    cdef Mask mask
    cdef ndarray padded
    if isinstance(source, Source):
        mask = Mask.__new__(Mask)
        mask.reserve(<Source>source, shape, probability.threshold)
    else:
        padded = padded_bits(size_of(shape))
        draw_decisions(source, shape, probability, False, False, padded)
        mask = packed_mask(shape, padded)
    mask.drop = probability.drop
    mask.factor = scale
    return mask


cdef Mask packed_draw(object source, tuple shape, Probability probability, scale):
    """Draw a mask of one probability or of several: bits."""
    cdef ndarray padded = padded_bits(size_of(shape))
    draw_decisions(source, shape, probability, False, False, padded)
    return packed_mask(shape, padded).with_probability(probability, scale)


cdef int draw_decisions(object source, tuple shape, Probability probability, bint dropped,
                        bint bytes_, ndarray out) except -1:
    # Draws the kept or the dropped elements of a mask, as bits or as bytes. A sequential source
    # gives kept bits only, and needs FD_PADDING bytes to spare.
    cdef fd_numbers laid
    cdef fd_numpy_limit limit
    cdef fd_seeded seeded
    cdef fd_cursor cursor
    cdef void *to = cnp.PyArray_DATA(out)
    cdef size_t n = size_of(shape)
    cdef fd_executor pool = engine.pool()
    limit.each = NULL
    if probability.values is not None:
        probability.lay(shape, &laid)
        limit.each = &laid
    if isinstance(source, NumPySource):
        limit.threshold, limit.p = probability.threshold, probability.drop
        (<NumPySource>source).draw(n, &limit, out)
        return 0
    (<Source>source).reserve(n, &seeded, &cursor)
    seeded.threshold = probability.threshold
    with nogil:
        draw_all(&seeded, limit.each, dropped, bytes_, to, &cursor, n, &pool)
    (<Source>source).leave(&seeded, &cursor)
    return 0


def draw_mask(tuple shape, Probability probability, source, bint packed):
    """Return a mask drawn from ``source``, which advances by its size."""
    if packed or probability.values is not None:
        return packed_draw(source, shape, probability, None)
    return reserve_mask(source, shape, probability, probability.factor)


def forward(x, out, p, rng, noise_shape, bint scaled):
    """Return (y, mask) of a newly drawn mask; all checks come before the draw.

    ``p`` is a number, an array or a `Probability`.
    """
    cdef Probability probability = p if type(p) is Probability else probability_of(p)
    source = rng if isinstance(rng, Source) else as_source(rng)
    cdef ndarray from_ = as_input(x)
    cdef ndarray to
    cdef Mask mask
    cdef fd_job job
    shape = (<object>from_).shape
    if noise_shape is not None:
        shape = check_noise_shape(noise_shape, shape)
    to = as_output(from_, out)
    if probability.values is not None:
        mask = forward_each(from_, to, probability, source, shape, scaled)
    else:
        job = job_of(FD_SCALE, probability.factor if scaled else 1.0)
        mask = run_first(&job, from_, None, to, source, shape, probability, job.scale)
    return to if out is None else out, mask


cdef Mask forward_each(ndarray x, ndarray y, Probability probability, source, tuple shape,
                       bint scaled):
    """Write x to y under a newly drawn mask of several probabilities, and return that."""
    cdef fd_job job = job_of(FD_SCALE, 1.0)
    cdef Mask mask = packed_mask(shape, padded_bits(size_of(shape)))
    cdef tuple room = room_for(shape, False, x, None, y)
    cdef fd_numbers laid
    cdef fd_cursor cursor = mask.start
    cdef ndarray _held
    probability.lay(shape, &laid)
    mask.with_probability(probability, None if scaled else 1.0)
    if scaled:
        job.operation = FD_SCALE_EACH
        _held = mask.numbers.lay_factors(
            &job, &laid, (<object>y).shape, order_of_memory(y), fit_boxes(x, None, y)
        )
    x = apart(x, y)
    draw_decisions(source, shape, probability, False, False, mask.padded)
    mask.run(&job, x, None, y, &cursor, room)
    return mask


cdef Mask run_first(fd_job *job, ndarray x, ndarray other, ndarray y, source,
                    tuple shape, Probability probability, double scale):
    """Draw a mask of one probability and do something with it to checked arrays.

    All memory is taken before the source advances.
    """
    cdef bint addressable = isinstance(source, Source)
    cdef tuple room = room_for(shape, addressable, x, other, y, job.changed != NULL)
    cdef Mask mask
    cdef fd_cursor cursor
    job.scale = multiplier(job.scale, probability.drop)
    x = apart(x, y)
    if other is not None:
        other = apart(other, y)
    mask = reserve_mask(source, shape, probability, scale)
    cursor = mask.start
    mask.run(job, x, other, y, &cursor, room)
    if addressable:
        (<Source>source).leave(&mask.seeded, &cursor)
    return mask


def draw_bernoulli(tuple shape, Probability probability, source, bint packed, out, dtype):
    """Return booleans that are True where dropout would drop, as bytes or as bits."""
    cdef size_t n = size_of(shape)
    cdef tuple wanted = ((n + 7) // 8,) if packed else shape
    cdef ndarray given = np.empty(wanted, dtype) if out is None else np.asarray(out)
    cdef bint direct = cnp.PyArray_ISCARRAY_RO(given)
    cdef ndarray target = given if direct else np.empty(wanted, dtype)
    cdef ndarray bits
    if isinstance(source, NumPySource):
        bits = padded_bits(n)
        draw_decisions(source, shape, probability, False, False, bits)
        np.invert(bits, bits)
        if packed:
            target[:] = bits[: target.size]
            if n % 8:
                target[n // 8] &= (1 << n % 8) - 1
        else:
            unpack(bits, n, <uint8_t *>cnp.PyArray_DATA(target))
    else:
        draw_decisions(source, shape, probability, True, not packed, target)
    if not direct:
        given[...] = target
    return given if out is None else out
