# SPDX-License-Identifier: BSD-3-Clause
"""The Dask tests are skipped where Dask is missing."""

import importlib.util

if importlib.util.find_spec("dask") is None:
    collect_ignore_glob = ["test_*.py"]
