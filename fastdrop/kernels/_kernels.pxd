# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil
        uint32_t (*next_uint32)(void *state) noexcept nogil
        double (*next_double)(void *state) noexcept nogil
        uint64_t (*next_raw)(void *state) noexcept nogil


cdef extern from "kernels.h" nogil:
    enum:
        FD_STEP
        FD_TILE
        FD_NORMALS
        FD_SOURCES
        FD_DTYPES
        FD_OPERATIONS
        FD_LANES
        FD_LANE_WORDS

    ctypedef enum fd_source:
        FD_XOSHIRO256PLUSPLUS

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
        FD_RELU_BIAS
        FD_GELU
        FD_GELU_TANH
        FD_SILU
        FD_GELU_BACKWARD
        FD_GELU_TANH_BACKWARD
        FD_SILU_BACKWARD

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
        uint64_t word[FD_LANE_WORDS][FD_LANES]
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

    ctypedef struct fd_norm_row:
        double mean
        double shift
        double variance
        double inverse
        double sum
        double product

    enum:
        FD_NORM_GROUP

    ctypedef struct fd_kernels:
        const char *name
        void (*fill[FD_SOURCES])(const fd_identity *identity, fd_lanes *lanes, uint64_t step,
                                 size_t steps, uint8_t *bytes) noexcept
        void (*decide[FD_SOURCES])(const fd_identity *identity, fd_lanes *lanes,
                                   uint64_t position, size_t n, uint64_t threshold,
                                   const fd_identity *ties, uint8_t *kept,
                                   const fd_prefetch *soon) noexcept
        void (*threshold)(const uint8_t *bytes, size_t n, uint64_t threshold,
                          const fd_identity *ties, uint64_t position, uint8_t *kept) noexcept
        int (*probabilities)(const double *values, size_t n, double *to) noexcept nogil
        void (*heads)(const double *values, size_t n, fd_meaning meaning, uint8_t *heads) noexcept
        void (*compare)(const uint8_t *bytes, const uint8_t *heads, size_t n, uint8_t *kept,
                        uint8_t *equal) noexcept
        void (*digits)(const fd_identity *ties, uint64_t position, const uint16_t *index, size_t n,
                       uint64_t *digits) noexcept
        void (*factors[FD_DTYPES])(const double *values, size_t n, fd_meaning meaning,
                                   void *factors) noexcept
        fd_apply_kernel apply[FD_OPERATIONS][FD_DTYPES]
        fd_apply_kernel apply_past_caches[FD_OPERATIONS][FD_DTYPES]
        void (*normal)(const uint8_t *bytes, size_t n, float deviation,
                       float *factors) noexcept nogil
        void (*multiply[FD_DTYPES])(const float *factors, const void *x, size_t n, void *y) noexcept
        void (*multiply_normal[FD_DTYPES])(const uint8_t *bytes, float deviation, const void *x,
                                           size_t n, void *y) noexcept
        void (*unpack)(const uint8_t *bits, size_t n, uint8_t *bytes) noexcept nogil
        void (*softmax[FD_DTYPES])(void *scores, size_t n, const uint8_t *kept, size_t at,
                                   fd_softmax *row) noexcept
        void (*softmax_weights[FD_DTYPES])(void *scores, void *gradients, size_t n,
                                           const uint8_t *kept, size_t at,
                                           fd_softmax *row) noexcept
        void (*softmax_backward[FD_DTYPES])(void *weights, void *gradients, size_t n,
                                            const uint8_t *kept, size_t at,
                                            const fd_softmax *row) noexcept
        void (*norm_join[FD_DTYPES])(const uint8_t *kept, size_t at, const void *x,
                                     const void *other, const void *bias, double scale, size_t n,
                                     void *sums) noexcept
        void (*round[FD_DTYPES])(const void *numbers, size_t n, void *y) noexcept
        void (*norm_moments[FD_DTYPES])(const void *numbers, size_t n, int centered,
                                        fd_norm_row *row) noexcept
        void (*norm_scale[FD_DTYPES])(const void *numbers, size_t n, const fd_norm_row *row,
                                      const void *weight, const void *bias, void *y) noexcept
        void (*norm_products[FD_DTYPES])(void *numbers, const void *dy, size_t n,
                                         const void *weight, void *gradients, void *dweight,
                                         void *dbias, fd_norm_row *row) noexcept
        void (*norm_backward[FD_DTYPES])(const uint8_t *kept, size_t at, const void *numbers,
                                         const void *gradients, const void *dsum, double scale,
                                         size_t n, const fd_norm_row *row, void *dresidual,
                                         void *dx, void *dlinear_bias) noexcept

    size_t fd_number_size(fd_dtype dtype)
    fd_identity fd_tagged(const fd_identity *identity, const char *tag)


