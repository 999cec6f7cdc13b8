# SPDX-License-Identifier: BSD-3-Clause
"""The JAX tests are skipped where JAX is missing, and those of Flax's modules where Flax is."""

import importlib.util
import os

if importlib.util.find_spec("jax") is None:
    collect_ignore_glob = ["test_*.py"]
elif importlib.util.find_spec("flax") is None:
    collect_ignore = ["test_jax_flax.py"]

os.environ.setdefault("JAX_PLATFORMS", "cpu")
