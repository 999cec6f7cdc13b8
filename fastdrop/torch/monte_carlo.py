# SPDX-License-Identifier: BSD-3-Clause
"""Predictions with dropout left on, which show how sure a network is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from fastdrop._checks import check_positive, check_seed, kind_of, shown
from fastdrop._words import public
from fastdrop.source import Source, Xoshiro256PlusPlus
from fastdrop.torch._drawing import Drawing
from fastdrop.torch._mask import RNG, Settled, settled

__all__ = ["Prediction", "mc_predict"]

# Modules whose training mode is dropout and nothing else. A layer of a transformer is one: in
# evaluation it takes a fast path without the modules in it.
DROPPING = (
    Drawing,
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.MultiheadAttention,
    torch.nn.RNNBase,
    torch.nn.TransformerEncoder,
    torch.nn.TransformerEncoderLayer,
    torch.nn.TransformerDecoderLayer,
)


class Prediction(NamedTuple):
    """What `mc_predict` returns."""

    mean: torch.Tensor
    std: torch.Tensor
    samples: torch.Tensor


@public("fastdrop.torch")
def mc_predict(
    model: torch.nn.Module,
    input: Any,
    n: int,
    *,
    rng: RNG = None,
    classes: tuple[type[torch.nn.Module], ...] = (),
) -> Prediction:
    """Call ``model(input)`` n times, with dropout on and all other modules in evaluation.

    Parameters
    ----------
    model : torch.nn.Module
        Any module. Afterwards each of its modules is in the same mode as before.
    input : object
        The argument of each call.
    n : int
        Number of calls, at least 1.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        It decides the masks of all calls. With None, the modules draw their usual masks. Otherwise
        the same seed gives the same samples. Then nothing else advances: neither PyTorch's default
        generator of the CPU nor the sources of the modules.
    classes : tuple of type, optional
        Other classes of modules that drop, for example from other libraries. These modules are put
        into training mode, too, but not their children. The modules of PyTorch and of fastdrop are
        known.

    Returns
    -------
    mean : torch.Tensor
        Mean of the samples, which is the prediction. It has the shape of one sample.
    std : torch.Tensor
        Standard deviation of the samples, with divisor n. It says how far they disagree.
    samples : torch.Tensor
        All results, of shape (n, ...). Mean, std and samples are a named tuple, without gradients.

    Raises
    ------
    TypeError
        If model is not a module or does not return a tensor, or n is not an integer.
    ValueError
        If n is less than 1, or a result has another shape or dtype than the first.

    Warns
    -----
    UserWarning
        If all n results are the same, because the model drops nothing.

    See Also
    --------
    fastdrop.mc_predict : The same for functions of NumPy arrays, and its paper.

    Notes
    -----
    Samples of float16 and bfloat16 are added up in float32.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 50), torch.nn.Dropout(0.2)).eval()
    >>> mean, std, samples = fastdrop.torch.mc_predict(model, torch.ones(3, 1), 20, rng=1)
    >>> samples.shape
    torch.Size([20, 3, 50])
    >>> bool((std > 0).any()), model[1].training
    (True, False)
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {kind_of(model)}")
    n = check_positive("n", n)
    rng = settled(rng, depth=2)
    dropping = DROPPING + _check_classes(classes)
    with torch.no_grad(), _dropping(model, dropping), _ruled(model, rng):
        samples = _sampled(model, input, n)
    if n > 1 and samples.numel() and bool((samples == samples[:1]).all()):
        warnings.warn(
            f"all {n} samples are alike: model must have modules that drop: those of PyTorch and "
            "of fastdrop, or of classes",
            stacklevel=2,
        )
    return Prediction(*_moments(samples), samples)


def _check_classes(classes: Any) -> tuple[type, ...]:
    if not isinstance(classes, tuple) or not all(isinstance(cls, type) for cls in classes):
        raise TypeError(f"classes must be a tuple of classes, not {shown(classes)}")
    return classes


def _sampled(model: torch.nn.Module, input: Any, n: int) -> torch.Tensor:
    first = _result(model(input))
    samples = first.new_empty((n, *first.shape))
    samples[0] = first
    for index in range(1, n):
        result = _result(model(input))
        if (result.shape, result.dtype) != (first.shape, first.dtype):
            raise ValueError(
                f"model must always return shape {tuple(first.shape)} and dtype {first.dtype}, as "
                f"its first result, not shape {tuple(result.shape)} and dtype {result.dtype}"
            )
        samples[index] = result
    return samples


def _result(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"model must return one tensor, not {kind_of(value)}")
    return value


def _moments(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation; of integers in the default dtype, of halves by float32."""
    dtype = samples.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
        samples = samples.to(dtype)
    if dtype.itemsize == 2:
        samples = samples.float()
    mean = samples.mean(0)
    std = (samples - mean).abs().square().mean(0).sqrt()
    return (mean.to(dtype), std.to(dtype)) if dtype.itemsize == 2 else (mean, std)


@contextmanager
def _dropping(model: torch.nn.Module, classes: tuple[type, ...]) -> Iterator[None]:
    """Put modules of these classes into training, all others into evaluation, for a while."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = isinstance(module, classes)
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _ruled(model: torch.nn.Module, rng: Settled) -> Iterator[None]:
    """Let an rng rule what modules draw from, for a while."""
    if rng is None:
        yield
        return
    first, second = (int(word) for word in _seed_of(rng).generate_state(2, np.uint64))
    own = [module for module in model.modules() if isinstance(module, Drawing)]
    sources = [module.rng for module in own]
    drawn = [source for source in sources if source is not None]
    unique = list({id(source): source for source in drawn}.values())
    children = np.random.SeedSequence(second).spawn(len(unique))
    others = {
        id(source): Xoshiro256PlusPlus(child)
        for source, child in zip(unique, children, strict=True)
    }
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(first)
        try:
            for module, source in zip(own, sources, strict=True):
                if source is not None:
                    module.rng = others[id(source)]
            yield
        finally:
            for module, source in zip(own, sources, strict=True):
                if source is not None:
                    module.rng = source


def _seed_of(rng: Settled) -> Any:
    """Return the seed sequence that an rng stands for; a source and a generator go on."""
    if isinstance(rng, Source):
        return np.random.SeedSequence(rng.random_raw(2).tolist())
    if isinstance(rng, torch.Generator):
        drawn = torch.empty(2, dtype=torch.int64, device=rng.device).random_(generator=rng)
        return np.random.SeedSequence(drawn.tolist())
    return check_seed(rng, "rng")
