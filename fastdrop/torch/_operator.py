# SPDX-License-Identifier: BSD-3-Clause
"""The operators that stand for our kernels in traced programs.

``torch.compile``, ``torch.export`` and ``torch.jit.trace`` record ``fastdrop::drop`` as one step;
when the program runs, the step calls the kernel. The mask is made from ``words``, a tensor of
the program, so the operator is a pure function, and its derivative is itself.
"""

from typing import Any

import torch

from fastdrop._checks import check_seed
from fastdrop._typing import SeedLike
from fastdrop.source import Source, Xoshiro256PlusPlus
from fastdrop.torch._apply import apply, logical_strides
from fastdrop.torch._mask import RNG, check_rng, feature_layout
from fastdrop.torch._tensor import mask_from_words

__all__ = ["drop_traced", "is_traced", "words_of"]

LARGEST = 2**63 - 1


def is_traced(x: torch.Tensor) -> bool:
    """Return whether x is part of a program that is being recorded rather than run."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or _has_no_memory(x)


def _has_no_memory(x: torch.Tensor) -> bool:
    return isinstance(x, torch._subclasses.FakeTensor) or torch._C._len_torch_dispatch_stack() > 0


@torch.library.custom_op("fastdrop::drop", mutates_args=())
def _drop(
    x: torch.Tensor, words: torch.Tensor, p: float, scale: float, features: bool
) -> torch.Tensor:
    if features:
        strides, broadcast = feature_layout(x)
    else:
        strides, broadcast = logical_strides(x.shape), None
    words = words.contiguous()
    mask = mask_from_words(words.data_ptr(), p, strides, broadcast)
    y = apply(mask.with_scale(scale), x)
    like = torch.empty_like(x)
    return y if y.stride() == like.stride() else like.copy_(y)


@_drop.register_fake
def _(x: torch.Tensor, words: torch.Tensor, p: float, scale: float, features: bool) -> torch.Tensor:
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, words, *ctx.settings = inputs
    ctx.save_for_backward(words)


def _backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
    (words,) = ctx.saved_tensors
    return torch.ops.fastdrop.drop(dy, words, *ctx.settings), None, None, None, None


_drop.register_autograd(_backward, setup_context=_keep)


@torch.library.custom_op("fastdrop::seed_words", mutates_args=())
def _seed_words(seed: int) -> torch.Tensor:
    source = Xoshiro256PlusPlus(check_seed(seed))
    low, high, *counter = (*source.key, *source.counter)
    words = [low | high << 32, counter[0] | counter[1] << 32, counter[2] | counter[3] << 32, 0]
    return torch.tensor([word - (word >> 63 << 64) for word in words], device="cpu")


@_seed_words.register_fake
def _(seed: int) -> torch.Tensor:
    return torch.empty(4, dtype=torch.int64, device="cpu")


def words_of(rng: RNG, seed: SeedLike | None) -> torch.Tensor:
    """Return words of a seed (an integer below 2**63) or a generator, as steps of the program."""
    if isinstance(rng, Source):
        raise TypeError(
            "rng is a source of fastdrop in a traced program; allowed are a seed and "
            "generators of PyTorch"
        )
    check_rng(rng, seed)
    if seed is not None:
        words: torch.Tensor = torch.ops.fastdrop.seed_words(seed)
        return words
    drawn = torch.randint(LARGEST, (3,), generator=rng, device="cpu")
    return torch.nn.functional.pad(drawn, (0, 1))


def drop_traced(
    x: torch.Tensor, words: torch.Tensor, p: float, scale: float, features: bool
) -> torch.Tensor:
    """Return x under the mask of the words, as a step of the traced program."""
    return torch.ops.fastdrop.drop(x, words, p, scale, features)
