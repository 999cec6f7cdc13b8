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
from libc.string cimport memcmp, memcpy, memset

import torch

from fastdrop.kernels._kernels cimport (
    FD_BFLOAT16,
    FD_FLOAT32,
    FD_FLOAT64,
    engine,
    fd_attention,
    fd_dtype,
    fd_executor,
    fd_gemm,
    fd_matrices,
)
from fastdrop.torch._tensor cimport TensorMask

# Rows of a block, and half the columns (in backward, all): the most that is chosen.
cdef size_t MOST = 256

cdef fd_gemm single_gemm = NULL
cdef fd_gemm double_gemm = NULL
cdef fd_gemm bfloat16_gemm = NULL  # of bfloat16 to float32


def keeps_out(size_t keys, tuple block):
    """Return whether backward reads the output: where a block does not have all of the keys."""
    cdef size_t columns = block[1]
    return keys > (columns or MOST)


cdef void choose_blocks(fd_attention *attention, bint backward, size_t rows,
                        size_t columns) noexcept nogil:
    """Take as many rows and columns as keep a block of scores in a part of an L2 cache of 1 MiB.

    Forward has one block and backward has two. Few rows, or few columns, make slow products.
    """
    cdef size_t numbers = 1 << 16
    cdef size_t suitable = min(attention.keys, MOST if backward else 2 * MOST)
    attention.columns = columns or suitable
    attention.rows = rows or min(MOST, numbers // suitable)


# ---- matrix products -------------------------------------------------------------------------

cdef void fill(fd_dtype dtype, const double *values, size_t n, char *numbers) noexcept:
    """Write small whole numbers as numbers of a dtype."""
    cdef float narrow
    cdef size_t i
    for i in range(n):
        narrow = <float>values[i]
        if dtype == FD_FLOAT64:
            memcpy(numbers + 8 * i, &values[i], 8)
        elif dtype == FD_FLOAT32:
            memcpy(numbers + 4 * i, &narrow, 4)
        else:  # the upper half of a float32; the machine is little-endian
            memcpy(numbers + 2 * i, <char *>&narrow + 2, 2)


cdef bint multiplies(fd_gemm gemm, fd_dtype multiplied, fd_dtype dtype) noexcept:
    """Try (2, 3) times the transpose of (2, 3), by columns."""
    cdef double[6] a = [1, 2, 3, 4, 5, 6]
    cdef double[6] b = [7, 8, 9, 10, 11, 12]
    cdef double[4] c = [1, 1, 1, 1]
    cdef double[4] expected = [2 * (1 * 7 + 3 * 9 + 5 * 11) + 3, 2 * (2 * 7 + 4 * 9 + 6 * 11) + 3,
                               2 * (1 * 8 + 3 * 10 + 5 * 12) + 3, 2 * (2 * 8 + 4 * 10 + 6 * 12) + 3]
    cdef double[2] factors = [2, 3]
    cdef double[6] room_of_a, room_of_b
    cdef double[4] room_of_c, room_of_expected
    cdef double[2] room_of_factors
    cdef int64_t two = 2, three = 3
    cdef size_t size = 8 if dtype == FD_FLOAT64 else 4
    fill(multiplied, a, 6, <char *>room_of_a)
    fill(multiplied, b, 6, <char *>room_of_b)
    fill(dtype, c, 4, <char *>room_of_c)
    fill(dtype, expected, 4, <char *>room_of_expected)
    fill(dtype, factors, 2, <char *>room_of_factors)
    gemm(b"N", b"T", &two, &two, &three, room_of_factors, room_of_a, &two, room_of_b, &two,
         <char *>room_of_factors + size, room_of_c, &two)
    return memcmp(room_of_c, room_of_expected, 4 * size) == 0


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
    if not (multiplies(<fd_gemm>single, FD_FLOAT32, FD_FLOAT32)
            and multiplies(<fd_gemm>double, FD_FLOAT64, FD_FLOAT64)):
        return False
    single_gemm, double_gemm = <fd_gemm>single, <fd_gemm>double
    return True


def use_bfloat16_gemm(size_t address):
    """Multiply matrices of bfloat16 with this function too, if its result is right.

    Parameters
    ----------
    address : int
        Of ``gemm_bf16bf16f32_``, which is as ``sgemm_`` but for the dtype that it reads.

    Returns
    -------
    used : bool
    """
    global bfloat16_gemm
    if sys.byteorder == "big" or not multiplies(<fd_gemm>address, FD_BFLOAT16, FD_FLOAT32):
        return False
    bfloat16_gemm = <fd_gemm>address
    return True


# ---- tensors ---------------------------------------------------------------------------------

cdef object empty_like = torch.empty_like
cdef object CONTIGUOUS = torch.contiguous_format
cdef object FLOAT32 = torch.float32, FLOAT64 = torch.float64, BFLOAT16 = torch.bfloat16

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


cdef fd_dtype code_of(dtype):
    if dtype is FLOAT64:
        return FD_FLOAT64
    return FD_BFLOAT16 if dtype is BFLOAT16 else FD_FLOAT32


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
    matrices.dtype = code_of(dtype)
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


cdef tuple without_last(tuple lengths, Py_ssize_t count):
    """Return the lengths without the last ones."""
    return lengths[:max(len(lengths) - count, 0)]


def attend(TensorMask mask, bint causal, double scale, tuple shape, query, key, value, bias,
           statistics, size_t first, size_t threads, tuple block, out, gradients=()):
    """Compute attention with dropout or, given gradients, its derivative.

    Tensors but the statistics are all of float32 or all of float64, with a stride of 1 for the
    columns and at least the number of columns for the rows. Of bfloat16 may be query, key, value
    and the gradient of out, all of them, where the others are of float32: then the products are of
    bfloat16, and the weights are rounded for them. See `use_bfloat16_gemm`.

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
        Rows of a block and its columns; 0 is what suits. Results differ by rounding
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
    cdef tuple heads = without_last(shape, 2), key_heads = without_last(tuple(key.shape), 2)
    cdef size_t queries = shape[len(heads)], keys = shape[len(heads) + 1], width = key.size(-1)
    cdef size_t value_width = value.size(-1), count = 1, key_count = 1
    cdef int64_t *offsets
    memset(&attention, 0, sizeof(attention))
    multiplied = query.dtype
    dtype = FLOAT32 if multiplied is BFLOAT16 else multiplied
    if out is None and (not backward or keeps_out(keys, block)):
        raise RuntimeError(f"out is None; it must be a tensor for {keys} keys")
    if dtype is FLOAT64:
        attention.gemm = double_gemm
    elif multiplied is BFLOAT16:
        attention.gemm = bfloat16_gemm
    elif dtype is FLOAT32:
        attention.gemm = single_gemm
    if attention.gemm == NULL:
        refuse("query", query, (*heads, queries, width), FLOAT32)
    attention.kernels = engine.kernels()
    attention.seeded = &mask.decisions.seeded
    attention.factor = mask.scale
    attention.dtype, attention.multiplied = code_of(dtype), code_of(multiplied)
    attention.causal, attention.scale = causal, scale
    attention.queries, attention.keys = queries, keys
    attention.width, attention.value_width = width, value_width
    for length in heads:
        count *= length
    for length in key_heads:
        key_count *= length
    if (len(heads) != len(key_heads) or not key_count or count % key_count
            or without_last(heads, 1) != without_last(key_heads, 1)):
        refuse("key", key, (*heads, keys, width), multiplied)
    attention.heads, attention.group = count, count // key_count
    offsets = <int64_t *>malloc(9 * count * sizeof(int64_t))
    if offsets == NULL:
        raise MemoryError
    try:
        lay(&attention.query, "query", query, heads, queries, width, multiplied, offsets)
        if out is not None:
            lay(&attention.out, "out", out, heads, queries, value_width, dtype, offsets + count)
        lay(&attention.key, "key", key, key_heads, keys, width, multiplied,
            offsets + 2 * count)
        lay(&attention.value, "value", value, key_heads, keys, value_width, multiplied,
            offsets + 3 * count)
        if bias is not None:
            lay(&attention.bias, "bias", bias, heads, queries, keys, dtype, offsets + 4 * count,
                True)
        if backward:
            lay(&attention.out_gradient, "out_gradient", gradients[0], heads, queries, value_width,
                multiplied, offsets + 5 * count)
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
