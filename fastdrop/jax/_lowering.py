# SPDX-License-Identifier: BSD-3-Clause
"""How the primitives become a part of a compiled program: on a CPU by a custom call."""

from typing import Any

import jax
import numpy as np
from jax.interpreters import mlir

from fastdrop.jax._primitives import bits_p, decide_p, drop_p
from fastdrop.jax._register import target

__all__: list[str] = []


def _call(name: str, ctx: Any, *operands: Any, **attributes: int) -> Any:
    integers = {key: np.int64(value) for key, value in attributes.items()}
    return jax.ffi.ffi_lowering(target(name))(ctx, *operands, **integers)


def _drop_on_cpu(ctx: Any, *operands: Any, source: int, shared: int) -> Any:
    return _call("drop", ctx, *operands, source=source, shared=shared)


def _decide_on_cpu(ctx: Any, *operands: Any, source: int, shape: Any, dropped: bool) -> Any:
    return _call("decide", ctx, *operands, source=source, dropped=dropped)


def _bits_on_cpu(ctx: Any, key: Any, *, source: int, bit_width: int, shape: Any) -> Any:
    return _call("bits", ctx, key, source=source, size=bit_width // 8)


mlir.register_lowering(drop_p, _drop_on_cpu, platform="cpu")
mlir.register_lowering(decide_p, _decide_on_cpu, platform="cpu")
mlir.register_lowering(bits_p, _bits_on_cpu, platform="cpu")
