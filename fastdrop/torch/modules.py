# SPDX-License-Identifier: BSD-3-Clause
"""Subclasses of PyTorch's dropout modules: the same constructor, repr and (empty) state."""

import torch

from fastdrop.torch import functional

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]

# torch.jit.script compiles the branch that PyTorch's own modules consist of.


class Dropout(torch.nn.Dropout):
    """``torch.nn.Dropout`` by `fastdrop.torch.dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element.
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

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.dropout(input, self.p, self.training, self.inplace)
        else:
            return functional.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(torch.nn.Dropout1d):
    """``torch.nn.Dropout1d`` by `fastdrop.torch.dropout1d`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel.
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout1d(p=0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.dropout1d(input, self.p, self.training, self.inplace)
        else:
            return functional.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(torch.nn.Dropout2d):
    """``torch.nn.Dropout2d`` by `fastdrop.torch.dropout2d`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel.
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout2d(p=0.2)
    Dropout2d(p=0.2, inplace=False)
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.dropout2d(input, self.p, self.training, self.inplace)
        else:
            return functional.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(torch.nn.Dropout3d):
    """``torch.nn.Dropout3d`` by `fastdrop.torch.dropout3d`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel.
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout3d(p=0.2)
    Dropout3d(p=0.2, inplace=False)
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.dropout3d(input, self.p, self.training, self.inplace)
        else:
            return functional.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(torch.nn.AlphaDropout):
    """``torch.nn.AlphaDropout`` by `fastdrop.torch.alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element.
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.AlphaDropout(p=0.2)
    AlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.alpha_dropout(input, self.p, self.training)
        else:
            return functional.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(torch.nn.FeatureAlphaDropout):
    """``torch.nn.FeatureAlphaDropout`` by `fastdrop.torch.feature_alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping a channel.
    inplace : bool, default False
        Write to the input.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.FeatureAlphaDropout(p=0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if torch.jit.is_scripting():
            return torch.nn.functional.feature_alpha_dropout(input, self.p, self.training)
        else:
            return functional.feature_alpha_dropout(input, self.p, self.training, self.inplace)
