# SPDX-License-Identifier: BSD-3-Clause
"""A second interpreter of a process is refused in an ImportError, and the first one goes on.

NumPy refuses it before the package does. If one day NumPy does not, this test says so.
"""

import importlib.util
import subprocess
import sys

import pytest

MODULE = next(
    (
        name
        for name in ("_interpreters", "_xxsubinterpreters")
        if importlib.util.find_spec(name) is not None
    ),
    None,
)

PROGRAM = """
import sys
import {module} as interpreters
import numpy as np, fastdrop as fd

y, mask = fd.dropout(np.ones(1_000_000, np.float32), 0.3, rng=1)
for _ in range(2):
    other = interpreters.create()
    interpreters.run_string(other, '''
import sys
sys.path[:] = {path!r}
try:
    import fastdrop
except ImportError:
    print("refused", flush=True)
else:
    print("imported", flush=True)
''')
    interpreters.destroy(other)
assert mask.backward(np.ones_like(y)).tobytes() == y.tobytes()
print("goes on")
"""


@pytest.mark.skipif(MODULE is None, reason="this Python has no interpreters to make")
def test_a_second_interpreter_is_refused():
    path = [folder for folder in sys.path if folder]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.format(module=MODULE, path=path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == ["refused", "refused", "goes on", ""]
