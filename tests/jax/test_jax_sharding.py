# SPDX-License-Identifier: BSD-3-Clause
"""The result of a program does not depend on how its arrays are cut among devices."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "jax_devices.py"


def printed(devices, *names):
    """Return what the script prints, in a process of its own: JAX makes devices when it starts."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, SCRIPT, str(devices), *names],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("devices", [2, 4])
def test_several_devices(devices):
    assert "pmap_is_local" in printed(devices)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
def test_arrays_of_p_on_several_devices(devices):
    assert "arrays_of_p_do_not_either" in printed(devices, "slow")
