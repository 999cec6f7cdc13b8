# SPDX-License-Identifier: BSD-3-Clause
"""Makes the dropout modules of a model ours, in place."""

import torch

from fastdrop.torch import modules

__all__ = ["accelerate"]

OURS = {
    getattr(torch.nn, name): getattr(modules, name)
    for name in modules.__all__
    if hasattr(torch.nn, name)
}


def accelerate(model: torch.nn.Module) -> dict[str, str]:
    """Make each dropout module of ``model`` the one of this package, and say which.

    The modules stay the objects that they are (only their class changes), so hooks, names and
    references to them hold; there are no parameters to convert. Subclasses of PyTorch's modules,
    and dropout that is not a module, as in ``nn.MultiheadAttention`` or ``nn.LSTM``, are left
    alone: `install` reaches these too.

    Parameters
    ----------
    model : torch.nn.Module
        Any module; may be a dropout module itself.

    Returns
    -------
    swapped : dict of str to str
        Qualified name in the model -> name of the class, in the order of the model.

    Raises
    ------
    TypeError
        If ``model`` is not a module.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.1))
    >>> fastdrop.torch.accelerate(model)
    {'1': 'Dropout'}
    >>> type(model[1]).__module__
    'fastdrop.torch.modules'
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; allowed is a torch.nn.Module")
    swapped = {}
    for name, module in model.named_modules():
        ours = OURS.get(type(module))
        if ours is not None:
            module.__class__ = ours
            swapped[name] = ours.__name__
    return swapped
