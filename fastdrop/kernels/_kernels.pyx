# SPDX-License-Identifier: BSD-3-Clause
# Design: the one extension with machine code. It owns the tables of kernels (one per
# instruction set), the table in use, the number of threads and the engine; the other compiled
# modules reach all of it by the cdef functions of the .pxd. The Python functions at the end run
# single kernels, so that each can be held against its NumPy twin.
from cpython.exc cimport PyErr_SetString
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memset

import os
import threading

import numpy as np

cimport numpy as cnp

cnp.import_array()


cdef extern from "engine/cpu.h" nogil:
    int fd_cpu_tables(const fd_kernels **tables)
    size_t fd_cpu_last_level_cache()
    const char[] fd_cpu_built
    const char[] fd_cpu_left_out


cdef extern from "Python.h" nogil:
    int PyErr_CheckSignals()
    unsigned long PyThread_get_thread_ident()


cdef extern from "engine/interrupt.h" nogil:
    enum:
        FD_LONG_CALL

    ctypedef struct fd_interrupt:
        pass

    fd_interrupt fd_interrupt_of(int (*ask)() noexcept nogil)


cdef extern from "engine/tiles.h" nogil:
    void fd_apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first,
                       size_t n, fd_arrays arrays)
    bint fd_apply(const fd_application *application, fd_cursor *cursor, size_t n,
                  fd_arrays arrays, size_t threads, fd_interrupt *interrupt)
    bint fd_gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n,
                         fd_arrays arrays, size_t threads, fd_interrupt *interrupt)

    ctypedef struct fd_drawing:
        const fd_kernels *kernels
        const fd_seeded *seeded
        const fd_numbers *each
        int dropped
        int bytes
        void *out

    bint fd_draw(const fd_drawing *drawing, fd_cursor *cursor, size_t n, size_t threads,
                 fd_interrupt *interrupt)


cdef extern from "engine/attention.h" nogil:
    size_t fd_attention_scratch(const fd_attention *attention, int backward)
    size_t fd_attention_parts(const fd_attention *attention, int backward)
    void fd_attention_forward(const fd_attention *attention, size_t part, void *scratch)
    void fd_attention_backward(const fd_attention *attention, size_t part, void *scratch)


cdef extern from "engine/gather.h" nogil:
    void fd_gather_bits(const fd_view *view, const uint8_t *bits, uint8_t *to)
    void fd_gather_items(const fd_view *view, size_t item, const char *items, char *to)


cdef extern from "engine/threads.h" nogil:
    void fd_parallel_handle_fork()
    size_t fd_fork_count()


cdef extern from "engine/stream.h" nogil:
    uint64_t fd_stream_next(const fd_kernels *kernels, fd_stream *stream, size_t n)


cdef extern from "engine/numpy_words.h" nogil:
    bint fd_numpy_bytes(const fd_kernels *kernels, bitgen_t *bitgen, size_t n,
                        const fd_numpy_limit *limit, uint8_t *kept, fd_interrupt *interrupt)
    bint fd_numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept,
                          fd_interrupt *interrupt)
    bint fd_numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit, uint8_t *kept,
                         fd_interrupt *interrupt)
    bint fd_numpy_normals(const fd_kernels *kernels, bitgen_t *bitgen, size_t n, float deviation,
                          float *factors, fd_interrupt *interrupt)


cdef extern from *:
    """
    #if defined(_MSC_VER) && !defined(__clang__)
    #define FD_COMPILER "MSVC"
    #elif defined(__clang__)
    #define FD_COMPILER __VERSION__
    #else
    #define FD_COMPILER "GCC " __VERSION__
    #endif
    """
    const char *FD_COMPILER


cdef const fd_kernels *tables[8]
cdef int table_count = fd_cpu_tables(tables)
cdef size_t last_level_cache = fd_cpu_last_level_cache()

# Read and written by any thread, by fd_shared_read and fd_shared_write only.
cdef size_t table_in_use = table_count - 1
cdef size_t most_threads = 1


fd_parallel_handle_fork()


cdef const fd_kernels *active_kernels() noexcept nogil:
    return tables[fd_shared_read(&table_in_use)]


