# SPDX-License-Identifier: BSD-3-Clause
"""Asks, before all other modules do, whether this PyTorch has what they need of it.

Most of these names are PyTorch's own business, so another version may lack one. Then importing
`fastdrop.torch` fails, in one sentence, and no call fails later.
"""

from operator import attrgetter

try:
    import torch
except ModuleNotFoundError as _error:
    if _error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "fastdrop.torch needs PyTorch 2.10 or newer: pip install torch", name="torch"
    ) from None

__all__ = ["NAMES"]

NAMES = (
    "Tensor.__dlpack_c_exchange_api__",
    "_C.DisableTorchFunction",
    "_C.DisableTorchFunctionSubclass",
    "_C.DispatchKey",
    "_C.DispatchKeySet",
    "_C._TorchDispatchModeKey",
    "_C._are_functorch_transforms_active",
    "_C._dispatch_keys",
    "_C._dispatch_tls_is_dispatch_key_included",
    "_C._get_dispatch_mode",
    "_C._len_torch_dispatch_stack",
    "_debug_has_internal_overlap",
    "_neg_view",
    "compiler.config",
    "library.get_kernel",
)


def _missing() -> str | None:
    """Return the first name that this PyTorch does not have."""
    for name in NAMES:
        try:
            attrgetter(name)(torch)
        except AttributeError:
            return name
    return None


def check_version() -> None:
    """Raise an ImportError where a name is missing."""
    name = _missing()
    if name is not None:
        raise ImportError(
            f"PyTorch {torch.__version__} has no torch.{name}; fastdrop.torch needs PyTorch 2.10 "
            "or newer, and was run with 2.10.0, 2.13.0 and 2.14.1"
        )


check_version()
