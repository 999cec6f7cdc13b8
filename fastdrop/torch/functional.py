# SPDX-License-Identifier: BSD-3-Clause
"""Dropout functions with the signatures of PyTorch's, and with a seed.

What their arguments mean is written once, at `dropout`; the others say where they differ. One
function, `drop_any` of `_drop`, does the work of all.
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

    As ``torch.nn.functional.dropout``, faster on CPUs, and with a seed. Backward keeps the seed
    of the mask and no tensor.

    Parameters
    ----------
    input : torch.Tensor
        Of float16, bfloat16, float32, float64, complex64 or complex128, of any shape and layout,
        which the result preserves.
    p : float or torch.Tensor, default 0.5
        Probability of dropping an element, in [0, 1]. A tensor broadcasts to the decisions, gets
        no gradient, and needs rng that is a seed or a source.
    training : bool, default True
        False returns input itself.
    inplace : bool, default False
        Write to input.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        Where the mask comes from. None: PyTorch's default generator, so ``torch.manual_seed``
        rules it. A seed: the same mask for every call, on any machine and number of threads, and
        the mask of ``fastdrop.dropout(x, p, rng=seed)`` on NumPy arrays. A source of fastdrop
        advances by one position per element.
    seed : int, sequence of int or SeedSequence, optional
        The old name of ``rng``. It warns.
    broadcast_dims : int or sequence of int, optional
        The dimensions along which one decision is shared.
    noise_shape : sequence of int or None, optional
        Instead of broadcast_dims: the shape of the decisions, which broadcasts to input's. None
        entries take input's length.
    mask : Mask or torch.Tensor or ndarray of bool, optional
        A mask to apply instead of drawing one. Its shape broadcasts to input's. A
        `fastdrop.Mask`, or a window of one, brings its own p and scale. Bools, True where kept,
        need p.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout: ``input / (1 - p)`` where kept, 0 where dropped.

    Raises
    ------
    TypeError
        If two arguments exclude each other (``seed`` and ``rng``, broadcast_dims and noise_shape, a
        Mask and any of these or p), if bools are given without p, or if an argument is of another
        type.
    ValueError
        If p is outside [0, 1] or NaN, or a shape or dimension does not fit.

    See Also
    --------
    fastdrop.dropout : The same for NumPy arrays. It and its relatives name their papers.

    Notes
    -----
    At p = 0 input itself is returned and nothing is drawn, as by PyTorch; but a source of fastdrop
    advances, as it does for arrays.

    With a seed or a source the mask follows the order of input's indices, whatever its layout. With
    a generator of PyTorch it follows the order of input's memory, which is faster for layouts such
    as channels-last.

    Tensors of other devices have the same masks of a `fastdrop.Philox4x32`, the one source that
    such devices take, by PyTorch's own operations. Without rng they are PyTorch's business: they go
    to ``torch.nn.functional.dropout``. Traced programs take masks that are tensors of bool.

    Of a DTensor, with a seed, a source or a Mask, each process drops the part that it has, by its
    window of the mask of the whole. Of rng that is a source, each must have its like. The DTensor
    must be sharded or replicated. Without rng it is PyTorch's business.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.ones(2, 4)
    >>> fastdrop.torch.dropout(x, p=0.5, rng=1)
    tensor([[0., 2., 0., 2.],
            [0., 2., 0., 0.]])

    The second row of that, by a window of its mask:

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

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position per channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, L) or (C, L).
    p : float or torch.Tensor, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    RuntimeError
        If input has another number of axes, as PyTorch's function.

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

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position per channel. Axes of input beyond the first two are those of a channel. A number of
    axes other than 4 is warned of, as by PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, H, W). Three axes are (N, C, L), with a warning, as for PyTorch's function;
        for `fastdrop.dropout2d` of NumPy arrays they are (C, H, W), one image.
    p : float or torch.Tensor, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

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

    Arguments, result and errors are those of `dropout`, but that a source advances by one
    position per channel. Another number of axes is warned of, as by PyTorch.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, D, H, W) or (C, D, H, W).
    p : float or torch.Tensor, default 0.5
        As of `dropout`.
    training : bool, default True
        As of `dropout`.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.

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
    """Drop elements to SELU's negative limit, so that mean and variance stay as they are.

    Arguments, result and errors are those of `dropout`, but for the default of ``training``,
    which is PyTorch's, and for the values: ``a * input + b`` where kept, and where dropped what
    SELU's limit at minus infinity becomes by the same map [1]_.

    Parameters
    ----------
    input : torch.Tensor
        Of float16, bfloat16, float32 or float64, of any shape and layout, which the result
        preserves.
    p : float, default 0.5
        As of `dropout`.
    training : bool, default False
        As of `dropout`. The default is PyTorch's.
    inplace : bool, default False
        As of `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `dropout`.
    seed : int, sequence of int or SeedSequence, optional
        As of `dropout`.
    broadcast_dims : int or sequence of int, optional
        As of `dropout`.

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
    """Drop whole channels to SELU's negative limit, with one decision for each.

    Arguments, result and errors are those of `alpha_dropout`, but that a source advances by one
    position per channel. input has at least two axes, batch and channel.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (N, C, ...).
    p : float, default 0.5
        As of `alpha_dropout`.
    training : bool, default False
        As of `alpha_dropout`.
    inplace : bool, default False
        As of `alpha_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As of `alpha_dropout`. A source of fastdrop advances by one position per channel.
    seed : int, sequence of int or SeedSequence, optional
        As of `alpha_dropout`.

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
