# SPDX-License-Identifier: BSD-3-Clause
"""Replaces the dropout modules of a model by those of fastdrop, in place."""

from __future__ import annotations

from typing import TypeVar

import torch

from fastdrop._checks import check_switch, kind_of
from fastdrop._words import public
from fastdrop.torch import modules
from fastdrop.torch._drawing import Drawing
from fastdrop.torch._fuse import Fused
from fastdrop.torch._fuse import fuse as fuse_model

__all__ = ["accelerate", "accelerated"]

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

OF_FASTDROP = {
    getattr(torch.nn, name): getattr(modules, name)
    for name in modules.__all__
    if hasattr(torch.nn, name)
}


@public("fastdrop.torch")
def accelerate(model: ModuleT, *, fuse: bool = False) -> ModuleT:
    """Replace each dropout module of ``model`` by fastdrop's, in place, and return the model.

    Only the class of a module changes, and it stays the same object. So hooks, names and references
    still work. There are no parameters to convert. Subclasses of PyTorch's modules do not change.
    Neither does dropout that is not a module, as in ``nn.MultiheadAttention`` or ``nn.LSTM``.
    `install` reaches these, too.

    Parameters
    ----------
    model : torch.nn.Module
        Any module. It may be a dropout module itself.
    fuse : bool, default False
        Fuse dropout with the steps before and after it, too, forward and backward. This is done in
        each ``nn.Sequential`` with ReLU, GELU, SiLU or Linear before Dropout, and in
        ``nn.TransformerEncoderLayer`` and ``nn.TransformerDecoderLayer``, including attention.
        Parameters, ``state_dict``, names and masks stay the same. Results differ by rounding. A
        call is PyTorch's own if fusing is not sure to be right: in evaluation, with autocast, and
        if a part has another class or hooks.

    Returns
    -------
    model : torch.nn.Module
        The same object.

    Raises
    ------
    TypeError
        If ``model`` is not a module, or fuse not a bool.

    See Also
    --------
    accelerated : Which modules were replaced.
    fuse_output : Fuse a class of modules, such as those of transformers' BERT.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.1))
    >>> model = fastdrop.torch.accelerate(model)
    >>> fastdrop.torch.accelerated(model)
    {'1': 'Dropout'}
    """
    _check_module(model)
    if check_switch("fuse", fuse):
        fuse_model(model)
    for module in model.modules():
        own = OF_FASTDROP.get(type(module))
        if own is not None:
            module.__class__ = own
    return model


@public("fastdrop.torch")
def accelerated(model: torch.nn.Module) -> dict[str, str]:
    """Return which modules of ``model`` are fastdrop's.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, given to `accelerate` or built with fastdrop's modules.

    Returns
    -------
    names : dict of str to str
        Qualified name in the model -> name of the class, in the order of the model.

    Raises
    ------
    TypeError
        If ``model`` is not a module.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.1))
    >>> fastdrop.torch.accelerated(model)
    {}
    >>> fastdrop.torch.accelerated(fastdrop.torch.accelerate(model))
    {'1': 'Dropout'}
    """
    _check_module(model)
    return {
        name: type(module).__name__
        for name, module in model.named_modules()
        if (isinstance(module, Drawing) and type(module).__module__ == "fastdrop.torch")
        or isinstance(module, Fused)
    }


def _check_module(model: object) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {kind_of(model)}")
