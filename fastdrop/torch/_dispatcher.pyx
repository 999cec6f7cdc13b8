# SPDX-License-Identifier: BSD-3-Clause
# Design: registers the kernels of dispatcher/, after it has found what they need of this
# PyTorch: the addresses of functions, and where in a tensor its set of dispatch keys lies.
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcpy, memset

from fastdrop.kernels._kernels cimport (
    FD_DTYPES,
    FD_FLOAT32,
    FD_FLOAT64,
    engine,
    fd_affine,
    fd_alpha_numbers,
    fd_any_mask,
    fd_api,
    fd_arrays,
    fd_cursor,
    fd_dtype,
    fd_executor,
    fd_job,
)
from fastdrop.apply._dtypes cimport DL_BOOL
from fastdrop.torch._memory cimport dense, describe
from fastdrop.torch._tensor cimport place_at_words


cdef extern from "dispatcher/kernels.h" nogil:
    enum:
        FD_SMALL
        FD_WORDS

    ctypedef struct tensor:
        void *impl

    ctypedef struct pytorch_functions:
        pass

    ctypedef struct fd_dispatcher:
        const fd_api *engine
        size_t key_set_offset
        uint64_t plain[2]
        uint16_t watching[3]
        uint64_t in_python[2]
        tensor ones[FD_DTYPES]
        tensor a_bool
        tensor words[FD_WORDS]
        tensor drawn[FD_WORDS]

    ctypedef struct fd_asked:
        pass

    const char *const *fd_pytorch_names
    pytorch_functions fd_pytorch
    fd_dispatcher fd_dispatch
    int fd_register_kernels()
    ctypedef enum fd_served:
        FD_BY_PYTORCH
        FD_BY_ALL
        FD_BY_PYTHON

    void fd_dispatch_serve(fd_served by)
    bint fd_dispatch_takes(const tensor *x, double p, bint features, bint alpha, fd_asked *asked)


SMALL = FD_SMALL
WORDS = FD_WORDS

# Bytes that every c10::TensorImpl has: those of PyTorch 2.13 on a 64-bit machine.
cdef enum:
    LEAST_SIZE = 176

cdef bint is_registered = False
cdef list held = []  # tensors that the kernels use


def function_names():
    """Return the names of PyTorch's functions that the kernels call; empty where there are none."""
    cdef list names = []
    cdef const char *const *name = fd_pytorch_names
    while name != NULL and name[0] != NULL:
        names.append((<bytes>name[0]).decode())
        name += 1
    return names


def find_key_set(samples):
    """Find where tensors hold their dispatch keys.

    Parameters
    ----------
    samples : list of (tensor, int)
        Tensors, and the keys that each of them has.

    Returns
    -------
    offset : int or None
        The one offset, in bytes, at which every tensor has its keys; None if there is no such one.
    """
    cdef size_t offset
    cdef uint64_t there
    cdef list offsets = list(range(0, LEAST_SIZE, 8))
    for x, keys in samples:
        for offset in list(offsets):
            memcpy(&there, <const char *><size_t>x._cdata + offset, sizeof(there))
            if there != <uint64_t>keys:
                offsets.remove(offset)
    return offsets[0] if len(offsets) == 1 else None


def register(addresses, offset, plain, watching, in_python, ones, words):
    """Give the kernels to PyTorch's dispatcher; return whether it takes them.

    Parameters
    ----------
    addresses : list of int
        Of the functions of `function_names`.
    offset : int
        As in `find_key_set`.
    plain, watching, in_python : list of int
        Sets of keys of plain tensors; keys that are included where somebody looks on; sets of keys
        of the kernels in Python, above autograd and below it.
    ones : list of torch.Tensor
        `SMALL` ones of float16, bfloat16, float32, float64 and bool.
    words : list of (torch.Tensor, torch.Tensor)
        `WORDS` pairs of 4 numbers of int64 and a view of those that are drawn.

    Returns
    -------
    registered : bool
    """
    cdef size_t address
    cdef char *function = <char *>&fd_pytorch
    for address in addresses:
        memcpy(function, &address, sizeof(address))
        function += sizeof(address)
    fd_dispatch.engine = engine
    fd_dispatch.key_set_offset = offset
    for i in range(2):
        fd_dispatch.plain[i], fd_dispatch.in_python[i] = plain[i], in_python[i]
    for i in range(3):
        fd_dispatch.watching[i] = watching[i]
    for i in range(<int>FD_DTYPES):
        fd_dispatch.ones[i].impl = <void *><size_t>ones[i]._cdata
    fd_dispatch.a_bool.impl = <void *><size_t>ones[<int>FD_DTYPES]._cdata
    for i in range(FD_WORDS):
        fd_dispatch.words[i].impl = <void *><size_t>words[i][0]._cdata
        fd_dispatch.drawn[i].impl = <void *><size_t>words[i][1]._cdata
    held.extend((ones, words))
    global is_registered
    is_registered = fd_register_kernels() == 0
    return is_registered


