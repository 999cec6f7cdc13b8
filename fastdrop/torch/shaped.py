# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of whole samples and rows."""

from __future__ import annotations

from typing import Never

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from fastdrop._checks import check_choice, check_p, check_switch
from fastdrop._typing import Scale
from fastdrop._words import public, refuse
from fastdrop.functional.dropout import SCALES
from fastdrop.torch._apply import as_tensor, check_floats
from fastdrop.torch._autograd import check_in_place
from fastdrop.torch._drawing import DrawingInPlace, DrawingOne, as_node, is_leaf
from fastdrop.torch._mask import RNG, drops, settled
from fastdrop.torch._ways import check_rng, kept_decisions, times
from fastdrop.torch.functional import dropout

__all__ = [
    "DropPath",
    "EmbeddingDropout",
    "drop_path",
    "embedding_dropout",
]

_transforming = torch._C._are_functorch_transforms_active


# ---- samples -------------------------------------------------------------------------------------


@public("fastdrop.torch")
def drop_path(
    input: torch.Tensor,
    p: float,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    scale: Scale = "train",
    **words: Never,
) -> torch.Tensor:
    """Drop whole samples of a residual branch: stochastic depth.

    Parameters
    ----------
    input : torch.Tensor
        Output of the branch, of shape (N, ...). Each of the N samples has one decision.
    p : float
        Probability of dropping the branch for a sample. `fastdrop.drop_path_rates` returns a
        schedule.
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per sample.
    scale : {"train", "test", "none"}, default "train"
        "train" divides kept samples by 1 - p in training. "test" is the paper's form: it multiplies
        all samples by ``1 - p`` in evaluation instead. "none" does neither.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if input has no axes.

    See Also
    --------
    fastdrop.drop_path : The same for NumPy arrays, and its paper.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.drop_path(torch.ones(4, 2), p=0.5, rng=1)
    tensor([[0., 0.],
            [2., 2.],
            [0., 0.],
            [2., 2.]])
    """
    if late or words:
        refuse(drop_path, late, words)
    p = check_p(p)
    check_choice("scale", scale, SCALES)
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_unary(input):  # a subclass or a mode
        arguments = input, p, training, inplace
        y: torch.Tensor = handle_torch_function(
            drop_path, (input,), *arguments, rng=rng, scale=scale
        )
        return y
    check_floats("input", input)
    x = as_tensor(input)
    if not x.dim():
        raise ValueError("input must have shape (N, ...), of N samples, not ()")
    if scale == "train":
        noise_shape = (None, *(1,) * (x.dim() - 1))
        y = dropout(x, p, training, inplace, rng=rng, noise_shape=noise_shape)
        return input if y is x else y
    training, inplace = check_switch("training", training), check_switch("inplace", inplace)
    drawn = drops(p, training, rng)
    if not drawn:
        check_rng(input, rng)
        if training or scale == "none":
            return input
    if inplace and not torch.compiler.is_compiling() and not _transforming():
        check_in_place(input)
    if not drawn:
        y = times(x, 1.0 - p)
        return input.copy_(y) if inplace else y
    shared = (x.shape[0], *(1,) * (x.dim() - 1))
    y = dropout(x, 0.0, True, inplace, mask=kept_decisions(x, p, rng, shared))
    return input if y is x else y


class DropPath(DrawingInPlace):
    """`fastdrop.torch.drop_path` as a module: whole samples of a residual branch.

    Parameters
    ----------
    p : float
        Probability of dropping the branch for a sample, in [0, 1].
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    scale : {"train", "test", "none"}, default "train"
        As in `drop_path`.

    Examples
    --------
    >>> import torch, fastdrop as fd, fastdrop.torch
    >>> [fastdrop.torch.DropPath(p) for p in fd.drop_path_rates(2, 0.5)]
    [DropPath(p=0.0, inplace=False), DropPath(p=0.5, inplace=False)]
    >>> layer = fastdrop.torch.DropPath(0.5, scale="test")
    >>> layer.eval()(torch.ones(3))
    tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self, p: float, inplace: bool = False, *, rng: RNG = None, scale: Scale = "train"
    ) -> None:
        super().__init__(p, inplace, rng=rng)
        check_choice("scale", scale, SCALES)
        self._share(scale=None if scale == SCALES[0] else scale)

    _function = staticmethod(drop_path)


# ---- rows ----------------------------------------------------------------------------------------


@public("fastdrop.torch")
def embedding_dropout(
    weight: torch.Tensor,
    p: float,
    training: bool = True,
    *late: Never,
    rng: RNG = None,
    **words: Never,
) -> torch.Tensor:
    """Drop whole rows of an embedding table: words, wherever they occur.

    Parameters
    ----------
    weight : torch.Tensor
        The table, of shape (V, D). Each of the V words has one decision.
    p : float
        Probability of dropping a word, in [0, 1].
    training : bool, default True
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per word.

    Returns
    -------
    y : torch.Tensor
        The table with dropped rows, for ``torch.nn.functional.embedding``.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if weight does not have two axes.

    See Also
    --------
    fastdrop.embedding_dropout : The same for NumPy arrays, and its paper.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> table = fastdrop.torch.embedding_dropout(torch.ones(4, 2), p=0.5, rng=1)
    >>> torch.nn.functional.embedding(torch.tensor([0, 1, 1, 3]), table)
    tensor([[0., 0.],
            [2., 2.],
            [2., 2.],
            [2., 2.]])
    """
    if late or words:
        refuse(embedding_dropout, late, words)
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_unary(weight):  # a subclass or a mode
        y: torch.Tensor = handle_torch_function(
            embedding_dropout, (weight,), weight, p, training, rng=rng
        )
        return y
    check_floats("weight", weight)
    table = as_tensor(weight)
    if table.dim() != 2:
        raise ValueError(f"weight must have shape (words, features), not {tuple(table.shape)}")
    y = dropout(table, p, training, rng=rng, noise_shape=(None, 1))
    return weight if y is table else y


class EmbeddingDropout(DrawingOne):
    """`fastdrop.torch.embedding_dropout` as a module: whole rows of a table ``(V, D)``.

    Its input is the table. Look up words in the table that it returns. You can register it as a
    parametrization. Then it drops the table of a module at each call of this module.

    Parameters
    ----------
    p : float
        Probability of dropping a word, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> from torch.nn.utils.parametrize import register_parametrization
    >>> embedding = torch.nn.Embedding.from_pretrained(torch.ones(4, 2), freeze=False)
    >>> layer = fastdrop.torch.EmbeddingDropout(0.5, rng=1)
    >>> embedding = register_parametrization(embedding, "weight", layer, unsafe=True)
    >>> embedding.eval()(torch.tensor([0, 1]))
    tensor([[1., 1.],
            [1., 1.]], grad_fn=<EmbeddingBackward0>)
    """

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the table under a new mask. In evaluation, return the table itself."""
        if is_leaf(self, weight):
            return as_node(self, weight)
        return embedding_dropout(weight, self.p, self.training, rng=self.rng)