cdef size_t thread_count() noexcept nogil:
    return fd_shared_read(&most_threads)


cdef size_t fork_count() noexcept nogil:
    return fd_fork_count()


cdef bint are_past_caches(const fd_arrays *arrays, size_t size) noexcept nogil:
    cdef size_t count = 2 if arrays.other == NULL else 3
    return (
        arrays.x != arrays.y and arrays.other != arrays.y and count * size > last_level_cache
    )


# ---- long calls ------------------------------------------------------------------------------

# Python handles signals on its main thread alone. In a forked child that is the one that forked.
cdef unsigned long main_thread = threading.main_thread().ident


def _after_fork_in_child():
    global main_thread
    main_thread = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


cdef int signals_raise() noexcept with gil:
    """Let Python handle the signals that have come in; return whether a handler raised."""
    cdef size_t forks = fd_fork_count()
    if PyErr_CheckSignals():
        return True
    if fd_fork_count() != forks:
        PyErr_SetString(RuntimeError, "a signal handler forked, and the child lacks the threads "
                                      "that had a part of the call that was interrupted")
        return True
    return False


cdef fd_interrupt *interrupt_of(fd_interrupt *interrupt, size_t n) noexcept nogil:
    """Return what a call of ``n`` elements can be interrupted by, or NULL."""
    if n < FD_LONG_CALL or PyThread_get_thread_ident() != main_thread:
        return NULL
    interrupt[0] = fd_interrupt_of(signals_raise)
    return interrupt


cdef void apply_part(const fd_application *application, fd_cursor *cursor, uint64_t first,
                     size_t n, fd_arrays arrays) noexcept nogil:
    fd_apply_part(application, cursor, first, n, arrays)


cdef int apply_all(const fd_application *application, fd_cursor *cursor, size_t n,
                   fd_arrays arrays) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_apply(application, cursor, n, arrays, thread_count(), interrupt_of(&interrupt, n))


cdef int gaussian_all(const fd_gaussian *gaussian, fd_cursor *cursor, size_t n,
                      fd_arrays arrays) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_gaussian_all(
        gaussian, cursor, n, arrays, thread_count(), interrupt_of(&interrupt, n)
    )


cdef int draw_all(const fd_seeded *seeded, const fd_numbers *each, bint dropped, bint bytes,
                  void *out, fd_cursor *cursor, size_t n, size_t most_threads) except -1 nogil:
    cdef fd_interrupt interrupt
    cdef fd_drawing drawing
    drawing.kernels = active_kernels()
    drawing.seeded, drawing.each = seeded, each
    drawing.dropped, drawing.bytes, drawing.out = dropped, bytes, out
    return -fd_draw(&drawing, cursor, n, most_threads, interrupt_of(&interrupt, n))


cdef int numpy_bytes(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                     uint8_t *kept) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_numpy_bytes(active_kernels(), bitgen, n, limit, kept, interrupt_of(&interrupt, n))


cdef int numpy_doubles(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                       uint8_t *kept) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_numpy_doubles(bitgen, n, limit, kept, interrupt_of(&interrupt, n))


cdef int numpy_floats(bitgen_t *bitgen, size_t n, const fd_numpy_limit *limit,
                      uint8_t *kept) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_numpy_floats(bitgen, n, limit, kept, interrupt_of(&interrupt, n))


cdef int numpy_normals(bitgen_t *bitgen, size_t n, float deviation,
                       float *factors) except -1 nogil:
    cdef fd_interrupt interrupt
    return -fd_numpy_normals(
        active_kernels(), bitgen, n, deviation, factors, interrupt_of(&interrupt, n)
    )


cdef uint64_t stream_next(fd_stream *stream, size_t n) noexcept nogil:
    return fd_stream_next(active_kernels(), stream, n)


cdef void gather_bits(const fd_view *view, const uint8_t *bits, uint8_t *to) noexcept nogil:
    fd_gather_bits(view, bits, to)


cdef void gather_items(const fd_view *view, size_t item, const char *items,
                       char *to) noexcept nogil:
    fd_gather_items(view, item, items, to)


