# SPDX-License-Identifier: BSD-3-Clause
"""What all modules of the package have in common: a source of their own, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch

from fastdrop._checks import (
    check_axes_to_come,
    check_noise_lengths,
    check_p,
    check_switch,
    described,
)
from fastdrop._words import explained
from fastdrop.source import Source
from fastdrop.torch._mask import RNG, addressable_source, settled
from fastdrop.torch._seed import place_source, words_of_source

__all__ = ["Drawing", "DrawingInPlace", "DrawingOne", "as_node", "checked", "is_leaf"]

# The entry of a module's state that says where its source is.
PLACE = "rng"

PLACES = {
    "training": "switch a module by its methods train and eval",
    "bias": "give it in each call, as in layer(input, residual, bias=bias)",
}


class Drawing(torch.nn.Module):
    """What all modules have in common: a source of their own, if they are given one."""

    # Of the class: also for modules that `accelerate` exchanged.
    rng: Source | torch.Generator | None = None
    _shared: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.startswith("fastdrop.torch."):
            cls.__module__ = "fastdrop.torch"  # from where they are imported, and pickled
            if "__init__" in vars(cls):
                type.__setattr__(cls, "__init__", explained(cls.__init__, PLACES))

    def _draw_from(self, rng: RNG) -> None:
        given = settled(rng)
        source = addressable_source(given)
        self.rng = given if source is None else source

    def _share(self, **options: Any) -> None:
        check_axes_to_come("broadcast_dims", options.get("broadcast_dims"))
        if options.get("noise_shape") is not None:
            check_noise_lengths(options["noise_shape"])
        given = {name: value for name, value in options.items() if value is not None}
        if given:
            self.__dict__["_shared"] = given

    def extra_repr(self) -> str:
        names = {"mask": "shard"}  # the word of the functions -> that of modules
        shared = [f"{names.get(name, name)}={value!r}" for name, value in self._shared.items()]
        return ", ".join(filter(None, [super().extra_repr(), *shared]))

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if isinstance(self.rng, Source):
            destination[prefix + PLACE] = words_of_source(self.rng)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if not isinstance(self.rng, Source):
            return
        words = state_dict.get(key := prefix + PLACE)
        if key in unexpected_keys:
            unexpected_keys.remove(key)
        if words is None:
            missing_keys += [key] * strict
        elif not isinstance(words, torch.Tensor):
            error_msgs.append(f"{key} must be a tensor, not {described(words)}")
        elif words.dtype != torch.int64 or words.shape != (4,):
            error_msgs.append(
                f"{key} must have dtype int64 and shape (4,), the place of a source, not "
                f"{words.dtype} and {tuple(words.shape)}"
            )
        else:
            place_source(self.rng, words)


def checked(p: float, inplace: bool) -> tuple[float, bool]:
    """Return what PyTorch's modules are made of, and show: an int stays one."""
    number = check_p(p)
    return p if type(p) is int else number, check_switch("inplace", inplace)


def is_leaf(module: Drawing, *inputs: Any) -> bool:
    """Return whether torch.fx is tracing the call of a module, which is to be one node.

    So are PyTorch's modules: they stay modules, which follow ``train`` and ``eval``, and have what
    they draw from. FX knows them by the name of their package.
    """
    for x in inputs:
        if isinstance(x, torch.fx.Proxy):
            return isinstance(x.tracer, torch.fx.Tracer) and x.tracer.root is not module
    return False


def as_node(module: Drawing, *inputs: Any, **options: Any) -> Any:
    """Return the call of a module as a node of the graph that torch.fx is making."""
    tracer = next(x.tracer for x in inputs if isinstance(x, torch.fx.Proxy))
    return tracer.create_proxy("call_module", tracer.path_of_module(module), inputs, options)


class DrawingOne(Drawing):
    """What the modules have in common for which PyTorch has no module."""

    def __init__(self, p: float, *, rng: RNG = None) -> None:
        super().__init__()
        self.p: float = check_p(p)
        self._draw_from(rng)

    def extra_repr(self) -> str:
        return ", ".join([f"p={self.p}", *filter(None, [super().extra_repr()])])


class DrawingInPlace(DrawingOne):
    """Those of one tensor, which may be written to."""

    _function: ClassVar[Callable[..., torch.Tensor]]

    def __init__(self, p: float, inplace: bool = False, *, rng: RNG = None) -> None:
        super().__init__(p, rng=rng)
        self.inplace: bool = check_switch("inplace", inplace)

    def extra_repr(self) -> str:
        first, *others = super().extra_repr().split(", ", 1)
        return ", ".join([first, f"inplace={self.inplace}", *others])

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input under a new mask; in evaluation the input itself."""
        if type(input) is not torch.Tensor and is_leaf(self, input):
            return as_node(self, input)
        return self._function(
            input, self.p, self.training, self.inplace, rng=self.rng, **self._shared
        )
