# SPDX-License-Identifier: BSD-3-Clause
"""Subclasses of PyTorch's dropout modules: the same constructor, repr and (empty) state.

What they share is written once: the constructor's parameters at `Dropout`, and the forward pass
in `_forward_by`.
"""

from collections.abc import Callable

import torch

from fastdrop._checks import check_p
from fastdrop.torch import functional, fused

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "FeatureAlphaDropout",
    "ReLUDropout",
]


def _forward_by(ours: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return the forward pass of a module by a function of this package."""
    stock = getattr(torch.nn.functional, ours.__name__)

    def forward(self: torch.nn.Module, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        # torch.jit.script compiles the first branch alone.
        if torch.jit.is_scripting():
            return stock(input, self.p, self.training, self.inplace)
        else:
            return ours(input, self.p, self.training, self.inplace)

    return forward


class Dropout(torch.nn.Dropout):
    """``torch.nn.Dropout`` by `fastdrop.torch.dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element (in the other modules, what they drop), in [0, 1].
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.Dropout(p=0.5)
    >>> layer
    Dropout(p=0.5, inplace=False)
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout)


class Dropout1d(torch.nn.Dropout1d):
    """``torch.nn.Dropout1d`` by `fastdrop.torch.dropout1d`.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    inplace : bool, default False
        As of `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout1d(p=0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout1d)


class Dropout2d(torch.nn.Dropout2d):
    """``torch.nn.Dropout2d`` by `fastdrop.torch.dropout2d`.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    inplace : bool, default False
        As of `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout2d(p=0.2)
    Dropout2d(p=0.2, inplace=False)
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout2d)


class Dropout3d(torch.nn.Dropout3d):
    """``torch.nn.Dropout3d`` by `fastdrop.torch.dropout3d`.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    inplace : bool, default False
        As of `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout3d(p=0.2)
    Dropout3d(p=0.2, inplace=False)
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout3d)


class AlphaDropout(torch.nn.AlphaDropout):
    """``torch.nn.AlphaDropout`` by `fastdrop.torch.alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    inplace : bool, default False
        As of `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.AlphaDropout(p=0.2)
    AlphaDropout(p=0.2, inplace=False)
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.alpha_dropout)


class FeatureAlphaDropout(torch.nn.FeatureAlphaDropout):
    """``torch.nn.FeatureAlphaDropout`` by `fastdrop.torch.feature_alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        As of `Dropout`.
    inplace : bool, default False
        As of `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.FeatureAlphaDropout(p=0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    forward: Callable[..., torch.Tensor] = _forward_by(functional.feature_alpha_dropout)


class _FusedModule(torch.nn.Module):
    """What the modules have in common for which PyTorch has no module."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p: float = check_p(p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class DropoutAdd(_FusedModule):
    """``residual + dropout(x + bias)`` by `fastdrop.torch.dropout_add`.

    Call it as ``layer(x, residual, bias=None)``.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.DropoutAdd(p=0.1)
    >>> layer
    DropoutAdd(p=0.1)
    >>> layer.eval()(torch.ones(3), torch.ones(3))
    tensor([2., 2., 2.])
    """

    def forward(
        self, x: torch.Tensor, residual: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return ``residual + dropout(x + bias)`` under a new mask."""
        return fused.dropout_add(x, residual, self.p, self.training, bias=bias)


class ReLUDropout(_FusedModule):
    """``dropout(relu(x))`` by `fastdrop.torch.relu_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.ReLUDropout(p=0.5)
    >>> layer.eval()(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``dropout(relu(x))`` under a new mask."""
        return fused.relu_dropout(x, self.p, self.training)
