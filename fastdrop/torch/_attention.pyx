# SPDX-License-Identifier: BSD-3-Clause
# Design: attention with dropout of tensors in memory. The loops over blocks are the engine's;
# matrix products are those of the BLAS that PyTorch computes with, called through its address (see
# `use_gemm`): so the products of a block need no Python. Heads and blocks run side by side on
# PyTorch's threads; a product inside of one thread then takes that thread alone.
#
# `attend` is the door: what it reads or writes is checked there, every tensor by itself, whoever
# made it. Tensors that come are of PyTorch's own class.
import sys

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import torch

from fastdrop.kernels._kernels cimport (
    FD_FLOAT32,
    FD_FLOAT64,
    engine,
    fd_attention,
    fd_executor,
    fd_gemm,
    fd_matrices,
)
from fastdrop.torch._tensor cimport TensorMask

# Rows of a block, and columns in backward: the most that is chosen.
cdef size_t MOST = 256

cdef fd_gemm single_gemm = NULL
cdef fd_gemm double_gemm = NULL


def keeps_out(size_t keys, tuple block):
    """Return whether backward reads the output: where a block does not have all of the keys."""
    cdef size_t columns = block[1]
    return keys > (columns or MOST)


cdef void choose_blocks(fd_attention *attention, bint backward, size_t rows,
                        size_t columns) noexcept nogil:
    """Take as many rows as keep a block of scores in a part of an L2 cache of 1 MiB.

    Few rows make slow products: at least 32 are taken where there are many keys. Backward has
    two blocks, and cuts them by columns too.
    """
    cdef size_t numbers = 1 << 16, least = 32
    cdef size_t suitable = min(attention.keys, MOST) if backward else attention.keys
    attention.columns = columns or suitable
    attention.rows = rows or min(MOST, max(least, numbers // suitable))


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


# ---- tensors ---------------------------------------------------------------------------------

cdef object empty_like = torch.empty_like
cdef object CONTIGUOUS = torch.contiguous_format
cdef object FLOAT32 = torch.float32, FLOAT64 = torch.float64

cdef int64_t LARGEST_STRIDE = 2**31 - 1  # of a BLAS


cdef bint is_by_rows(int64_t columns, tuple strides) except -1:
    """Whether a BLAS can read a tensor."""
    cdef Py_ssize_t axes = len(strides)
    cdef int64_t row
    if axes < 2:
        return False
    row = strides[axes - 2]
    return strides[axes - 1] == 1 and columns <= row <= LARGEST_STRIDE


def by_rows(x, dtype):
    """Return x, or a copy of it, as numbers of a dtype in rows that a BLAS can read."""
    if x.dtype is not dtype:
        x = x.to(dtype)
    return x if is_by_rows(x.size(-1), x.stride()) else x.clone(memory_format=CONTIGUOUS)


def new_by_rows(x, dtype):
    """Return an empty tensor of x's shape in rows, with x's order of axes if they are rows."""
    new = empty_like(x) if x.dtype is dtype else empty_like(x, dtype=dtype)
    if is_by_rows(x.size(-1), new.stride()):
        return new
    return empty_like(x, dtype=dtype, memory_format=CONTIGUOUS)


cdef int refuse(str name, x, tuple shape, dtype) except -1:
    raise RuntimeError(
        f"{name} is a {tuple(x.shape)} tensor of {x.dtype} with strides {x.stride()} on {x.device};"
        f" it must be a {shape} tensor of {dtype} by rows on the CPU"
    )


cdef int lay(fd_matrices *matrices, str name, x, tuple heads, size_t rows, size_t columns, dtype,
             int64_t *offsets, bint repeats=False) except -1:
    """Say where the matrices of all heads are, those of a tensor.

    One that ``repeats`` is read row by row and not by a BLAS: rows may be the same.
    """
    cdef tuple shape = (*heads, rows, columns), strides = x.stride()
    cdef size_t address = x.data_ptr(), count = 1, length, i, j
    cdef int64_t step
    cdef bint readable = is_by_rows(columns, strides) or (
        repeats and (columns == 1 or strides[len(heads) + 1] == 1)
    )
    if not (x.shape == shape and x.dtype is dtype and x.is_cpu and address and readable):
        refuse(name, x, shape, dtype)
    matrices.first = <void *>address
    matrices.stride = strides[len(heads)]
    matrices.offsets = offsets
    offsets[0] = 0
    # Axes from the outermost: each repeats the offsets so far, spread out.
    for axis in range(len(heads)):
        length, step = heads[axis], strides[axis]
        for i in range(count, 0, -1):
            for j in range(length, 0, -1):
                offsets[(i - 1) * length + j - 1] = offsets[i - 1] + <int64_t>(j - 1) * step
        count *= length
    return 0


cdef int lay_statistics(fd_attention *attention, x, size_t first) except -1:
    cdef size_t rows = attention.heads * attention.queries, all_rows = x.numel() // 2
    if not (x.dtype is FLOAT64 and x.is_cpu and x.is_contiguous() and first + rows <= all_rows
            and x.shape[0] == 2):
        refuse("statistics", x, (2, first + rows), FLOAT64)
    attention.largest = <double *><size_t>x.data_ptr() + first
    attention.inverse = attention.largest + all_rows
    return 0


def attend(TensorMask mask, bint causal, double scale, tuple shape, query, key, value, bias,
           statistics, size_t first, size_t threads, tuple block, out, gradients=()):
    """Compute attention with dropout or, given gradients, its derivative.

    Tensors but the statistics are all of float32 or all of float64, with a stride of 1 for the
    columns and at least the number of columns for the rows.

    Parameters
    ----------
    mask : TensorMask
        Of the weights.
    causal : bool
        Query i sees keys 0 ... i.
    scale : float
        Of the scores.
    shape : tuple
        Of the weights: (..., heads, queries, keys).
    query, key, value : torch.Tensor
        (..., heads, queries, width), (..., key heads, keys, width or width of values).
    bias : torch.Tensor or None
        Added to the scores, of their shape.
    statistics : torch.Tensor
        (2, ...) in C order, of float64: for each row of a head the largest score, and as many
        numbers later the inverse sum.
    first : int
        Which row of the statistics is the first one's.
    threads : int
        The most threads to use.
    block : tuple of int
        Rows of a block and, in backward, its columns; 0 is what suits. Results differ by rounding
        alone.
    out : torch.Tensor or None
        The output, which is written; read where there are gradients, where it may be None if not
        `keeps_out`.
    gradients : sequence of torch.Tensor
        Those of out, which is read, of query, key and value, which are written.
    """
    cdef fd_attention attention
    cdef fd_executor executor = engine.lent(threads)
    cdef int failed
    cdef bint backward = len(gradients) > 0
    cdef tuple heads = shape[:-2], key_heads = tuple(key.shape[:-2])
    cdef size_t queries = shape[len(heads)], keys = shape[len(heads) + 1], width = key.size(-1)
    cdef size_t value_width = value.size(-1), count = 1, key_count = 1
    cdef int64_t *offsets
    dtype = query.dtype
    if out is None and (not backward or keeps_out(keys, block)):
        raise RuntimeError(f"out is None; it must be a tensor for {keys} keys")
    if dtype is not FLOAT32 and dtype is not FLOAT64:
        refuse("query", query, (*heads, queries, width), FLOAT32)
    memset(&attention, 0, sizeof(attention))
    attention.kernels = engine.kernels()
    attention.seeded = &mask.decisions.seeded
    attention.factor = mask.scale
    attention.dtype = FD_FLOAT64 if dtype is FLOAT64 else FD_FLOAT32
    attention.gemm = double_gemm if dtype is FLOAT64 else single_gemm
    attention.causal, attention.scale = causal, scale
    attention.queries, attention.keys = queries, keys
    attention.width, attention.value_width = width, value_width
    for length in heads:
        count *= length
    for length in key_heads:
        key_count *= length
    if (len(heads) != len(key_heads) or heads[:-1] != key_heads[:-1] or not key_count
            or count % key_count):
        refuse("key", key, (*heads, keys, width), dtype)
    attention.heads, attention.group = count, count // key_count
    offsets = <int64_t *>malloc(9 * count * sizeof(int64_t))
    if offsets == NULL:
        raise MemoryError
    try:
        lay(&attention.query, "query", query, heads, queries, width, dtype, offsets)
        if out is not None:
            lay(&attention.out, "out", out, heads, queries, value_width, dtype, offsets + count)
        lay(&attention.key, "key", key, key_heads, keys, width, dtype, offsets + 2 * count)
        lay(&attention.value, "value", value, key_heads, keys, value_width, dtype,
            offsets + 3 * count)
        if bias is not None:
            lay(&attention.bias, "bias", bias, heads, queries, keys, dtype, offsets + 4 * count,
                True)
        if backward:
            lay(&attention.out_gradient, "out_gradient", gradients[0], heads, queries, value_width,
                dtype, offsets + 5 * count)
            lay(&attention.query_gradient, "query_gradient", gradients[1], heads, queries, width,
                dtype, offsets + 6 * count)
            lay(&attention.key_gradient, "key_gradient", gradients[2], key_heads, keys, width,
                dtype, offsets + 7 * count)
            lay(&attention.value_gradient, "value_gradient", gradients[3], key_heads, keys,
                value_width, dtype, offsets + 8 * count)
        lay_statistics(&attention, statistics, first)
        choose_blocks(&attention, backward, block[0], block[1])
        with nogil:
            failed = engine.attend(&attention, backward, &executor)
        if failed:
            raise MemoryError
    finally:
        free(offsets)
