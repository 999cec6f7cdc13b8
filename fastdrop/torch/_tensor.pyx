# SPDX-License-Identifier: BSD-3-Clause
# Design: what tensors need of the engine. A TensorMask is all that the backward pass keeps: where
# in a stream the mask was drawn, the factor, and the memory layout whose order the decisions
# follow. It has bits only where there is no such place: of relu, and of a caller's mask that was
# stored as bits or skips some of its stream.
#
# Tensors are described by PyTorch's table of DLPack functions, so that no header of PyTorch is
# needed, and no attribute of a subclass is believed.
#
# Threads are those of PyTorch, which lends them (see `lend_threads`): the pool of this package would
# fight its workers, which go on spinning for a while after each operation, for the same cores.
# Without them a call uses one thread.
from cpython.object cimport PyObject_TypeCheck, PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.math cimport isinf
from libc.string cimport memset

import numpy as np
import torch

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport job_of
from fastdrop.kernels._kernels cimport (
    FD_ADD,
    FD_ADD_BIAS,
    FD_AFFINE,
    FD_BFLOAT16,
    FD_FLOAT16,
    FD_FLOAT32,
    FD_FLOAT64,
    FD_MAX_DIMS,
    FD_PADDING,
    FD_RELU,
    FD_SCALE,
    FD_SCALE_EACH,
    FD_TILE,
    FD_XOSHIRO256PLUSPLUS,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_broadcast,
    fd_cursor,
    fd_drop_threshold,
    fd_dtype,
    fd_executor,
    fd_job,
    fd_keep_threshold,
    fd_numbers,
    fd_number_size,
    fd_parallel_for,
    fd_seeded,
    fd_tagged,
    fd_threshold,
)
from fastdrop.mask._decisions cimport draw_all
from fastdrop.mask._mask cimport Mask
from fastdrop.source._source cimport Source

cnp.import_array()

TILE = FD_TILE


# ---- tensors ---------------------------------------------------------------------------------

# DLTensor and DLPackExchangeAPI of DLPack 1.
cdef struct dl_tensor:
    const char *data
    int32_t device_type, device_id, ndim
    uint8_t type_code, bits
    uint16_t lanes
    int64_t *shape
    int64_t *strides
    uint64_t byte_offset

ctypedef int (*describe_function)(void *tensor, dl_tensor *out) except -1

cdef struct dl_exchange:
    uint32_t major, minor
    void *older
    void *allocator
    void *managed_from_tensor
    void *tensor_from_managed
    describe_function describe
    void *current_stream

cdef dl_exchange *exchange = <dl_exchange *>PyCapsule_GetPointer(
    torch.Tensor.__dlpack_c_exchange_api__, "dlpack_exchange_api"
)
if exchange.major != 1:
    raise ImportError(f"PyTorch {torch.__version__} has DLPack {exchange.major}; must be 1")

cdef object TENSOR = torch.Tensor
cdef enum:
    DL_CPU = 1


cdef int numbers_of(object x, numbers *out) except -1:
    """Describe a tensor whose elements follow each other in memory, in whatever order of axes."""
    cdef dl_tensor t
    cdef size_t n = 1, span = 1
    if not PyObject_TypeCheck(x, <PyTypeObject *>TENSOR):
        raise TypeError(f"{type(x).__name__} is no tensor of PyTorch")
    exchange.describe(<void *>x, &t)
    for axis in range(t.ndim):
        n *= <size_t>t.shape[axis]
        span += <size_t>((t.shape[axis] - 1) * t.strides[axis])
    if n and (t.device_type != DL_CPU or t.lanes != 1 or span != n or t.data == NULL):
        raise RuntimeError(
            f"a tensor of shape {tuple(t.shape[axis] for axis in range(t.ndim))} is not dense in "
            "memory of the CPU, or its storage was freed"
        )
    out.data, out.n, out.type_code, out.bits = t.data + t.byte_offset, n, t.type_code, t.bits
    out.row = <size_t>t.shape[t.ndim - 1] if t.ndim else 1
    return 0


cdef int code_of(numbers *x) except -1:
    """Return the number of a dtype in the kernels: its fd_dtype, and OF_COMPLEX."""
    if x.type_code == DL_FLOAT and x.bits == 16:
        return <int>FD_FLOAT16
    if x.type_code == DL_BFLOAT and x.bits == 16:
        return <int>FD_BFLOAT16
    if x.type_code == DL_FLOAT and x.bits == 32:
        return <int>FD_FLOAT32
    if x.type_code == DL_FLOAT and x.bits == 64:
        return <int>FD_FLOAT64
    if x.type_code == DL_COMPLEX and x.bits == 64:
        return <int>FD_FLOAT32 | OF_COMPLEX
    if x.type_code == DL_COMPLEX and x.bits == 128:
        return <int>FD_FLOAT64 | OF_COMPLEX
    raise TypeError(f"there is no kernel for numbers of DLPack type {x.type_code}, {x.bits} bits")


