# SPDX-License-Identifier: BSD-3-Clause
"""Dropout and random masks on CPUs, at the price of a memory copy.

The package has three parts in a row, and the same three words name them everywhere:

    source  ->  mask  ->  apply

A *source* makes random bytes (`fastdrop.source`), a *mask* says which elements are kept
(`fastdrop.mask`), and *apply* is ``y = kept ? x * scale : 0`` (`fastdrop.apply`). Under them,
`fastdrop.kernels` is the machine code, once per instruction set; above them,
`fastdrop.functional` is what most programs call: dropout of elements, channels, samples, blocks and
weights. `fastdrop.layers` are the same functions that remember their masks, and
`fastdrop.monte_carlo` predicts with them. `fastdrop._reference` says all of the stages again,
slowly, in plain NumPy: the specification that every kernel is tested against.
"""

import importlib as _importlib
import typing as _t
from importlib import metadata as _metadata

try:
    from fastdrop._words import where as _where
    from fastdrop.config import (
        get_num_threads,
        set_num_threads,
        show_config,
        simd_levels,
        use_simd,
    )
    from fastdrop.functional import (
        alpha_dropout,
        bernoulli,
        drop_block2d,
        drop_connect,
        drop_connect_backward,
        drop_path,
        drop_path_rates,
        dropout,
        dropout1d,
        dropout2d,
        dropout3d,
        dropout_add,
        dropout_add_layer_norm,
        dropout_add_layer_norm_backward,
        dropout_add_rms_norm,
        dropout_add_rms_norm_backward,
        dropout_backward,
        dropout_mask,
        embedding_dropout,
        exact_mask,
        feature_alpha_dropout,
        gaussian_dropout,
        gelu_dropout,
        gelu_dropout_backward,
        relu_dropout,
        silu_dropout,
        silu_dropout_backward,
        symmetric_mask,
        zoneout,
        zoneout_backward,
    )
    from fastdrop.layers import (
        AlphaDropout,
        DropBlock2d,
        DropConnect,
        Dropout,
        Dropout1d,
        Dropout2d,
        Dropout3d,
        DropoutAdd,
        DropoutAddLayerNorm,
        DropoutAddRMSNorm,
        DropPath,
        EmbeddingDropout,
        FeatureAlphaDropout,
        GaussianDropout,
        GELUDropout,
        ReLUDropout,
        SiLUDropout,
        Zoneout,
    )
    from fastdrop.mask import GaussianMask, Mask
    from fastdrop.monte_carlo import mc_predict
    from fastdrop.source import NumPySource, Philox4x32, Source, Xorshift128Plus, Xoshiro256PlusPlus
    from fastdrop.source.default import as_source, seed, seeded
except ImportError as _error:
    from pathlib import Path

    from fastdrop._incomplete import reason

    if (_sentence := reason(Path(__path__[0]), _error.name)) is None:
        raise
    raise ImportError(_sentence, name=_error.name) from _error

if _t.TYPE_CHECKING:
    from fastdrop import torch as torch
    from fastdrop import typing as typing

# Modules that load on first use.
_LATE = ("torch", "typing")


def __getattr__(name: str) -> _t.Any:
    if name in _LATE:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_where(name)}")


def __dir__() -> list[str]:
    # The same in every process, whatever else was imported.
    return sorted(["__version__", *__all__, *_LATE])


try:
    __version__ = _metadata.version("fastdrop")
except _metadata.PackageNotFoundError:  # the folder alone, without its metadata
    __version__ = "unknown"

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
    "GaussianMask",
    "Mask",
    "NumPySource",
    "Philox4x32",
    "ReLUDropout",
    "SiLUDropout",
    "Source",
    "Xorshift128Plus",
    "Xoshiro256PlusPlus",
    "Zoneout",
    "alpha_dropout",
    "as_source",
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
    "get_num_threads",
    "mc_predict",
    "relu_dropout",
    "seed",
    "seeded",
    "set_num_threads",
    "show_config",
    "silu_dropout",
    "silu_dropout_backward",
    "simd_levels",
    "symmetric_mask",
    "use_simd",
    "zoneout",
    "zoneout_backward",
]
