# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of recurrent networks, as in AWD-LSTM: one mask for all time steps."""

from __future__ import annotations

from typing import Any, Never

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import handle_torch_function, has_torch_function_unary

from fastdrop._checks import check_p, check_probability, check_switch
from fastdrop._words import public, refuse
from fastdrop.torch._apply import as_tensor, check_floats
from fastdrop.torch._drawing import Drawing, DrawingInPlace, as_node, is_leaf
from fastdrop.torch._mask import RNG, settled
from fastdrop.torch._ways import drop_weight
from fastdrop.torch.functional import dropout

__all__ = ["LockedDropout", "WeightDropLSTM", "locked_dropout"]


@public("fastdrop.torch")
def locked_dropout(
    input: torch.Tensor,
    p: float,
    training: bool = True,
    inplace: bool = False,
    *late: Never,
    rng: RNG = None,
    batch_first: bool = False,
    **words: Never,
) -> torch.Tensor:
    """Drop features of sequences, with one mask for all time steps: variational dropout.

    Parameters
    ----------
    input : torch.Tensor
        Of shape (T, N, C), or (T, C) for one sequence, as ``torch.nn.LSTM`` takes them.
    p : float
        Probability of dropping a feature of a sequence, in [0, 1].
    training : bool, default True
        As in `dropout`.
    inplace : bool, default False
        As in `dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `dropout`. A source of fastdrop advances by one position per feature of a sequence.
    batch_first : bool, default False
        True if input has the shape (N, T, C).

    Returns
    -------
    y : torch.Tensor
        Of input's shape, dtype and layout.

    Raises
    ------
    TypeError, ValueError
        As in `dropout`. Also a ValueError if input has another number of axes.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016, section 4.
    .. [2] S. Merity, N. S. Keskar, R. Socher, "Regularizing and optimizing LSTM language models",
       ICLR 2018, section 4.2.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> fastdrop.torch.locked_dropout(torch.ones(2, 1, 4), p=0.5, rng=1)
    tensor([[[0., 2., 0., 2.]],
    <BLANKLINE>
            [[0., 2., 0., 2.]]])
    """
    if late or words:
        refuse(locked_dropout, late, words)
    if rng is not None:
        rng = settled(rng)
    if has_torch_function_unary(input):  # a subclass or a mode
        arguments = input, p, training, inplace
        y: torch.Tensor = handle_torch_function(
            locked_dropout, (input,), *arguments, rng=rng, batch_first=batch_first
        )
        return y
    check_floats("input", input)
    x = as_tensor(input)
    if x.dim() not in (2, 3):
        raise ValueError(
            "input must have shape (T, N, C) or (T, C), or with batch_first (N, T, C), not "
            f"{tuple(x.shape)}"
        )
    in_time = int(check_switch("batch_first", batch_first) and x.dim() == 3)
    y = dropout(x, p, training, inplace, rng=rng, broadcast_dims=in_time)
    return input if y is x else y


class LockedDropout(DrawingInPlace):
    """`fastdrop.torch.locked_dropout` as a module: one mask for all time steps.

    Parameters
    ----------
    p : float
        Probability of dropping a feature of a sequence, in [0, 1].
    inplace : bool, default False
        As in `Dropout`.
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`.
    batch_first : bool, default False
        As in `locked_dropout`.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> layer = fastdrop.torch.LockedDropout(0.4, batch_first=True)
    >>> layer
    LockedDropout(p=0.4, inplace=False, batch_first=True)
    >>> layer.eval()(torch.ones(2, 3, 4)).sum()
    tensor(24.)
    """

    def __init__(
        self, p: float, inplace: bool = False, *, rng: RNG = None, batch_first: bool = False
    ) -> None:
        super().__init__(p, inplace, rng=rng)
        self._share(batch_first=check_switch("batch_first", batch_first) or None)

    _function = staticmethod(locked_dropout)


class WeightDropLSTM(Drawing, torch.nn.LSTM):
    """``torch.nn.LSTM`` whose recurrent weights are dropped, once for all steps of a call.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        As in ``torch.nn.LSTM``.
    bias, batch_first : bool
        As in ``torch.nn.LSTM``.
    dropout : float, default 0.0
        As in ``torch.nn.LSTM``: the probability of dropping an element between layers.
    bidirectional, proj_size, device, dtype : optional
        As in ``torch.nn.LSTM``.
    p : float
        Probability of dropping a weight from state to state (``weight_hh_l0`` and so on), in
        [0, 1].
    rng : None, int, sequence, SeedSequence, source, Generator over one or torch.Generator
        As in `Dropout`, for the weights.

    Notes
    -----
    Its state is the state of ``torch.nn.LSTM``, and the place of its source if it has one. So you
    can load weights of trained models. Weights are dropped in a copy that lives for one call.

    References
    ----------
    .. [1] S. Merity, N. S. Keskar, R. Socher, "Regularizing and optimizing LSTM language models",
       ICLR 2018, section 2: weight-dropped LSTM.

    Examples
    --------
    >>> import torch, fastdrop.torch
    >>> lstm = fastdrop.torch.WeightDropLSTM(4, 8, p=0.5)
    >>> lstm
    WeightDropLSTM(4, 8, p=0.5)
    >>> y, (h, c) = lstm(torch.ones(5, 2, 4))
    >>> y.shape
    torch.Size([5, 2, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        p: float,
        rng: RNG = None,
    ) -> None:
        p, dropout = check_p(p), check_probability("dropout", dropout)
        bias = check_switch("bias", bias)
        batch_first = check_switch("batch_first", batch_first)
        bidirectional = check_switch("bidirectional", bidirectional)
        super().__init__(
            *(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional),
            *(proj_size, device, dtype),
        )
        self.p: float = p
        self._draw_from(rng)

    def extra_repr(self) -> str:
        """Return the settings that repr shows."""
        return f"{super().extra_repr()}, p={self.p}"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return (output, (h, c)) as ``torch.nn.LSTM``, with recurrent weights dropped."""
        if is_leaf(self, input, hx):
            return as_node(self, input, hx)
        if not self.training:
            return super().forward(input, hx)
        self._update_flat_weights()
        self._check_input(input)
        # Another object with the same parameters and other weights: nothing is to be restored,
        # and threads do not meet.
        dropping = object.__new__(torch.nn.LSTM)
        dropping.__dict__ = {**self.__dict__, "_flat_weights": self._dropped()}
        return torch.nn.LSTM.forward(dropping, input, hx)

    def _check_input(self, input: Any) -> None:
        """Let PyTorch say what is wrong with the input before anything is drawn."""
        if isinstance(input, PackedSequence):
            self.check_input(input.data, input.batch_sizes)
        elif input.dim() in (2, 3):
            self.check_input(input if input.dim() == 3 else input.unsqueeze(0), None)
        else:
            super().forward(input)  # raises

    def _dropped(self) -> list[torch.Tensor]:
        return [
            drop_weight(weight, self.p, True, self.rng) if name.startswith("weight_hh") else weight
            for name, weight in zip(self._flat_weights_names, self._flat_weights, strict=True)
        ]
