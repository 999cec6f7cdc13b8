# SPDX-License-Identifier: BSD-3-Clause
"""The dropout of Flax's modules, in the place of ``flax.nnx.Dropout``."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from fastdrop._checks import check_probability, check_switch, described
from fastdrop.jax.functional import dropout

__all__ = ["Dropout"]


class Dropout(nnx.Dropout):
    """``flax.nnx.Dropout`` by `fastdrop.jax.dropout`: the same arguments and streams of keys.

    Its masks are others than Flax's.

    Parameters
    ----------
    rate : float
        Probability of dropping an element, in [0, 1].
    broadcast_dims : int or sequence of int, optional
        Axes along which there is one decision for all elements.
    deterministic : bool, default False
        True: return what is given. A module's methods ``train`` and ``eval`` change it.
    rng_collection : str, default "dropout"
        Name of the stream that keys are taken from.
    rngs : flax.nnx.Rngs, optional
        Where keys come from.

    Examples
    --------
    >>> import fastdrop.jax.nnx
    >>> import jax
    >>> from flax import nnx
    >>> layer = fastdrop.jax.nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    >>> sorted(set(layer(jax.numpy.ones(8)).tolist()))
    [0.0, 2.0]
    """

    def __call__(self, inputs: Any, *, deterministic: bool | None = None, rngs: Any = None) -> Any:
        """Return the inputs under a new mask.

        Parameters
        ----------
        inputs : jax.Array
            Of floats.
        deterministic : bool, optional
            True: return the inputs. It precedes what the module has.
        rngs : flax.nnx.Rngs, flax.nnx.RngStream or jax.Array, optional
            Where the key comes from, or the key. It precedes what the module has.

        Returns
        -------
        outputs : jax.Array
            Of the shape and dtype of the inputs.
        """
        deterministic = self.deterministic if deterministic is None else deterministic
        if deterministic is None:
            raise ValueError(
                "deterministic must be True or False, not None: give it to Dropout or to its call"
            )
        if not isinstance(self.rate, jax.Array):
            check_probability("rate", self.rate)
        if check_switch("deterministic", deterministic) or self.rate == 0.0:
            return inputs
        if self.rate == 1.0:  # as Flax, which asks for no key
            return jnp.zeros_like(inputs)
        key = self._key(self.rngs if rngs is None else rngs)
        return dropout(key, inputs, self.rate, broadcast_dims=self.broadcast_dims)

    def _key(self, rngs: Any) -> jax.Array:
        if rngs is None:
            raise ValueError("rngs must be an Rngs, not None: give it to Dropout or to its call")
        if isinstance(rngs, nnx.Rngs):
            rngs = rngs[self.rng_collection]
        if not (isinstance(rngs, jax.Array) or callable(rngs)):
            raise TypeError(f"rngs must be an Rngs, an RngStream or a key, not {described(rngs)}")
        key: jax.Array = rngs if isinstance(rngs, jax.Array) else rngs()
        return key
