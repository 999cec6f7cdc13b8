# SPDX-License-Identifier: BSD-3-Clause
"""The operator that stands for the decisions of a mask in the graphs of inductor.

They are bytes, for inductor fuses arithmetic on them with what is before and after. Its own bools
are slow to store.

It is defined without `torch.library.custom_op`. That adds a derivative, which bytes do not have,
and checks: a call on a few elements would take 30 microseconds instead of 10.
"""

from collections.abc import Sequence

import torch

from fastdrop.torch._operator import strides_in_order
from fastdrop.torch._tensor import mask_from_words

__all__ = ["KEPT"]

LIBRARY = torch.library.Library("fastdrop", "FRAGMENT")


def _kept(
    words: torch.Tensor, p: float, shape: Sequence[int], order: Sequence[int] | None = None
) -> torch.Tensor:
    """Return the decisions of the words: 1 where kept, 0 where dropped.

    They follow the axes in an order, by default that of the indices.
    """
    strides = strides_in_order(shape, order)
    kept = torch.empty_strided(shape, strides, dtype=torch.bool, device="cpu")
    mask_from_words(words.contiguous(), p, strides).write_kept(kept, torch.get_num_threads())
    return kept.view(torch.uint8)


def _fake(
    words: torch.Tensor, p: float, shape: Sequence[int], order: Sequence[int] | None = None
) -> torch.Tensor:
    return torch.empty_strided(
        shape, strides_in_order(shape, order), dtype=torch.uint8, device="cpu"
    )


LIBRARY.define(
    f"kept{torch.library.infer_schema(_kept, mutates_args=())}",
    tags=(torch.Tag.pt2_compliant_tag,),
)
LIBRARY.impl("kept", _kept, "CompositeExplicitAutograd")
torch.library.register_fake("fastdrop::kept", _fake, lib=LIBRARY)

KEPT = torch.ops.fastdrop.kept.default
