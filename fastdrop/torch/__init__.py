# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of PyTorch on CPUs, at the price of a memory copy.

Either one line makes every CPU dropout of an unmodified program ours,

    fastdrop.torch.install()

or the explicit functions and modules are called. Both go through the same rooms:

    _seed, _mask         where the mask of a call comes from
    _memory, _tensor     where a tensor's elements lie, and the mask over them (compiled)
    _apply               the mask over tensors of any layout
    _autograd            its derivatives
    _given, _shard       masks that the caller gives, and parts of a whole tensor
    _overrides, _install PyTorch's operators, and the switch
    _attention, _attend  attention, whose mask is never whole: compiled, and for any tensors
    functional, modules, attention
                         the explicit forms; _drop does the work of the functions, and _operator
                         is what they are in traced programs
"""

from fastdrop.torch._accelerate import accelerate, accelerated
from fastdrop.torch._install import install, installed, is_installed, uninstall
from fastdrop.torch._threads import find_openmp
from fastdrop.torch.attention import scaled_dot_product_attention
from fastdrop.torch.functional import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from fastdrop.torch.fused import dropout_add, relu_dropout
from fastdrop.torch.modules import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropoutAdd,
    FeatureAlphaDropout,
    ReLUDropout,
)

find_openmp()

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutAdd",
    "FeatureAlphaDropout",
    "ReLUDropout",
    "accelerate",
    "accelerated",
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "feature_alpha_dropout",
    "install",
    "installed",
    "is_installed",
    "relu_dropout",
    "scaled_dot_product_attention",
    "uninstall",
]
