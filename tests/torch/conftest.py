# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the PyTorch tests; all of them are skipped where PyTorch is missing."""

import importlib.util

import pytest

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch
    from torch_tensors import kernels_in_python

    import fastdrop.torch

    @pytest.fixture
    def installed():
        """Run the test with PyTorch's own dropout replaced."""
        with fastdrop.torch.installed():
            yield

    @pytest.fixture
    def in_python(installed):
        """Have the kernels in Python serve small tensors, too."""
        with kernels_in_python():
            yield

    @pytest.fixture(autouse=True)
    def torch_restored():
        """Seed PyTorch's generator before the test; leave threads and generator as they were."""
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2026)
            yield
        torch.set_num_threads(threads)
