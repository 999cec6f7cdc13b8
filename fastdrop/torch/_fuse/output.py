# SPDX-License-Identifier: BSD-3-Clause
"""Ends of blocks of other libraries, a class at a time."""

import functools
from typing import Any, TypeAlias

from torch import nn
from torch.nn import functional

from fastdrop._words import public
from fastdrop.torch._fuse.proof import (
    has_global_hooks,
    is_dropout,
    is_norm,
    is_plain,
    rng_of,
    takes,
)
from fastdrop.torch.norms import dropout_add_layer_norm

__all__ = ["fuse_output"]

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
            or not (self.training and takes(hidden_states, input_tensor))
            or has_global_hooks()
            or not (is_plain(last, nn.Linear) and is_dropout(drop) and is_norm(normalize))
        ):
            return stock(self, hidden_states, input_tensor)
        return dropout_add_layer_norm(
            functional.linear(hidden_states, last.weight), input_tensor, normalize.weight,
            normalize.bias, drop.p, drop.training, eps=normalize.eps, linear_bias=last.bias,
            rng=rng_of(drop),
        )  # fmt: skip

    forward._fuses_output = True  # type: ignore[attr-defined]
    module_class.forward = forward
    return module_class
