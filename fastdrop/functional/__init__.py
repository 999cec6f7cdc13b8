# SPDX-License-Identifier: BSD-3-Clause
"""The functions that most programs call: check, choose, and call one compiled function."""

from fastdrop.functional.dropout import bernoulli, dropout, dropout_backward, dropout_mask

__all__ = ["bernoulli", "dropout", "dropout_backward", "dropout_mask"]
