# SPDX-License-Identifier: BSD-3-Clause
"""Gives the custom calls to JAX, once in a process, when the first program needs them.

JAX checks the version of a custom call when its CPU backend starts, and has no CPU where this
fails. So the backend is started first.
"""

import functools

import jax

from fastdrop._words import public
from fastdrop.jax._calls import capsules

__all__ = ["register", "target"]

# Of the stream's version 1, and of the arguments of the calls. Compiled and exported programs hold
# these names.
NAMES = {name: f"fastdrop_{name}_v1" for name in ("drop", "decide", "bits")}

OLDEST = (0, 5)


@functools.cache
def _register() -> None:
    if jax.__version_info__[:2] < OLDEST:
        raise RuntimeError(
            f"JAX must be {'.'.join(map(str, OLDEST))} or newer, not {jax.__version__}"
        )
    jax.devices("cpu")
    for name, capsule in capsules().items():
        jax.ffi.register_ffi_target(NAMES[name], capsule, platform="cpu")


@public("fastdrop.jax")
def register() -> None:
    """Give the kernels to JAX, for programs that were exported in another process.

    Whatever traces a function of `fastdrop.jax` does this by itself. It starts JAX's CPU backend.

    Raises
    ------
    RuntimeError
        If JAX is too old.

    Examples
    --------
    >>> import fastdrop.jax
    >>> fastdrop.jax.register()
    """
    _register()


def target(name: str) -> str:
    """Return the name that a custom call has in JAX, where it is from now on."""
    _register()
    return NAMES[name]
