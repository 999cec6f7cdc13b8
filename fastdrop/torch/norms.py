# SPDX-License-Identifier: BSD-3-Clause
"""The ends of the blocks of transformers: dropout, the sum with a residual and a norm in one pass.

Where one pass is not possible (other layouts and devices, mixed dtypes, transforms), the functions
do the operations one by one, with the same mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never, TypeAlias

import torch
from torch.nn.functional import layer_norm, rms_norm
from torch.overrides import handle_torch_function, has_torch_function

from fastdrop._checks import check_eps, check_p, check_positive, check_switch
from fastdrop._words import HALF, public, refuse
from fastdrop.torch._add_norm import Settings, add_norm, add_norm_traced, is_fusable
from fastdrop.torch._apply import as_tensor, check_real, check_tensor, dense_strides
from fastdrop.torch._drawing import DrawingOne, as_node, is_leaf
from fastdrop.torch._given import Given
from fastdrop.torch._mask import RNG, drops, settled
from fastdrop.torch._operator import is_for_onnx, is_traced, memory_order, words_of
from fastdrop.torch._ways import check_rng
from fastdrop.torch.functional import dropout
from fastdrop.torch.fused import draw_elements, is_one_run

__all__ = [
    "DropoutAddLayerNorm",
    "DropoutAddRMSNorm",
    "dropout_add_layer_norm",
    "dropout_add_rms_norm",
]

Optional: TypeAlias = torch.Tensor | None
Result: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor]

_transforming = torch._C._are_functorch_transforms_active


@public("fastdrop.torch")
def dropout_add_layer_norm(
    input: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    p: float = HALF,
    training: bool = True,
    *late: Never,
    eps: float = 1e-5,
    linear_bias: torch.Tensor | None = None,
    prenorm: bool = False,
    rng: RNG = None,
    mask: Given | None = None,
    **words: Never,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Return ``layer_norm(residual + dropout(input + linear_bias))`` in one pass.

    The norm is over the last axis.

    Parameters
    ----------
    input : torch.Tensor
        Output of the block's last linear map. It may be (N, L, E) in the memory of (L, N, E), as
        PyTorch's attention returns it. As in `dropout`, masks of PyTorch's generators follow the
        memory, and masks of sources follow the indices.
    residual : torch.Tensor
        The tensor that the branch is added to, of input's shape.
    weight, bias : torch.Tensor or None
        Weight and bias of the norm, of the length of the last axis.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    eps : float, default 1e-5
        Added to the variance of a row.
    linear_bias : torch.Tensor, optional
        Added to input before anything is dropped: the bias that the linear map before leaves out.
    prenorm : bool, default False
        Return the sum, too. It is the residual of the next block.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`.
    mask : Mask, or tensor or array of bool, optional
        As in `dropout`. If it is given, dropout is a separate pass.

    Returns
    -------
    y : torch.Tensor
        Of input's shape.
    total : torch.Tensor
        The sum. It is returned only with ``prenorm=True``.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`, or if a shape does not fit.

    Notes
    -----
    Backward is one pass, too, and makes the mask again from its seed. For it, input and residual
    are kept, or with ``prenorm`` only the sum. Rows are computed in float32 (float64 for float64).

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x, residual = torch.ones(2, 4), torch.arange(8.0).reshape(2, 4)
    >>> weight, bias = torch.ones(4), torch.zeros(4)
    >>> fastdrop.torch.dropout_add_layer_norm(x, residual, weight, bias, p=0.5, rng=1)
    tensor([[-1.3867,  0.2773, -0.2773,  1.3867],
            [-1.6330,  0.8165,  0.0000,  0.8165]])
    """
    if late or words:
        refuse(dropout_add_layer_norm, late, words)
    return _add_norm(
        dropout_add_layer_norm, input, residual, (weight, bias), p, training, eps, linear_bias,
        prenorm, rng, mask,
    )  # fmt: skip