cdef extern from "engine/bits.h" nogil:
    enum:
        FD_PADDING


cdef extern from "engine/broadcast.h" nogil:
    enum:
        FD_MAX_DIMS

    ctypedef struct fd_broadcast:
        int ndim
        int64_t shape[FD_MAX_DIMS]
        int64_t stride[FD_MAX_DIMS]


cdef extern from "engine/each.h" nogil:
    ctypedef struct fd_threshold:
        uint64_t value
        int drops_all

    fd_threshold fd_drop_threshold(double p)
    fd_threshold fd_keep_threshold(double keep_prob)

    ctypedef struct fd_numbers:
        const double *values
        fd_meaning meaning
        fd_broadcast broadcast


cdef extern from "engine/alpha.h" nogil:
    ctypedef struct fd_affine:
        double scale, shift, dropped

    fd_affine fd_alpha_numbers(double p)


cdef extern from "engine/decide.h" nogil:
    ctypedef struct fd_seeded:
        fd_source source
        fd_identity identity
        fd_identity ties
        uint64_t position
        fd_threshold threshold

    ctypedef struct fd_cursor:
        fd_lanes lanes
        uint64_t has_last

    ctypedef struct fd_any_mask:
        fd_seeded seeded
        const fd_numbers *each
        const uint8_t *packed
        const fd_broadcast *broadcast


cdef extern from "engine/parallel.h" nogil:
    ctypedef int (*fd_ask)() noexcept nogil

    ctypedef struct fd_interrupt:
        pass

    ctypedef void (*fd_task)(void *context, size_t index, size_t worker) noexcept nogil

    ctypedef struct fd_executor:
        void (*run)(size_t tasks, size_t workers, fd_task task, void *context,
                    fd_interrupt *interrupt) noexcept nogil
        size_t workers


cdef extern from "engine/gather.h" nogil:
    ctypedef struct fd_view:
        int64_t offset
        int ndim
        int64_t shape[FD_MAX_DIMS]
        int64_t stride[FD_MAX_DIMS]


cdef extern from "engine/job.h" nogil:
    ctypedef struct fd_arrays:
        const char *x
        const char *other
        char *y

    ctypedef struct fd_orders:
        int ndim
        int64_t shape[FD_MAX_DIMS]
        int64_t x[FD_MAX_DIMS]
        int64_t other[FD_MAX_DIMS]
        int64_t y[FD_MAX_DIMS]
        int64_t index[FD_MAX_DIMS]

    ctypedef struct fd_job:
        const fd_kernels *kernels
        const fd_any_mask *mask
        fd_dtype dtype
        int components
        fd_operation operation
        int past_caches
        double scale, shift, dropped
        const fd_numbers *each
        bint each_by_index
        const char *bias
        uint64_t bias_period, bias_repeats
        uint8_t *changed
        float deviation
        const float *factors
        int as_dropped
        int as_bytes
        fd_dtype dtype_of_p
        const fd_view *window


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
        fd_dtype dtype
        const int64_t *offsets
        int64_t stride

    ctypedef struct fd_attention:
        const fd_kernels *kernels
        const fd_seeded *seeded
        fd_gemm gemm
        fd_dtype dtype
        fd_dtype multiplied
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


cdef extern from "engine/norm.h" nogil:
    ctypedef struct fd_norm:
        const fd_kernels *kernels
        const fd_any_mask *mask
        fd_dtype dtype
        int centered
        double scale
        double eps
        size_t rows
        size_t width
        size_t inner
        const char *x
        const char *residual
        const void *weight
        const void *bias
        const void *linear_bias
        char *y
        char *sum
        const char *dy
        const char *dsum
        char *dx
        char *dresidual
        void *dweight
        void *dbias
        void *dlinear_bias


