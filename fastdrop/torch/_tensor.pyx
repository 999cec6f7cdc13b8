# SPDX-License-Identifier: BSD-3-Clause
# cython: auto_pickle=False
# Design: what tensors need of the engine. A TensorMask is all that the backward pass keeps:
# decisions, the factor, and which decision each element has. The decisions are a place in a stream.
# They are bits only where there is no such place: of relu, and of a caller's mask that was stored
# as bits or skips some of its stream. Where the memory of a tensor has another order, the bits are
# brought into that order; tensors that do not lie alike are taken in boxes. None is copied.
#
# Threads are those of PyTorch, which lends them (see `lend_threads`). The pool of this package
# would fight them for the cores: they go on spinning for a while after each operation. Without
# them a call uses one thread.
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from functools import lru_cache

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport job_of
from fastdrop.apply._broadcast cimport Broadcast
from fastdrop.apply._dtypes cimport DL_BOOL, DL_INT
from fastdrop.kernels._kernels cimport (
    FD_ADD,
    FD_ADD_BIAS,
    FD_AFFINE,
    FD_RELU,
    FD_RELU_BIAS,
    FD_SCALE,
    FD_SCALE_EACH,
    FD_TILE,
    FD_XOSHIRO256PLUSPLUS,
    engine,
    fd_any_mask,
    fd_arrays,
    fd_cursor,
    fd_drop_threshold,
    fd_executor,
    fd_identity_of,
    fd_job,
    fd_keep_threshold,
    fd_number_size,
    fd_numbers,
    fd_orders,
    fd_parallel_for,
    fd_seeded,
    fd_tagged,
    fd_threshold,
)
from fastdrop.mask._bits cimport gather, padded_bits
from fastdrop.mask._decisions cimport Decisions, decisions_at, decisions_of
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._probability cimport multiplier
from fastdrop.source._source cimport Source
from fastdrop.mask._window import contiguous_strides
from fastdrop.torch._memory cimport (
    check_alike,
    dense,
    describe,
    describe_strided,
    lie_alike,
    lies_as,
    refuse_tensor,
    set_orders,
    set_tensors,
    strided,
)

cnp.import_array()

TILE = FD_TILE

# The decisions from a place on: a tensor takes as many as it has elements.
cdef tuple ENDLESS = (2**63 - 1,)


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