@public("fastdrop.torch")
def dropout_add_rms_norm(
    input: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor | None,
    p: float = HALF,
    training: bool = True,
    *late: Never,
    eps: float = 1e-5,
    linear_bias: torch.Tensor | None = None,
    prenorm: bool = False,
    rng: RNG = None,
    mask: Given | None = None,
    **words: Never,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """Return ``rms_norm(residual + dropout(input + linear_bias))`` in one pass.

    Parameters
    ----------
    input, residual : torch.Tensor
        As in `dropout_add_layer_norm`.
    weight : torch.Tensor or None
        Weight of the norm, of the length of the last axis.
    p : float, default 0.5
        As in `dropout`.
    training : bool, default True
        As in `dropout`.
    eps, linear_bias, prenorm, rng, mask : optional
        As in `dropout_add_layer_norm`. Here eps is added to the mean of the squares of a row.

    Returns
    -------
    y : torch.Tensor
        Of input's shape.
    total : torch.Tensor
        The sum. It is returned only with ``prenorm=True``.

    Raises
    ------
    TypeError, ValueError
        As in `dropout_add_layer_norm`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> x, residual = torch.ones(2, 4), torch.arange(8.0).reshape(2, 4)
    >>> fastdrop.torch.dropout_add_rms_norm(x, residual, torch.ones(4), p=0.5, rng=1)
    tensor([[0.0000, 0.9733, 0.6489, 1.6222],
            [0.6532, 1.1431, 0.9798, 1.1431]])
    """
    if late or words:
        refuse(dropout_add_rms_norm, late, words)
    return _add_norm(
        dropout_add_rms_norm, input, residual, (weight,), p, training, eps, linear_bias, prenorm,
        rng, mask,
    )  # fmt: skip


def _add_norm(
    function: Callable[..., Result],
    x: torch.Tensor,
    residual: torch.Tensor,
    affine: tuple[Optional, ...],
    p: float,
    training: bool,
    eps: float,
    linear_bias: Optional,
    prenorm: bool,
    rng: RNG,
    mask: Given | None,
) -> Result:
    """Do the work of a function; ``affine`` is weight and bias, or of an RMS norm the weight."""
    if rng is not None:
        rng = settled(rng)
    tensors = (x, residual, *affine, linear_bias)
    if has_torch_function(tensors):  # a subclass or a mode
        y: Result = handle_torch_function(
            function, tensors, x, residual, *affine, p, training, eps=eps,
            linear_bias=linear_bias, prenorm=prenorm, rng=rng, mask=mask,
        )  # fmt: skip
        return y
    eps, prenorm = check_eps(eps), check_switch("prenorm", prenorm)
    training = check_switch("training", training)
    number = None if mask is not None and p is HALF else check_p(0.5 if p is HALF else p)
    check_tensor("input", x)
    check_tensor("residual", residual)
    x, residual = as_tensor(x), as_tensor(residual)
    check_real("input", x)
    if x.dim() == 0:
        raise ValueError("input must have at least one axis, not shape ()")
    if residual.shape != x.shape:
        raise ValueError(
            f"residual must have input's shape, {tuple(x.shape)}, not {tuple(residual.shape)}"
        )
    names = ("weight", "bias", "linear_bias")
    rows = (affine[0], affine[1] if len(affine) > 1 else None, linear_bias)
    weight, bias, linear_bias = (
        _as_row(name, row, x) for name, row in zip(names, rows, strict=True)
    )
    settings = Settings(len(affine) > 1, eps, prenorm)
    if mask is None:
        assert number is not None
        dropping = drops(number, training, rng)
        traced = is_traced(x)
        order = memory_order(x) if traced or not x.is_contiguous() else None
        if order is not None and not (rng is None or isinstance(rng, torch.Generator)):
            x, order = x.contiguous(), None  # masks of sources follow the indices
        settings = settings._replace(turned=order == [1, 0, 2])
        one_pass = is_fusable(x, residual, weight, bias, linear_bias) and (
            order is None or settings.turned
        )
        if traced:
            if one_pass and dropping and not _transforming() and not is_for_onnx(rng):
                words = words_of(rng)
                return add_norm_traced(
                    x, residual, weight, bias, linear_bias, words, number, settings
                )
        elif one_pass and is_one_run(x) and is_one_run(residual) and residual.is_contiguous():
            if order is not None and x.stride() != dense_strides(x):
                x = x.transpose(0, 1).contiguous().transpose(0, 1)
            elif order is None:
                x = x.contiguous()
            if not dropping:
                check_rng(x, rng)
            drawn = draw_elements(x, number, rng) if dropping else None
            return add_norm(x, residual, weight, bias, linear_bias, drawn, settings)
    dtype, half = x.dtype, x.dtype.itemsize == 2 and residual.dtype == x.dtype
    if half:  # as in one pass: rounded at the end alone
        x, residual = x.float(), residual.float()
        weight, bias, linear_bias = (
            None if row is None else row.float() for row in (weight, bias, linear_bias)
        )
    branch = x if linear_bias is None else x + linear_bias
    if any(row is not None and row.dtype is not residual.dtype for row in (weight, bias)):
        _normalized((branch + residual)[None][:0], weight, bias, settings)  # errors, before a draw
    given = p if number is None else number
    total = residual + dropout(branch, given, training, rng=rng, mask=mask)
    result = _normalized(total, weight, bias, settings)
    if half:
        result, total = result.to(dtype), total.to(dtype)
    return (result, total) if prenorm else result


def _normalized(
    total: torch.Tensor, weight: Optional, bias: Optional, settings: Settings
) -> torch.Tensor:
    if settings.centered:
        return layer_norm(total, total.shape[-1:], weight, bias, settings.eps)
    return rms_norm(total, total.shape[-1:], weight, settings.eps)


def _as_row(name: str, row: Optional, x: torch.Tensor) -> Optional:
    if row is None:
        return None
    check_tensor(name, row)
    if row.shape != x.shape[-1:]:
        raise ValueError(
            f"{name} must have the shape of input's last axis, {tuple(x.shape[-1:])}, not "
            f"{tuple(row.shape)}"
        )
    return as_tensor(row)


# ---- modules -------------------------------------------------------------------------------------


class _DropoutAddNorm(DrawingOne):
    """What both modules have: a p, the length of the last axis, and a weight for it."""

    def __init__(
        self,
        normalized_shape: int,
        p: float,
        eps: float,
        elementwise_affine: bool,
        options: dict[str, Any],
        prenorm: bool,
        rng: RNG,
    ) -> None:
        super().__init__(p, rng=rng)
        self.eps: float = check_eps(eps)
        self.prenorm: bool = check_switch("prenorm", prenorm)
        check_positive("normalized_shape", normalized_shape)
        elementwise_affine = check_switch("elementwise_affine", elementwise_affine)
        weight = torch.ones(normalized_shape, **options) if elementwise_affine else None
        self.normalized_shape: tuple[int] = (normalized_shape,)
        self.weight: Optional = None if weight is None else torch.nn.Parameter(weight)

    def extra_repr(self) -> str:
        """Return what the repr shows between its brackets."""
        return f"{super().extra_repr()}, {self.normalized_shape}, eps={self.eps}"


class DropoutAddLayerNorm(_DropoutAddNorm):
    """``layer_norm(residual + dropout(input + linear_bias))`` by `dropout_add_layer_norm`.

    Call it as ``layer(input, residual, linear_bias=bias)``.

    Parameters
    ----------
    normalized_shape : int
        Length of the last axis.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    eps, elementwise_affine, bias, device, dtype : optional
        As in ``torch.nn.LayerNorm``.
    prenorm : bool, default False
        As in `dropout_add_layer_norm`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.DropoutAddLayerNorm(4, p=0.1)
    >>> layer
    DropoutAddLayerNorm(p=0.1, (4,), eps=1e-05)
    >>> layer.eval()(torch.ones(1, 4), torch.zeros(1, 4)).shape
    torch.Size([1, 4])
    """

    def __init__(
        self,
        normalized_shape: int,
        p: float = 0.5,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        prenorm: bool = False,
        rng: RNG = None,
    ) -> None:
        options = {"device": device, "dtype": dtype}
        bias = check_switch("bias", bias)
        super().__init__(normalized_shape, p, eps, elementwise_affine, options, prenorm, rng)
        shift = torch.zeros(normalized_shape, **options) if elementwise_affine and bias else None
        self.bias: Optional = None if shift is None else torch.nn.Parameter(shift)

    def forward(
        self,
        input: torch.Tensor,
        residual: torch.Tensor,
        *,
        linear_bias: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the norm of the sum under a new mask."""
        if is_leaf(self, input, residual):
            return as_node(self, input, residual, linear_bias=linear_bias)
        return dropout_add_layer_norm(
            input, residual, self.weight, self.bias, self.p, self.training, eps=self.eps,
            linear_bias=linear_bias, prenorm=self.prenorm, rng=self.rng,
        )  # fmt: skip


class DropoutAddRMSNorm(_DropoutAddNorm):
    """``rms_norm(residual + dropout(input + linear_bias))`` by `dropout_add_rms_norm`.

    Call it as ``layer(input, residual, linear_bias=bias)``.

    Parameters
    ----------
    normalized_shape : int
        Length of the last axis.
    p : float, default 0.5
        Probability of dropping an element, in [0, 1].
    eps : float, default 1e-5
        Added to the mean of the squares of a row.
    elementwise_affine, device, dtype : optional
        As in ``torch.nn.RMSNorm``.
    prenorm : bool, default False
        As in `dropout_add_rms_norm`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.DropoutAddRMSNorm(4, p=0.1)
    DropoutAddRMSNorm(p=0.1, (4,), eps=1e-05)
    """

    def __init__(
        self,
        normalized_shape: int,
        p: float = 0.5,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        prenorm: bool = False,
        rng: RNG = None,
    ) -> None:
        options = {"device": device, "dtype": dtype}
        super().__init__(normalized_shape, p, eps, elementwise_affine, options, prenorm, rng)

    def forward(
        self,
        input: torch.Tensor,
        residual: torch.Tensor,
        *,
        linear_bias: torch.Tensor | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the norm of the sum under a new mask."""
        if is_leaf(self, input, residual):
            return as_node(self, input, residual, linear_bias=linear_bias)
        return dropout_add_rms_norm(
            input, residual, self.weight, self.p, self.training, eps=self.eps,
            linear_bias=linear_bias, prenorm=self.prenorm, rng=self.rng,
        )  # fmt: skip