# ---- threads ---------------------------------------------------------------------------------

def lend_threads(size_t parallel_for):
    """Run on PyTorch's threads.

    Parameters
    ----------
    parallel_for : int
        Address of ``torch_parallel_for`` of PyTorch's C ABI; 0 for one thread.
    """
    engine.lend(<fd_parallel_for>parallel_for)


# ---- the mask --------------------------------------------------------------------------------

cdef size_t bytes_of(size_t decisions) noexcept:
    """Return the bytes of packed decisions, padded for whole words."""
    return (decisions + 7) // 8 + FD_PADDING


cdef class TensorMask:
    """What elements of a tensor are kept: a place in a stream, without bits, or bits.

    Made by `mask_from_words`, `mask_from_source` and `mask_of_arrays`.

    Attributes
    ----------
    strides : tuple of int
        Strides, in elements, of the dense layout in whose memory order the decisions are taken:
        tensors must have it, or be copied to it.
    broadcast : tuple or None
        None: a decision for every element. Else (lengths, steps, decisions): in that layout, axis
        i has ``lengths[i]`` elements and a step along it is ``steps[i]`` decisions.
    scale, shift, dropped : float
        A kept element becomes ``x * scale + shift``, any other ``dropped``.
    """

    def __init__(self):
        raise TypeError(
            "a TensorMask is made by mask_from_words, mask_from_source or mask_of_arrays"
        )

    cdef TensorMask copy(self):
        cdef TensorMask mask = TensorMask.__new__(TensorMask)
        mask.seeded = self.seeded
        mask.bits = self.bits
        mask.numbers, mask.shape = self.numbers, self.shape
        mask.strides = self.strides
        mask.broadcast = self.broadcast
        mask.scale, mask.shift, mask.dropped = self.scale, self.shift, self.dropped
        return mask

    def with_scale(self, double scale, double shift=0.0, double dropped=0.0):
        """Return the mask of the same elements with other numbers."""
        cdef TensorMask mask = self.copy()
        mask.scale, mask.shift, mask.dropped = scale, shift, dropped
        return mask

    @property
    def derivative(self):
        """The mask of gradients and tangents: of the same scale, without shift and ``dropped``."""
        if self.shift == 0.0 and self.dropped == 0.0:
            return self
        return self.with_scale(self.scale)

    def from_decision(self, uint64_t first):
        """Return the mask that begins with the ``first``-th decision of this one."""
        cdef TensorMask mask = self.copy()
        mask.seeded.position += first
        return mask

    def repeated(self, Py_ssize_t count, Py_ssize_t size):
        """Return the mask of ``count`` tensors in a row, each of ``size`` elements.

        Each of them has this mask.
        """
        cdef TensorMask mask = self.copy()
        lengths, steps, decisions = self.broadcast or ((size,), (1,), size)
        mask.strides = (size, *self.strides)
        mask.broadcast = ((count, *lengths), (0, *steps), decisions)
        if self.shape is not None:
            mask.shape = (count, *self.shape)
        return mask

    def apply(self, x, y, size_t threads):
        """Write ``kept ? x * scale + shift : dropped`` to ``y``.

        Parameters
        ----------
        x, y : torch.Tensor
            Dense tensors with `strides` and one dtype; may be the same.
        threads : int
            The most threads to use.
        """
        cdef bint affine = self.derivative is not self
        cdef fd_job job = job_of(FD_AFFINE if affine else FD_SCALE, self.scale)
        cdef fd_numbers laid
        cdef ndarray _held
        job.shift, job.dropped = self.shift, self.dropped
        if affine and x.is_complex():
            raise TypeError(f"a complex tensor, of {x.dtype}, has no shift; it must be real")
        if self.numbers is not None:
            job = job_of(FD_SCALE_EACH, 1.0)
            _held = self.lay_factors(y, &laid)
            job.each = &laid
        self.run(&job, x, None, y, threads)

    cdef ndarray lay_factors(self, y, fd_numbers *laid):
        """Lay factors of their own over the elements of ``y``; they are those of the result."""
        cdef numbers of_y
        cdef cnp.npy_intp lengths[FD_MAX_DIMS]
        cdef ndarray shaped
        numbers_of(y, &of_y)
        if len(self.shape) > FD_MAX_DIMS:
            raise RuntimeError(f"a tensor has {len(self.shape)} axes; at most is {FD_MAX_DIMS}")
        for axis, length in enumerate(self.shape):
            lengths[axis] = length
        # An array of the tensor's shape, whose elements nobody reads.
        shaped = cnp.PyArray_SimpleNewFromData(
            len(self.shape), lengths, cnp.NPY_UINT8, <void *>of_y.data
        )
        if <size_t>cnp.PyArray_SIZE(shaped) != of_y.n:
            raise RuntimeError(f"a tensor has {of_y.n} elements; must be {shaped.size}")
        return self.numbers.lay_factors(shaped, laid)

    def add(self, x, residual, bias, y, size_t threads):
        """Write ``residual + (kept ? (x + bias) * scale : 0)`` to ``y``; otherwise as `apply`.

        ``bias`` is None, or has numbers that follow the memory order in each row, and enough rows
        for a `TILE` from any of the numbers.
        """
        cdef fd_job job = job_of(
            FD_ADD if bias is None else FD_ADD_BIAS, self.scale
        )
        cdef numbers rows, of_x
        if bias is not None:
            numbers_of(bias, &rows)
            numbers_of(x, &of_x)
            if rows.n < rows.row + FD_TILE or code_of(&rows) != code_of(&of_x):
                raise RuntimeError(f"bias has {rows.n} numbers, in rows of {rows.row}")
            job.bias, job.bias_period = rows.data, rows.row
        self.run(&job, x, residual, y, threads)

    def relu(self, x, y, size_t threads):
        """Write ``kept and not x <= 0 ? x * scale : 0`` to ``y``; otherwise as `apply`.

        Returns
        -------
        mask : TensorMask
            Of those elements, with bits.
        """
        cdef fd_job job = job_of(FD_RELU, self.scale)
        cdef TensorMask mask = self.copy()
        cdef numbers of_x
        numbers_of(x, &of_x)
        mask.bits = np.zeros(bytes_of(of_x.n), np.uint8)
        mask.broadcast = None
        job.changed = <uint8_t *>cnp.PyArray_DATA(mask.bits)
        self.run(&job, x, None, y, threads)
        return mask

    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1:
        cdef fd_any_mask mask
        cdef fd_broadcast broadcast
        cdef ndarray bits = self.bits
        cdef fd_arrays arrays
        cdef fd_executor executor = engine.lent(threads)
        cdef fd_cursor cursor
        cdef numbers of_x, of_y, of_other
        cdef int code
        cdef size_t n, size, decisions
        numbers_of(x, &of_x)
        numbers_of(y, &of_y)
        of_other = of_x
        if other is not None:
            numbers_of(other, &of_other)
        n, code = of_x.n, code_of(&of_x)
        decisions = n if self.broadcast is None else self.broadcast[2]
        if (
            of_y.n != n or code_of(&of_y) != code
            or of_other.n != n or code_of(&of_other) != code
            or (bits is not None and cnp.PyArray_DIM(bits, 0) != <cnp.npy_intp>bytes_of(decisions))
        ):
            raise RuntimeError(f"a tensor of {n} elements is not of the mask's size and dtype")
        if n == 0:
            return 0
        mask.seeded = self.seeded
        mask.each, mask.packed = NULL, NULL
        mask.broadcast = NULL
        if self.broadcast is not None:
            self.lay(&broadcast, n)
            mask.broadcast = &broadcast
            if bits is None:
                bits = self.draw_bits()
        if bits is not None:
            mask.packed = <const uint8_t *>cnp.PyArray_DATA(bits)
        job.kernels = engine.kernels()
        job.mask = &mask
        job.dtype = <fd_dtype>(code & ~OF_COMPLEX)
        job.components = 2 if code & OF_COMPLEX else 1
        size = fd_number_size(job.dtype) * <size_t>job.components
        arrays.x, arrays.y = of_x.data, <char *>of_y.data
        arrays.other = NULL if other is None else of_other.data
        job.past_caches = engine.are_past_caches(&arrays, n * size)
        memset(&cursor, 0, sizeof(cursor))
        with nogil:
            engine.apply(job, &cursor, n, arrays, &executor)
        return 0

    cdef int lay(self, fd_broadcast *broadcast, size_t n) except -1:
        """Tell the kernels how the elements of a tensor of ``n`` share the decisions."""
        cdef size_t elements = 1
        broadcast.ndim = 0
        for length, step in zip(self.broadcast[0], self.broadcast[1], strict=True):
            if broadcast.ndim == FD_MAX_DIMS:
                raise RuntimeError(f"a mask is repeated in more than {FD_MAX_DIMS} ways")
            broadcast.shape[broadcast.ndim] = length
            broadcast.stride[broadcast.ndim] = step
            broadcast.ndim += 1
            elements *= <size_t>length
        if elements != n:
            raise RuntimeError(f"a tensor has {n} elements; must be {elements}, as of the mask")
        return 0

    cdef ndarray draw_bits(self):
        """Return the packed decisions."""
        cdef size_t decisions = self.broadcast[2]
        cdef ndarray bits = np.empty(bytes_of(decisions), np.uint8)
        self.draw(cnp.PyArray_DATA(bits), decisions, False)
        return bits

    def write_kept(self, out):
        """Write the decisions to ``out``, a dense tensor of bools: True where kept."""
        cdef numbers kept
        numbers_of(out, &kept)
        if kept.type_code != DL_BOOL:
            raise TypeError(f"out has dtype {out.dtype}; must be torch.bool")
        self.draw(<void *>kept.data, kept.n, True)

    cdef int draw(self, void *out, size_t n, bint bytes_) except -1:
        # On this thread: the pool of the package would fight PyTorch's for the cores.
        cdef fd_cursor cursor
        cdef fd_executor alone = engine.lent(1)
        memset(&cursor, 0, sizeof(cursor))
        with nogil:
            draw_all(&self.seeded, NULL, False, bytes_, out, &cursor, n, &alone)
        return 0