cdef size_t attention_scratch(const fd_attention *attention, bint backward) noexcept nogil:
    return fd_attention_scratch(attention, backward)


cdef size_t attention_parts(const fd_attention *attention, bint backward) noexcept nogil:
    return fd_attention_parts(attention, backward)


cdef void attention_part(const fd_attention *attention, bint backward, size_t part,
                         void *scratch) noexcept nogil:
    if backward:
        fd_attention_backward(attention, part, scratch)
    else:
        fd_attention_forward(attention, part, scratch)


# ---- settings --------------------------------------------------------------------------------

def get_levels():
    """Return the names of the tables that this machine can run, slowest first."""
    return tuple(tables[i].name.decode() for i in range(table_count))


def get_level():
    """Return the name of the table in use."""
    return active_kernels().name.decode()


def set_level(str level):
    """Use the table of that name, one of ``get_levels()``, from now on in every thread."""
    fd_shared_write(&table_in_use, get_levels().index(level))


def get_threads():
    """Return the most threads that one call uses."""
    return thread_count()


def set_threads(size_t n):
    """Use at most ``n`` >= 1 threads in one call."""
    fd_shared_write(&most_threads, n)


def get_build():
    """Return the compiler, the tables that were compiled or left out, and the size of the cache."""
    cdef const char *built = fd_cpu_built
    cdef const char *left_out = fd_cpu_left_out
    return {
        "compiler": FD_COMPILER.decode(),
        "levels": built.decode().split(","),
        "left_out": left_out.decode().split(",")[1:],
        "last_level_cache": last_level_cache,
    }


# ---- single kernels, for tests ---------------------------------------------------------------

SOURCES = {
    "Philox4x32": FD_PHILOX4X32,
    "Xoshiro256PlusPlus": FD_XOSHIRO256PLUSPLUS,
    "Xorshift128Plus": FD_XORSHIFT128PLUS,
}
DTYPES = {
    "float16": FD_FLOAT16,
    "bfloat16": FD_BFLOAT16,
    "float32": FD_FLOAT32,
    "float64": FD_FLOAT64,
}
OPERATIONS = {
    "scale": FD_SCALE,
    "scale_each": FD_SCALE_EACH,
    "affine": FD_AFFINE,
    "add": FD_ADD,
    "add_bias": FD_ADD_BIAS,
    "select": FD_SELECT,
    "relu": FD_RELU,
}
MEANINGS = {"p": FD_P, "keep_prob": FD_KEEP_PROB, "factor": FD_FACTOR}


cdef fd_identity identity_of(key, counter):
    cdef fd_identity identity
    for i in range(2):
        identity.key[i] = key[i]
        identity.counter[i] = counter[2 * i] | <uint64_t>counter[2 * i + 1] << 32
    return identity


