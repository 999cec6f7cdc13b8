# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of tensors of other devices, by a Philox4x32 source and PyTorch's own operations.

The backward pass makes the decisions again from their place, so that nothing is kept for it.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

from fastdrop._checks import check_probabilities, shown
from fastdrop._typing import NDArray
from fastdrop.functional.dropout import dropout_mask
from fastdrop.source import Philox4x32, Source
from fastdrop.torch._apply import Ints
from fastdrop.torch._mask import Settled, SharedShape
from fastdrop.torch._operator import is_traced, laid_like
from fastdrop.torch._philox import Place, Threshold, decide, threshold_of

__all__ = ["chances_of", "dropping_elsewhere", "is_elsewhere"]

# One for all elements, or one for each decision.
Scale: TypeAlias = float | torch.Tensor


def is_elsewhere(x: torch.Tensor) -> bool:
    """Return whether x is a strided tensor of another device."""
    return x.device.type != "cpu" and x.layout is torch.strided


def _moved(
    x: torch.Tensor, kept: torch.Tensor, scale: Scale, shift: float, dropped: float
) -> torch.Tensor:
    """Return ``x * scale + shift`` where kept, else ``dropped``; of 16 bits rounded once."""
    if x.is_complex():  # a product of complex numbers would make NaN of infinity
        real, imaginary = (torch.where(kept, part * scale, 0.0) for part in (x.real, x.imag))
        return torch.complex(real, imaginary)
    y = (x.float() if x.dtype.itemsize == 2 else x) * scale
    if shift:  # to add 0 would make +0 of -0
        y = y + shift
    return torch.where(kept, y, dropped).to(x.dtype)


def _drop(
    x: torch.Tensor,
    place: Place,
    threshold: Threshold,
    decided: Ints,
    scale: Scale,
    shift: float,
    dropped: float,
) -> torch.Tensor:
    kept = decide(place, threshold, decided, x.device)
    return laid_like(x, _moved(x, kept, scale, shift, dropped))


class _Drop(Function):
    @staticmethod
    def forward(x: torch.Tensor, *settings: Any) -> torch.Tensor:
        return _drop(x, *settings)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _, *ctx.settings, _, _ = inputs  # but shift and dropped, which derivatives have not

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return drop(dy, *ctx.settings), *(None,) * 6

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: None) -> torch.Tensor:
        return drop(tangent, *ctx.settings)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        x: torch.Tensor,
        place: Place,
        threshold: Threshold,
        decided: Ints,
        *numbers: Any,
    ) -> tuple[torch.Tensor, int]:
        # The mask of one of the batch serves all of it.
        return drop(x.movedim(in_dims[0], 0), place, threshold, (1, *decided), *numbers), 0


def drop(
    x: torch.Tensor,
    place: Place,
    threshold: Threshold,
    decided: Ints,
    scale: Scale,
    shift: float = 0.0,
    dropped: float = 0.0,
) -> torch.Tensor:
    """Return x under decisions of a shape that broadcasts to x's, with derivatives."""
    settings = place, threshold, decided, scale, shift, dropped
    y: torch.Tensor
    if torch.compiler.is_compiling():
        # Of a Function the compiler would keep the decisions for the backward pass.
        y = checkpoint(
            lambda x: _drop(x, *settings), x, use_reentrant=False, preserve_rng_state=False
        )
    else:
        y = _Drop.apply(x, *settings)
    return y


# ---- sources -------------------------------------------------------------------------------------


def _philox(rng: Settled, x: torch.Tensor) -> Philox4x32:
    """Return a source that other devices have."""
    if isinstance(rng, Philox4x32):
        return rng
    called = shown(rng) if isinstance(rng, Source) else f"{shown(rng)}, a seed of another source"
    raise TypeError(
        "rng must be a Philox4x32, as in rng=fastdrop.Philox4x32(seed), for a tensor on "
        f"{x.device}, not {called}"
    )


def _take(source: Philox4x32, decided: Ints) -> Place:
    """Return the place of a mask of that shape; the source goes on behind it."""
    if torch.compiler.is_compiling():  # a traced program has a source's attributes, and no methods
        place = Place(source.key, source.counter, source.position)
        source.position = place.position + math.prod(decided)
        return place
    state = dropout_mask(decided, 0.5, rng=source).state
    return Place(state["key"], state["counter"], state["position"])


def chances_of(p: torch.Tensor) -> NDArray[np.float64]:
    """Return the numbers of probabilities, also where a transform of torch.func runs."""
    with torch._C._DisableFuncTorch():
        chances: NDArray[np.float64] = p.detach().to("cpu", torch.float64).numpy()
    return chances


def _settings_of_each(p: torch.Tensor, x: torch.Tensor) -> tuple[Threshold, torch.Tensor]:
    """Return the thresholds and factors of probabilities, from double, where x is.

    A device may lack double, so that they are made on the CPU where p has numbers.
    """
    if not (is_traced(x) or p.is_meta):
        p = torch.tensor(check_probabilities("p", chances_of(p)), device="cpu")
    kept = 1.0 - p.detach().double()
    factor = torch.where(kept > 0.0, 1.0 / kept, 1.0)
    wide = torch.float64 if x.dtype in (torch.float64, torch.complex128) else torch.float32
    head, rest = (part.to(x.device) for part in threshold_of(p.detach()))
    return (head, rest), factor.to(wide).to(x.device)


def dropping_elsewhere(
    x: torch.Tensor, p: float | torch.Tensor, rng: Settled, shared: SharedShape
) -> Callable[..., torch.Tensor]:
    """Return what drops elements of x by the next decisions of a source, as (x, inplace, *numbers).

    Where p is a tensor, which broadcasts to the decisions, there are no numbers.
    """
    source = _philox(rng, x)
    decided = tuple(x.shape) if shared is None else shared
    own: list[Any] = []
    if isinstance(p, torch.Tensor):
        threshold, *own = _settings_of_each(p, x)
    else:
        threshold = threshold_of(p)
    place = _take(source, decided)

    def dropping(x: torch.Tensor, inplace: bool, *numbers: float) -> torch.Tensor:
        y = drop(x, place, threshold, decided, *own, *numbers)
        return x.copy_(y) if inplace else y

    return dropping