def serve(bint on, bint in_c=True):
    """Say who serves PyTorch's dropout from now on.

    Parameters
    ----------
    on : bool
        False: PyTorch's own code.
    in_c : bool, default True
        False: the kernels in Python serve small calls too.
    """
    fd_dispatch_serve(FD_BY_PYTORCH if not on else FD_BY_ALL if in_c else FD_BY_PYTHON)


def alpha_numbers(double p):
    """Return (scale, shift, dropped) of alpha dropout, as the kernels in C compute them."""
    cdef fd_affine numbers = fd_alpha_numbers(p)
    return numbers.scale, numbers.shift, numbers.dropped


def takes(x, double p, bint features, bint alpha):
    """Return whether the kernels take a call with a backward pass, for which they keep bools.

    Parameters
    ----------
    x : torch.Tensor
        A plain tensor.
    p : float
        Probability of dropping.
    features, alpha : bool
        Of whole features; alpha dropout.
    """
    cdef tensor given
    cdef fd_asked asked
    given.impl = <void *><size_t>x._cdata
    return is_registered and fd_dispatch_takes(&given, p, features, alpha, &asked)


def are_probabilities(p):
    """Return whether all numbers of a dense tensor of float32 or float64 are in [0, 1]."""
    cdef dense of_p
    describe(p, &of_p)
    return bool(engine.are_probabilities(of_p.data, dtype_of_p(&of_p), of_p.n))


cdef fd_dtype dtype_of_p(dense *p) except *:
    if p.type == NULL or p.type.components != 1 or p.type.dtype not in (FD_FLOAT32, FD_FLOAT64):
        raise TypeError("probabilities must be of float32 or float64")
    return p.type.dtype


def fill_bernoulli(words, p, out, size_t threads):
    """Write ones with the probabilities ``p``, and zeros.

    Parameters
    ----------
    words : torch.Tensor
        Four numbers of int64 in a row: key, counter (low, high) and position.
    p : torch.Tensor
        Of float32 or float64, all in [0, 1].
    out : torch.Tensor
        Of floats or bools. Both are dense, and elements that lie at one place belong together.
    threads : int
        The most threads to use.
    """
    cdef dense of_p, of_out, given
    cdef fd_any_mask mask
    cdef fd_job job
    cdef fd_arrays arrays
    cdef fd_cursor cursor
    cdef fd_executor executor = engine.lent(threads)
    describe(words, &given)
    describe(p, &of_p)
    describe(out, &of_out)
    if of_p.n != of_out.n or given.n != 4:
        raise RuntimeError(f"there must be {of_out.n} probabilities, not {of_p.n}")
    memset(&mask, 0, sizeof(mask))
    memset(&job, 0, sizeof(job))
    memset(&cursor, 0, sizeof(cursor))
    job.kernels, job.mask = engine.kernels(), &mask
    job.dtype_of_p = dtype_of_p(&of_p)
    job.as_bytes = of_out.code == DL_BOOL
    if of_out.type != NULL and of_out.type.components == 1:
        job.dtype = of_out.type.dtype
    elif not job.as_bytes:
        raise TypeError(f"out must be of floats or bools, not of {out.dtype}")
    place_at_words(&given, &mask.seeded)
    arrays.x, arrays.other, arrays.y = of_p.data, NULL, <char *>of_out.data
    with nogil:
        engine.bernoulli(&job, &cursor, of_p.n, arrays, &executor)
