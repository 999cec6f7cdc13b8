# SPDX-License-Identifier: BSD-3-Clause
"""Subclasses of PyTorch's dropout modules: the same constructor, repr and (empty) state.

`Dropout` documents the parameters of the constructor. `_forward_by` has the forward pass, and
`_drawing` the source of a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastdrop._checks import check_one_way_to_share
from fastdrop._typing import AxesLike, NoiseShapeLike
from fastdrop.source import Source
from fastdrop.torch import functional, fused
from fastdrop.torch._drawing import Drawing, DrawingOne, as_node, checked, is_leaf
from fastdrop.torch._mask import RNG, decided_shape
from fastdrop.torch._shard import Shard, ShardLike

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


def _forward_by(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Return the forward pass of a module by a function of this package."""
    stock = getattr(torch.nn.functional, function.__name__)

    def call(self: Any, input: torch.Tensor) -> torch.Tensor:
        if type(input) is not torch.Tensor and is_leaf(self, input):
            return as_node(self, input)
        options = self._shared
        return function(input, self.p, self.training, self.inplace, rng=self.rng, **options)

    def forward(self: torch.nn.Module, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask. In evaluation, return the input itself."""
        # torch.jit.script compiles the first branch alone.
        if torch.jit.is_scripting():
            return stock(input, self.p, self.training, self.inplace)
        else:
            return call(self, input)

    forward.__qualname__ = "forward"  # which is what errors of a call say
    return forward


class Dropout(Drawing, torch.nn.Dropout):
    """``torch.nn.Dropout`` by `fastdrop.torch.dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping, in [0, 1].
    inplace : bool, default False
        Write to the input.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        Where masks come from. None is PyTorch's default generator. A seed makes one source when the
        module is made. So masks differ from call to call, and you can repeat a run. The module's
        state holds the place of its source, under the name ``rng``.
    broadcast_dims : int or sequence of int, optional
        As in `dropout`.
    noise_shape : sequence of int or None, optional
        As in `dropout`.
    shard : (window, global_shape), optional
        The inputs are a window of a tensor that several processes hold. Give the window, an index
        of integers, slices and an ellipsis, and the shape of the whole tensor. Each call draws the
        mask of the whole tensor and applies its window. ``rng`` must be a seed or a source, the
        same in each process. broadcast_dims and noise_shape refer to the whole tensor.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.Dropout(p=0.5)
    >>> layer
    Dropout(p=0.5, inplace=False)
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])

    Two shards and the whole:

    >>> x = torch.ones(4, 6)
    >>> upper = fastdrop.torch.Dropout(p=0.5, rng=1, shard=(slice(0, 2), (4, 6)))
    >>> lower = fastdrop.torch.Dropout(p=0.5, rng=1, shard=(slice(2, 4), (4, 6)))
    >>> y = torch.cat([upper(x[:2]), lower(x[2:])])
    >>> torch.equal(y, fastdrop.torch.Dropout(p=0.5, rng=1)(x))
    True
    """

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        rng: RNG = None,
        broadcast_dims: AxesLike | None = None,
        noise_shape: NoiseShapeLike | None = None,
        shard: ShardLike | None = None,
    ) -> None:
        check_one_way_to_share(noise_shape, broadcast_dims, "broadcast_dims")
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)
        mask = None if shard is None else Shard(shard)
        if mask is not None:
            decided_shape(mask.whole, broadcast_dims, noise_shape)  # a check
            if not isinstance(self.rng, Source):
                raise TypeError(
                    "rng must be a seed or a source with a shard, the same in each process, not "
                    f"{rng!r}"
                )
        self._share(broadcast_dims=broadcast_dims, noise_shape=noise_shape, mask=mask)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout)


class Dropout1d(Drawing, torch.nn.Dropout1d):
    """``torch.nn.Dropout1d`` by `fastdrop.torch.dropout1d`.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout1d(p=0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: RNG = None) -> None:
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout1d)


class Dropout2d(Drawing, torch.nn.Dropout2d):
    """``torch.nn.Dropout2d`` by `fastdrop.torch.dropout2d`.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout2d(p=0.2)
    Dropout2d(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: RNG = None) -> None:
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout2d)


class Dropout3d(Drawing, torch.nn.Dropout3d):
    """``torch.nn.Dropout3d`` by `fastdrop.torch.dropout3d`.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.Dropout3d(p=0.2)
    Dropout3d(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: RNG = None) -> None:
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.dropout3d)


class AlphaDropout(Drawing, torch.nn.AlphaDropout):
    """``torch.nn.AlphaDropout`` by `fastdrop.torch.alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.AlphaDropout(p=0.2)
    AlphaDropout(p=0.2, inplace=False)
    """

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        rng: RNG = None,
        broadcast_dims: AxesLike | None = None,
    ) -> None:
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)
        self._share(broadcast_dims=broadcast_dims)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.alpha_dropout)


class FeatureAlphaDropout(Drawing, torch.nn.FeatureAlphaDropout):
    """``torch.nn.FeatureAlphaDropout`` by `fastdrop.torch.feature_alpha_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        As in `Dropout`.
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.FeatureAlphaDropout(p=0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: RNG = None) -> None:
        super().__init__(*checked(p, inplace))
        self._draw_from(rng)

    forward: Callable[..., torch.Tensor] = _forward_by(functional.feature_alpha_dropout)


class DropoutAdd(DrawingOne):
    """``residual + dropout(input + bias)`` by `fastdrop.torch.dropout_add`.

    Call it as ``layer(input, residual, bias=bias)``.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    broadcast_dims : int or sequence of int, optional
        As in `dropout_add`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.DropoutAdd(p=0.1)
    >>> layer
    DropoutAdd(p=0.1)
    >>> layer.eval()(torch.ones(3), torch.ones(3))
    tensor([2., 2., 2.])
    """

    def __init__(
        self, p: float = 0.5, *, rng: RNG = None, broadcast_dims: AxesLike | None = None
    ) -> None:
        super().__init__(p, rng=rng)
        self._share(broadcast_dims=broadcast_dims)

    def forward(
        self, input: torch.Tensor, residual: torch.Tensor, *, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return ``residual + dropout(input + bias)`` under a new mask."""
        if is_leaf(self, input, residual):
            return as_node(self, input, residual, bias=bias)
        options = {"bias": bias, "rng": self.rng, **self._shared}
        return fused.dropout_add(input, residual, self.p, self.training, **options)


class ReLUDropout(DrawingOne):
    """``dropout(relu(input))`` by `fastdrop.torch.relu_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.ReLUDropout(p=0.5)
    >>> layer.eval()(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: RNG = None) -> None:
        super().__init__(p, rng=rng)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return ``dropout(relu(input))`` under a new mask."""
        if type(input) is not torch.Tensor and is_leaf(self, input):
            return as_node(self, input)
        return fused.relu_dropout(input, self.p, self.training, rng=self.rng)
