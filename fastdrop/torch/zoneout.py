# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of the changes of a state: an element keeps its old value instead of becoming 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Never

import torch
from torch.autograd import Function, forward_ad
from torch.overrides import handle_torch_function, has_torch_function_variadic

from fastdrop._checks import check_p, check_switch
from fastdrop._typing import AxesLike
from fastdrop._words import public, refuse
from fastdrop.torch._apply import as_tensor, check_floats, is_plain
from fastdrop.torch._autograd import drop
from fastdrop.torch._drawing import DrawingOne, as_node, is_leaf
from fastdrop.torch._mask import (
    RNG,
    Settled,
    addressable_source,
    decided_shape,
    draw_element_mask,
    drops,
    settled,
    source_mask,
)
from fastdrop.torch._operator import (
    check_operands,
    is_for_onnx,
    is_traced,
    kept_by_pytorch,
    laid_like,
    memory_order,
    strides_in_order,
    words_of,
)
from fastdrop.torch._relatives import select
from fastdrop.torch._tensor import TensorMask, mask_from_words
from fastdrop.torch._ways import check_rng, kept_decisions, times, way_of
from fastdrop.torch.functional import dropout

__all__ = ["Zoneout", "zoneout"]

_get_num_threads = torch.get_num_threads
_transforming = torch._C._are_functorch_transforms_active


@public("fastdrop.torch")
def zoneout(
    new: torch.Tensor,
    old: torch.Tensor,
    p: float,
    training: bool = True,
    *late: Never,
    rng: RNG = None,
    broadcast_dims: AxesLike | None = None,
    **words: Never,
) -> torch.Tensor:
    """Keep elements of the previous state of a recurrent network at random.

    In training, ``y = old`` with probability p, and ``new`` otherwise. In evaluation it is their
    mean, ``p * old + (1 - p) * new``.

    Parameters
    ----------
    new : torch.Tensor
        The state after a step, of a dtype of `dropout`, of any shape and layout.
    old : torch.Tensor
        The state before it, of the same shape. If the dtypes differ, as under autocast, the result
        has the dtype that PyTorch promotes both to.
    p : float
        Probability of keeping the old state, in [0, 1].
    training : bool, default True
        False is evaluation.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of new's shape and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if old has another shape.

    See Also
    --------
    fastdrop.zoneout : The same for NumPy arrays, and its paper.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> new, old = torch.full((8,), 2.0), torch.full((8,), 1.0)
    >>> fastdrop.torch.zoneout(new, old, p=0.5, rng=1)
    tensor([1., 2., 1., 2., 1., 2., 1., 1.])
    >>> fastdrop.torch.zoneout(new, old, p=0.5, training=False)
    tensor([1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000])
    """
    if late or words:
        refuse(zoneout, late, words)
    p = check_p(p)
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_variadic(new, old):  # a subclass or a mode
        options = {"rng": rng, "broadcast_dims": broadcast_dims}
        y: torch.Tensor = handle_torch_function(
            zoneout, (new, old), new, old, p, training, **options
        )
        return y
    check_floats("new", new)
    check_floats("old", old)
    new, old = as_tensor(new), as_tensor(old)
    if old.shape != new.shape:
        raise ValueError(f"old must have new's shape, {tuple(new.shape)}, not {tuple(old.shape)}")
    shared = None
    if broadcast_dims is not None:
        shared = decided_shape(tuple(new.shape), broadcast_dims)
    if new.dtype != old.dtype:
        dtype = torch.promote_types(new.dtype, old.dtype)
        new, old = new.to(dtype), old.to(dtype)
    if not check_switch("training", training):
        check_rng(new, rng)
        return _laid(new, _mean(new, old, p))
    if not drops(p, training, rng):
        check_rng(new, rng)
        return new
    if shared is not None:
        return _laid(new, torch.where(kept_decisions(new, p, rng, shared), new, old))
    way = way_of(new, rng)
    in_memory = rng is None or isinstance(rng, torch.Generator)
    if way == "operator":
        order = memory_order(new) if in_memory else None
        return torch.ops.fastdrop.select(new, old, words_of(rng), p, order)
    if way == "pytorch" or _transforming() or not (is_plain(new) and is_plain(old)):
        return _laid(new, torch.where(_kept(new, p, rng), new, old))
    return _select(new, old, _draw(new, p, rng))


def _kept(x: torch.Tensor, p: float, rng: Settled) -> torch.Tensor:
    """Return a decision for each element, in the order that x has in memory."""
    if is_traced(x) and is_for_onnx(rng):
        return kept_by_pytorch(x, p, tuple(x.shape), None)
    ones = torch.ones_like(x, dtype=torch.float32, requires_grad=False)
    return dropout(ones, p, rng=rng) > 0.0


