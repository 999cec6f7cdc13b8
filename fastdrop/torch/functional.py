# SPDX-License-Identifier: BSD-3-Clause
"""Dropout functions with the signatures of PyTorch's, and with a seed.

`dropout` documents the arguments. The other functions say only where they differ. One function,
`drop_any` of `_drop`, does the work of all.
"""

from __future__ import annotations

from typing import Never, TypeAlias

import torch

from fastdrop._typing import AxesLike, NoiseShapeLike, SeedLike
from fastdrop._words import HALF, public, refuse
from fastdrop.torch._drop import drop_any, drop_as_operator
from fastdrop.torch._dtensor import drop_dtensor, takes_dtensor
from fastdrop.torch._given import Given, drop_given
from fastdrop.torch._mask import RNG

__all__ = [
    "alpha_dropout",
    "drop_as_operator",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

Seed: TypeAlias = SeedLike | None


@public("fastdrop.torch")
def dropout(
    input: torch.Tensor,
    p: float | torch.Tensor = HALF,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    broadcast_dims: AxesLike | None = None,
    noise_shape: NoiseShapeLike | None = None,
    mask: Given | None = None,
    **words: Never,
) -> torch.Tensor:
    """Drop elements of ``input`` at random with probability ``p``, and scale the others.

    It does the same as ``torch.nn.functional.dropout``, faster on CPUs, and with a seed. For
    backward, it keeps the seed of the mask and no tensor.

    Parameters
    ----------
    input : torch.Tensor
        A tensor of float16, bfloat16, float32, float64, complex64 or complex128, of any shape and
        layout. The result has the same shape and layout.
    p : float or torch.Tensor, default 0.5
        Probability of dropping an element, in [0, 1]. A tensor broadcasts to the decisions and gets
        no gradient. It needs a seed or a source as rng.
    training : bool, default True
        False returns input itself.
    inplace : bool, default False
        Write to input.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        Where the mask comes from. None is PyTorch's default generator, so ``torch.manual_seed``
        decides the mask. A seed gives the same mask in every call, on any machine and number of
        threads. It is the mask of ``fastdrop.dropout(x, p, rng=seed)`` for NumPy arrays. A source
        of fastdrop advances by one position per element.
    seed : int, sequence of int or SeedSequence, optional
        The old name of ``rng``. It warns.
    broadcast_dims : int or sequence of int, optional
        The dimensions along which elements share a decision.
    noise_shape : sequence of int or None, optional
        Instead of broadcast_dims: the shape of the decisions, which broadcasts to input's. None
        stands for input's length.
    mask : Mask or torch.Tensor or ndarray of bool, optional
        A mask to apply instead of drawing one. Its shape broadcasts to input's. A `fastdrop.Mask`,
        or a window of one, has its own p and scale. Bools are True where an element is kept. They
        need p.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout: ``input / (1 - p)`` where kept, 0 where dropped.

    Raises
    ------
    TypeError
        If two arguments exclude each other (``seed`` and ``rng``, broadcast_dims and noise_shape, a
        Mask and any of these or p), if bools are given without p, or if an argument has a wrong
        type.
    ValueError
        If p is outside [0, 1] or NaN, or a shape or dimension does not fit.

    See Also
    --------
    fastdrop.dropout : The same for NumPy arrays, with the papers.

    Notes
    -----
    At p = 0, input itself is returned and nothing is drawn, as in PyTorch. But a source of fastdrop
    advances, as it does for NumPy arrays.

    With a seed or a source, the mask follows the order of input's indices, for any layout. With a
    generator of PyTorch, it follows the order of input's memory, which is faster for layouts such
    as channels-last.

    For tensors of other devices, rng may be a `fastdrop.Philox4x32`. PyTorch's own operations then
    make the same masks. Without rng, ``torch.nn.functional.dropout`` handles these tensors. In
    traced programs, a mask must be a tensor of bools.

    With a seed, a source or a Mask, input may be a DTensor. Then each process drops its own part,
    by its window of the mask of the whole tensor. If rng is a source, all processes must have an
    equal one. The DTensor must be sharded or replicated. Without rng, PyTorch's own dispatch
    handles it.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.ones(2, 4)
    >>> fastdrop.torch.dropout(x, p=0.5, rng=1)
    tensor([[0., 2., 0., 2.],
            [0., 2., 0., 0.]])

    The second row of this result, by a window of its mask:

    >>> import fastdrop as fd
    >>> mask = fd.dropout_mask((2, 4), p=0.5, rng=1)
    >>> fastdrop.torch.dropout(x[1:], mask=mask[1:])
    tensor([[0., 2., 0., 0.]])
    """
    if late or words:
        refuse(dropout, late, words)
    if mask is None and p is HALF:
        p = 0.5
    options = {"broadcast_dims": broadcast_dims, "noise_shape": noise_shape}
    if type(input) is not torch.Tensor and takes_dtensor(input, rng, seed, mask):
        return drop_dtensor(dropout, input, p, training, inplace, rng, seed, mask, options)
    if broadcast_dims is None and noise_shape is None and mask is None:
        return drop_any(dropout, input, p, training, inplace, rng, seed)
    if mask is not None:
        return drop_given(dropout, input, p, training, inplace, rng, seed, mask, options)
    return drop_any(dropout, input, p, training, inplace, rng, seed, options=options)


@public("fastdrop.torch")
def dropout1d(
    input: torch.Tensor,
    p: float | torch.Tensor = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, L)`` or ``(C, L)``, with one decision for each.

    Arguments, result and errors are those of `dropout`. But a source advances by one position per
    channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, L) or (C, L).
    p : float or torch.Tensor, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    RuntimeError
        If input has another number of axes, as in PyTorch's function.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.dropout1d(torch.ones(1, 3, 2), p=0.5, rng=1)
    tensor([[[0., 0.],
             [2., 2.],
             [0., 0.]]])
    """
    if late or words:
        refuse(dropout1d, late, words)
    return drop_any(dropout1d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def dropout2d(
    input: torch.Tensor,
    p: float | torch.Tensor = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, H, W)``, with one decision for each.

    Arguments, result and errors are those of `dropout`. But a source advances by one position per
    channel. The axes of input after the first two belong to a channel. Another number of axes than
    4 warns, as in PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, H, W). Three axes are (N, C, L), with a warning, as in PyTorch's function.
        In `fastdrop.dropout2d`, for NumPy arrays, they are (C, H, W), one image.
    p : float or torch.Tensor, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.dropout2d(torch.ones(8, 16, 5, 5), p=0.5, rng=1)
    >>> sorted(set(y.sum((2, 3)).flatten().tolist()))
    [0.0, 50.0]
    """
    if late or words:
        refuse(dropout2d, late, words)
    return drop_any(dropout2d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def dropout3d(
    input: torch.Tensor,
    p: float | torch.Tensor = 0.5,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``, with one decision for each.

    Arguments, result and errors are those of `dropout`. But a source advances by one position per
    channel. Another number of axes warns, as in PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, D, H, W) or (C, D, H, W).
    p : float or torch.Tensor, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.dropout3d(torch.ones(8, 16, 2, 5, 5), p=0.5, rng=1)
    >>> sorted(set(y.sum((2, 3, 4)).flatten().tolist()))
    [0.0, 100.0]
    """
    if late or words:
        refuse(dropout3d, late, words)
    return drop_any(dropout3d, input, p, training, inplace, rng, seed, features=True)


@public("fastdrop.torch")
def alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    broadcast_dims: AxesLike | None = None,
    **words: Never,
) -> torch.Tensor:
    """Drop elements: set them to SELU's negative limit, so that mean and variance stay the same.

    Arguments and errors are those of `dropout`, but the default of ``training`` is PyTorch's. The
    result is ``a * input + b`` where an element is kept. Where it is dropped, the same map is
    applied to SELU's limit at minus infinity [1]_.

    Parameters
    ----------
    input : torch.Tensor
        A tensor of float16, bfloat16, float32 or float64, of any shape and layout. The result has
        the same shape and layout.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default False
        As in `dropout`. The default is PyTorch's.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.
    seed : int, sequence of int or SeedSequence, optional
        As in `dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural
       networks", NeurIPS 2017, section "New dropout technique".

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.alpha_dropout(torch.randn(100000), p=0.2, training=True, rng=1)
    >>> bool(y.std() > 0.98) and bool(y.std() < 1.02)
    True
    """
    if late or words:
        refuse(alpha_dropout, late, words)
    options = {} if broadcast_dims is None else {"broadcast_dims": broadcast_dims}
    return drop_any(
        alpha_dropout, input, p, training, inplace, rng, seed, alpha=True, options=options
    )


@public("fastdrop.torch")
def feature_alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole channels: set them to SELU's negative limit, with one decision for each.

    Arguments, result and errors are those of `alpha_dropout`. But a source advances by one position
    per channel, and input has at least two axes, batch and channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, ...).
    p : float, default 0.5
        As in `alpha_dropout`.
    training : bool, default False
        As in `alpha_dropout`.
    inplace : bool, default False
        As in `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `alpha_dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As in `alpha_dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> y = fastdrop.torch.feature_alpha_dropout(torch.zeros(4, 8, 3), p=0.5, training=True, rng=1)
    >>> len(y.unique())
    2
    """
    if late or words:
        refuse(feature_alpha_dropout, late, words)
    return drop_any(
        feature_alpha_dropout, input, p, training, inplace, rng, seed, features=True, alpha=True
    )
