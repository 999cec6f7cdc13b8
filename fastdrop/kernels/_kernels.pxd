# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil
        uint32_t (*next_uint32)(void *state) noexcept nogil
        double (*next_double)(void *state) noexcept nogil
        uint64_t (*next_raw)(void *state) noexcept nogil


cdef extern from "kernels.h" nogil:
    enum:
        FD_TILE
        FD_NORMALS

    ctypedef enum fd_source:
        FD_PHILOX4X32
        FD_XOSHIRO256PLUSPLUS
        FD_XORSHIFT128PLUS

    ctypedef enum fd_dtype:
        FD_FLOAT16
        FD_BFLOAT16
        FD_FLOAT32
        FD_FLOAT64

    ctypedef enum fd_operation:
        FD_SCALE
        FD_SCALE_EACH
        FD_AFFINE
        FD_ADD
        FD_ADD_BIAS
        FD_SELECT
        FD_RELU

    ctypedef struct fd_operands:
        double scale, shift, dropped
        const void *other
        const void *bias
        const void *factors

    ctypedef enum fd_meaning:
        FD_P
        FD_KEEP_PROB
        FD_FACTOR

    ctypedef void (*fd_apply_kernel)(uint8_t *kept, const void *x, const fd_operands *operands,
                                     size_t n, void *y) noexcept

    ctypedef struct fd_identity:
        uint32_t key[2]
        uint64_t counter[2]

    ctypedef struct fd_lanes:
        uint64_t word[4][8]
        uint64_t step
        uint64_t ready

    ctypedef struct fd_prefetch:
        const char *x
        const char *other
        size_t step

    ctypedef struct fd_softmax:
        double largest
        double inverse
        double factor
        double scale
        double delta

    ctypedef struct fd_kernels:
        const char *name
        void (*fill[3])(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                        uint8_t *bytes) noexcept
        void (*decide[3])(const fd_identity *identity, fd_lanes *lanes, uint64_t position, size_t n,
                          uint64_t threshold, const fd_identity *ties, uint8_t *kept,
                          const fd_prefetch *soon) noexcept
        void (*threshold)(const uint8_t *bytes, size_t n, uint64_t threshold,
                          const fd_identity *ties, uint64_t position, uint8_t *kept) noexcept
        int (*probabilities)(const double *values, size_t n, double *to) noexcept nogil
        void (*heads)(const double *values, size_t n, fd_meaning meaning, uint8_t *heads) noexcept
        void (*compare)(const uint8_t *bytes, const uint8_t *heads, size_t n, uint8_t *kept,
                        uint8_t *equal) noexcept
        void (*digits)(const fd_identity *ties, uint64_t position, const uint16_t *index, size_t n,
                       uint64_t *digits) noexcept
        void (*factors[4])(const double *values, size_t n, fd_meaning meaning,
                           void *factors) noexcept
        fd_apply_kernel apply[7][4]
        fd_apply_kernel apply_past_caches[7][4]
        void (*normal)(const uint8_t *bytes, size_t n, float deviation,
                       float *factors) noexcept nogil
        void (*multiply[4])(const float *factors, const void *x, size_t n, void *y) noexcept
        void (*multiply_normal[4])(const uint8_t *bytes, float deviation, const void *x, size_t n,
                                   void *y) noexcept
        void (*unpack)(const uint8_t *bits, size_t n, uint8_t *bytes) noexcept nogil
        void (*softmax[4])(void *scores, size_t n, const uint8_t *kept, size_t at,
                           fd_softmax *row) noexcept
        void (*softmax_weights[4])(void *scores, void *gradients, size_t n, const uint8_t *kept,
                                   size_t at, fd_softmax *row) noexcept
        void (*softmax_backward[4])(void *weights, void *gradients, size_t n, const uint8_t *kept,
                                    size_t at, const fd_softmax *row) noexcept

    fd_identity fd_tagged(const fd_identity *identity, const char *tag)


