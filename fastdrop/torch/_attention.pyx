# SPDX-License-Identifier: BSD-3-Clause
# Design: attention with dropout on raw addresses. The loops over blocks are the engine's, matrix
# products are those of the BLAS that PyTorch computes with, called through its address (see
# `use_gemm`): so the products of a block need no Python. Heads and blocks run side by side on
# PyTorch's threads; a product inside of one thread then takes that thread alone.
import sys

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastdrop.kernels._kernels cimport (
    FD_FLOAT32,
    FD_FLOAT64,
    active_kernels,
    attention_part,
    attention_parts,
    attention_scratch,
    fd_attention,
    fd_gemm,
    fd_matrices,
)
from fastdrop.torch._tensor cimport TensorMask, openmp_parallel, openmp_team, openmp_thread

# Scores for which waking another thread is worth it: they take some 30 microseconds.
cdef size_t SCORES_A_THREAD = 1 << 13

# Rows of a block, and columns in backward; 0: such that its scores stay in the L2 cache.
cdef size_t block_rows = 0
cdef size_t block_columns = 0

cdef fd_gemm single_gemm = NULL
cdef fd_gemm double_gemm = NULL


def get_blocks():
    """Return (rows, columns) of a block; 0 is what suits the number of keys."""
    return block_rows, block_columns


def set_blocks(size_t rows, size_t columns):
    """Compute in blocks of these sizes, 0: what suits; results differ by rounding alone."""
    global block_rows, block_columns
    block_rows, block_columns = rows, columns


