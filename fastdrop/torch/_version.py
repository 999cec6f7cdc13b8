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
        "fastdrop.torch needs PyTorch 2.13 or newer: pip install torch", name="torch"
    ) from None

from torch.torch_version import TorchVersion

__all__ = ["NAMES", "OLDEST"]

# Before it, compiled programs lose the gradients of dropout: their dispatch differs.
OLDEST = (2, 13)

NAMES = (
    "Tensor.__dlpack_c_exchange_api__",
    "_C.DisableTorchFunction",
    "_C.DisableTorchFunctionSubclass",
    "_C.DispatchKey",
    "_C.DispatchKeySet",
    "_C._DisableFuncTorch",
    "_C._TorchDispatchModeKey",
    "_C._are_functorch_transforms_active",
    "_C._dispatch_keys",
    "_C._dispatch_tls_is_dispatch_key_included",
    "_C._get_dispatch_mode",
    "_C._len_torch_dispatch_stack",
    "_debug_has_internal_overlap",
    "_foreach_clone",
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
    """Raise an ImportError where PyTorch is too old, or a name is missing."""
    needed = "fastdrop.torch needs PyTorch 2.13 or newer, and was run with 2.13.0 and 2.14.1"
    if TorchVersion(torch.__version__) < OLDEST:
        raise ImportError(f"PyTorch is {torch.__version__}; {needed}")
    name = _missing()
    if name is not None:
        raise ImportError(f"PyTorch {torch.__version__} has no torch.{name}; {needed}")


check_version()
