# SPDX-License-Identifier: BSD-3-Clause
"""gelu and silu with dropout, in one pass over memory. relu with dropout is in `fused`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Never

import torch
from torch.autograd import Function
from torch.nn.functional import gelu, silu
from torch.overrides import handle_torch_function, has_torch_function_variadic

from fastdrop._checks import check_choice, check_p, check_switch
from fastdrop._words import public, refuse
from fastdrop.torch import _passes
from fastdrop.torch._apply import as_tensor, bias_rows, check_real, check_tensor, is_plain
from fastdrop.torch._autograd import drop, sum_for_bias
from fastdrop.torch._drawing import DrawingOne, as_node, is_leaf
from fastdrop.torch._mask import RNG, drops, settled
from fastdrop.torch._operator import is_traced
from fastdrop.torch._tensor import TensorMask
from fastdrop.torch.functional import dropout
from fastdrop.torch.fused import check_broadcasts, draw_elements, is_bias_of, is_one_run

__all__ = ["GELUDropout", "SiLUDropout", "gelu_dropout", "silu_dropout"]

APPROXIMATIONS = ("none", "tanh")

# Of PyTorch, by the names that kernels have.
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate="tanh"),
    "silu": silu,
}

_get_num_threads = torch.get_num_threads
_empty_like = torch.empty_like


@public("fastdrop.torch")
def gelu_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *late: Never,
    approximate: Literal["none", "tanh"] = "none",
    bias: torch.Tensor | None = None,
    rng: RNG = None,
    **words: Never,
) -> torch.Tensor:
    """Return ``dropout(gelu(input + bias))`` in one pass.

    Parameters
    ----------
    input : torch.Tensor
        As in `dropout`, without complex numbers.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False applies gelu alone.
    approximate : {"none", "tanh"}, default "none"
        As in ``torch.nn.functional.gelu``.
    bias : torch.Tensor, optional
        As in `dropout_add`: the bias that the linear map before leaves out.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`.

    Notes
    -----
    Backward makes the mask again from its seed. Input and bias are kept for it.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.tensor([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> fastdrop.torch.gelu_dropout(x, p=0.5, rng=1)
    tensor([ 0.0000e+00,  3.9090e+00,  0.0000e+00, -2.5337e-04,  0.0000e+00,
             1.2000e+01])
    """
    if late or words:
        refuse(gelu_dropout, late, words)
    check_choice("approximate", approximate, APPROXIMATIONS)
    name = "gelu" if approximate == "none" else "gelu_tanh"
    options = {} if approximate == "none" else {"approximate": approximate}
    return _activate(gelu_dropout, name, input, p, training, bias, rng, options)


@public("fastdrop.torch")
def silu_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *late: Never,
    bias: torch.Tensor | None = None,
    rng: RNG = None,
    **words: Never,
) -> torch.Tensor:
    """Return ``dropout(silu(input + bias))`` in one pass.

    Parameters
    ----------
    input : torch.Tensor
        As in `dropout`, without complex numbers.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`. False applies silu alone.
    bias : torch.Tensor, optional
        As in `gelu_dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x = torch.tensor([1.0, 2.0, -3.0, -4.0, 5.0, 6.0])
    >>> fastdrop.torch.silu_dropout(x, p=0.5, rng=1)
    tensor([ 0.0000,  3.5232,  0.0000, -0.1439,  0.0000, 11.9703])
    """
    if late or words:
        refuse(silu_dropout, late, words)
    return _activate(silu_dropout, "silu", input, p, training, bias, rng, {})


def _activate(
    function: Callable[..., torch.Tensor],
    name: str,
    x: torch.Tensor,
    p: float,
    training: bool,
    bias: torch.Tensor | None,
    rng: RNG,
    options: dict[str, Any],
) -> torch.Tensor:
    """Do the work of a function."""
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_variadic(x, bias):  # a subclass or a mode
        y: torch.Tensor = handle_torch_function(
            function, (x, bias), x, p, training, bias=bias, rng=rng, **options
        )
        return y
    p = check_p(p)
    check_tensor("input", x)
    x = as_tensor(x)
    training = check_switch("training", training)
    check_real("input", x)
    if bias is not None:
        check_tensor("bias", bias)
        bias = as_tensor(bias)
    if drops(p, training, rng) and not is_traced(x) and is_one_run(x) and is_bias_of(x, bias):
        return _record(x, bias, draw_elements(x, p, rng), name)
    if bias is not None:
        check_broadcasts("bias", bias, x)
    # As in one pass: half-width numbers are rounded at the end alone.
    dtype, half = x.dtype, x.dtype.itemsize == 2 and (bias is None or bias.dtype == x.dtype)
    branch = x.float() if half else x
    branch = branch if bias is None else branch + bias
    result = dropout(ACTIVATIONS[name](branch), p, training, rng=rng)
    return result.to(dtype) if half else result


class _Activate(Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, mask: TensorMask, name: str
    ) -> torch.Tensor:
        ctx.mask, ctx.name = mask, name
        ctx.save_for_backward(x, bias)
        y = _empty_like(x)
        _passes.activate(mask, name, x, bias_rows(_detached(bias)), y, _get_num_threads())
        return y

    @staticmethod
    def backward(
        ctx: Any, dy: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        x, bias = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be derived again
            z = x if bias is None else x + bias
            z = z if z.requires_grad else z.detach().requires_grad_()
            y = ACTIVATIONS[ctx.name](z)
            (dx,) = torch.autograd.grad(y, z, drop(dy, ctx.mask), create_graph=True)
        else:
            dx = _empty_like(x)
            if not is_plain(dy):
                dy = dy.resolve_conj().resolve_neg()
            rows = bias_rows(_detached(bias))
            _passes.activate_backward(ctx.mask, ctx.name, dy, x, rows, dx, _get_num_threads())
        dbias = sum_for_bias(dx) if ctx.needs_input_grad[1] else None
        return dx, dbias, None, None


def _detached(bias: torch.Tensor | None) -> torch.Tensor | None:
    return None if bias is None else bias.detach()


# Function.apply looks for transforms and inspects signatures; this does not.
_record = super(Function, _Activate).apply


class GELUDropout(DrawingOne):
    """``dropout(gelu(input))`` by `fastdrop.torch.gelu_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    approximate : {"none", "tanh"}, default "none"
        As in ``torch.nn.GELU``.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.GELUDropout(p=0.5)
    >>> layer.eval()(torch.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(
        self, p: float = 0.5, approximate: Literal["none", "tanh"] = "none", *, rng: RNG = None
    ) -> None:
        super().__init__(p, rng=rng)
        check_choice("approximate", approximate, APPROXIMATIONS)
        self.approximate: Literal["none", "tanh"] = approximate

    def extra_repr(self) -> str:
        """Return what the repr shows between its brackets."""
        return f"{super().extra_repr()}, approximate={self.approximate!r}"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return ``dropout(gelu(input))`` under a new mask."""
        if type(input) is not torch.Tensor and is_leaf(self, input):
            return as_node(self, input)
        options: dict[str, Any] = {"approximate": self.approximate, "rng": self.rng}
        return gelu_dropout(input, self.p, self.training, **options)


class SiLUDropout(DrawingOne):
    """``dropout(silu(input))`` by `fastdrop.torch.silu_dropout`.

    Parameters
    ----------
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.SiLUDropout(p=0.5)
    >>> layer.eval()(torch.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def __init__(self, p: float = 0.5, *, rng: RNG = None) -> None:
        super().__init__(p, rng=rng)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return ``dropout(silu(input))`` under a new mask."""
        if type(input) is not torch.Tensor and is_leaf(self, input):
            return as_node(self, input)
        return silu_dropout(input, self.p, self.training, rng=self.rng)
