# SPDX-License-Identifier: BSD-3-Clause
"""The functions that most programs call: check, choose, and call one compiled function."""

from fastdrop.functional.connect import drop_connect, drop_connect_backward
from fastdrop.functional.dropout import bernoulli, dropout, dropout_backward, dropout_mask
from fastdrop.functional.schedules import drop_path_rates
from fastdrop.functional.shaped import (
    drop_block2d,
    drop_path,
    dropout1d,
    dropout2d,
    dropout3d,
    embedding_dropout,
)

__all__ = [
    "bernoulli",
    "drop_block2d",
    "drop_connect",
    "drop_connect_backward",
    "drop_path",
    "drop_path_rates",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_backward",
    "dropout_mask",
    "embedding_dropout",
]
