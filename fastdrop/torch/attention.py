# SPDX-License-Identifier: BSD-3-Clause
"""Scaled dot-product attention with dropout, with the signature of PyTorch's and with a seed."""

from __future__ import annotations

import contextlib
import math
from typing import Any, Never, NoReturn, TypeAlias

import torch

from fastdrop._checks import check_switch, described
from fastdrop._words import public, refuse
from fastdrop.source import Source
from fastdrop.torch._apply import check_tensor, logical_strides
from fastdrop.torch._attend.autograd import attend
from fastdrop.torch._attend.inputs import draw_weights_mask, fitting, inputs_of
from fastdrop.torch._attend.operator import attend_traced
from fastdrop.torch._mask import RNG, addressable_source, settled
from fastdrop.torch._operator import is_traced, words_of
from fastdrop.torch._tensor import mask_from_source

__all__ = ["scaled_dot_product_attention"]

Seed: TypeAlias = Any  # None, an integer, a sequence of integers, a SeedSequence

_stock = torch.nn.functional.scaled_dot_product_attention
_transforming = torch._C._are_functorch_transforms_active


@public("fastdrop.torch")
def scaled_dot_product_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *late: Never,
    scale: float | None = None,
    enable_gqa: bool = False,
    rng: RNG = None,
    seed: Seed = None,
    **words: Never,
) -> torch.Tensor:
    """Attend to values, with dropout of the attention weights.

    It computes what ``torch.nn.functional.scaled_dot_product_attention`` computes. On CPUs that
    function leaves its fast path when ``dropout_p`` is not 0. It then keeps several matrices of
    queries x keys for backward, and draws its mask number by number. This function computes blocks
    of rows one after the other, as flash attention does. In backward it makes the mask of a block
    again from its seed.

    Parameters
    ----------
    query : torch.Tensor
        (..., heads, L, E), float16, bfloat16, float32 or float64, of any strides.
    key : torch.Tensor
        (..., key heads, S, E), of the same dtype.
    value : torch.Tensor
        (..., key heads, S, Ev), of the same dtype.
    attn_mask : torch.Tensor, optional
        Its shape broadcasts to that of the weights, (..., heads, L, S). Bools are True where a key
        takes part. Numbers are added to the scores.
    dropout_p : float, default 0.0
        Probability of dropping a weight, in [0, 1]. As in PyTorch, it does not depend on the
        training mode of a module. At 0 this is PyTorch's function.
    is_causal : bool, default False
        Query i attends only to keys 0 to i. Then ``attn_mask`` must be None.
    scale : float, optional
        Factor of the scores. None is ``1 / sqrt(E)``.
    enable_gqa : bool, default False
        Key and value may have fewer heads than query, a divisor of their number.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        Where the mask comes from. None is PyTorch's default generator. A seed gives the same mask
        in every call, on any machine and number of threads. It is the mask of
        ``fastdrop.dropout_mask((..., heads, L, S), dropout_p, rng=seed)``. A source of fastdrop
        advances by one position per weight, including masked weights and weights above the
        diagonal.
    seed : int, sequence of int or SeedSequence, optional
        The old name of ``rng``. It warns.

    Returns
    -------
    output : torch.Tensor
        (..., heads, L, Ev), of query's dtype. If all keys of a row are masked, the row is 0.

    Raises
    ------
    RuntimeError
        As in PyTorch's function. Nothing is drawn before the error.
    TypeError
        If an argument has a wrong type, or ``seed`` and ``rng`` are both given, or one of them
        for tensors that are not on the CPU.

    Notes
    -----
    The output is ``dropout(softmax(query @ key.T * scale + mask)) @ value``. For backward, these
    are kept: copies of query, key and the mask, the value, two numbers per row (the largest score
    and one over the sum of the exponentials), and for more than 256 keys the output. So you may
    edit the output, query, key and the mask before backward. Gradients of gradients, batches of
    gradients, forward mode, ``torch.func`` and gradients of an additive mask work with whole
    matrices of weights instead, and with the same mask.

    PyTorch's own function handles tensors of other devices, without a seed.

    References
    ----------
    .. [1] T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré, "FlashAttention: fast and
       memory-efficient exact attention with IO-awareness", NeurIPS 2022, algorithms 2 and 4.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.zeros(1, 2, 4, 8)
    >>> fastdrop.torch.scaled_dot_product_attention(x, x, x + 1, dropout_p=0.5, rng=1)[0, 0, :, 0]
    tensor([1.0000, 0.5000, 1.5000, 0.5000])
    """
    if late or words:
        refuse(scaled_dot_product_attention, late, words)
    if rng is not None or seed is not None:
        rng = settled(rng, seed)
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        check_tensor(name, tensor)
    if attn_mask is not None:
        check_tensor("attn_mask", attn_mask)
    dropout_p = _number("dropout_p", dropout_p)
    scale = None if scale is None else _number("scale", scale)
    check_switch("is_causal", is_causal)
    check_switch("enable_gqa", enable_gqa)
    arguments = (query, key, value, attn_mask, dropout_p, is_causal)
    options: dict[str, Any] = {"scale": scale, "enable_gqa": enable_gqa}
    traced, source = is_traced(query), None
    if not traced:
        source = addressable_source(rng)
    transforming = not traced and _transforming()
    if query.device.type != "cpu" or (transforming and source is None):
        if rng is not None:
            raise TypeError(
                "with rng, query must be a tensor on the CPU, and in torch.func rng a seed or a "
                f"source; query is a tensor on {query.device}"
            )
        return _stock(*arguments, **options)
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        arguments = tuple(_autocast(x, dtype) for x in arguments)
        with torch.autocast("cpu", enabled=False):
            return scaled_dot_product_attention(*arguments, **options, rng=rng)
    inputs = (fitting if traced else inputs_of)(*arguments[:4], is_causal, scale, enable_gqa)
    if inputs is None or not 0.0 <= dropout_p <= 1.0:
        _refuse(*arguments, **options)
    if traced:
        if dropout_p == 0.0 and not isinstance(rng, Source):
            return _stock(*arguments, **options)
        return attend_traced(inputs, words_of(rng), dropout_p)
    if source is not None:
        decisions = math.prod(inputs.shape)
        mask = mask_from_source(source, decisions, dropout_p, logical_strides(inputs.shape))
    if dropout_p == 0.0:
        return _stock(*arguments, **options)
    if source is None:
        mask = draw_weights_mask(inputs, dropout_p, rng)
    return attend(inputs, mask)


