# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities that change over the layers of a network."""

from __future__ import annotations

import numpy as np

from fastdrop._checks import check_p, check_positive
from fastdrop._typing import NDArray, ProbabilityLike
from fastdrop._words import public

__all__ = ["drop_path_rates"]


@public()
def drop_path_rates(depth: int, p: ProbabilityLike) -> NDArray[np.float64]:
    """Return the probability of dropping each of ``depth`` branches: linear from 0 to ``p``.

    Parameters
    ----------
    depth : int
        Number of residual branches, at least 1.
    p : float
        Probability of dropping the last one, in [0, 1].

    Returns
    -------
    rates : ndarray of float64
        Of shape (depth,): ``p * i / (depth - 1)`` for branch i, or 0 if there is only one.

    Raises
    ------
    TypeError, ValueError
        If depth is not an integer of at least 1, or p not a number in [0, 1].

    Notes
    -----
    The paper counts its input as the first layer, so no branch has probability 0.
    ``drop_path_rates(depth + 1, p)[1:]`` has these probabilities.

    References
    ----------
    .. [1] G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger, "Deep networks with stochastic
       depth", ECCV 2016, equation 4: linear decay.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.drop_path_rates(5, 0.5)
    array([0.   , 0.125, 0.25 , 0.375, 0.5  ])
    """
    return np.linspace(0.0, check_p(p), check_positive("depth", depth))