cdef class TensorMask:
    """What elements of a tensor are kept, and what becomes of these and of the others.

    Made by `mask_from_words`, `mask_from_source` and `mask_of_arrays`.

    Attributes
    ----------
    strides : tuple of int
        How many decisions further that of the next element is, along each axis: 0 where they share
        it. A dense tensor with these strides is taken as it is.
    scale, shift, dropped : float
        A kept element becomes ``x * scale + shift``, any other ``dropped``.
    """

    def __init__(self):
        raise TypeError(
            "a TensorMask is made by mask_from_words, mask_from_source or mask_of_arrays"
        )

    cdef TensorMask copy(self):
        cdef TensorMask mask = TensorMask.__new__(TensorMask)
        mask.decisions = self.decisions
        mask.numbers, mask.shape = self.numbers, self.shape
        mask.strides = self.strides
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
        """Return the mask that begins with the ``first``-th decision of a place."""
        cdef TensorMask mask = self.copy()
        mask.decisions = decisions_at(ENDLESS, self.decisions.later(first))
        return mask

    def repeated(self, Py_ssize_t count):
        """Return the mask of ``count`` tensors, along a first axis: each of them has this mask."""
        cdef TensorMask mask = self.copy()
        mask.strides = (0, *self.strides)
        if self.shape is not None:
            mask.shape = (count, *self.shape)
        return mask

    def apply(self, x, y, size_t threads):
        """Write ``kept ? x * scale + shift : dropped`` to ``y``.

        Parameters
        ----------
        x, y : torch.Tensor
            Of one shape and dtype; may be the same. y is dense.
        threads : int
            The most threads to use.
        """
        cdef bint affine = self.derivative is not self
        cdef strided of_y
        cdef fd_job job = job_of(FD_AFFINE if affine else FD_SCALE, self.scale)
        cdef fd_numbers laid
        cdef ndarray _held
        job.shift, job.dropped = self.shift, self.dropped
        if affine and x.is_complex():
            raise TypeError(f"a complex tensor, of {x.dtype}, has no shift; it must be real")
        if self.numbers is not None:
            job = job_of(FD_SCALE_EACH, 1.0)
            _held = self.numbers.lay_factors(&job, &laid, self.shape, None, False)
            describe_strided(y, &of_y)
            if tuple(y.shape) != self.shape:
                refuse_tensor(&of_y)
            job.each_by_index = not lies_as(&of_y, contiguous_strides(self.shape))
        self.run(&job, x, None, y, threads)

    def add(self, x, residual, bias, y, size_t threads):
        """Write ``residual + (kept ? (x + bias) * scale : 0)`` to ``y``; otherwise as `apply`.

        ``bias`` is None, or a number for each index of the last axis, again and again: enough for a
        `TILE` from any of them.
        """
        cdef fd_job job = job_of(
            FD_ADD if bias is None else FD_ADD_BIAS, self.scale
        )
        set_bias(&job, bias, y)
        self.run(&job, x, residual, y, threads)

    def relu(self, x, bias, y, size_t threads):
        """Write ``kept and not x <= 0 ? x * scale : 0`` to ``y``; otherwise as `apply`.

        ``bias`` is as in `add`. With it, x is ``x + bias``.

        Returns
        -------
        mask : TensorMask
            Of those elements, with bits.
        """
        cdef fd_job job = job_of(FD_RELU if bias is None else FD_RELU_BIAS, self.scale)
        cdef TensorMask mask = self.copy()
        cdef strided of_y
        cdef ndarray bits
        describe_strided(y, &of_y)
        bits = padded_bits(of_y.all.n)
        bits[:] = 0
        mask.decisions = decisions_of((of_y.all.n,), bits)
        mask.strides = y.stride()
        job.changed = <uint8_t *>cnp.PyArray_DATA(bits)
        set_bias(&job, bias, y)
        self.run(&job, x, None, y, threads)
        return mask

    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1:
        cdef fd_any_mask mask
        cdef fd_arrays arrays
        cdef fd_executor executor = engine.lent(threads)
        # Bits are drawn on this thread: the package's pool would fight PyTorch's for the cores.
        cdef fd_executor alone = engine.lent(1)
        cdef strided of_x, of_y, of_other
        cdef bint alike
        cdef size_t n
        cdef fd_cursor cursor = self.decisions.start
        cdef ndarray _held
        describe_strided(x, &of_x)
        describe_strided(y, &of_y)
        of_other = of_x
        if other is not None:
            describe_strided(other, &of_other)
        check_alike(x, &of_x, &of_other, &of_y)
        n = of_y.all.n
        if n == 0:
            return 0
        set_tensors(job, &arrays, &of_x, &of_y)
        if other is not None:
            arrays.other = of_other.all.data
        alike = lie_alike(&of_x, &of_y) and lie_alike(&of_other, &of_y)
        if not (alike and lies_as(&of_y, self.strides)) or job.each_by_index:
            return self.run_laid(job, arrays, &of_x, &of_other, &of_y, alike, &executor)
        self.check_decisions(n)
        _held = self.decisions.tell(&mask, 0, &cursor, None, &alone)
        job.mask = &mask
        job.past_caches = engine.are_past_caches(
            &arrays, n * fd_number_size(job.dtype) * <size_t>job.components
        )
        with nogil:
            engine.apply(job, &cursor, n, arrays, &executor)
        return 0

    cdef int run_laid(self, fd_job *job, fd_arrays arrays, const strided *x, const strided *other,
                      const strided *y, bint alike, const fd_executor *executor) except -1:
        """Do it in the order of y's memory, to which the bits are brought."""
        cdef fd_any_mask mask
        cdef fd_orders orders
        cdef fd_executor alone = engine.lent(1)
        cdef fd_cursor cursor = self.decisions.start
        cdef Broadcast laid
        cdef bint in_boxes = not alike or job.each_by_index
        cdef ndarray padded, _gathered
        cdef size_t bits
        cdef tuple shape, axes
        shape = tuple([y.shape[axis] for axis in range(y.ndim)])
        axes, laid = laid_over(
            shape, tuple([y.stride[axis] for axis in range(y.ndim)]), self.strides
        )
        self.check_decisions(laid.shared)
        bits = laid.shared if in_boxes or laid.gathers or laid.laid.ndim else 0
        padded = self.decisions.tell(&mask, bits, &cursor, None, &alone)
        if laid.gathers:
            _gathered = padded_bits(laid.shared)
            gather(padded, laid.view, <uint8_t *>cnp.PyArray_DATA(_gathered))
            mask.packed = <uint8_t *>cnp.PyArray_DATA(_gathered)
        if laid.laid.ndim:
            mask.broadcast = &laid.laid
        job.mask = &mask
        if in_boxes:
            set_orders(&orders, axes, contiguous_strides(shape), x, other, y)
            with nogil:
                engine.apply_boxes(job, &orders, arrays, executor)
        else:
            job.past_caches = engine.are_past_caches(
                &arrays, y.all.n * fd_number_size(job.dtype) * <size_t>job.components
            )
            with nogil:
                engine.apply(job, &cursor, y.all.n, arrays, executor)
        return 0

    cdef int check_decisions(self, size_t n) except -1:
        if n > <size_t>self.decisions.size:
            raise RuntimeError(
                f"a tensor needs {n} decisions; the mask has {self.decisions.size}"
            )
        return 0

    def write_kept(self, out, size_t threads):
        """Write the decisions of a place to ``out``, a dense tensor of bools: True where kept.

        Parameters
        ----------
        out : torch.Tensor
            What is written.
        threads : int
            The most threads to use.
        """
        cdef dense kept
        cdef fd_executor executor = engine.lent(threads)
        cdef fd_cursor cursor = self.decisions.start
        describe(out, &kept)
        if kept.code != DL_BOOL:
            raise TypeError(f"out must have dtype torch.bool, not {out.dtype}")
        self.decisions.draw(<void *>kept.data, True, kept.n, &cursor, &executor)