def _number(name: str, value: Any) -> float:
    """Return an argument as a float; a tensor may be one, if no derivative is asked of it."""
    if type(value) is float:
        return value
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    if hasattr(value, "__float__") and not (is_bool or getattr(value, "requires_grad", False)):
        with contextlib.suppress(TypeError, ValueError):  # an array of many numbers is none
            return float(value)
    raise TypeError(f"{name} must be a number, not {described(value)}")


def _autocast(x: Any, dtype: torch.dtype) -> Any:
    """Return what autocast makes of an argument."""
    casts = isinstance(x, torch.Tensor) and x.is_floating_point() and x.dtype is not torch.float64
    return x.to(dtype) if casts else x


def _refuse(*arguments: Any, **options: Any) -> NoReturn:
    """Raise the error of PyTorch, with its generator as it was."""
    if torch.compiler.is_compiling():  # where nothing is drawn yet
        _stock(*arguments, **options)
    else:
        with torch.random.fork_rng(devices=[]):
            _stock(*arguments, **options)
    if arguments[3] is not None and arguments[5]:
        raise RuntimeError("attn_mask and is_causal=True exclude each other: give one of the two")
    raise RuntimeError(
        "dropout_p must be in [0, 1], and query a strided tensor of floats on the CPU, not "
        f"{arguments[4]} and a {arguments[0].dtype} tensor"
    )
