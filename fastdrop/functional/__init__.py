# SPDX-License-Identifier: BSD-3-Clause
"""The functions that most programs call: check, choose, and call one compiled function."""

from fastdrop.functional.activations import (
    gelu_dropout,
    gelu_dropout_backward,
    silu_dropout,
    silu_dropout_backward,
)
from fastdrop.functional.alpha import alpha_dropout, feature_alpha_dropout
from fastdrop.functional.blocks import drop_block2d
from fastdrop.functional.booleans import bernoulli
from fastdrop.functional.channels import dropout1d, dropout2d, dropout3d
from fastdrop.functional.connect import drop_connect, drop_connect_backward
from fastdrop.functional.dropout import dropout, dropout_backward, dropout_mask
from fastdrop.functional.exact import exact_mask
from fastdrop.functional.fused import dropout_add, relu_dropout
from fastdrop.functional.gaussian import gaussian_dropout
from fastdrop.functional.norms import (
    dropout_add_layer_norm,
    dropout_add_layer_norm_backward,
    dropout_add_rms_norm,
    dropout_add_rms_norm_backward,
)
from fastdrop.functional.rows import drop_path, embedding_dropout
from fastdrop.functional.schedules import drop_path_rates
from fastdrop.functional.symmetric import symmetric_mask
from fastdrop.functional.zoneout import zoneout, zoneout_backward

__all__ = [
    "alpha_dropout",
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
    "dropout_add",
    "dropout_add_layer_norm",
    "dropout_add_layer_norm_backward",
    "dropout_add_rms_norm",
    "dropout_add_rms_norm_backward",
    "dropout_backward",
    "dropout_mask",
    "embedding_dropout",
    "exact_mask",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gelu_dropout",
    "gelu_dropout_backward",
    "relu_dropout",
    "silu_dropout",
    "silu_dropout_backward",
    "symmetric_mask",
    "zoneout",
    "zoneout_backward",
]
