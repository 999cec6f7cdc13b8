# SPDX-License-Identifier: BSD-3-Clause
# cython: auto_pickle=False
# Design: what tensors need of the engine. A TensorMask is all that the backward pass keeps:
# decisions, the factor, and the memory layout whose order the decisions follow. The decisions are a
# place in a stream. They are bits only where there is no such place: of relu, and of a caller's
# mask that was stored as bits or skips some of its stream.
#
# Threads are those of PyTorch, which lends them (see `lend_threads`). The pool of this package
# would fight them for the cores: they go on spinning for a while after each operation. Without
# them a call uses one thread.
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

cimport numpy as cnp
from numpy cimport ndarray

from fastdrop.apply._apply cimport job_of
from fastdrop.apply._broadcast cimport Broadcast
from fastdrop.apply._broadcast import Broadcast
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
    fd_parallel_for,
    fd_seeded,
    fd_tagged,
    fd_threshold,
)
from fastdrop.mask._bits cimport padded_bits
from fastdrop.mask._decisions cimport Decisions, decisions_at, decisions_of
from fastdrop.mask._mask cimport Mask
from fastdrop.mask._probability cimport multiplier
from fastdrop.source._source cimport Source
from fastdrop.torch._memory cimport dense, describe

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
        Strides, in elements, of the dense layout in whose memory order the decisions are taken:
        tensors must have it, or be copied to it.
    broadcast : Broadcast or None
        How the elements of that layout share the decisions. None: each has its own.
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
        """Return the mask that begins with the ``first``-th decision of a place."""
        cdef TensorMask mask = self.copy()
        mask.decisions = decisions_at(ENDLESS, self.decisions.later(first))
        return mask

    def repeated(self, Py_ssize_t count, Py_ssize_t size):
        """Return the mask of ``count`` tensors in a row, each of ``size`` elements.

        Each of them has this mask.
        """
        cdef TensorMask mask = self.copy()
        mask.strides = (size, *self.strides)
        mask.broadcast = (self.broadcast or Broadcast((size,), (1,))).repeated(count)
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
            _held = self.numbers.lay_factors(self.shape, None, &laid)
            job.each = &laid
        self.run(&job, x, None, y, threads)

    def add(self, x, residual, bias, y, size_t threads):
        """Write ``residual + (kept ? (x + bias) * scale : 0)`` to ``y``; otherwise as `apply`.

        ``bias`` is None, or has numbers that follow the memory order in each row, and enough rows
        for a `TILE` from any of the numbers.
        """
        cdef fd_job job = job_of(
            FD_ADD if bias is None else FD_ADD_BIAS, self.scale
        )
        set_bias(&job, bias, x)
        self.run(&job, x, residual, y, threads)

    def relu(self, x, bias, y, size_t threads):
        """Write ``kept and not x <= 0 ? x * scale : 0`` to ``y``; otherwise as `apply`.

        ``bias`` is as of `add`; with it, x is ``x + bias``.

        Returns
        -------
        mask : TensorMask
            Of those elements, with bits.
        """
        cdef fd_job job = job_of(FD_RELU if bias is None else FD_RELU_BIAS, self.scale)
        cdef TensorMask mask = self.copy()
        cdef dense of_x
        cdef ndarray bits
        describe(x, &of_x)
        bits = padded_bits(of_x.n)
        bits[:] = 0
        mask.decisions = decisions_of((of_x.n,), bits)
        mask.broadcast = None
        job.changed = <uint8_t *>cnp.PyArray_DATA(bits)
        set_bias(&job, bias, x)
        self.run(&job, x, None, y, threads)
        return mask

    cdef int run(self, fd_job *job, x, other, y, size_t threads) except -1:
        cdef fd_any_mask mask
        cdef fd_arrays arrays
        cdef fd_executor executor = engine.lent(threads)
        cdef dense of_x, of_y, of_other
        cdef bint shares = self.broadcast is not None and self.broadcast.laid.ndim > 0
        describe(x, &of_x)
        describe(y, &of_y)
        of_other = of_x
        if other is not None:
            describe(other, &of_other)
        if of_x.type == NULL:
            raise TypeError(f"x has dtype {x.dtype}; it must be of floats or complex numbers")
        if (
            of_y.n != of_x.n or of_y.type != of_x.type
            or of_other.n != of_x.n or of_other.type != of_x.type
            or self.needed(of_x.n) > <size_t>self.decisions.size
        ):
            raise RuntimeError(f"a tensor of {of_x.n} elements is not of the mask's size and dtype")
        if of_x.n == 0:
            return 0
        cdef fd_cursor cursor = self.decisions.start
        # Bits are drawn on this thread: the package's pool would fight PyTorch's for the cores.
        cdef fd_executor alone = engine.lent(1)
        cdef ndarray _held = self.decisions.tell(
            &mask, self.broadcast.shared if shares else 0, &cursor, None, &alone
        )
        if shares:
            mask.broadcast = &self.broadcast.laid
        job.kernels = engine.kernels()
        job.mask = &mask
        job.dtype, job.components = of_x.type.dtype, of_x.type.components
        arrays.x, arrays.y = of_x.data, <char *>of_y.data
        arrays.other = NULL
        if other is not None:
            arrays.other = of_other.data
        job.past_caches = engine.are_past_caches(
            &arrays, of_x.n * fd_number_size(job.dtype) * <size_t>job.components
        )
        with nogil:
            engine.apply(job, &cursor, of_x.n, arrays, &executor)
        return 0

    cdef size_t needed(self, size_t n) except? 0:
        """Return how many decisions a tensor of ``n`` elements needs."""
        if self.broadcast is None or n == 0:
            return n
        if self.broadcast.elements != n:
            raise RuntimeError(
                f"a tensor has {n} elements; must be {self.broadcast.elements}, as of the mask"
            )
        return self.broadcast.shared

    def write_kept(self, out):
        """Write the decisions of a place to ``out``, a dense tensor of bools: True where kept."""
        cdef dense kept
        cdef fd_executor alone = engine.lent(1)
        cdef fd_cursor cursor = self.decisions.start
        describe(out, &kept)
        if kept.code != DL_BOOL:
            raise TypeError(f"out has dtype {out.dtype}; must be torch.bool")
        self.decisions.draw(<void *>kept.data, True, kept.n, &cursor, &alone)