# ---- tensors ---------------------------------------------------------------------------------

@lru_cache(maxsize=256)
def laid_over(tuple shape, tuple order, tuple strides):
    """Return the axes in the order of memory, and how decisions are laid over the elements.

    Parameters
    ----------
    shape, order : tuple of int
        Shape and strides of a dense tensor.
    strides : tuple of int
        As in TensorMask.
    """
    axes = sorted(range(len(shape)), key=lambda axis: -order[axis] if shape[axis] != 1 else 0)
    lengths = [shape[axis] for axis in axes]
    return tuple(axes), Broadcast(lengths, [strides[axis] for axis in axes])


cdef int set_bias(fd_job *job, bias, y) except -1:
    cdef dense rows
    cdef strided of_y
    if bias is None:
        return 0
    describe(bias, &rows)
    describe_strided(y, &of_y)
    if rows.n < rows.row + FD_TILE or rows.type != of_y.all.type:
        raise RuntimeError(f"bias has {rows.n} numbers, in rows of {rows.row}")
    job.bias, job.bias_period, job.bias_repeats = rows.data, rows.row, 1
    for axis in range(of_y.ndim - 1):  # that lie between neighbours of the last axis
        if of_y.stride[axis] < of_y.stride[of_y.ndim - 1]:
            job.bias_repeats *= <uint64_t>of_y.shape[axis]
    return 0


# ---- masks -----------------------------------------------------------------------------------

cdef TensorMask laid_mask(Decisions decisions, double scale, tuple strides):
    cdef TensorMask mask = TensorMask.__new__(TensorMask)
    mask.decisions, mask.scale, mask.strides = decisions, scale, strides
    mask.shift = mask.dropped = 0.0
    return mask


cdef fd_threshold threshold_of(double p, bint keeps) except *:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must be in [0, 1], not {p}")
    return fd_keep_threshold(p) if keeps else fd_drop_threshold(p)


cdef double scale_of(double p, bint keeps) noexcept:
    cdef double keep_prob = p if keeps else 1.0 - p
    return 1.0 / keep_prob if keep_prob > 0.0 else 1.0


cdef void place_at_words(const dense *words, fd_seeded *seeded) noexcept:
    cdef const uint64_t *word = <const uint64_t *>words.data
    memset(seeded, 0, sizeof(seeded[0]))
    seeded.source = FD_XOSHIRO256PLUSPLUS
    seeded.identity = fd_identity_of(word)
    seeded.position = word[3]
    seeded.ties = fd_tagged(
        &seeded.identity, engine.sources[<int>FD_XOSHIRO256PLUSPLUS].tie_tag
    )


def mask_from_words(words, double p, tuple strides, bint keeps=False):
    """Return the mask of four 64-bit words: key, counter (low, high) and position.

    Parameters
    ----------
    words : torch.Tensor
        Four int64 numbers in a row; read before the call returns.
    p : float
        Probability of dropping, in [0, 1]; of keeping, if ``keeps``.
    strides : tuple of int
        As in TensorMask.
    keeps : bool, default False
        What p means; the factor of kept elements is the inverse of the probability of keeping.

    Returns
    -------
    mask : TensorMask
    """
    cdef dense given
    cdef fd_seeded seeded
    describe(words, &given)
    if given.code != DL_INT or given.bits != 64 or given.n != 4 or given.row != 4:
        raise ValueError(
            f"words must be 4 numbers of int64 in a row, not a tensor of {given.n} numbers"
        )
    place_at_words(&given, &seeded)
    seeded.threshold = threshold_of(p, keeps)
    return laid_mask(decisions_at(ENDLESS, seeded), scale_of(p, keeps), strides)


def mask_from_source(Source source, uint64_t decisions, double p, tuple strides):
    """Return the mask of the next ``decisions`` positions of ``source``, which advances.

    Parameters
    ----------
    source : Source
        A source of the package.
    decisions : int
        How far it advances.
    p : float
        Probability of dropping, in [0, 1].
    strides : tuple of int
        As in TensorMask.

    Returns
    -------
    mask : TensorMask
    """
    cdef Decisions drawn = Decisions.__new__(Decisions)
    drawn.reserve(source, (decisions,), threshold_of(p, False))
    return laid_mask(drawn, scale_of(p, False), strides)


def mask_of_arrays(Mask given, tuple shape, tuple strides):
    """Return a mask of arrays as one of tensors.

    Parameters
    ----------
    given : Mask
        Seeded or packed; what is one range of a stream needs no bits here either.
    shape : tuple of int
        Shape of the tensors.
    strides : tuple of int
        As in TensorMask.

    Returns
    -------
    mask : TensorMask
    """
    cdef TensorMask mask = laid_mask(given, multiplier(given.factor, given.drop), strides)
    if given.strides is not None:
        mask.decisions = decisions_of(given.shape, given.all_bits())
    if given.numbers is not None and given.numbers.scales_each():
        mask.numbers, mask.shape, mask.scale = given.numbers, shape, 1.0
    return mask
