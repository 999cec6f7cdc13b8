# SPDX-License-Identifier: BSD-3-Clause
"""Processes that share the work of one model train it to the bits that one process would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RANKS = Path(__file__).parents[1] / "support" / "ranks.py"


def run(ranks, folder):
    """Return the digests of weights that so many processes have at the end."""
    outs = [folder / f"{ranks}_{rank}.json" for rank in range(ranks)]
    store = folder / f"store_{ranks}"
    processes = [
        subprocess.Popen([sys.executable, str(RANKS), str(rank), str(ranks), str(store), str(out)])
        for rank, out in enumerate(outs)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0] * ranks
    return [digest for out in outs for digest in json.loads(out.read_text())]


@pytest.mark.slow
def test_one_two_and_three_ranks_train_to_the_same_weights(tmp_path):
    """Samples or hidden columns on each rank, by gloo; and each rank drops its part of DTensors."""
    digests = [digest for ranks in (1, 2, 3) for digest in run(ranks, tmp_path)]
    assert len(digests) == 3 + 4 + 6
    assert len(set(digests)) == 1
