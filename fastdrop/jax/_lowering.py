# SPDX-License-Identifier: BSD-3-Clause
"""How the primitives become a part of a compiled program.

On a CPU that is a custom call of the kernels, and elsewhere operations of JAX. A program for
several devices is cut before: see `_sharding.py`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.interpreters import mlir

from fastdrop.jax import _pure
from fastdrop.jax._primitives import (
    FOLDED,
    PHILOX,
    bits_p,
    decide_here_p,
    decide_p,
    drop_here_p,
    drop_p,
)
from fastdrop.jax._register import target
from fastdrop.jax._sharding import decide_partitioned, drop_partitioned

__all__: list[str] = []

mlir.register_lowering(drop_p, mlir.lower_fun(drop_partitioned, multiple_results=False))
mlir.register_lowering(decide_p, mlir.lower_fun(decide_partitioned, multiple_results=False))


def _needs_devices() -> None:
    """Have JAX say on which devices a program is to run, while the primitives are lowered.

    It does so for primitives of this set alone; that of `custom_partitioning` is one of them.
    """
    from jax._src import dispatch

    dispatch.prim_requires_devices_during_lowering |= {drop_p, decide_p}


_needs_devices()


# ---- on CPUs -------------------------------------------------------------------------------------


def _call(name: str, ctx: Any, *operands: Any, **attributes: int) -> Any:
    integers = {key: np.int64(value) for key, value in attributes.items()}
    return jax.ffi.ffi_lowering(target(name))(ctx, *operands, **integers)


def _drop_on_cpu(ctx: Any, *operands: Any, source: int, shared: int) -> Any:
    return _call("drop", ctx, *operands, source=source, shared=shared)


def _decide_on_cpu(ctx: Any, *operands: Any, source: int, shape: Any, dropped: bool) -> Any:
    return _call("decide", ctx, *operands, source=source, dropped=dropped)


def _bits_on_cpu(ctx: Any, key: Any, *, source: int, bit_width: int, shape: Any) -> Any:
    return _call("bits", ctx, key, source=source, size=bit_width // 8)


mlir.register_lowering(drop_here_p, _drop_on_cpu, platform="cpu")
mlir.register_lowering(decide_here_p, _decide_on_cpu, platform="cpu")
mlir.register_lowering(bits_p, _bits_on_cpu, platform="cpu")


# ---- elsewhere -----------------------------------------------------------------------------------


def _for_philox(function: Callable[..., Any]) -> Callable[..., Any]:
    lowered = mlir.lower_fun(function, multiple_results=False)

    def lower(ctx: Any, *operands: Any, source: int, **parameters: Any) -> Any:
        if source not in (PHILOX, FOLDED):
            raise NotImplementedError(
                "the key draws from an xorshift source, which only CPUs have; on other devices it "
                "must be of fastdrop.jax.key_of(fastdrop.Philox4x32(seed)), or one of JAX's own"
            )
        return lowered(ctx, *operands, source=source, **parameters)

    return lower


mlir.register_lowering(drop_here_p, _for_philox(_pure.drop))
mlir.register_lowering(decide_here_p, _for_philox(_pure.decide))
mlir.register_lowering(bits_p, _for_philox(_pure.bits))
