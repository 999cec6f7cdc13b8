# SPDX-License-Identifier: BSD-3-Clause
"""The functions as layers, which keep their settings, their source and their last mask."""

from fastdrop.layers.activations import GELUDropout, ReLUDropout, SiLUDropout
from fastdrop.layers.channels import Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from fastdrop.layers.connect import DropConnect
from fastdrop.layers.elements import AlphaDropout, Dropout, GaussianDropout
from fastdrop.layers.norms import DropoutAddLayerNorm, DropoutAddRMSNorm
from fastdrop.layers.residual import DropoutAdd
from fastdrop.layers.shaped import DropBlock2d, DropPath, EmbeddingDropout
from fastdrop.layers.states import Zoneout

__all__ = [
    "AlphaDropout",
    "DropBlock2d",
    "DropConnect",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "DropoutAddLayerNorm",
    "DropoutAddRMSNorm",
    "EmbeddingDropout",
    "FeatureAlphaDropout",
    "GELUDropout",
    "GaussianDropout",
    "ReLUDropout",
    "SiLUDropout",
    "Zoneout",
]

for _name in __all__:
    globals()[_name].__module__ = "fastdrop"  # from where they are imported, and pickled
