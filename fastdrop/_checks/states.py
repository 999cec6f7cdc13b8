# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what masks and layers were kept as."""

import math
import operator
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from fastdrop._checks.arrays import as_array
from fastdrop._checks.display import either, kind_of, shown
from fastdrop._checks.shapes import check_broadcast
from fastdrop._typing import NDArray, Shape

__all__ = [
    "check_bits",
    "check_end",
    "check_entries",
    "check_factors",
    "check_gaussian_state",
    "check_numbers",
    "check_source_name",
    "check_source_state",
    "check_stream_version",
    "check_strides",
]


def check_entries(name: str, value: Any, wanted: Collection[str]) -> None:
    """Check that what was pickled is a dict that has these entries."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a dict, not {kind_of(value)}")
    missing = [entry for entry in wanted if entry not in value]
    if missing:
        entries = ", ".join(dict.fromkeys(wanted))
        raise ValueError(f"{name} must have {entries}; it has no {missing[0]!r}")


def check_gaussian_state(value: Mapping[str, Any]) -> None:
    """Check that the state of a mask is one of a Gaussian mask, which has no scale."""
    if "scale" in value:
        raise ValueError(
            "the state of the mask must be that of a GaussianMask, not of a Mask: call "
            "Mask.from_state"
        )


def check_stream_version(value: Any, version: int) -> None:
    """Check that what was pickled has the version of the stream that this package has."""
    if value != version:
        raise ValueError(f"the mask must be of stream version {version}, not {shown(value)}")


def check_source_name(value: Any, names: Collection[str]) -> None:
    """Check that what was pickled names one of the package's sources."""
    if value not in names:
        raise ValueError(f"the mask must be of {either(names)}, not of source {shown(value)}")


def check_source_state(value: Any, name: str) -> None:
    """Check that the state of a source is one of its class, and has what tells a place."""
    if not isinstance(value, dict):
        raise TypeError(f"state must be a dict, not {kind_of(value)}")
    other = value.get("bit_generator")
    if other != name:
        raise ValueError(f"state must be that of a {name!r}, not of {shown(other)}")
    missing = [entry for entry in ("key", "counter", "position") if entry not in value]
    if missing:
        raise ValueError(f"state must have key, counter and position; it has no {missing[0]!r}")


def check_numbers(name: str, value: Any, shape: Shape, most: float) -> float | NDArray[np.float64]:
    """Return a number, or a copy of an array of them for a mask of ``shape``, in [0, most]."""
    numbers = np.array(as_array(name, value), order="C")
    if numbers.dtype != np.float64:
        raise TypeError(f"{name} must have dtype float64, not {numbers.dtype}")
    if not ((numbers >= 0) & (numbers <= most)).all():  # not so NaN
        raise ValueError(f"{name} must be in [0, {most:g}], not {shown(value)}")
    check_broadcast(f"{name} shape", numbers.shape, shape, "the mask")
    return numbers if numbers.ndim else float(numbers)


def check_bits(name: str, value: Any, shape: Shape) -> NDArray[np.uint8]:
    """Return the bits of a mask of that shape, of bytes or an array, as a flat array of uint8."""
    size = math.prod(shape)
    count = -(-size // 8)
    bits = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else as_array(name, value)
    if bits.dtype != np.uint8:
        raise TypeError(f"{name} must be bytes or an array of uint8, not of {bits.dtype}")
    if bits.shape != (count,):
        raise ValueError(
            f"{name} must have {count} bytes for a mask of shape {shape}, not shape {bits.shape}"
        )
    if size % 8 and bits[-1] >> size % 8:
        raise ValueError(
            f"{name} must have zeros after the {size} bits of the mask, not end in {bits[-1]:#04x}"
        )
    return bits


def check_factors(value: Any, shape: Shape) -> NDArray[np.float32]:
    """Return a copy of the factors of a Gaussian mask of that shape."""
    factors = np.array(as_array("factors", value), order="C")
    if factors.dtype != np.float32:
        raise TypeError(f"factors must have dtype float32, not {factors.dtype}")
    if factors.shape != shape:
        raise ValueError(f"factors must have the mask's shape, {shape}, not {factors.shape}")
    return factors


def check_end(size: int, position: int) -> None:
    """Check that the elements of a Gaussian mask, of four bytes each, are all in its source."""
    if size > (2**64 - position) // 4:
        raise ValueError(
            f"the mask has {size} elements from position {position} on; they must end before 2**64"
        )


def check_strides(value: Any, shape: Shape, position: int) -> Shape | None:
    """Return the strides of a mask whose decisions are all at positions of a source.

    None stands for those of C order.
    """
    strides = None if value is None else tuple(map(operator.index, value))
    if strides is None:
        reach = [math.prod(shape) - 1]
    elif len(strides) != len(shape):
        raise ValueError(f"strides must have one entry for each axis of {shape}, not be {value!r}")
    else:
        reach = [(length - 1) * step for length, step in zip(shape, strides, strict=True)]
    first = position + sum(min(step, 0) for step in reach)
    last = position + sum(max(step, 0) for step in reach)
    if 0 not in shape and not (0 <= first <= last < 2**64 and last - first < 2**63):
        raise ValueError(
            f"the mask goes from position {first} to {last} of its source; they must be in "
            "[0, 2**64), and less than 2**63 apart"
        )
    return strides
