# SPDX-License-Identifier: BSD-3-Clause
"""The kernels that `install` gives to PyTorch's dispatcher, one function for each operator.

Each takes the calls that it is made for: CPU tensors with memory, in training. Every other call
(CUDA, sparse, nested, fake and functional tensors, recording, and all while the switch is off)
goes on to PyTorch's own code, so that nothing of fastdrop enters a recorded program. The exception
is ``torch.compile``, see `_compile`.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch.fx.experimental.symbolic_shapes import guard_or_false

from fastdrop.functional._scales import alpha_numbers
from fastdrop.torch import _dispatcher
from fastdrop.torch._apply import (
    CLASSES,
    DTYPES,
    apply,
    apply_in_place,
    as_tensor,
    dense_strides,
    is_plain,
    is_readable,
)
from fastdrop.torch._attend.autograd import attend_blocks
from fastdrop.torch._attend.inputs import blocks_of, draw_weights_mask, fitting, inputs_of
from fastdrop.torch._attend.operator import attend_traced
from fastdrop.torch._autograd import check_in_place, check_writable, drop, drop_in_place
from fastdrop.torch._compile.graph import is_compiled
from fastdrop.torch._compile.settings import settle
from fastdrop.torch._mask import draw_element_mask, draw_feature_mask
from fastdrop.torch._operator import is_watched
from fastdrop.torch._seed import draw_mask, draw_words
from fastdrop.torch._switch import switch
from fastdrop.torch.functional import drop_as_operator

__all__ = ["kernels"]

Operator: TypeAlias = Any  # an overload of torch.ops.aten
Kernel: TypeAlias = Callable[..., Any]

# What bernoulli_ of PyTorch fills.
FILLED = frozenset(
    (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    )
)

REAL = frozenset((torch.float16, torch.bfloat16, torch.float32, torch.float64))

_dispatch_modes = torch._C._len_torch_dispatch_stack
_key_is_included = torch._C._dispatch_tls_is_dispatch_key_included
_PYTHON_DISPATCHER = torch._C.DispatchKey.PythonDispatcher
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


# ---- PyTorch's own code --------------------------------------------------------------------------


def _stock(operator: Operator) -> Kernel:
    """Return what PyTorch would do: its C++ composite, or in tracing its Python decomposition."""

    def call(*arguments: Any, **options: Any) -> Any:
        if _key_is_included(_PYTHON_DISPATCHER):
            settle()
            return operator.decompose(*arguments, **options)
        return operator._op_dk(_COMPOSITE, *arguments, **options)

    return call


def _stock_on_cpu(operator: Operator) -> Kernel:
    """Return the kernel that an operator has before this package registers one."""
    kernel = torch.library.get_kernel(operator, "CPU")
    return lambda *arguments, **options: kernel.call_boxed(_CPU, *arguments, **options)


# ---- dropout -------------------------------------------------------------------------------------


def _any_layout(x: torch.Tensor) -> bool:
    return True


def _feature_layout(x: torch.Tensor) -> bool:
    """Return whether x has features."""
    return bool(x.dim() >= 2)


def _may_keep_bools(x: torch.Tensor, in_place: bool) -> bool:
    """Return whether the kernels in C would keep bools for x, if it is small enough for them.

    Checkpoints compare what is kept with a mode and without it.
    """
    return x.requires_grad and torch.is_grad_enabled() and not (in_place and x._is_view())


def _dropping(operator: Operator, run: Any, features: bool, alpha: bool) -> Kernel:
    """Return the kernel of an operator (x, p, train) -> y."""
    stock = _stock(operator)
    in_place = operator._schema.is_mutable
    draw = draw_feature_mask if features else draw_element_mask
    takes = _feature_layout if features else _any_layout

    def takes_compiled(x: torch.Tensor, p: float) -> bool:
        return (
            is_compiled(x)
            and 0.0 < p <= 1.0
            and (not features or x.dim() >= 2)
            and not (alpha and x.is_complex())
        )

    def kernel(x: torch.Tensor, p: float, train: bool) -> torch.Tensor:
        if not switch.on:
            return stock(x, p, train)
        if 0.0 <= p <= 1.0 and (not train or p == 0.0):
            return x
        given = x
        if type(x) not in CLASSES:
            x = as_tensor(x)
        if not (is_readable(x) and 0.0 < p <= 1.0 and x.numel() and takes(x)) or (
            alpha and x.is_complex()
        ):
            if takes_compiled(x, p):
                if guard_or_false(x.numel() == 0):  # nothing is drawn
                    return given
                y = drop_as_operator(x, p, in_place, features, alpha, False)
                return given if in_place else y
            return stock(given, p, train)
        if in_place:
            check_in_place(given)
        if not _dispatch_modes():
            mask = draw(x, p)
            y = run(x, mask.with_scale(*alpha_numbers(p)) if alpha and p < 1.0 else mask)
        elif is_watched():
            keeps = _may_keep_bools(x, in_place) and _dispatcher.takes(x, p, features, alpha)
            y = drop_as_operator(x, p, in_place, features, alpha, keeps)
        else:
            return stock(given, p, train)
        return given if in_place else y

    return kernel


def _native_dropout(operator: Operator) -> Kernel:
    """Return the kernel of the form of dropout that keeps its mask as a tensor."""
    stock = _stock_on_cpu(operator)

    def kernel(x: torch.Tensor, p: float, train: bool | None) -> tuple[torch.Tensor, torch.Tensor]:
        if not switch.on:
            y, kept = stock(x, p, train)
            return y, kept
        given = x
        if type(x) not in CLASSES:
            x = as_tensor(x)
        if train is False or not (is_plain(x) and 0.0 <= p <= 1.0 and x.numel()):
            y, kept = stock(given, p, train)
            return y, kept
        kept = torch.empty_like(x, dtype=torch.bool)
        mask = draw_mask(p, kept.stride())
        mask.write_kept(kept, torch.get_num_threads())
        return apply(mask, x), kept

    return kernel


def _bernoulli_(operator: Operator) -> Kernel:
    """Return the kernel that fills a tensor with ones, with probability p, and zeros."""
    stock = _stock_on_cpu(operator)

    def kernel(
        x: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        if not switch.on:
            return stock(x, p, generator=generator)
        given = x
        if type(x) not in CLASSES:
            x = as_tensor(x)
        # Below everything else, a tensor of PyTorch's own class is an address and strides.
        if not (type(x) in CLASSES and x.dtype in FILLED and 0.0 <= p <= 1.0 and x.numel()):
            return stock(given, p, generator=generator)
        check_writable(x, True)
        mask = draw_mask(p, dense_strides(x), generator=generator, keeps=True)
        if x.dtype in DTYPES:
            apply_in_place(mask.with_scale(1.0), x.fill_(1.0))
        else:
            kept = torch.empty_strided(x.shape, mask.strides, dtype=torch.bool, device="cpu")
            mask.write_kept(kept, torch.get_num_threads())
            x.copy_(kept)
        return given

    return kernel


def _expands(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Return whether a tensor of one shape can be laid over one of another."""
    pairs = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(length in (1, there) for length, there in pairs)


