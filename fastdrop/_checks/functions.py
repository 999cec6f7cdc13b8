# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what single functions and layers ask for: shapes with names, masks of their own."""

from typing import Any, NoReturn, TypeVar

import numpy as np

from fastdrop._checks.arrays import as_array, as_array_no_scalar
from fastdrop._checks.display import check_given, described, kind_of, shown
from fastdrop._checks.refusals import refuse_dtype
from fastdrop._typing import NDArray, Shape

__all__ = [
    "check_kept",
    "check_made_by",
    "check_matrix",
    "check_of_booleans",
    "check_one_axis",
    "check_result",
    "check_same_axes",
    "check_same_results",
    "check_state_mask",
    "check_store",
    "refuse_alpha",
    "refuse_axes",
    "refuse_float",
    "refuse_function",
    "refuse_other_maker",
    "refuse_shape",
]


MaskT = TypeVar("MaskT")

REAL_NAMES = ("float16", "bfloat16", "float32", "float64")  # of dtypes, in any byte order

# ---- shapes --------------------------------------------------------------------------------------


def refuse_axes(function: str, shape: Shape, needed: str) -> NoReturn:
    """Raise the error of an x with too few or too many axes; ``needed`` says what each is."""
    raise ValueError(f"{function} needs x of shape {needed}, not {shape}")


def refuse_shape(name: str, shape: Shape, wanted: object) -> NoReturn:
    """Raise the error of another shape; ``wanted`` is the right one, or says what it is."""
    raise ValueError(f"{name} must have shape {wanted}, not {shape}")


def check_one_axis(name: str, value: Any) -> NDArray[Any] | None:
    """Return what one row of x meets as an array, if there is one; it is of real floats."""
    if value is None:
        return None
    row = as_array_no_scalar(name, value)
    if row.dtype.name not in REAL_NAMES:
        refuse_dtype(name, value, row, real=True)
    if row.ndim != 1:
        raise ValueError(f"{name} must have one axis, as long as x's last, not shape {row.shape}")
    return row


def check_matrix(layer: str, weight: Any) -> NDArray[Any]:
    """Return the weight of a linear map as an array."""
    matrix = as_array("weight", weight)
    if matrix.ndim == 0:  # (features_in, features_out), say
        raise TypeError(
            "weight must be an array of shape (features_out, features_in), not "
            f"{described(weight)}: {layer} drops the weights of a matrix that exists"
        )
    if matrix.dtype.name not in (*REAL_NAMES, "complex64", "complex128"):
        refuse_dtype("weight", weight, matrix)
    if matrix.ndim != 2:
        refuse_shape("weight", matrix.shape, "(features_out, features_in)")
    return matrix


def refuse_float(name: str, value: float, of: str) -> NoReturn:
    """Raise the error of a number, meant for p, where an array of ``of``'s shape was left out."""
    raise TypeError(f"{name} must be an array of {of}'s shape, not {value!r} (a float)")


# ---- masks ---------------------------------------------------------------------------------------


def check_made_by(maker: str, mask: object, *kinds: type[MaskT]) -> MaskT:
    """Return a mask that is a value of the package, as the function that made it returned it."""
    if not isinstance(mask, kinds):
        check_given("mask", mask)
        raise TypeError(f"mask must be the Mask that {maker} returned, not {kind_of(mask)}")
    return mask


def refuse_other_maker(maker: str, mask: object) -> NoReturn:
    """Raise the error of a Mask that another function has made."""
    raise ValueError(f"mask must be {maker}, not {mask!r}")


def refuse_alpha(scale: object) -> NoReturn:
    """Raise the error of a mask of alpha dropout, given for one of dropout."""
    raise ValueError(
        "mask must be a mask of dropout, not one of alpha_dropout, which scales what it keeps by "
        f"{scale}"
    )


def check_same_axes(mask_shape: Shape, shape: Shape) -> None:
    """Check that a mask has as many axes as dy."""
    if len(mask_shape) != len(shape):
        raise ValueError(
            f"mask must have as many axes as dy, of shape {shape}, not shape {mask_shape}"
        )


def check_kept(mask: Any, says_p: bool, cure: str) -> NDArray[np.bool_]:
    """Return a caller's decisions as an array of bool; they need a p, or the cure."""
    kept = as_array("mask", mask)
    if kept.dtype != bool or isinstance(mask, bool):
        raise TypeError(f"mask must be a Mask or an array of bool, not {described(mask)}")
    if not says_p:
        raise TypeError(
            f"mask is an array of bool of shape {kept.shape}, which does not say how to scale: "
            f"give {cure}"
        )
    return kept


def check_store(store: str, each_p: bool, source: object) -> None:
    """Check that a mask can be stored as a seed, if it must be."""
    if store != "seed":
        return
    if each_p:
        raise ValueError("store must be 'auto' or 'bits' with an array as p, not 'seed'")
    if not hasattr(source, "position"):
        raise ValueError(
            f"store must be 'auto' or 'bits' with {source!r}, which cannot go back, not 'seed'"
        )


def check_state_mask(mask: object, *kinds: type) -> None:
    """Check the mask in a pickled layer."""
    if not isinstance(mask, kinds):
        raise TypeError(f"mask must be a mask or None, not {shown(mask)}")


# ---- booleans ------------------------------------------------------------------------------------


def check_of_booleans(dtype: Any, packed: bool) -> np.dtype[Any]:
    """Return the dtype of an array of booleans, or of their bits."""
    try:
        wanted: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be bool or uint8, not {shown(dtype)}") from None
    if wanted not in (np.bool_, np.uint8):
        raise TypeError(f"dtype must be bool or uint8, not {wanted}")
    if packed and wanted != np.uint8:
        raise TypeError(f"dtype must be uint8 with packed=True, not {wanted}")
    return wanted


# ---- Monte Carlo ---------------------------------------------------------------------------------


def refuse_function(forward: object) -> NoReturn:
    """Raise the error of a forward pass that cannot be called."""
    raise TypeError(f"forward must be a function of x that returns an array, not {shown(forward)}")


def check_result(value: Any) -> NDArray[Any]:
    """Return what ``forward`` returned as an array of numbers."""
    if isinstance(value, (tuple, list)):
        raise TypeError(
            f"forward must return one array, not {kind_of(value)}: return y, not (y, mask)"
        )
    result = as_array("forward's result", value)
    if result.dtype.kind in "OSUMmT" or result.dtype.names:
        raise TypeError(f"forward must return an array of numbers, not {described(value)}")
    return result


def check_same_results(result: NDArray[Any], first: NDArray[Any]) -> None:
    """Check that ``forward`` has returned what it returned at first, but for the numbers."""
    if (result.shape, result.dtype) != (first.shape, first.dtype):
        raise ValueError(
            f"forward must always return shape {first.shape} and dtype {first.dtype}, as its "
            f"first result, not shape {result.shape} and dtype {result.dtype}"
        )