cdef extern from "engine/tiles.h" nogil:
    enum:
        FD_PADDING

    ctypedef struct fd_threshold:
        uint64_t value
        int drops_all

    ctypedef struct fd_seeded:
        fd_source source
        fd_identity identity
        fd_identity ties
        uint64_t position
        fd_threshold threshold

    ctypedef struct fd_cursor:
        fd_lanes lanes
        uint64_t has_last

    ctypedef struct fd_broadcast:
        int ndim
        int64_t shape[64]
        int64_t stride[64]

    ctypedef struct fd_numbers:
        const double *values
        fd_meaning meaning
        fd_broadcast broadcast

    ctypedef struct fd_any_mask:
        fd_seeded seeded
        const uint8_t *packed
        fd_broadcast broadcast

    ctypedef struct fd_arrays:
        const char *x
        const char *other
        char *y

    ctypedef struct fd_application:
        const fd_kernels *kernels
        const fd_any_mask *mask
        fd_dtype dtype
        int components
        int past_caches
        fd_operation operation
        double scale, shift, dropped
        const fd_numbers *each
        const char *bias
        uint64_t bias_period
        uint8_t *changed

    ctypedef struct fd_gaussian:
        const fd_kernels *kernels
        const fd_seeded *seeded
        const float *factors
        fd_dtype dtype
        int components
        float deviation

    fd_threshold fd_drop_threshold(double p)
    fd_threshold fd_keep_threshold(double keep_prob)


cdef extern from "engine/numpy_words.h" nogil:
    ctypedef struct fd_numpy_limit:
        const fd_numbers *each
        fd_threshold threshold
        double p


cdef extern from "engine/attention.h" nogil:
    ctypedef void (*fd_gemm)(const char *, const char *, const int64_t *, const int64_t *,
                             const int64_t *, const void *, const void *, const int64_t *,
                             const void *, const int64_t *, const void *, void *,
                             const int64_t *) noexcept

    ctypedef struct fd_matrices:
        void *first
        const int64_t *offsets
        int64_t stride

    ctypedef struct fd_attention:
        const fd_kernels *kernels
        const fd_seeded *seeded
        fd_gemm gemm
        fd_dtype dtype
        int causal
        double scale
        double factor
        size_t heads
        size_t group
        size_t queries
        size_t keys
        size_t width
        size_t value_width
        fd_matrices query
        fd_matrices key
        fd_matrices value
        fd_matrices out
        fd_matrices bias
        double *largest
        double *inverse
        fd_matrices out_gradient
        fd_matrices query_gradient
        fd_matrices key_gradient
        fd_matrices value_gradient
        size_t rows
        size_t columns
        bint split


cdef extern from "engine/gather.h" nogil:
    ctypedef struct fd_view:
        int64_t offset
        int ndim
        int64_t shape[64]
        int64_t stride[64]


cdef extern from "engine/shared.h" nogil:
    size_t fd_shared_read(const size_t *number)
    void fd_shared_write(size_t *number, size_t value)
    bint fd_shared_take(size_t *flag)


cdef extern from "engine/stream.h" nogil:
    ctypedef struct fd_stream:
        fd_source source
        fd_identity identity
        uint64_t position


# The engine, for the other compiled modules: they hold no machine code of their own.
cdef const fd_kernels *active_kernels() noexcept nogil
cdef size_t thread_count() noexcept nogil
# The forks between the process that imported this and this one, those without Python's help too.
cdef size_t fork_count() noexcept nogil
# Whether arrays of `size` bytes do not fit into the last-level cache together, and y is none of
# the others.
cdef bint are_past_caches(const fd_arrays *arrays, size_t size) noexcept nogil
cdef void apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first,
                     size_t n, fd_arrays arrays) noexcept nogil
# These, and the next ones that are `except -1`, look for signals in long calls of Python's main
# thread. They raise what the handler raises, when a part of the work is done.
cdef int apply_all(const fd_application *application, fd_cursor *cursor, size_t n,
                   fd_arrays arrays) except -1 nogil
cdef int gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n,
                      fd_arrays arrays) except -1 nogil
# Writes out the decisions of a seeded mask, or of one with a probability for `each`: the kept or
# the dropped elements as ones, as bits or as bytes.
cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes,
                  void *out, fd_cursor *cursor, size_t n, size_t most_threads) except -1 nogil
cdef int numpy_bytes(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                     uint8_t *kept) except -1 nogil
cdef int numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                       uint8_t *kept) except -1 nogil
cdef int numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                      uint8_t *kept) except -1 nogil
cdef int numpy_normals(bitgen_t *bitgen, size_t n, float deviation,
                       float *factors) except -1 nogil
# Packed bits or numbers in another order, or some of them: see gather.h.
cdef void gather_bits(const fd_view *view, const uint8_t *bits, uint8_t *to) noexcept nogil
cdef void gather_items(const fd_view *view, size_t item, const char *items,
                       char *to) noexcept nogil
cdef uint64_t stream_next(fd_stream *stream, size_t n) noexcept nogil
cdef size_t attention_scratch(const fd_attention *attention, bint backward) noexcept nogil
cdef size_t attention_parts(const fd_attention *attention, bint backward) noexcept nogil
cdef void attention_part(const fd_attention *attention, bint backward, size_t part,
                         void *scratch) noexcept nogil
