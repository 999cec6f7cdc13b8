# SPDX-License-Identifier: BSD-3-Clause
# Design: what runs single kernels of the table in use, so that each can be held against its NumPy
# twin, and the pool. For the tests alone: nothing of the package imports it.
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from fastdrop.kernels._kernels cimport (
    FD_ADD,
    FD_ADD_BIAS,
    FD_AFFINE,
    FD_BFLOAT16,
    FD_FACTOR,
    FD_FLOAT16,
    FD_FLOAT32,
    FD_FLOAT64,
    FD_GELU,
    FD_GELU_BACKWARD,
    FD_GELU_TANH,
    FD_GELU_TANH_BACKWARD,
    FD_KEEP_PROB,
    FD_NORMALS,
    FD_P,
    FD_PADDING,
    FD_RELU,
    FD_RELU_BIAS,
    FD_SCALE,
    FD_SCALE_EACH,
    FD_SELECT,
    FD_SILU,
    FD_SILU_BACKWARD,
    FD_SOURCES,
    FD_TILE,
    engine,
    fd_executor,
    fd_identity,
    fd_kernels,
    fd_lanes,
    fd_meaning,
    fd_operands,
    fd_shared_read,
    fd_shared_take,
    fd_shared_write,
    fd_softmax,
)

cnp.import_array()

