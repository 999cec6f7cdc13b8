# SPDX-License-Identifier: BSD-3-Clause
# Design: what tensors need of the engine, on raw addresses, so that no header of PyTorch is
# needed. A TensorMask is all that the backward pass keeps: where in a stream the mask was drawn,
# the factor, and the memory layout whose order the decisions follow. It has no bits.
#
# Threads are those of PyTorch's own OpenMP runtime, called through its address (see
# `use_openmp`): a pool of ours would fight its workers, which go on spinning for a while after
# each operation, for the same cores. Without that runtime a call uses one thread.
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport application_of
from fastdrop.kernels._kernels cimport (
    FD_ADD,
    FD_ADD_BIAS,
    FD_PADDING,
    FD_RELU,
    FD_SCALE,
    FD_TILE,
    FD_XOSHIRO256PLUSPLUS,
    active_kernels,
    apply_part,
    are_past_caches,
    draw_all,
    fd_any_mask,
    fd_application,
    fd_arrays,
    fd_cursor,
    fd_drop_threshold,
    fd_dtype,
    fd_keep_threshold,
    fd_tagged,
    fd_threshold,
)
from fastdrop.source._source cimport Source

cnp.import_array()

TILE = FD_TILE

# Bytes of a number, by fd_dtype.
cdef size_t[4] NUMBER_SIZE = [2, 2, 4, 8]

# PyTorch's own grain: fewer elements than this for each thread are not worth its waking.
cdef size_t ELEMENTS_A_THREAD = 1 << 15


# ---- threads ---------------------------------------------------------------------------------

cdef parallel_function openmp_parallel = NULL
cdef count_function openmp_thread = NULL
cdef count_function openmp_team = NULL


def use_openmp(size_t parallel, size_t thread_num, size_t num_threads):
    """Run on the threads of the OpenMP runtime that has these three functions.

    Parameters
    ----------
    parallel, thread_num, num_threads : int
        Addresses of ``GOMP_parallel``, ``omp_get_thread_num`` and ``omp_get_num_threads``;
        zeros for one thread.
    """
    global openmp_parallel, openmp_thread, openmp_team
    openmp_thread = <count_function>thread_num
    openmp_team = <count_function>num_threads
    openmp_parallel = <parallel_function>parallel


cdef struct apply_call:
    const fd_application *application
    fd_arrays arrays
    size_t n, size, parts


