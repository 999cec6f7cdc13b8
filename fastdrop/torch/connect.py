# SPDX-License-Identifier: BSD-3-Clause
"""A linear map whose weights are dropped."""

from __future__ import annotations

import math
from typing import Never

import torch
from torch.nn.functional import linear
from torch.overrides import handle_torch_function, has_torch_function_variadic

from fastdrop._checks import check_integer, check_p, check_switch
from fastdrop._words import public, refuse
from fastdrop.torch._apply import as_tensor, check_floats
from fastdrop.torch._drawing import Drawing, as_node, is_leaf
from fastdrop.torch._mask import RNG, settled
from fastdrop.torch._ways import drop_weight

__all__ = ["DropConnect", "drop_connect"]


@public("fastdrop.torch")
def drop_connect(
    input: torch.Tensor,
    weight: torch.Tensor,
    p: float,
    training: bool = True,
    *late: Never,
    bias: torch.Tensor | None = None,
    rng: RNG = None,
    **words: Never,
) -> torch.Tensor:
    """Return ``linear(input, dropout(weight), bias)``: a map that drops weights, not units.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (..., features_in).
    weight : torch.Tensor
        Of shape (features_out, features_in).
    p : float
        Probability of dropping a weight, in [0, 1].
    training : bool, default True
        False uses the weight as it is. Nothing is drawn then.
    bias : torch.Tensor, optional
        Of shape (features_out,). It is never dropped.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per weight.

    Returns
    -------
    y : torch.Tensor
        Of shape (..., features_out).

    Raises
    ------
    TypeError, ValueError
        As in `dropout`, or if a shape or a dtype does not fit.

    See Also
    --------
    fastdrop.drop_connect : The same for NumPy arrays, and its paper.

    Notes
    -----
    The same weights are dropped as by the function for NumPy arrays. PyTorch computes the product.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.drop_connect(torch.ones(2, 4), torch.ones(3, 4), p=0.5, rng=1)
    tensor([[4., 2., 6.],
            [4., 2., 6.]])
    """
    if late or words:
        refuse(drop_connect, late, words)
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_variadic(input, weight, bias):  # a subclass or a mode
        y: torch.Tensor = handle_torch_function(
            drop_connect,
            (input, weight, bias),
            *(input, weight, p, training),
            bias=bias,
            rng=rng,
        )
        return y
    p = check_p(p)
    check_floats("input", input)
    check_floats("weight", weight)
    input, weight = as_tensor(input), as_tensor(weight)
    if weight.dim() != 2 or not input.dim() or weight.shape[1] != input.shape[-1]:
        raise ValueError(
            "weight must have shape (features_out, features_in), with input of shape "
            f"{tuple(input.shape)}, not {tuple(weight.shape)}"
        )
    if bias is not None:
        check_floats("bias", bias)
        bias = as_tensor(bias)
        if bias.shape != weight.shape[:1]:
            raise ValueError(
                f"bias must have shape ({weight.shape[0]},), with weight of shape "
                f"{tuple(weight.shape)}, not {tuple(bias.shape)}"
            )
    if not torch.is_autocast_enabled(input.device.type):
        for name, other in (("weight", weight), ("bias", input if bias is None else bias)):
            if other.dtype != input.dtype:
                raise TypeError(f"{name} must have input's dtype, {input.dtype}, not {other.dtype}")
    training = check_switch("training", training)
    return linear(input, drop_weight(weight, p, training, rng), bias)


class DropConnect(Drawing, torch.nn.Linear):
    """``torch.nn.Linear`` that drops weights, by `fastdrop.torch.drop_connect`.

    Parameters
    ----------
    in_features, out_features : int
        As in ``torch.nn.Linear``.
    p : float
        Probability of dropping a weight, in [0, 1].
    bias : bool, default True
        As in ``torch.nn.Linear``. The bias is never dropped.
    device, dtype : optional
        As in ``torch.nn.Linear``.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Notes
    -----
    Its state is the state of ``torch.nn.Linear``, and the place of its source if it has one. To
    drop weights of other modules, register a `Dropout` as the parametrization of a parameter.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.DropConnect(4, 3, p=0.5)
    >>> layer
    DropConnect(in_features=4, out_features=3, bias=True, p=0.5)
    >>> layer(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        rng: RNG = None,
    ) -> None:
        p, bias = check_p(p), check_switch("bias", bias)
        for name, length in (("in_features", in_features), ("out_features", out_features)):
            check_integer(name, length, 0, math.inf, "that is not negative")
        super().__init__(in_features, out_features, bias, device, dtype)
        self.p: float = p
        self._draw_from(rng)

    def extra_repr(self) -> str:
        """Return the settings that repr shows."""
        return f"{super().extra_repr()}, p={self.p}"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the linear map of the input with dropped weights."""
        if is_leaf(self, input):
            return as_node(self, input)
        return drop_connect(input, self.weight, self.p, self.training, bias=self.bias, rng=self.rng)