SOURCES = {engine.sources[number].name.decode(): number for number in range(FD_SOURCES)}
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
    "relu_bias": FD_RELU_BIAS,
    "gelu": FD_GELU,
    "gelu_tanh": FD_GELU_TANH,
    "silu": FD_SILU,
    "gelu_backward": FD_GELU_BACKWARD,
    "gelu_tanh_backward": FD_GELU_TANH_BACKWARD,
    "silu_backward": FD_SILU_BACKWARD,
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
    engine.kernels().fill[<int>SOURCES[source]](
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
        engine.kernels().decide[<int>SOURCES[source]](
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
    engine.kernels().threshold(
        <const uint8_t *><char *>padded, n, value, &identity, position,
        <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out[: (n + 7) // 8]


def probabilities(cnp.ndarray values):
    """Return a copy of float64 numbers, and whether all are in [0, 1]."""
    cdef cnp.ndarray out = np.empty(values.size)
    cdef bint right = engine.kernels().probabilities(
        <const double *>cnp.PyArray_DATA(values), <size_t>values.size,
        <double *>cnp.PyArray_DATA(out)
    )
    return out, right


def heads(cnp.ndarray values, str meaning):
    """Return the bytes that decide about the elements with these p or keep_prob."""
    cdef cnp.ndarray out = np.empty(values.size, np.uint8)
    engine.kernels().heads(
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
    engine.kernels().compare(
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
    engine.kernels().digits(
        &identity, position, <const uint16_t *>cnp.PyArray_DATA(padded), n,
        <uint64_t *>cnp.PyArray_DATA(out)
    )
    return out[:n]


def factors(cnp.ndarray values, str meaning, str dtype):
    """Return the factors that p, keep_prob or factors are to arrays of ``dtype``."""
    wide = np.float64 if dtype == "float64" else np.float32
    cdef cnp.ndarray out = np.empty(values.size, wide)
    engine.kernels().factors[<int>DTYPES[dtype]](
        <const double *>cnp.PyArray_DATA(values), <size_t>values.size,
        <fd_meaning><int>MEANINGS[meaning], cnp.PyArray_DATA(out)
    )
    return out


def apply(str operation, cnp.ndarray kept, cnp.ndarray x, double scale, cnp.ndarray out,
          double shift=0.0, double dropped=0.0, cnp.ndarray other=None, cnp.ndarray bias=None,
          cnp.ndarray factors=None, bint past_caches=False):
    """Write the result of an operation to ``out``; arrays are flat and contiguous.

    ``kept`` is packed; "relu" and "relu_bias" write to it. Past the caches ``out`` is 64-byte
    aligned and none of the others.
    """
    cdef int code = OPERATIONS[operation], dtype = DTYPES[x.dtype.name]
    cdef fd_operands operands
    operands.scale, operands.shift, operands.dropped = scale, shift, dropped
    operands.other = NULL if other is None else cnp.PyArray_DATA(other)
    operands.bias = NULL if bias is None else cnp.PyArray_DATA(bias)
    operands.factors = NULL if factors is None else cnp.PyArray_DATA(factors)
    cdef const fd_kernels *kernels = engine.kernels()
    (kernels.apply_past_caches[code][dtype] if past_caches else kernels.apply[code][dtype])(
        <uint8_t *>cnp.PyArray_DATA(kept), cnp.PyArray_DATA(x), &operands, <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


cdef bytes padded_words(bytes stream, size_t n):
    """Return words of ``n`` elements, with room for whole groups."""
    if <size_t>len(stream) < 4 * n:
        raise ValueError("four bytes per element")
    return stream + bytes(4 * FD_NORMALS)


def normal(bytes stream, size_t n, float deviation):
    """Return the float32 factors of ``n`` elements, from the first ``4 * n`` bytes."""
    cdef bytes padded = padded_words(stream, n)
    cdef cnp.ndarray out = np.empty(n + FD_NORMALS, np.float32)
    engine.kernels().normal(
        <const uint8_t *><char *>padded, n, deviation, <float *>cnp.PyArray_DATA(out)
    )
    return out[:n]


def multiply(cnp.ndarray factors, cnp.ndarray x, cnp.ndarray out):
    """Write ``x * factors``; all are flat and contiguous, and ``out`` may be ``x``."""
    engine.kernels().multiply[<int>DTYPES[x.dtype.name]](
        <const float *>cnp.PyArray_DATA(factors), cnp.PyArray_DATA(x), <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


def multiply_normal(bytes stream, float deviation, cnp.ndarray x, cnp.ndarray out):
    """Write x times the factors of the first ``4 * x.size`` bytes; otherwise as `multiply`."""
    cdef bytes padded = padded_words(stream, x.size)
    engine.kernels().multiply_normal[<int>DTYPES[x.dtype.name]](
        <const uint8_t *><char *>padded, deviation, cnp.PyArray_DATA(x), <size_t>x.size,
        cnp.PyArray_DATA(out)
    )


def unpack(cnp.ndarray bits, size_t n):
    """Return ``n`` bytes of 0 or 1 from packed bits."""
    cdef cnp.ndarray out = np.empty(n, np.uint8)
    engine.kernels().unpack(
        <const uint8_t *>cnp.PyArray_DATA(bits), n, <uint8_t *>cnp.PyArray_DATA(out)
    )
    return out


def softmax(cnp.ndarray scores, cnp.ndarray kept, size_t at, double before=-INFINITY):
    """Turn scores of a row in place; return (largest, inverse).

    ``before`` is the largest of scores before these. Their number is a multiple of 16. The packed
    ``kept`` has 2 bytes more than bits.
    """
    cdef fd_softmax row
    row.largest = before
    engine.kernels().softmax[<int>DTYPES[scores.dtype.name]](
        cnp.PyArray_DATA(scores), <size_t>scores.size, <const uint8_t *>cnp.PyArray_DATA(kept),
        at, &row
    )
    return row.largest, row.inverse


def softmax_weights(cnp.ndarray scores, cnp.ndarray gradients, cnp.ndarray kept, size_t at,
                    double largest, double inverse, double factor):
    """Turn a row of scores and of gradients in place, likewise; return the sum delta."""
    cdef fd_softmax row
    row.largest, row.inverse, row.factor = largest, inverse, factor
    engine.kernels().softmax_weights[<int>DTYPES[scores.dtype.name]](
        cnp.PyArray_DATA(scores), cnp.PyArray_DATA(gradients), <size_t>scores.size,
        <const uint8_t *>cnp.PyArray_DATA(kept), at, &row
    )
    return row.delta


def softmax_backward(cnp.ndarray weights, cnp.ndarray gradients, cnp.ndarray kept, size_t at,
                     double factor, double scale, double delta):
    """Turn a row of weights and of gradients in place, likewise."""
    cdef fd_softmax row
    row.factor, row.scale, row.delta = factor, scale, delta
    engine.kernels().softmax_backward[<int>DTYPES[weights.dtype.name]](
        cnp.PyArray_DATA(weights), cnp.PyArray_DATA(gradients), <size_t>weights.size,
        <const uint8_t *>cnp.PyArray_DATA(kept), at, &row
    )


# ---- the pool --------------------------------------------------------------------------------

cdef struct noted:
    size_t *workers  # of each task
    size_t *taken  # shared: whether a worker is at work
    size_t clashes  # shared


cdef void note_worker(void *context, size_t index, size_t worker) noexcept nogil:
    cdef noted *run = <noted *>context
    run.workers[index] = worker
    if not fd_shared_take(&run.taken[worker]):
        fd_shared_write(&run.clashes, 1)
        return
    for _ in range(10_000):  # so that others are at work at the same time
        fd_shared_read(&run.clashes)
    fd_shared_write(&run.taken[worker], 0)


def run_tasks(size_t tasks, size_t workers):
    """Return the worker of each task, and whether two tasks had one worker at the same time."""
    cdef fd_executor pool = engine.pool()
    cdef cnp.ndarray numbers = np.empty(tasks, np.uintp), taken = np.zeros(workers, np.uintp)
    cdef noted run
    run.workers = <size_t *>cnp.PyArray_DATA(numbers)
    run.taken = <size_t *>cnp.PyArray_DATA(taken)
    run.clashes = 0
    with nogil:
        pool.run(tasks, workers, note_worker, &run, NULL)
    return numbers, run.clashes != 0
