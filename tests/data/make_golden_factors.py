# SPDX-License-Identifier: BSD-3-Clause
"""Make golden_factors.json: digests of Gaussian factors of every source, by NumPy and the twin.

Run it from the root of the repository: ``python tests/data/make_golden_factors.py``. The file is
frozen: if it comes out otherwise, either the twin is wrong or this is another stream version.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from fastdrop import _reference as reference

FILE = Path(__file__).with_name("golden_factors.json")
SEED = 20260101
N = 20_011  # more than four blocks of 16 KiB, and not a multiple of anything
PROBABILITIES = [0.1, 0.5, 0.9]
POSITIONS = [0, 16379, 2**40 + 3, 2**64 - 1 - 4 * N]
BIT_GENERATORS = ["PCG64", "PCG64DXSM", "SFC64", "MT19937", "Philox"]


def digests(words):
    """Return the SHA-256 of the factors, float32 of little endian, for each p."""
    words = words.astype(np.uint32)
    return {
        repr(p): hashlib.sha256(
            reference.gaussian_factors(words, p).astype("<f4").tobytes()
        ).hexdigest()
        for p in PROBABILITIES
    }


def addressable(source):
    """Return the digests of one of our sources: position -> p -> digest."""
    key, counter = reference.identity(SEED)
    return {
        str(position): digests(
            reference.stream_bytes(source, key, counter, position, 4 * N).view("<u4")
        )
        for position in POSITIONS
    }


def sequential(name):
    """Return the digests of one of NumPy's bit generators: two factors a word, low half first."""
    generator = getattr(np.random, name)(SEED)
    interface = generator.ctypes
    words = [interface.next_uint64(interface.state) for _ in range((N + 1) // 2)]
    return {"words": digests(np.array(words, "<u8").view("<u4")[:N])}


def golden_factors():
    """Return all of the file."""
    return {
        "stream_version": 1,
        "seed": SEED,
        "n": N,
        "sha256_of_float32_factors": {
            **{source: addressable(source) for source in reference.SOURCES},
            **{name: sequential(name) for name in BIT_GENERATORS},
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_factors(), indent=1) + "\n", encoding="utf-8")