def _laid(new: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return y if _transforming() else laid_like(new, y)


def _mean(new: torch.Tensor, old: torch.Tensor, p: float) -> torch.Tensor:
    """Return the mean of what zoneout gives: of halves, the sum is rounded once."""
    stayed = times(old, p)
    if new.dtype.itemsize == 2:
        return (new.float() * (1.0 - p) + stayed.float()).to(new.dtype)
    return times(new, 1.0 - p) + stayed


def _draw(x: torch.Tensor, p: float, rng: Settled) -> TensorMask:
    source = addressable_source(rng)
    if source is not None:
        return source_mask(x, p, source, None).with_scale(1.0)
    assert rng is None or isinstance(rng, torch.Generator)
    return draw_element_mask(x, p, rng).with_scale(1.0)


# ---- the choice between two tensors --------------------------------------------------------------


def _select(x: torch.Tensor, other: torch.Tensor, mask: TensorMask) -> torch.Tensor:
    """Return x where a mask keeps and ``other`` where it drops, with derivatives."""
    needed = torch.is_grad_enabled() and (x.requires_grad or other.requires_grad)
    if needed or forward_ad._current_level >= 0:
        y: torch.Tensor = _Select.apply(x, other, mask)
        return y
    return _run(x, other, mask)


def _run(x: torch.Tensor, other: torch.Tensor, mask: TensorMask) -> torch.Tensor:
    """Return the choice as a new tensor in x's layout."""
    y = torch.empty_like(x)
    parts = [part if is_plain(part) else torch.empty_like(y).copy_(part) for part in (x, other)]
    select(mask, parts[0], parts[1], y, _get_num_threads())
    return y


class _Select(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, other: torch.Tensor, mask: TensorMask) -> torch.Tensor:
        ctx.mask = mask
        return _run(x, other, mask)

    @staticmethod
    def backward(
        ctx: Any, dy: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        needs_x, needs_other, _ = ctx.needs_input_grad
        dx = drop(dy, ctx.mask) if needs_x else None
        dother = _rest(dy, ctx.mask) if needs_other else None
        return dx, dother, None

    @staticmethod
    def jvp(ctx: Any, dx: torch.Tensor, dother: torch.Tensor, _: None) -> torch.Tensor:
        return _run(dx, dother, ctx.mask)


def _rest(dy: torch.Tensor, mask: TensorMask) -> torch.Tensor:
    """Return dy where a mask drops, and 0 where it keeps."""
    return _select(torch.zeros_like(dy), dy, mask)


# ---- in traced programs --------------------------------------------------------------------------


def _check(
    x: torch.Tensor,
    other: torch.Tensor,
    words: torch.Tensor,
    p: float,
    order: Sequence[int] | None,
) -> None:
    check_operands(x, words, p, order)
    check_operands(other, words, p)
    if (other.shape, other.dtype) != (x.shape, x.dtype):
        raise ValueError(
            f"other must have x's dtype and shape, {x.dtype} and {tuple(x.shape)}, not "
            f"{other.dtype} and {tuple(other.shape)}"
        )


@torch.library.custom_op("fastdrop::select", mutates_args=())
def _select_by_words(
    x: torch.Tensor,
    other: torch.Tensor,
    words: torch.Tensor,
    p: float,
    order: Sequence[int] | None = None,
) -> torch.Tensor:
    """Return x where the mask of the words keeps, and ``other`` where it drops."""
    _check(x, other, words, p, order)
    mask = mask_from_words(words.contiguous(), p, strides_in_order(x.shape, order))
    return _run(x, other, mask.with_scale(1.0))


@_select_by_words.register_fake
def _(
    x: torch.Tensor,
    other: torch.Tensor,
    words: torch.Tensor,
    p: float,
    order: Sequence[int] | None = None,
) -> torch.Tensor:
    _check(x, other, words, p, order)
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *_, ctx.words, ctx.p, ctx.order = inputs  # not as saved tensors: see `_operator`


def _backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    dx = torch.ops.fastdrop.drop(dy, ctx.words, ctx.p, 1.0, False, ctx.order)
    zeros = torch.zeros_like(dy)
    dother = torch.ops.fastdrop.select(zeros, dy, ctx.words, ctx.p, ctx.order)
    return dx, dother, None, None, None


_select_by_words.register_autograd(_backward, setup_context=_keep)


# ---- the module ----------------------------------------------------------------------------------


class Zoneout(DrawingOne):
    """`fastdrop.torch.zoneout` as a module: some elements of a state keep their old value.

    Call it as ``layer(new, old)``.

    Parameters
    ----------
    p : float
        Probability of keeping the old state, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `zoneout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.Zoneout(0.5, rng=1)
    >>> layer(torch.full((4,), 2.0), torch.full((4,), 1.0))
    tensor([1., 2., 1., 2.])
    """

    def __init__(
        self, p: float, *, rng: RNG = None, broadcast_dims: AxesLike | None = None
    ) -> None:
        super().__init__(p, rng=rng)
        self._share(broadcast_dims=broadcast_dims)

    def forward(self, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """Return new with some elements of old, under a new mask, or in evaluation their mean."""
        if is_leaf(self, new, old):
            return as_node(self, new, old)
        return zoneout(new, old, self.p, self.training, rng=self.rng, **self._shared)