cdef extern from "engine/shared.h" nogil:
    size_t fd_shared_read(const size_t *number)
    void fd_shared_write(size_t *number, size_t value)
    bint fd_shared_take(size_t *flag)


cdef extern from "engine/stream.h" nogil:
    ctypedef struct fd_stream:
        fd_source source
        fd_identity identity
        uint64_t position


cdef extern from "engine/lent.h" nogil:
    ctypedef int32_t (*fd_parallel_for)(
        int64_t begin, int64_t end, int64_t grain,
        void (*body)(int64_t first, int64_t end, void *context) noexcept nogil, void *context
    ) noexcept nogil


cdef extern from "engine/sources.h" nogil:
    ctypedef struct fd_lanes_of:
        int words

    fd_identity fd_identity_of(const uint64_t *words)

    ctypedef struct fd_source_facts:
        const char *name
        fd_lanes_of lanes
        const char *tie_tag


# The door of the engine: see api.h. Those that are `except -1` look for signals in long calls of
# Python's main thread, and raise what the handler raises, when a part of the work is done.
cdef extern from "engine/api.h" nogil:
    ctypedef struct fd_exact_row:
        uint64_t row
        int64_t missing

    ctypedef int (*fd_job_function)(const fd_job *job, fd_cursor *cursor, size_t n,
                                    fd_arrays arrays, const fd_executor *executor) except -1 nogil

    ctypedef struct fd_api:
        const fd_kernels *(*kernels)() noexcept nogil
        fd_executor (*pool)() noexcept nogil
        fd_executor (*lent)(size_t workers) noexcept nogil
        void (*lend)(fd_parallel_for parallel_for) noexcept nogil
        const fd_source_facts *sources
        size_t (*forks)() noexcept nogil
        bint (*are_past_caches)(const fd_arrays *arrays, size_t size) noexcept nogil
        fd_job_function apply
        fd_job_function multiply
        fd_job_function draw
        fd_job_function bernoulli
        int (*apply_boxes)(const fd_job *job, const fd_orders *orders, fd_arrays arrays,
                           const fd_executor *executor) except -1 nogil
        int (*multiply_boxes)(const fd_job *job, fd_cursor *cursor, const fd_orders *orders,
                              fd_arrays arrays, const fd_executor *executor) except -1 nogil
        void (*apply_part)(const fd_job *job, fd_cursor *cursor, uint64_t first, size_t n,
                           fd_arrays arrays) noexcept nogil
        bint (*are_probabilities)(const void *numbers, fd_dtype dtype, size_t n) noexcept nogil
        int (*attend)(const fd_attention *attention, int backward,
                      const fd_executor *executor) noexcept nogil
        size_t (*norm_room)(const fd_norm *norm, int backward,
                            const fd_executor *executor) noexcept nogil
        int (*norm_rows)(const fd_norm *norm, int backward, fd_cursor *cursor, char *room,
                         const fd_executor *executor) except -1 nogil
        void (*gather_bits)(const fd_view *view, const uint8_t *bits, uint8_t *to) noexcept nogil
        void (*gather_items)(const fd_view *view, size_t item, const char *items,
                             char *to) noexcept nogil
        size_t (*exact_list)(const uint8_t *bits, size_t rows, size_t n, size_t k,
                             fd_exact_row *to) noexcept nogil
        size_t (*exact_words)(const fd_exact_row *rows, size_t count, size_t n,
                              size_t k) noexcept nogil
        size_t (*exact_correct)(uint8_t *bits, size_t n, size_t k, fd_exact_row *rows, size_t count,
                                const uint8_t *words) noexcept nogil
        uint64_t (*next)(fd_stream *stream, size_t n) noexcept nogil
        int (*numpy_bytes)(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                           uint8_t *kept) except -1 nogil
        int (*numpy_doubles)(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                             uint8_t *kept) except -1 nogil
        int (*numpy_floats)(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                            uint8_t *kept) except -1 nogil
        int (*numpy_normals)(bitgen_t *bitgen, size_t n, float deviation,
                             float *factors) except -1 nogil


# For the other compiled modules: they hold no machine code of their own.
cdef const fd_api *engine
