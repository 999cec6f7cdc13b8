# SPDX-License-Identifier: BSD-3-Clause
"""Checks of arrays."""

from collections.abc import Collection
from typing import Any

import numpy as np

from fastdrop._checks.display import check_given, described, either, is_array, kind_of, shown
from fastdrop._checks.refusals import refuse_other_dtype, refuse_out
from fastdrop._typing import NDArray, Shape

__all__ = [
    "as_array",
    "as_array_no_scalar",
    "check_bias",
    "check_booleans",
    "check_bools",
    "check_no_pair",
    "check_row",
    "takes_array",
]


def takes_array(name: str, value: Any) -> bool:
    """Tell an array of probabilities from a number; lists are neither."""
    if isinstance(value, (list, tuple)):
        raise TypeError(
            f"{name} must be a number in [0, 1] or a NumPy array of such numbers, not the "
            f"{type(value).__name__} {shown(value)}"
        )
    return is_array(value)


# Arrays of others, which NumPy would turn into its own without a word: what to do instead.
FOREIGN = {
    "torch": "fastdrop.torch has these functions for tensors",
    "dask": "call the functions of fastdrop.dask, or compute it first, by its method compute",
}


def _check_not_foreign(name: str, value: Any) -> None:
    """Check that an array is not one of a framework whose users expect to get their own back."""
    for base in type(value).__mro__:
        advice = FOREIGN.get(base.__module__.partition(".")[0])
        if advice is not None:
            raise TypeError(
                f"{name} must be a NumPy array, not {kind_of(value)} of "
                f"{base.__module__.partition('.')[0]}: {advice}"
            )


def check_no_pair(name: str, value: Any) -> None:
    """Check that a value is not the (y, mask) that a function of arrays returned."""
    if isinstance(value, tuple) and len(value) == 2 and hasattr(value[1], "backward"):
        kind = type(value[1])
        if kind.__module__.partition(".")[0] == "fastdrop":  # masks are no part of this room
            raise TypeError(
                f"{name} must be an array, not a pair of an array and a {kind.__name__}: pass y, "
                "not (y, mask)"
            )


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return ``value`` as an array that is no subclass.

    A subclass may say anything of its shape, dtype or flags: what NumPy itself knows counts.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray):
        if np.any(np.ma.getmask(value)):
            raise ValueError(
                f"{name} must have no masked elements: call {name}.filled(value) first"
            )
    elif isinstance(value, (list, tuple)):
        check_no_pair(name, value)
        try:
            return np.asarray(value)
        except ValueError:
            raise ValueError(
                f"{name} must be an array, not {kind_of(value)} of parts that differ in length"
            ) from None
    else:
        check_given(name, value)
        _check_not_foreign(name, value)
    return np.asarray(value)


def check_booleans(out: Any, dtypes: Collection[np.dtype[Any]], shape: Shape) -> None:
    """Check that ``out`` is an array of one of the dtypes, and of the shape, that is writeable."""
    if not isinstance(out, np.ndarray):
        refuse_out(out)
    array = np.asarray(out)  # of subclasses, the array beneath, whatever they say of themselves
    if array.dtype not in dtypes:
        raise TypeError(f"out must have dtype {either(dtypes)}, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"out must have shape {shape}, not {array.shape}")
    if not array.flags.writeable:
        refuse_out(array)


def as_array_no_scalar(name: str, value: Any) -> NDArray[Any]:
    """Return ``value`` as an array; numbers, bools, strings and None of Python are none."""
    array = as_array(name, value)
    if not array.ndim and not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"{name} must be an array, not {described(value)}")
    return array


def check_bias(value: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Return a bias as an array: of x's dtype, and of the shape of its last axis."""
    bias = as_array_no_scalar("bias", value)
    if bias.dtype != x.dtype:
        refuse_other_dtype("bias", bias, "x", x)
    if not x.ndim or bias.shape != x.shape[-1:]:
        raise ValueError(
            f"bias must have the length of the last axis of x, of shape {x.shape}, not shape "
            f"{bias.shape}"
        )
    return bias


def check_row(name: str, value: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Return what one row of x meets as an array: of x's dtype, or float32 for 16 bits."""
    row = as_array_no_scalar(name, value)
    fits = row.shape == x.shape[-1:]
    wide = x.dtype.itemsize == 2 and row.dtype == np.float32
    # A float that was meant for another argument is told its shape.
    if row.dtype != x.dtype and not wide and (fits or row.dtype.kind != "f"):
        more = " or float32" if x.dtype.itemsize == 2 else ""
        raise TypeError(f"{name} must have x's dtype, {x.dtype}{more}, not {row.dtype}")
    if not fits:
        raise ValueError(
            f"{name} must have the shape of x's last axis, {x.shape[-1:]}, not {row.shape}"
        )
    return row


def check_bools(name: str, value: Any) -> NDArray[np.bool_]:
    """Return ``value`` as an array of bool."""
    array = as_array(name, value)
    if array.dtype != bool:
        raise TypeError(f"{name} must have dtype bool, not {array.dtype}")
    return array
