# SPDX-License-Identifier: BSD-3-Clause
"""Dropout of PyTorch on CPUs, at the price of a memory copy.

Either one line makes an unmodified program use fastdrop for all its dropout on the CPU,

    fastdrop.torch.install()

or programs call the explicit functions and modules. Both use the same parts:

    _seed, _mask         where the mask of a call comes from
    _memory, _tensor, _relatives, _passes
                         where a tensor's elements are, and masks over them (compiled)
    _apply               masks over tensors of any layout
    _autograd            its derivatives
    _elsewhere, _philox  tensors of other devices, by PyTorch's own operations
    _given, _shard       masks that the caller gives, and parts of a whole tensor
    _dtensor             the same for tensors that know their parts
    _overrides, _install PyTorch's operators, and the switch
    _compile             the same operators in the graphs of torch.compile
    dispatcher           the same operators in C, for small tensors; _small_calls registers them
    _attention, _attend  attention in blocks, so that the whole mask never exists: compiled, and for
                         any tensors
    functional, modules, fused, activations, norms, attention
                         the explicit forms of what PyTorch has; _drop does the work of the
                         functions, and _operator is what they are in traced programs
    shaped, blocks, gaussian, zoneout, connect, recurrent
                         what PyTorch does not have, as function and as module; _ways says how
                         each is done
    _add_norm, _fuse     the norm of a sum in one pass; blocks of PyTorch's modules that are fused
    _drawing, monte_carlo
                         what modules have in common; predictions with dropout left on
"""

from fastdrop.torch import _version  # noqa: F401  # it comes before all others
from fastdrop.torch._accelerate import accelerate, accelerated
from fastdrop.torch._fuse import fuse_output
from fastdrop.torch._install import install, installed, is_installed, uninstall
from fastdrop.torch._threads import borrow_threads
from fastdrop.torch.activations import GELUDropout, SiLUDropout, gelu_dropout, silu_dropout
from fastdrop.torch.attention import scaled_dot_product_attention
from fastdrop.torch.blocks import DropBlock2d, drop_block2d
from fastdrop.torch.connect import DropConnect, drop_connect
from fastdrop.torch.functional import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from fastdrop.torch.fused import dropout_add, relu_dropout
from fastdrop.torch.gaussian import GaussianDropout, gaussian_dropout
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
from fastdrop.torch.monte_carlo import mc_predict
from fastdrop.torch.norms import (
    DropoutAddLayerNorm,
    DropoutAddRMSNorm,
    dropout_add_layer_norm,
    dropout_add_rms_norm,
)
from fastdrop.torch.recurrent import LockedDropout, WeightDropLSTM, locked_dropout
from fastdrop.torch.shaped import (
    DropPath,
    EmbeddingDropout,
    drop_path,
    embedding_dropout,
)
from fastdrop.torch.zoneout import Zoneout, zoneout

borrow_threads()

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
    "LockedDropout",
    "ReLUDropout",
    "SiLUDropout",
    "WeightDropLSTM",
    "Zoneout",
    "accelerate",
    "accelerated",
    "alpha_dropout",
    "drop_block2d",
    "drop_connect",
    "drop_path",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "dropout_add_layer_norm",
    "dropout_add_rms_norm",
    "embedding_dropout",
    "feature_alpha_dropout",
    "fuse_output",
    "gaussian_dropout",
    "gelu_dropout",
    "install",
    "installed",
    "is_installed",
    "locked_dropout",
    "mc_predict",
    "relu_dropout",
    "scaled_dot_product_attention",
    "silu_dropout",
    "uninstall",
    "zoneout",
]


def __dir__() -> list[str]:
    return sorted(__all__)