cdef void choose_blocks(fd_attention *attention, bint backward) noexcept nogil:
    """Take as many rows as keep a block of scores in a part of an L2 cache of 1 MiB.

    Few rows make slow products: at least 32 are taken where there are many keys. Backward has
    two blocks, and cuts them by columns too.
    """
    cdef size_t numbers = 1 << 16, least = 32, most = 256
    cdef size_t columns = min(attention.keys, most) if backward else attention.keys
    attention.columns = block_columns or columns
    attention.rows = block_rows or min(most, max(least, numbers // columns))


# ---- matrix products -------------------------------------------------------------------------

cdef bint multiplies(fd_gemm gemm, bint wide) noexcept:
    """Try (2, 3) times the transpose of (2, 3), by columns."""
    cdef double[6] a = [1, 2, 3, 4, 5, 6]
    cdef double[6] b = [7, 8, 9, 10, 11, 12]
    cdef double[4] c = [1, 1, 1, 1]
    cdef double[4] expected = [1 * 7 + 3 * 9 + 5 * 11, 2 * 7 + 4 * 9 + 6 * 11,
                               1 * 8 + 3 * 10 + 5 * 12, 2 * 8 + 4 * 10 + 6 * 12]
    cdef double[2] factors = [2, 3]
    cdef float[6] narrow_a, narrow_b
    cdef float[4] narrow_c
    cdef float[2] narrow_factors
    cdef int64_t two = 2, three = 3
    cdef bint right = True
    if wide:
        gemm(b"N", b"T", &two, &two, &three, &factors[0], a, &two, b, &two, &factors[1], c, &two)
    else:
        for i in range(6):
            narrow_a[i], narrow_b[i] = <float>a[i], <float>b[i]
        for i in range(4):
            narrow_c[i] = <float>c[i]
        narrow_factors[0], narrow_factors[1] = 2, 3
        gemm(b"N", b"T", &two, &two, &three, &narrow_factors[0], narrow_a, &two, narrow_b, &two,
             &narrow_factors[1], narrow_c, &two)
        for i in range(4):
            c[i] = narrow_c[i]
    for i in range(4):
        right = right and c[i] == 2 * expected[i] + 3
    return right


def use_gemm(size_t single, size_t double):
    """Multiply matrices with these two functions, if their results are right.

    Parameters
    ----------
    single, double : int
        Addresses of ``sgemm_`` and ``dgemm_`` of a Fortran BLAS.

    Returns
    -------
    used : bool
    """
    global single_gemm, double_gemm
    # Lengths go out as 64-bit integers, of which a BLAS with 32-bit ones reads the first half. On a
    # big-endian machine that half is 0, and to try would end the process.
    if sys.byteorder == "big":
        return False
    if not (multiplies(<fd_gemm>single, False) and multiplies(<fd_gemm>double, True)):
        return False
    single_gemm, double_gemm = <fd_gemm>single, <fd_gemm>double
    return True


# ---- calls -----------------------------------------------------------------------------------

cdef struct attention_call:
    const fd_attention *attention
    bint backward
    size_t parts, threads, scratch_bytes
    char *scratch


cdef void run_share(void *context) noexcept nogil:
    """Every part whose turn is this thread's."""
    cdef attention_call *call = <attention_call *>context
    cdef size_t thread = <size_t>openmp_thread(), team = <size_t>openmp_team(), part = thread
    while part < call.parts:
        attention_part(call.attention, call.backward, part,
                       call.scratch + thread * call.scratch_bytes)
        part += team


cdef int run(fd_attention *attention, bint backward, size_t threads) except -1:
    cdef attention_call call
    cdef size_t part
    threads = min(threads, attention.heads * attention.queries * attention.keys // SCORES_A_THREAD)
    if openmp_parallel == NULL:
        threads = 1
    # Split, backward has 7 matrix products instead of 5, for any number of threads.
    attention.split = backward and 2 * threads > 3 * (attention.heads // attention.group)
    call.attention, call.backward = attention, backward
    call.parts = attention_parts(attention, backward)
    call.threads = max(<size_t>1, min(threads, call.parts))
    call.scratch_bytes = (attention_scratch(attention, backward) + 63) // 64 * 64
    call.scratch = <char *>malloc(call.threads * call.scratch_bytes)
    if call.scratch == NULL:
        raise MemoryError
    with nogil:
        if call.threads == 1:
            for part in range(call.parts):
                attention_part(attention, backward, part, call.scratch)
        else:
            openmp_parallel(run_share, &call, <unsigned>call.threads, 0)
    free(call.scratch)
    return 0


cdef size_t lay_heads(fd_matrices *matrices, tuple place, tuple shape, int64_t *offsets) except? 0:
    """Say where the matrices of all heads are, those of a tensor; return how many they are."""
    cdef size_t count = 1, length, i, j
    cdef int64_t step
    cdef tuple strides = place[1]
    matrices.first = <void *><size_t>place[0]
    matrices.stride = strides[len(shape)]
    matrices.offsets = offsets
    offsets[0] = 0
    # Axes from the outermost: each repeats the offsets so far, spread out.
    for axis in range(len(shape)):
        length, step = shape[axis], strides[axis]
        for i in range(count, 0, -1):
            for j in range(length, 0, -1):
                offsets[(i - 1) * length + j - 1] = offsets[i - 1] + <int64_t>(j - 1) * step
        count *= length
    return count


def attend(TensorMask mask, tuple sizes, tuple query, tuple key, tuple value, tuple out,
           tuple bias, tuple statistics, size_t threads, tuple gradients=None):
    """Compute attention with dropout or, given gradients, its derivative.

    Tensors come as (address, strides), with a stride of 1 for the columns, 0 or at least the
    number of columns for the rows.

    Parameters
    ----------
    mask : TensorMask
        Of the weights, (..., heads, queries, keys).
    sizes : tuple
        (is float64, is causal, scale, shape of the heads, shape of the key heads, queries, keys,
        width, width of values). Shapes are (..., heads).
    query, key, value, out : tuple
        The tensors.
    bias : tuple or None
        Added to the scores.
    statistics : tuple of int
        Addresses of two (..., heads, queries) tensors of float64, for the rows.
    threads : int
        The most threads to use.
    gradients : tuple of tuple, optional
        Those of out, which is read, of query, key and value, which are written.
    """
    cdef fd_attention attention
    cdef size_t key_heads
    cdef tuple shape = sizes[3], key_shape = sizes[4]
    cdef int64_t *offsets
    cdef bint backward = gradients is not None
    memset(&attention, 0, sizeof(attention))
    attention.kernels = active_kernels()
    attention.seeded = &mask.seeded
    attention.factor = mask.scale
    attention.dtype = FD_FLOAT64 if sizes[0] else FD_FLOAT32
    attention.gemm = double_gemm if sizes[0] else single_gemm
    attention.causal, attention.scale = sizes[1], sizes[2]
    attention.queries, attention.keys, attention.width, attention.value_width = sizes[5:]
    attention.heads = 1
    for length in shape:
        attention.heads *= length
    offsets = <int64_t *>malloc(9 * attention.heads * sizeof(int64_t))
    if offsets == NULL:
        raise MemoryError
    try:
        lay_heads(&attention.query, query, shape, offsets)
        lay_heads(&attention.out, out, shape, offsets + attention.heads)
        key_heads = lay_heads(&attention.key, key, key_shape, offsets + 2 * attention.heads)
        lay_heads(&attention.value, value, key_shape, offsets + 3 * attention.heads)
        attention.group = attention.heads // key_heads
        if bias is not None:
            lay_heads(&attention.bias, bias, shape, offsets + 4 * attention.heads)
        if backward:
            lay_heads(&attention.out_gradient, gradients[0], shape, offsets + 5 * attention.heads)
            lay_heads(&attention.query_gradient, gradients[1], shape,
                      offsets + 6 * attention.heads)
            lay_heads(&attention.key_gradient, gradients[2], key_shape,
                      offsets + 7 * attention.heads)
            lay_heads(&attention.value_gradient, gradients[3], key_shape,
                      offsets + 8 * attention.heads)
        attention.largest = <double *><size_t>statistics[0]
        attention.inverse = <double *><size_t>statistics[1]
        choose_blocks(&attention, backward)
        run(&attention, backward, threads)
    finally:
        free(offsets)