def fill(str source, key, counter, uint64_t step, size_t steps):
    """Return bytes ``[64 * step, 64 * (step + steps))`` of a stream."""
    cdef fd_identity identity = identity_of(key, counter)
    cdef fd_lanes lanes
    cdef cnp.ndarray out = np.empty(64 * steps, np.uint8)
    memset(&lanes, 0, sizeof(lanes))
    active_kernels().fill[<int>SOURCES[source]](
        &identity, &lanes, step, steps, <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out


def decide(str source, key, counter, uint64_t position, lengths, uint64_t value, ties_key):
    """Return the packed kept bits of runs of elements, each where the last one ended.

    A run has at most 8192 elements; ``ties_key`` is the key of the ties.
    """
    cdef fd_identity identity = identity_of(key, counter), ties = identity_of(ties_key, counter)
    cdef fd_lanes lanes
    cdef cnp.ndarray kept
    cdef size_t n
    runs = []
    memset(&lanes, 0, sizeof(lanes))
    for n in lengths:
        if n > FD_TILE:
            raise ValueError("at most 8192 elements")
        kept = np.zeros(FD_TILE // 8 + FD_PADDING, np.uint8)
        active_kernels().decide[<int>SOURCES[source]](
            &identity, &lanes, position, n, value, &ties, <uint8_t *>cnp.PyArray_DATA(kept), NULL
        )
        position += n
        runs.append(kept[: (n + 7) // 8])
    return runs


def threshold(bytes stream, size_t n, uint64_t value, key, counter, uint64_t position):
    """Return the packed kept bits of ``n`` <= 8192 elements; ``key`` is that of the ties."""
    cdef fd_identity identity = identity_of(key, counter)
    cdef bytes padded = stream + bytes(64)
    cdef cnp.ndarray out = np.zeros(FD_TILE // 8 + FD_PADDING, np.uint8)
    if n > FD_TILE or <size_t>len(stream) < n:
        raise ValueError("at most 8192 elements, with a byte for each")
    active_kernels().threshold(
        <const uint8_t *><char *>padded, n, value, &identity, position,
        <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out[: (n + 7) // 8]


def probabilities(cnp.ndarray values):
    """Return a copy of float64 numbers, and whether all are in [0, 1]."""
    cdef cnp.ndarray out = np.empty(values.size)
    cdef bint right = active_kernels().probabilities(
        <const double *>cnp.PyArray_DATA(values), <size_t>values.size,
        <double *>cnp.PyArray_DATA(out)
    )
    return out, right


def heads(cnp.ndarray values, str meaning):
    """Return the bytes that decide about the elements with these p or keep_prob."""
    cdef cnp.ndarray out = np.empty(values.size, np.uint8)
    active_kernels().heads(
        <const double *>cnp.PyArray_DATA(values), <size_t>values.size,
        <fd_meaning><int>MEANINGS[meaning], <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out


def compare(bytes stream, bytes heads):
    """Return the packed bits of where bytes are at least their heads, and where they are equal."""
    cdef bytes padded_stream = stream + bytes(64), padded_heads = heads + bytes(64)
    cdef size_t n = len(stream)
    cdef cnp.ndarray kept = np.empty(n // 8 + 8, np.uint8), equal = np.empty(n // 8 + 8, np.uint8)
    if <size_t>len(heads) != n:
        raise ValueError("a head for each byte")
    active_kernels().compare(
        <const uint8_t *><char *>padded_stream, <const uint8_t *><char *>padded_heads, n,
        <uint8_t *>cnp.PyArray_DATA(kept), <uint8_t *>cnp.PyArray_DATA(equal)
    )
    return kept[: (n + 7) // 8], equal[: (n + 7) // 8]


def digits(key, counter, uint64_t position, cnp.ndarray index):
    """Return the tie digits at ``position + index``, of uint16; ``key`` is that of the ties."""
    cdef fd_identity identity = identity_of(key, counter)
    cdef size_t n = index.size
    cdef cnp.ndarray padded = np.zeros(n + 8, np.uint16), out = np.empty(n + 8, np.uint64)
    padded[:n] = index
    active_kernels().digits(
        &identity, position, <const uint16_t *>cnp.PyArray_DATA(padded), n,
        <uint64_t *>cnp.PyArray_DATA(out)
    )
    return out[:n]


def factors(cnp.ndarray values, str meaning, str dtype):
    """Return the factors that p, keep_prob or factors are to arrays of ``dtype``."""
    wide = np.float64 if dtype == "float64" else np.float32
    cdef cnp.ndarray out = np.empty(values.size, wide)
    active_kernels().factors[<int>DTYPES[dtype]](
        <const double *>cnp.PyArray_DATA(values), <size_t>values.size,
        <fd_meaning><int>MEANINGS[meaning], cnp.PyArray_DATA(out)
    )
    return out


def apply(str operation, cnp.ndarray kept, cnp.ndarray x, double scale, cnp.ndarray out,
          double shift=0.0, double dropped=0.0, cnp.ndarray other=None, cnp.ndarray bias=None,
          cnp.ndarray factors=None, bint past_caches=False):
    """Write the result of an operation to ``out``; arrays are flat and contiguous.

    ``kept`` is packed; "relu" writes to it. Past the caches ``out`` is 64-byte aligned and none
    of the others.
    """
    cdef int code = OPERATIONS[operation], dtype = DTYPES[x.dtype.name]
    cdef fd_operands operands
    operands.scale, operands.shift, operands.dropped = scale, shift, dropped
    operands.other = NULL if other is None else cnp.PyArray_DATA(other)
    operands.bias = NULL if bias is None else cnp.PyArray_DATA(bias)
    operands.factors = NULL if factors is None else cnp.PyArray_DATA(factors)
    cdef const fd_kernels *kernels = active_kernels()
    (kernels.apply_past_caches[code][dtype] if past_caches else kernels.apply[code][dtype])(
        <uint8_t *>cnp.PyArray_DATA(kept), cnp.PyArray_DATA(x), &operands, <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


cdef bytes padded_words(bytes stream, size_t n):
    """Return words of ``n`` elements, with room for whole groups."""
    if <size_t>len(stream) < 4 * n:
        raise ValueError("four bytes an element")
    return stream + bytes(4 * FD_NORMALS)


def normal(bytes stream, size_t n, float deviation):
    """Return the float32 factors of ``n`` elements, from the first ``4 * n`` bytes."""
    cdef bytes padded = padded_words(stream, n)
    cdef cnp.ndarray out = np.empty(n + FD_NORMALS, np.float32)
    active_kernels().normal(
        <const uint8_t *><char *>padded, n, deviation, <float *>cnp.PyArray_DATA(out)
    )
    return out[:n]


def multiply(cnp.ndarray factors, cnp.ndarray x, cnp.ndarray out):
    """Write ``x * factors``; all are flat and contiguous, and ``out`` may be ``x``."""
    active_kernels().multiply[<int>DTYPES[x.dtype.name]](
        <const float *>cnp.PyArray_DATA(factors), cnp.PyArray_DATA(x), <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


def multiply_normal(bytes stream, float deviation, cnp.ndarray x, cnp.ndarray out):
    """Write x times the factors of the first ``4 * x.size`` bytes; otherwise as `multiply`."""
    cdef bytes padded = padded_words(stream, x.size)
    active_kernels().multiply_normal[<int>DTYPES[x.dtype.name]](
        <const uint8_t *><char *>padded, deviation, cnp.PyArray_DATA(x), <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


def unpack(cnp.ndarray bits, size_t n):
    """Return ``n`` bytes of 0 or 1 from packed bits."""
    cdef cnp.ndarray out = np.empty(n, np.uint8)
    active_kernels().unpack(
        <const uint8_t *>cnp.PyArray_DATA(bits), n, <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out


def softmax(cnp.ndarray scores, cnp.ndarray kept, size_t at):
    """Turn a row of scores in place; return (largest, inverse).

    Their number is a multiple of 16; the packed ``kept`` has 2 bytes more than bits.
    """
    cdef fd_softmax row
    active_kernels().softmax[<int>DTYPES[scores.dtype.name]](
        cnp.PyArray_DATA(scores), <size_t>scores.size, <const uint8_t *>cnp.PyArray_DATA(kept),
        at, &row
    )
    return row.largest, row.inverse


def softmax_weights(cnp.ndarray scores, cnp.ndarray gradients, cnp.ndarray kept, size_t at,
                    double largest, double inverse, double factor):
    """Turn a row of scores and of gradients in place, likewise; return the sum delta."""
    cdef fd_softmax row
    row.largest, row.inverse, row.factor = largest, inverse, factor
    active_kernels().softmax_weights[<int>DTYPES[scores.dtype.name]](
        cnp.PyArray_DATA(scores), cnp.PyArray_DATA(gradients), <size_t>scores.size,
        <const uint8_t *>cnp.PyArray_DATA(kept), at, &row
    )
    return row.delta


def softmax_backward(cnp.ndarray weights, cnp.ndarray gradients, cnp.ndarray kept, size_t at,
                     double factor, double scale, double delta):
    """Turn a row of weights and of gradients in place, likewise."""
    cdef fd_softmax row
    row.factor, row.scale, row.delta = factor, scale, delta
    active_kernels().softmax_backward[<int>DTYPES[weights.dtype.name]](
        cnp.PyArray_DATA(weights), cnp.PyArray_DATA(gradients), <size_t>weights.size,
        <const uint8_t *>cnp.PyArray_DATA(kept), at, &row
    )