cdef void apply_share(void *context) noexcept nogil:
    """Every part whose turn is this thread's: whole tiles, as even as can be."""
    cdef apply_call *call = <apply_call *>context
    cdef size_t tiles = (call.n + FD_TILE - 1) // FD_TILE
    cdef size_t part = <size_t>openmp_thread(), team = <size_t>openmp_team()
    cdef size_t first, end
    cdef fd_cursor cursor
    cdef fd_arrays arrays
    while part < call.parts:
        memset(&cursor, 0, sizeof(cursor))
        first = tiles * part // call.parts * FD_TILE
        end = min(call.n, tiles * (part + 1) // call.parts * FD_TILE)
        arrays = call.arrays
        arrays.x += first * call.size
        arrays.y += first * call.size
        if arrays.other != NULL:
            arrays.other += first * call.size
        apply_part(call.application, &cursor, first, end - first, arrays)
        part += team


# ---- the mask --------------------------------------------------------------------------------

cdef class TensorMask:
    """What elements of a tensor are kept: a place in a stream, without bits, or (of relu) bits.

    Made by `mask_from_words` and `mask_from_source`.

    Attributes
    ----------
    strides : tuple of int
        Strides, in elements, of the dense layout in whose memory order the decisions are taken:
        tensors must have it, or be copied to it.
    broadcast : tuple or None
        None: a decision for every element. Else (lengths, steps, decisions): in that layout, axis
        i has ``lengths[i]`` elements and a step along it is ``steps[i]`` decisions.
    scale : float
        Factor of the kept elements.
    """

    def __init__(self):
        raise TypeError("a TensorMask is made by mask_from_words or mask_from_source")

    def with_scale(self, double scale):
        """Return the same mask with another factor of the kept elements."""
        cdef TensorMask mask = TensorMask.__new__(TensorMask)
        mask.seeded = self.seeded
        mask.bits = self.bits
        mask.strides = self.strides
        mask.broadcast = self.broadcast
        mask.scale = scale
        return mask

    def from_decision(self, uint64_t first):
        """Return the mask that begins with the ``first``-th decision of this one."""
        cdef TensorMask mask = self.with_scale(self.scale)
        mask.seeded.position += first
        return mask

    def repeated(self, Py_ssize_t count, Py_ssize_t size):
        """Return the mask of ``count`` tensors in a row, each of ``size`` elements.

        Each of them has this mask.
        """
        cdef TensorMask mask = self.with_scale(self.scale)
        lengths, steps, decisions = self.broadcast or ((size,), (1,), size)
        mask.strides = (size, *self.strides)
        mask.broadcast = ((count, *lengths), (0, *steps), decisions)
        return mask

    def apply(self, size_t x, size_t y, size_t n, int code, size_t threads):
        """Write ``kept ? x * scale : 0`` to ``y``.

        Parameters
        ----------
        x, y : int
            Addresses of dense tensors with `strides`; may be equal.
        n : int
            Number of elements.
        code : int
            The dtype: see `fastdrop.torch._apply`.
        threads : int
            The most threads to use.
        """
        cdef fd_application application = application_of(FD_SCALE, self.scale)
        self.run(&application, x, 0, y, n, code, threads)

    def add(self, size_t x, size_t residual, size_t bias, size_t bias_length, size_t y, size_t n,
            int code, size_t threads):
        """Write ``residual + (kept ? (x + bias) * scale : 0)`` to ``y``; otherwise as `apply`.

        ``bias`` is 0 or the address of ``bias_length`` numbers and a `TILE` of their repetition,
        which follow the memory order.
        """
        cdef fd_application application = application_of(FD_ADD_BIAS if bias else FD_ADD,
                                                         self.scale)
        application.bias, application.bias_period = <const char *>bias, bias_length
        self.run(&application, x, residual, y, n, code, threads)

    def relu(self, size_t x, size_t y, size_t n, int code, size_t threads):
        """Write ``kept and not x <= 0 ? x * scale : 0`` to ``y``; otherwise as `apply`.

        Returns
        -------
        mask : TensorMask
            Of those elements, with bits.
        """
        cdef fd_application application = application_of(FD_RELU, self.scale)
        cdef TensorMask mask = self.with_scale(self.scale)
        mask.bits = np.zeros(n // 8 + 1 + FD_PADDING, np.uint8)
        application.changed = <uint8_t *>cnp.PyArray_DATA(mask.bits)
        self.run(&application, x, 0, y, n, code, threads)
        return mask

    cdef int run(self, fd_application *application, size_t x, size_t other, size_t y, size_t n,
                 int code, size_t threads) except -1:
        cdef fd_any_mask mask
        cdef ndarray bits = self.bits
        cdef apply_call call
        cdef fd_cursor cursor
        if n == 0:
            return 0
        mask.seeded = self.seeded
        mask.packed = NULL
        mask.broadcast.ndim = 0
        if self.broadcast is not None:
            for length, step in zip(self.broadcast[0], self.broadcast[1], strict=True):
                mask.broadcast.shape[mask.broadcast.ndim] = length
                mask.broadcast.stride[mask.broadcast.ndim] = step
                mask.broadcast.ndim += 1
            if bits is None:
                bits = self.draw_bits()
        if bits is not None:
            mask.packed = <const uint8_t *>cnp.PyArray_DATA(bits)
        application.kernels = active_kernels()
        application.mask = &mask
        application.dtype = <fd_dtype>(code & 3)
        application.components = 2 if code & 4 else 1
        call.size = NUMBER_SIZE[code & 3] * <size_t>application.components
        call.arrays.x, call.arrays.other, call.arrays.y = (
            <const char *>x, <const char *>other, <char *>y
        )
        application.past_caches = are_past_caches(&call.arrays, n * call.size)
        call.parts = min(threads, n // ELEMENTS_A_THREAD)
        with nogil:
            if call.parts < 2 or openmp_parallel == NULL:
                memset(&cursor, 0, sizeof(cursor))
                apply_part(application, &cursor, 0, n, call.arrays)
            else:
                call.application = application
                call.n = n
                openmp_parallel(apply_share, &call, <unsigned>call.parts, 0)
        return 0

    cdef ndarray draw_bits(self):
        """Return the packed decisions, padded for whole words."""
        cdef size_t decisions = self.broadcast[2]
        cdef ndarray bits = np.empty(decisions // 8 + 1 + FD_PADDING, np.uint8)
        self.draw(cnp.PyArray_DATA(bits), decisions, False)
        return bits

    def write_kept(self, size_t out, size_t n):
        """Write the ``n`` decisions as bytes, 1 where kept, to the address ``out``."""
        self.draw(<void *>out, n, True)

    cdef int draw(self, void *out, size_t n, bint bytes_) except -1:
        # On this thread: the pool of the package would fight PyTorch's for the cores.
        cdef fd_cursor cursor
        memset(&cursor, 0, sizeof(cursor))
        with nogil:
            draw_all(&self.seeded, NULL, False, bytes_, out, &cursor, n, 1)
        return 0


cdef TensorMask laid_mask(double probability, bint keeps, tuple strides, tuple broadcast):
    cdef TensorMask mask = TensorMask.__new__(TensorMask)
    cdef double keep_prob = probability if keeps else 1.0 - probability
    memset(&mask.seeded, 0, sizeof(mask.seeded))
    mask.seeded.threshold = (
        fd_keep_threshold(probability) if keeps else fd_drop_threshold(probability)
    )
    mask.strides = strides
    mask.broadcast = broadcast
    mask.scale = 1.0 / keep_prob if keep_prob > 0.0 else 1.0
    return mask


def mask_from_words(size_t address, double p, tuple strides, tuple broadcast=None, *,
                    bint keeps=False):
    """Return the mask of four 64-bit words: key, counter (low, high) and position.

    Parameters
    ----------
    address : int
        Where the words are.
    p : float
        Probability of dropping, in [0, 1]; of keeping, if ``keeps``.
    strides, broadcast
        The attributes of TensorMask.
    keeps : bool, default False
        What p means; the factor of kept elements is the inverse of the probability of keeping.

    Returns
    -------
    mask : TensorMask
    """
    cdef const uint64_t *words = <const uint64_t *>address
    cdef TensorMask mask = laid_mask(p, keeps, strides, broadcast)
    mask.seeded.source = FD_XOSHIRO256PLUSPLUS
    mask.seeded.identity.key[0] = words[0] & 0xFFFFFFFF
    mask.seeded.identity.key[1] = words[0] >> 32
    mask.seeded.identity.counter[0] = words[1]
    mask.seeded.identity.counter[1] = words[2]
    mask.seeded.position = words[3]
    mask.seeded.ties = fd_tagged(&mask.seeded.identity, b"fd:tiexo")
    return mask


def mask_from_source(Source source, uint64_t decisions, double p, tuple strides,
                     tuple broadcast=None):
    """Return the mask of the next ``decisions`` positions of ``source``, which advances.

    Parameters
    ----------
    source : Source
        A source of the package.
    decisions : int
        How far it advances.
    p : float
        Probability of dropping, in [0, 1].
    strides, broadcast
        The attributes of TensorMask.

    Returns
    -------
    mask : TensorMask
    """
    cdef fd_cursor cursor
    cdef TensorMask mask = laid_mask(p, False, strides, broadcast)
    cdef fd_threshold threshold = mask.seeded.threshold
    source.reserve(decisions, &mask.seeded, &cursor)
    mask.seeded.threshold = threshold
    return mask
