# SPDX-License-Identifier: BSD-3-Clause
"""Makes the dropout modules of a model those of this package, in place."""

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
    """Make each dropout module of ``model`` the one of this package, in place, and return it.

    The modules stay the objects that they are (only their class changes), so hooks, names and
    references to them hold. There are no parameters to convert. Subclasses of PyTorch's modules,
    and dropout that is not a module, as in ``nn.MultiheadAttention`` or ``nn.LSTM``, are left
    alone: `install` reaches these too.

    Parameters
    ----------
    model : torch.nn.Module
        Any module. It may be a dropout module itself.
    fuse : bool, default False
        Fuse dropout with its neighbours too, forward and backward: in each ``nn.Sequential`` with
        ReLU, GELU, SiLU or Linear before Dropout, and in ``nn.TransformerEncoderLayer`` and
        ``nn.TransformerDecoderLayer``, attention included. Parameters, ``state_dict``, names and
        masks stay as they are. Results differ by rounding. Calls that cannot be fused for sure are
        PyTorch's own: in evaluation, with autocast, and where a part is of another class or has
        hooks.

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
    accelerated : What was exchanged.
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
    """Say which modules of ``model`` are of this package.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, given to `accelerate` or built with the modules of this package.

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
