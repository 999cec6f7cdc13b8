# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of PyTorch's own modules with their dropout fused: only the class of a module changes.

A block is fused in a call where that is sure to be the same: its parts are PyTorch's modules as
they are, without hooks, and its input is a plain tensor. Any other call is PyTorch's own.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import torch
from torch import nn
from torch.nn import functional

from fastdrop._words import public
from fastdrop.torch import modules
from fastdrop.torch._drawing import as_node, is_leaf
from fastdrop.torch.activations import gelu_dropout, silu_dropout
from fastdrop.torch.attention import scaled_dot_product_attention
from fastdrop.torch.fused import dropout_add, relu_dropout
from fastdrop.torch.norms import dropout_add_layer_norm

__all__ = ["Fused", "fuse", "fuse_output"]

Optional: TypeAlias = torch.Tensor | None

DROPOUTS = (nn.Dropout, modules.Dropout)

# Dictionaries of modules that are empty, unless somebody wants to see or change their calls.
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def _is_plain(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module is of one of the kinds, and nothing watches or changes its calls."""
    return type(module) in kinds and "forward" not in vars(module) and not _has_hooks(module)


def _has_hooks(module: nn.Module) -> bool:
    state = vars(module)
    return any(state[name] for name in _HOOKS)


def _has_global_hooks() -> bool:
    """Return whether hooks of all modules are set, or calls of modules are being recorded."""
    of_all = nn.modules.module
    return bool(
        of_all._global_forward_hooks
        or of_all._global_forward_pre_hooks
        or of_all._global_backward_hooks
        or of_all._global_backward_pre_hooks
        or torch.jit.is_tracing()
        or torch.jit.is_scripting()
    )


def _is_dropout(module: nn.Module) -> bool:
    return _is_plain(module, *DROPOUTS) and not getattr(module, "_shared", {})


def _rng(dropout: nn.Module) -> Any:
    return getattr(dropout, "rng", None)


def _takes(x: Any, *others: Any) -> bool:
    """Return whether inputs are tensors that are no subclass, outside of autocast."""
    return (
        all(type(one) is torch.Tensor for one in (x, *others))
        and x.is_floating_point()
        and not torch.is_autocast_enabled("cpu")
    )


class Fused(nn.Module):
    """What modules have in common whose class was exchanged for one that fuses."""

    # What they were, and are again for `copy`, `pickle` and `repr` of other libraries.
    _stock: ClassVar[type[nn.Module]]


# ---- Sequential ----------------------------------------------------------------------------------

_Activation: TypeAlias = Callable[..., torch.Tensor]


def _activation_of(module: nn.Module) -> _Activation | None:
    """Return the fused function of a module of PyTorch; None, if there is none."""
    if _is_plain(module, nn.ReLU):
        return relu_dropout
    if _is_plain(module, nn.GELU):
        approximate = module.approximate
        return functools.partial(gelu_dropout, approximate=approximate)
    return silu_dropout if _is_plain(module, nn.SiLU) else None


class Sequential(Fused, nn.Sequential):
    """``nn.Sequential`` that does an activation and the dropout behind it in one pass.

    So it does with the bias of a linear map before them.
    """

    _stock = nn.Sequential

    def forward(self, input: Any) -> Any:
        """Return what the modules make of the input, one after the other."""
        if not (self.training and _takes(input)) or _has_global_hooks():
            return super().forward(input)
        children = list(self)
        at = 0
        while at < len(children):
            module = children[at]
            linear = module if _is_plain(module, nn.Linear) else None
            first = at + (linear is not None)
            pair = children[first : first + 2]
            function = _pair_of(pair) if type(input) is torch.Tensor else None
            # Without a linear map before it, relu in place would change what the caller has.
            if function is None or (linear is None and getattr(pair[0], "inplace", False)):
                input = module(input)
                at += 1
                continue
            bias = None
            if linear is not None:
                input, bias = functional.linear(input, linear.weight), linear.bias
            dropout = pair[1]
            input = function(input, dropout.p, dropout.training, bias=bias, rng=_rng(dropout))
            at = first + 2
        return input


def _pair_of(pair: list[nn.Module]) -> _Activation | None:
    if len(pair) < 2 or not _is_dropout(pair[1]):
        return None
    return _activation_of(pair[0])


def _fuses_sequential(module: nn.Sequential) -> bool:
    children = list(module)
    return any(_pair_of(children[at : at + 2]) is not None for at in range(len(children)))


# ---- layers of transformers ----------------------------------------------------------------------


def _is_norm(norm: nn.Module) -> bool:
    return _is_plain(norm, nn.LayerNorm) and len(norm.normalized_shape) == 1


def _is_attention(attention: nn.Module) -> bool:
    return (
        _is_plain(attention, nn.MultiheadAttention)
        and attention._qkv_same_embed_dim
        and attention.bias_k is None
        and not attention.add_zero_attn
        and not _has_hooks(attention.out_proj)
        and "forward" not in vars(attention.out_proj)
    )


def _attend(
    attention: nn.MultiheadAttention,
    query: torch.Tensor,
    memory: torch.Tensor,
    mask: Optional,
    is_causal: bool,
) -> torch.Tensor:
    """Return attention, without the bias of its last map; ``memory`` has keys and values."""
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    width, heads = attention.embed_dim, attention.num_heads
    if query is memory:
        q, k, v = functional.linear(query, weight, bias).unflatten(-1, (3, width)).unbind(-2)
    else:
        of_query = None if bias is None else bias[:width]
        of_memory = None if bias is None else bias[width:]
        q = functional.linear(query, weight[:width], of_query)
        k, v = functional.linear(memory, weight[width:], of_memory).unflatten(
            -1, (2, width)
        ).unbind(-2)  # fmt: skip
    axis = 1 if attention.batch_first else 0
    q, k, v = (x.unflatten(-1, (heads, -1)) for x in (q, k, v))
    if attention.batch_first:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    else:  # (L, N, heads, E) -> (N, heads, L, E)
        q, k, v = (x.permute(1, 2, 0, 3) for x in (q, k, v))
    dropout = attention.dropout if attention.training else 0.0
    y = scaled_dot_product_attention(q, k, v, mask, dropout, is_causal and mask is None)
    y = y.transpose(1, 2) if axis else y.permute(2, 0, 1, 3)
    return functional.linear(y.flatten(-2), attention.out_proj.weight)


def _merged(
    attention: nn.MultiheadAttention,
    x: torch.Tensor,
    mask: Optional,
    padding: Optional,
) -> Optional:
    """Return the mask of attention as one that is added, as PyTorch's module makes it."""
    if padding is not None:
        padding = functional._canonical_mask(
            padding, "key_padding_mask", functional._none_or_dtype(mask), "attn_mask", x.dtype
        )
    if mask is not None:
        mask = functional._canonical_mask(mask, "attn_mask", None, "", x.dtype, False)
        assert mask is not None
        if mask.dim() == 3:  # (N * heads, L, S)
            mask = mask.unflatten(0, (-1, attention.num_heads))
    if padding is None:
        return mask
    padding = padding[:, None, None, :]
    return padding if mask is None else mask + padding


_ACTIVATIONS: dict[Any, _Activation] = {
    functional.relu: relu_dropout,
    torch.relu: relu_dropout,
    functional.gelu: gelu_dropout,
    functional.silu: silu_dropout,
}


def _activation_function(activation: Any) -> _Activation | None:
    if isinstance(activation, nn.Module):
        return _activation_of(activation)
    return _ACTIVATIONS.get(activation)


class _Layer(Fused):
    """What layers of encoders and decoders have in common."""

    def _fuses(self, *inputs: Any) -> bool:
        """Return whether this call can be fused, as far as it does not depend on masks."""
        return (
            self.training
            and _takes(*inputs)
            and all(x.dim() == 3 for x in inputs)
            and not _has_global_hooks()
            and _parts_are_plain(self)
        )

    def _perceptron(self: Any, x: torch.Tensor) -> torch.Tensor:
        """Return what the two linear maps make of x, without the bias of the last."""
        function = _activation_function(self.activation)
        assert function is not None
        first, dropout = self.linear1, self.dropout
        hidden = functional.linear(x, first.weight)
        hidden = function(hidden, dropout.p, dropout.training, bias=first.bias, rng=_rng(dropout))
        return functional.linear(hidden, self.linear2.weight)

    def _norm_of_sum(
        self: Any,
        branch: torch.Tensor,
        residual: torch.Tensor,
        bias: Optional,
        dropout: nn.Module,
        norm: nn.LayerNorm,
        prenorm: bool = False,
    ) -> Any:
        return dropout_add_layer_norm(
            branch, residual, norm.weight, norm.bias, dropout.p, dropout.training, eps=norm.eps,
            linear_bias=bias, prenorm=prenorm, rng=_rng(dropout),
        )  # fmt: skip

    def _run(self: Any, x: torch.Tensor, steps: list[Any]) -> torch.Tensor:
        """Return what blocks make of x; each is (branch of its input, bias, dropout, norm)."""
        branches, biases, dropouts, norms = zip(*steps, strict=True)
        if not self.norm_first:
            for branch, bias, dropout, norm in steps:
                x = self._norm_of_sum(branch(x), x, bias, dropout, norm)
            return x
        y = norms[0](x)
        for at, branch in enumerate(branches[:-1]):
            y, x = self._norm_of_sum(branch(y), x, biases[at], dropouts[at], norms[at + 1], True)
        dropout = dropouts[-1]
        return dropout_add(
            branches[-1](y), x, dropout.p, dropout.training, bias=biases[-1], rng=_rng(dropout)
        )


def _parts_are_plain(layer: Any) -> bool:
    names = vars(layer)["_modules"]
    return (
        all(_is_attention(names[name]) for name in ("self_attn", "multihead_attn") if name in names)
        and all(_is_norm(names[name]) for name in ("norm1", "norm2", "norm3") if name in names)
        and all(
            _is_dropout(names[name])
            for name in ("dropout", "dropout1", "dropout2", "dropout3")
            if name in names
        )
        and all(_is_plain(names[name], nn.Linear) for name in ("linear1", "linear2"))
        and _activation_function(layer.activation) is not None
    )


class TransformerEncoderLayer(_Layer, nn.TransformerEncoderLayer):
    """``nn.TransformerEncoderLayer`` with fused blocks, where that is sure to be the same."""

    _stock = nn.TransformerEncoderLayer

    def forward(
        self,
        src: torch.Tensor,
        src_mask: torch.Tensor | None = None,
        src_key_padding_mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """Return what the layer makes of ``src``."""
        if is_leaf(self, src):
            return as_node(self, src, src_mask, src_key_padding_mask, is_causal)
        if not self._fuses(src):
            return super().forward(src, src_mask, src_key_padding_mask, is_causal)
        attention = self.self_attn
        mask = _merged(attention, src, src_mask, src_key_padding_mask)
        steps = [
            (
                lambda x: _attend(attention, x, x, mask, is_causal),
                attention.out_proj.bias,
                self.dropout1,
                self.norm1,
            ),
            (self._perceptron, self.linear2.bias, self.dropout2, self.norm2),
        ]
        return self._run(src, steps)


class TransformerDecoderLayer(_Layer, nn.TransformerDecoderLayer):
    """``nn.TransformerDecoderLayer`` with fused blocks, where that is sure to be the same."""

    _stock = nn.TransformerDecoderLayer

    def forward(
        self,
        tgt: torch.Tensor,
        memory: torch.Tensor,
        tgt_mask: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
        tgt_key_padding_mask: torch.Tensor | None = None,
        memory_key_padding_mask: torch.Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> torch.Tensor:
        """Return what the layer makes of ``tgt`` and ``memory``."""
        rest = (
            tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip
        if is_leaf(self, tgt, memory):
            return as_node(self, tgt, memory, *rest)
        if not self._fuses(tgt, memory):
            return super().forward(tgt, memory, *rest)
        own, other = self.self_attn, self.multihead_attn
        mask = _merged(own, tgt, tgt_mask, tgt_key_padding_mask)
        of_memory = _merged(other, tgt, memory_mask, memory_key_padding_mask)
        steps = [
            (
                lambda x: _attend(own, x, x, mask, tgt_is_causal),
                own.out_proj.bias,
                self.dropout1,
                self.norm1,
            ),
            (
                lambda x: _attend(other, x, memory, of_memory, memory_is_causal),
                other.out_proj.bias,
                self.dropout2,
                self.norm2,
            ),
            (self._perceptron, self.linear2.bias, self.dropout3, self.norm3),
        ]
        return self._run(tgt, steps)


# ---- whole models --------------------------------------------------------------------------------


def _fused_class(module: nn.Module) -> type[Fused] | None:
    """Return the class that fuses a module; None, where there is nothing to gain or to prove."""
    if "forward" in vars(module):
        return None
    if type(module) is nn.Sequential:
        return Sequential if _fuses_sequential(module) else None
    for cls in (TransformerEncoderLayer, TransformerDecoderLayer):
        if type(module) is cls._stock:
            return cls if _parts_are_plain(module) else None
    return None


def fuse(model: nn.Module) -> None:
    """Exchange the class of each module that can be fused."""
    for module in model.modules():
        cls = _fused_class(module)
        if cls is not None:
            module.__class__ = cls


ClassT: TypeAlias = type[nn.Module]


@public("fastdrop.torch")
def fuse_output(
    module_class: ClassT, linear: str = "dense", dropout: str = "dropout", norm: str = "LayerNorm"
) -> ClassT:
    """Fuse the calls of a class of modules that end a block, and return the class.

    Its forward method must be ``norm(dropout(linear(hidden)) + residual)`` of two tensors, hidden
    and residual, as that of ``BertSelfOutput`` and ``BertOutput`` in transformers. The method of
    the class is exchanged. Its ``forward.__wrapped__`` is the old one. Calls that cannot be fused
    go to it: in evaluation, and where a part is of another type than PyTorch's or has hooks.

    Parameters
    ----------
    module_class : type
        A subclass of ``torch.nn.Module``.
    linear, dropout, norm : str
        Names of its three modules, of the types Linear, Dropout and LayerNorm of ``torch.nn``.

    Returns
    -------
    module_class : type
        The same class.

    Raises
    ------
    TypeError
        If ``module_class`` is not a class of modules.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> class Output(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense, self.dropout = torch.nn.Linear(4, 4), torch.nn.Dropout(0.1)
    ...         self.LayerNorm = torch.nn.LayerNorm(4)
    ...
    ...     def forward(self, hidden_states, input_tensor):
    ...         hidden_states = self.dropout(self.dense(hidden_states))
    ...         return self.LayerNorm(hidden_states + input_tensor)
    >>> fastdrop.torch.fuse_output(Output) is Output
    True
    >>> Output()(torch.ones(2, 4), torch.ones(2, 4)).shape
    torch.Size([2, 4])
    """
    given: Any = module_class
    if not (isinstance(given, type) and issubclass(given, nn.Module)):
        raise TypeError(f"module_class must be a class of modules, not {module_class!r}")
    stock = module_class.forward
    if getattr(stock, "_fuses_output", False):
        return module_class

    @functools.wraps(stock)
    def forward(self: Any, hidden_states: Any, input_tensor: Any) -> Any:
        parts = vars(self)["_modules"]
        last, drop, normalize = (parts.get(name) for name in (linear, dropout, norm))
        if (
            None in (last, drop, normalize)
            or not (self.training and _takes(hidden_states, input_tensor))
            or _has_global_hooks()
            or not (_is_plain(last, nn.Linear) and _is_dropout(drop) and _is_norm(normalize))
        ):
            return stock(self, hidden_states, input_tensor)
        return dropout_add_layer_norm(
            functional.linear(hidden_states, last.weight), input_tensor, normalize.weight,
            normalize.bias, drop.p, drop.training, eps=normalize.eps, linear_bias=last.bias,
            rng=_rng(drop),
        )  # fmt: skip

    forward._fuses_output = True  # type: ignore[attr-defined]
    module_class.forward = forward
    return module_class
