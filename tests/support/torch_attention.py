# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of attention in PyTorch share: inputs, right and wrong, and a comparison."""

import math

import torch

import fastdrop.torch

attention = fastdrop.torch.scaled_dot_product_attention

MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "bools": {"attn_mask": torch.arange(30).view(5, 6) % 4 != 1},
    "numbers": {"attn_mask": torch.linspace(-2, 2, 6, dtype=torch.float64)},
}

Q = torch.randn(2, 4, 5, 8)
SEEN = torch.ones(5, 5, dtype=torch.bool)

# Arguments that PyTorch refuses: query, key, value, mask, p, causal.
WRONG = {
    "one axis": (torch.randn(5), torch.randn(5), torch.randn(5), None, 0.1),
    "widths": (Q, torch.randn(2, 4, 5, 9), Q, None, 0.1),
    "width of 1": (Q, Q[..., :1], Q, None, 0.1),
    "lengths": (Q, torch.randn(2, 4, 6, 8), Q, None, 0.1),
    "long keys": (Q, torch.randn(2, 4, 20000, 8), Q, None, 0.1),
    "batches": (Q, Q[:1].expand(3, 4, 5, 8), Q, None, 0.1),
    "heads": (Q, Q[:, :3], Q[:, :3], None, 0.1),
    "dtypes": (Q, Q.double(), Q, None, 0.1),
    "dtype of value": (Q, Q, Q.bfloat16(), None, 0.1),
    "integers": (Q.long(), Q.long(), Q.long(), None, 0.1),
    "complex": (Q.cfloat(), Q.cfloat(), Q.cfloat(), None, 0.1),
    "shape of the mask": (Q, Q, Q, torch.ones(5, 6, dtype=torch.bool), 0.1),
    "axes of the mask": (Q, Q, Q, torch.ones(3, 2, 4, 5, 5, dtype=torch.bool), 0.1),
    "dtype of the mask": (Q, Q, Q, SEEN.double(), 0.1),
    "mask and causal": (Q, Q, Q, SEEN, 0.1, True),
    "p above 1": (Q, Q, Q, None, 2.0),
    "p below 0": (Q, Q, Q, None, -0.1),
    "p is nan": (Q, Q, Q, None, math.nan),
}


def made(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)