def _bernoulli_tensor_(operator: Operator) -> Kernel:
    """Return the kernel that fills a tensor with ones, with probabilities of their own."""
    stock = _stock_on_cpu(operator)

    def kernel(
        x: torch.Tensor, p: torch.Tensor, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        given, given_p = x, p
        if type(x) not in CLASSES:
            x = as_tensor(x)
        if type(p) not in CLASSES:
            p = as_tensor(p)
        if not (
            switch.on
            and type(x) in CLASSES
            and type(p) in CLASSES
            and x.dtype in FILLED
            and p.dtype in REAL
            and x.numel()
            and _expands(p.shape, x.shape)
        ):
            return stock(given, given_p, generator=generator)
        check_writable(x, True)
        strides = dense_strides(x)
        dtype = p.dtype if p.dtype == torch.float64 else torch.float32
        laid = torch.empty_strided(x.shape, strides, dtype=dtype, device="cpu").copy_(p)
        directly = x.stride() == strides and (x.dtype in REAL or x.dtype == torch.bool)
        out = x if directly else torch.empty_strided(x.shape, strides, dtype=torch.bool)
        if not _dispatcher.are_probabilities(laid):
            wrong = laid[~((laid >= 0.0) & (laid <= 1.0))][0].item()
            raise RuntimeError(f"p must be in [0, 1] everywhere, not {wrong}")
        _dispatcher.fill_bernoulli(draw_words(generator), laid, out, torch.get_num_threads())
        if out is not x:
            x.copy_(out)
        return given

    return kernel


# ---- attention -----------------------------------------------------------------------------------

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
    if 0.0 < dropout_p <= 1.0 and is_compiled(query):
        inputs = fitting(query, key, value, attn_mask, is_causal, scale, enable_gqa)
        if inputs is not None:
            return attend_traced(inputs, draw_words(), dropout_p)
    elif 0.0 < dropout_p <= 1.0 and _dispatch_modes() == 0:
        inputs = inputs_of(query, key, value, attn_mask, is_causal, scale, enable_gqa)
        blocks = None if inputs is None else blocks_of(inputs)
        if blocks is not None:
            return attend_blocks(blocks, draw_weights_mask(blocks, dropout_p))
    arguments = (query, key, value, attn_mask, dropout_p, is_causal)
    return _stock_attention(*arguments, scale=scale, enable_gqa=enable_gqa)


def _attending(*arguments: Any, **options: Any) -> Any:
    return (_attention if switch.on else _stock_attention)(*arguments, **options)


def kernels() -> Iterator[tuple[Operator, str, Kernel]]:
    """Yield (operator, dispatch key, kernel): all that are to be registered."""
    aten = torch.ops.aten
    for operator, make in (
        (aten.native_dropout.default, _native_dropout),
        (aten.bernoulli_.float, _bernoulli_),
        (aten.bernoulli_.Tensor, _bernoulli_tensor_),
    ):
        yield operator, "CPU", make(operator)
    attention = aten.scaled_dot_product_attention.default
    yield attention, "AutogradCPU", _attending
    yield attention, "CPU", _attending
    for new, in_place, features, alpha in (
        (aten.dropout, aten.dropout_, False, False),
        (aten.feature_dropout, aten.feature_dropout_, True, False),
        (aten.alpha_dropout, aten.alpha_dropout_, False, True),
        (aten.feature_alpha_dropout, aten.feature_alpha_dropout_, True, True),
    ):
        # Inference mode skips the first key of each; below it nothing is recorded.
        for operator, key, run in (
            (new.default, "AutogradCPU", drop),
            (new.default, "CPU", lambda x, mask: apply(mask, x)),
            (in_place.default, "AutogradCPU", drop_in_place),
            (in_place.default, "CPU", lambda x, mask: apply_in_place(mask, x)),
        ):
            yield operator, key, _dropping(operator, run, features, alpha)
