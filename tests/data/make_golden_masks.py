# SPDX-License-Identifier: BSD-3-Clause
"""Make golden_masks.json: digests of masks of every source, by NumPy and the twin alone.

Run it from the root of the repository: ``python tests/data/make_golden_masks.py``. The file is
frozen: if it comes out otherwise, either the twin is wrong or this is another stream version.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from fastdrop import _reference as reference

FILE = Path(__file__).with_name("golden_masks.json")
SEED = 20260101
N = 50_021  # more than three blocks of 16 KiB, and not a multiple of anything
PROBABILITIES = [0.0, 1e-4, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-4, 1.0]
POSITIONS = [0, 16379, 2**40 + 3, 2**64 - 1 - N]
BIT_GENERATORS = ["PCG64", "PCG64DXSM", "SFC64", "MT19937", "Philox"]


def digest(kept):
    """Return the SHA-256 of the packed bits."""
    return hashlib.sha256(reference.pack(kept).tobytes()).hexdigest()


def addressable(source):
    """Return the digests of one of our sources: position -> "p" or "keep_prob" -> digest."""
    key, counter = reference.identity(SEED)
    thresholds = {f"p={p!r}": reference.decision_threshold(p) for p in PROBABILITIES}
    for keep_prob in (0.1, 1 / 3):
        threshold = reference.decision_threshold(keep_prob=keep_prob)
        thresholds[f"keep_prob={keep_prob!r}"] = threshold
    return {
        str(position): {
            name: digest(reference.kept(source, key, counter, position, N, threshold))
            for name, threshold in thresholds.items()
        }
        for position in POSITIONS
    }


def sequential(name):
    """Return the digests of one of NumPy's bit generators: draws -> "p" -> digest."""

    def generator():
        return np.random.Generator(getattr(np.random, name)(SEED))

    return {
        "bytes": {
            f"p={p!r}": digest(
                reference.numpy_kept(generator().bit_generator, N, reference.decision_threshold(p))
            )
            for p in PROBABILITIES
        },
        "double": {f"p={p!r}": digest(generator().random(N) >= p) for p in PROBABILITIES},
        "float": {
            f"p={p!r}": digest(generator().random(N, dtype=np.float32) >= np.float32(p))
            for p in PROBABILITIES
        },
    }


def golden_masks():
    """Return all of the file."""
    return {
        "stream_version": 1,
        "seed": SEED,
        "n": N,
        "sha256_of_packed_kept_bits": {
            **{source: addressable(source) for source in reference.SOURCES},
            **{name: sequential(name) for name in BIT_GENERATORS},
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_masks(), indent=1) + "\n", encoding="utf-8")
