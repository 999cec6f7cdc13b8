# SPDX-License-Identifier: BSD-3-Clause
"""The kernels that `install` gives to PyTorch's dispatcher, one function for each operator.

Each takes the calls that it is made for: CPU tensors with memory, in training. Every other call
(CUDA, sparse, nested, fake and functional tensors, tracing, dispatch modes) goes on to PyTorch's
own decomposition, so that nothing of ours enters a traced program.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from fastdrop.torch._alpha import alpha_factors
from fastdrop.torch._apply import (
    CODES,
    apply,
    apply_in_place,
    dense_strides,
    feature_broadcast,
    is_plain,
)
from fastdrop.torch._attend import attend_blocks, blocks_of, draw_weights_mask, inputs_of
from fastdrop.torch._autograd import check_in_place, drop, drop_in_place
from fastdrop.torch._mask import draw_element_mask, draw_feature_mask
from fastdrop.torch._seed import draw_words
from fastdrop.torch._tensor import TensorMask, mask_from_words

__all__ = ["KERNELS"]

Operator: TypeAlias = Any  # an overload of torch.ops.aten
Kernel: TypeAlias = Callable[[torch.Tensor, float, bool], torch.Tensor]

_dispatch_modes = torch._C._len_torch_dispatch_stack
_key_is_included = torch._C._dispatch_tls_is_dispatch_key_included
_PYTHON_DISPATCHER = torch._C.DispatchKey.PythonDispatcher
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def _stock(operator: Operator) -> Callable[..., torch.Tensor]:
    """Return what PyTorch would do: its C++ composite, or in tracing its Python decomposition."""

    def call(*arguments: Any, **options: Any) -> torch.Tensor:
        if _key_is_included(_PYTHON_DISPATCHER):
            return operator.decompose(*arguments, **options)
        return operator._op_dk(_COMPOSITE, *arguments, **options)

    return call


def _is_ours(x: torch.Tensor) -> bool:
    return _dispatch_modes() == 0 and is_plain(x)


def _any_layout(x: torch.Tensor) -> bool:
    return True


def _feature_layout(x: torch.Tensor) -> bool:
    """Return whether x has features, in a layout whose broadcast there is a kernel for."""
    return x.dim() >= 2 and feature_broadcast(tuple(x.shape), dense_strides(x)) is not None


def _dropping(operator: Operator, run: Any, draw_mask: Any, takes: Any) -> Kernel:
    """Return the kernel of an operator (x, p, train) -> y."""
    stock = _stock(operator)
    in_place = operator._schema.is_mutable

    def kernel(x: torch.Tensor, p: float, train: bool) -> torch.Tensor:
        if 0.0 <= p <= 1.0 and (not train or p == 0.0):
            return x
        if not (_is_ours(x) and 0.0 < p <= 1.0 and x.numel() and takes(x)):
            return stock(x, p, train)
        if in_place:
            check_in_place(x)
        return run(x, draw_mask(x, p))

    return kernel


def _alpha_dropping(operator: Operator, run: Any, draw_mask: Any, takes: Any) -> Kernel:
    """Return the kernel of an operator of alpha dropout."""

    def run_alpha(x: torch.Tensor, mask_and_p: tuple[TensorMask, float]) -> torch.Tensor:
        mask, p = mask_and_p
        factor, step, shift = alpha_factors(p)
        steps = torch.empty_strided(x.shape, mask.strides, dtype=x.dtype, device="cpu")
        apply_in_place(mask.with_scale(1.0), steps.fill_(step))
        return run(x, mask.with_scale(factor)).add_(steps.add_(shift))

    return _dropping(operator, run_alpha, lambda x, p: (draw_mask(x, p), p), takes)


def _native_dropout(
    x: torch.Tensor, p: float, train: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (y, kept): the form of dropout that keeps its mask as a tensor."""
    kept = torch.empty_like(x, dtype=torch.bool)
    if train is False:
        return x.clone(), kept.fill_(True)
    _check_bernoulli_p(1.0 - p)
    if x.dtype not in CODES:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {x.dtype}")
    mask = mask_from_words(draw_words(), p, kept.stride())
    mask.write_kept(kept.data_ptr(), kept.numel())
    if is_plain(x):
        return apply(mask, x), kept
    return x * kept * (mask.scale if p < 1.0 else 0.0), kept


def _check_bernoulli_p(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")


def _bernoulli_(
    x: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Fill x with ones, with probability p, and zeros."""
    _check_bernoulli_p(p)
    if x.is_complex():
        raise RuntimeError(f'"bernoulli_" not implemented for {x.dtype}')
    mask = mask_from_words(draw_words(generator), p, dense_strides(x), keeps=True)
    if x.dtype in CODES:
        return apply_in_place(mask.with_scale(1.0), x.fill_(1.0))
    kept = torch.empty_strided(x.shape, mask.strides, dtype=torch.bool, device="cpu")
    mask.write_kept(kept.data_ptr(), kept.numel())
    return x.copy_(kept)


_stock_attention = _stock(torch.ops.aten.scaled_dot_product_attention.default)


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Return attention, in blocks if it drops; else it is PyTorch's.

    PyTorch's formula with our dropout serves where blocks cannot, with the same mask. There is no
    size below which it would do better. Forward and backward, as ratios to PyTorch's attention:
    0.74 in blocks and 1.6 by the formula for one head of 8 numbers and one key, 0.75 and 1.3 for
    8 heads of 64 and 16 keys, 0.65 and 0.96 for 64 keys.
    """
    if 0.0 < dropout_p <= 1.0 and _dispatch_modes() == 0:
        inputs = inputs_of(query, key, value, attn_mask, is_causal, scale, enable_gqa)
        blocks = None if inputs is None else blocks_of(inputs)
        if blocks is not None:
            return attend_blocks(blocks, draw_weights_mask(blocks, dropout_p))
    arguments = (query, key, value, attn_mask, dropout_p, is_causal)
    return _stock_attention(*arguments, scale=scale, enable_gqa=enable_gqa)


def _kernels() -> list[tuple[Operator, str, Callable[..., Any]]]:
    """Return (operator, dispatch key, function) for each kernel."""
    aten = torch.ops.aten
    elements, features = (draw_element_mask, _any_layout), (draw_feature_mask, _feature_layout)
    families = [
        (_dropping, *elements, aten.dropout, aten.dropout_),
        (_dropping, *features, aten.feature_dropout, aten.feature_dropout_),
        (_alpha_dropping, *elements, aten.alpha_dropout, aten.alpha_dropout_),
        (_alpha_dropping, *features, aten.feature_alpha_dropout, aten.feature_alpha_dropout_),
    ]
    kernels: list[tuple[Operator, str, Callable[..., Any]]] = [
        (aten.native_dropout.default, "CPU", _native_dropout),
        (aten.bernoulli_.float, "CPU", _bernoulli_),
        (aten.scaled_dot_product_attention.default, "AutogradCPU", _attention),
        (aten.scaled_dot_product_attention.default, "CPU", _attention),
    ]
    for make, draw_mask, takes, new, in_place in families:
        # Inference mode skips the first key of each; below it nothing is recorded.
        for operator, key, run in (
            (new.default, "AutogradCPU", drop),
            (new.default, "CPU", lambda x, mask: apply(mask, x)),
            (in_place.default, "AutogradCPU", drop_in_place),
            (in_place.default, "CPU", lambda x, mask: apply_in_place(mask, x)),
        ):
            kernels.append((operator, key, make(operator, run, draw_mask, takes)))
    return kernels


KERNELS = _kernels()
