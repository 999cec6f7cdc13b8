# SPDX-License-Identifier: BSD-3-Clause
"""The dropout of Flax's older modules, in the place of ``flax.linen.Dropout``."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from fastdrop._checks import check_probability, check_switch
from fastdrop.jax.functional import dropout

__all__ = ["Dropout"]


class Dropout(linen.Dropout):
    """``flax.linen.Dropout`` by `fastdrop.jax.dropout`: the same arguments and collections of keys.

    Its masks are others than Flax's.

    Parameters
    ----------
    rate : float
        Probability of dropping an element, in [0, 1].
    broadcast_dims : int or sequence of int, optional
        Axes along which there is one decision for all elements.
    deterministic : bool, optional
        True: return what is given.
    rng_collection : str, default "dropout"
        Name of the collection that keys are taken from.

    Examples
    --------
    >>> import fastdrop.jax.linen
    >>> import jax
    >>> layer = fastdrop.jax.linen.Dropout(0.5, deterministic=False)
    >>> y = layer.apply({}, jax.numpy.ones(8), rngs={"dropout": jax.random.key(1)})
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """

    @linen.compact
    def __call__(
        self, inputs: Any, deterministic: bool | None = None, rng: jax.Array | None = None
    ) -> Any:
        """Return the inputs under a new mask.

        Parameters
        ----------
        inputs : jax.Array
            Of floats.
        deterministic : bool, optional
            True: return the inputs. It is given here or to the module.
        rng : jax.Array, optional
            A key. Otherwise one of the collection is made.

        Returns
        -------
        outputs : jax.Array
            Of the shape and dtype of the inputs.
        """
        deterministic = linen.merge_param("deterministic", self.deterministic, deterministic)
        if not isinstance(self.rate, jax.Array):
            check_probability("rate", self.rate)
        if check_switch("deterministic", deterministic) or self.rate == 0.0:
            return inputs
        if self.rate == 1.0:  # as Flax, which asks for no key
            return jnp.zeros_like(inputs)
        if rng is None:
            rng = self.make_rng(self.rng_collection)
        return dropout(rng, inputs, self.rate, broadcast_dims=self.broadcast_dims)