cdef TensorMask laid_mask(double probability, bint keeps, tuple strides, tuple broadcast):
    cdef TensorMask mask = TensorMask.__new__(TensorMask)
    cdef double keep_prob = probability if keeps else 1.0 - probability
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"p is {probability}; must be in [0, 1]")
    memset(&mask.seeded, 0, sizeof(mask.seeded))
    mask.seeded.threshold = (
        fd_keep_threshold(probability) if keeps else fd_drop_threshold(probability)
    )
    mask.strides = strides
    mask.broadcast = broadcast
    mask.scale = 1.0 / keep_prob if keep_prob > 0.0 else 1.0
    mask.shift = mask.dropped = 0.0
    return mask


cdef void place_at_words(const numbers *words, fd_seeded *seeded) noexcept:
    cdef const uint64_t *word = <const uint64_t *>words.data
    seeded.source = FD_XOSHIRO256PLUSPLUS
    seeded.identity.key[0] = word[0] & 0xFFFFFFFF
    seeded.identity.key[1] = word[0] >> 32
    seeded.identity.counter[0] = word[1]
    seeded.identity.counter[1] = word[2]
    seeded.position = word[3]
    seeded.ties = fd_tagged(
        &seeded.identity, engine.sources[<int>FD_XOSHIRO256PLUSPLUS].tie_tag
    )


