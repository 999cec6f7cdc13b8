# SPDX-License-Identifier: BSD-3-Clause
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "numpy/random/bitgen.h" nogil:
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state)
        uint32_t (*next_uint32)(void *state)
        double (*next_double)(void *state)
        uint64_t (*next_raw)(void *state)


cdef extern from "kernels.h" nogil:
    enum:
        FD_STEP
        FD_TILE
        FD_SOURCES

    ctypedef enum fd_source:
        FD_PHILOX4X32
        FD_XOSHIRO256PLUSPLUS
        FD_XORSHIFT128PLUS

    ctypedef enum fd_dtype:
        FD_FLOAT16
        FD_BFLOAT16
        FD_FLOAT32
        FD_FLOAT64

    ctypedef struct fd_identity:
        uint32_t key[2]
        uint64_t counter[2]

    ctypedef struct fd_lanes:
        uint64_t word[4][8]
        uint64_t step
        uint64_t ready

    ctypedef struct fd_kernels:
        const char *name
        void (*fill[3])(const fd_identity *identity, fd_lanes *lanes, uint64_t step, size_t steps,
                        uint8_t *bytes) noexcept
        void (*threshold)(const uint8_t *bytes, size_t n, uint64_t threshold,
                          const fd_identity *ties, uint64_t position, uint8_t *kept,
                          const char *soon, size_t soon_step) noexcept
        void (*apply[4])(const uint8_t *kept, const void *x, size_t n, double scale,
                         void *y) noexcept
        void (*apply_past_caches[4])(const uint8_t *kept, const void *x, size_t n, double scale,
                                     void *y) noexcept
        void (*unpack)(const uint8_t *bits, size_t n, uint8_t *bytes) noexcept

    fd_identity fd_tagged(const fd_identity *identity, const char *tag)
    void fd_counter_add(uint64_t *counter, uint64_t offset)


cdef extern from "engine/tiles.h" nogil:
    enum:
        FD_MAX_DIMS
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

    ctypedef struct fd_any_mask:
        fd_seeded seeded
        const uint8_t *packed
        fd_broadcast broadcast

    ctypedef struct fd_application:
        const fd_kernels *kernels
        const fd_any_mask *mask
        fd_dtype dtype
        int components
        double scale
        int past_caches

    ctypedef struct fd_drawing:
        const fd_kernels *kernels
        const fd_seeded *seeded
        int dropped
        int bytes
        void *out


cdef extern from "engine/stream.h" nogil:
    ctypedef struct fd_stream:
        fd_source source
        fd_identity identity
        uint64_t position


# The engine, for the other compiled modules: they hold no machine code of their own.
cdef const fd_kernels *active_kernels() noexcept nogil
cdef size_t thread_count() noexcept nogil
cdef size_t cache_bytes() noexcept nogil
cdef void apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first,
                     size_t n, const void *x, void *y) noexcept nogil
cdef void apply_all(const fd_application *application, fd_cursor *cursor, size_t n,
                    const void *x, void *y) noexcept nogil
cdef void draw_all(const fd_drawing *drawing, fd_cursor *cursor, size_t n) noexcept nogil
cdef uint64_t stream_next(fd_stream *stream, size_t n) noexcept nogil
cdef void numpy_bytes(bitgen_t *bitgen, size_t n, fd_threshold threshold,
                      uint8_t *kept) noexcept nogil
cdef void numpy_doubles(bitgen_t *bitgen, size_t n, double p, uint8_t *kept) noexcept nogil
cdef void numpy_floats(bitgen_t *bitgen, size_t n, double p, uint8_t *kept) noexcept nogil