cdef int set_bias(fd_job *job, bias, x) except -1:
    cdef dense rows, of_x
    if bias is None:
        return 0
    describe(bias, &rows)
    describe(x, &of_x)
    if rows.n < rows.row + FD_TILE or rows.type != of_x.type:
        raise RuntimeError(f"bias has {rows.n} numbers, in rows of {rows.row}")
    job.bias, job.bias_period = rows.data, rows.row
    return 0


cdef TensorMask laid_mask(Decisions decisions, double scale, tuple strides, Broadcast broadcast):
    cdef TensorMask mask = TensorMask.__new__(TensorMask)
    mask.decisions, mask.scale = decisions, scale
    mask.strides, mask.broadcast = strides, broadcast
    mask.shift = mask.dropped = 0.0
    return mask


cdef fd_threshold threshold_of(double p, bint keeps) except *:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p is {p}; must be in [0, 1]")
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


def mask_from_words(words, double p, tuple strides, Broadcast broadcast=None, bint keeps=False):
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
    cdef dense given
    cdef fd_seeded seeded
    describe(words, &given)
    if given.code != DL_INT or given.bits != 64 or given.n != 4 or given.row != 4:
        raise ValueError(f"words has {given.n} numbers; must be 4 of int64 in a row")
    place_at_words(&given, &seeded)
    seeded.threshold = threshold_of(p, keeps)
    return laid_mask(decisions_at(ENDLESS, seeded), scale_of(p, keeps), strides, broadcast)


def mask_from_source(Source source, uint64_t decisions, double p, tuple strides,
                     Broadcast broadcast=None):
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
    cdef Decisions drawn = Decisions.__new__(Decisions)
    drawn.reserve(source, (decisions,), threshold_of(p, False))
    return laid_mask(drawn, scale_of(p, False), strides, broadcast)


def mask_of_arrays(Mask given, tuple shape, tuple strides, Broadcast broadcast=None):
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
    cdef TensorMask mask = laid_mask(
        given, multiplier(given.factor, given.drop), strides, broadcast
    )
    if given.strides is not None:
        mask.decisions = decisions_of(given.shape, given.all_bits())
    if given.numbers is not None and given.numbers.scales_each():
        mask.numbers, mask.shape, mask.scale = given.numbers, shape, 1.0
    return mask