def mask_from_words(words, double p, tuple strides, tuple broadcast=None, bint keeps=False):
    """Return the mask of four 64-bit words: key, counter (low, high) and position.

    Parameters
    ----------
    words : torch.Tensor
        Four int64 numbers in a row; read before the call returns.
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
    cdef numbers given
    numbers_of(words, &given)
    if given.type_code != DL_INT or given.bits != 64 or given.n != 4 or given.row != 4:
        raise ValueError(f"words has {given.n} numbers; must be 4 of int64 in a row")
    cdef TensorMask mask = laid_mask(p, keeps, strides, broadcast)
    place_at_words(&given, &mask.seeded)
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


def mask_of_arrays(Mask given, tuple shape, tuple strides, tuple broadcast=None):
    """Return a mask of arrays as one of tensors.

    Parameters
    ----------
    given : Mask
        Seeded or packed; what is one range of a stream needs no bits here either.
    shape : tuple of int
        Shape of the tensors. Where factors are the elements' own, the layout is in C order.
    strides, broadcast
        The attributes of TensorMask.

    Returns
    -------
    mask : TensorMask
    """
    cdef TensorMask mask = TensorMask.__new__(TensorMask)
    cdef fd_cursor cursor = given.start
    mask.seeded, mask.bits = given.seeded, given.padded
    if given.padded is None and given.strides is not None:
        mask.bits = given.draw_bits(&cursor, None)
    mask.strides, mask.broadcast = strides, broadcast
    mask.scale = 1.0 if isinf(given.factor) and given.drop == 1.0 else given.factor
    mask.shift = mask.dropped = 0.0
    if given.numbers is not None and given.numbers.scales_each():
        mask.numbers, mask.shape, mask.scale = given.numbers, shape, 1.0
    return mask
