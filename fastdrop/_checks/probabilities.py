# SPDX-License-Identifier: BSD-3-Clause
"""Checks of probabilities, of numbers and of arrays of them."""

from typing import Any

import numpy as np

from fastdrop._checks.arrays import as_array
from fastdrop._checks.display import check_given, described, is_array, shown
from fastdrop._typing import NDArray

__all__ = [
    "check_gaussian_p",
    "check_keep_prob",
    "check_p",
    "check_probabilities",
    "check_probability",
]


def check_probability(name: str, value: Any, allowed: str = "[0, 1]") -> float:
    """Return the probability ``value`` as a float in [0, 1]; ``allowed`` is what errors say."""
    if not isinstance(value, float):
        if is_array(value):
            raise TypeError(f"{name} must be a number in {allowed}, not {described(value)}")
        kind = _kind_of_number(value)
        if (
            isinstance(value, (bool, str, bytes, type))
            or kind not in "iufV"
            or not hasattr(value, "__float__")
        ):
            check_given(name, value)
            raise TypeError(f"{name} must be a number in {allowed}, not {described(value)}")
    # As it is, since an integer may be larger than any float; and as a float, since a subclass may
    # compare in its own way. NaN is neither.
    try:
        if 0 <= value <= 1:
            number = float(value)
            if 0.0 <= number <= 1.0:
                return number
    except ArithmeticError:  # a NaN of decimal
        pass
    raise ValueError(f"{name} must be a number in {allowed}, not {shown(value)}")


def _kind_of_number(value: Any) -> str:
    """Return what NumPy calls the kind of a scalar or an array without axes; V is bfloat16."""
    dtype = getattr(value, "dtype", None)
    kind: str | None = getattr(dtype, "kind", None)
    if kind is not None or dtype is None:
        return kind or "f"
    if getattr(value, "is_meta", False):  # a tensor of PyTorch without numbers
        return "?"
    name = str(dtype)
    return "b" if name.endswith("bool") else "c" if "complex" in name else "f"


@np.errstate(invalid="ignore")  # signalling NaN
def check_probabilities(name: str, value: Any) -> NDArray[np.float64]:
    """Return an array of probabilities as a read-only copy of float64 in C order."""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"{name} must be of floats or integers in [0, 1], not of dtype {array.dtype}"
        )
    array = array.copy()  # checked is what is used, whoever writes to the caller's array meanwhile
    right = (array >= 0) & (array <= 1)  # not so NaN
    if not right.all():
        place = tuple(np.argwhere(~right)[0].tolist())
        raise ValueError(
            f"{name}{list(place)} must be a number in [0, 1], not {array[place].item()!r}"
        )
    probabilities = np.array(array, np.float64, order="C")
    probabilities.flags.writeable = False
    return probabilities


def check_p(value: Any) -> float:
    """Return the probability of dropping as a float in [0, 1]."""
    return check_probability("p", value)


def check_gaussian_p(value: Any) -> float:
    """Return the p of Gaussian dropout as a float in [0, 1)."""
    p = check_probability("p", value, "[0, 1)")
    if p == 1.0:
        raise ValueError("p must be a number in [0, 1), not 1.0: at 1 the variance is infinite")
    return p


def check_keep_prob(value: Any) -> float:
    """Return the probability of being present as a float in [0, 1]."""
    return check_probability("keep_prob", value)
