# SPDX-License-Identifier: BSD-3-Clause
"""The tables of docs/evidence: fair sources passed, and what is wrong on purpose failed."""

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import SOURCES

import fastdrop as fd
from fastdrop import _reference as reference

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools" / "evidence"
WRONG = "wrong on purpose"
NAMES = {cls.__name__ for cls in SOURCES}

pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="the drivers are not here")


def rows(name):
    """The rows of a table."""
    with (ROOT / "docs" / "evidence" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def streams():
    """The names of the module that makes what the batteries look at."""
    return runpy.run_path(str(TOOLS / "streams.py"))


@pytest.fixture(scope="module")
def masks():
    """The names of the battery of masks."""
    sys.path.insert(0, str(TOOLS))
    try:
        return runpy.run_path(str(TOOLS / "masks.py"))
    finally:
        sys.path.remove(str(TOOLS))
        sys.modules.pop("streams", None)


def from_the_nearer_end(text):
    """How far a p-value is from 0 or from 1."""
    return min(float(text), 1 - float(text))


@pytest.mark.parametrize("battery", ["SmallCrush", "Crush"])
def test_fair_sources_passed(battery):
    values = [row["p-value"] for row in rows(battery) if row["source"] != WRONG]
    assert values
    assert min(map(from_the_nearer_end, values)) > 1e-6


def test_every_kind_of_bits_was_looked_at(streams):
    table = rows("SmallCrush")
    for sources, variants in ((NAMES, streams["MAKERS"]), ({WRONG}, streams["CONTROLS"])):
        found = {(row["source"], row["variant"]) for row in table if row["source"] in sources}
        assert found == {(source, variant) for source in sources for variant in variants}


def test_wrong_sources_failed(streams):
    for variant in streams["CONTROLS"]:
        values = [row["p-value"] for row in rows("SmallCrush") if row["variant"] == variant]
        assert min(map(float, values)) < 1e-10


def test_masks_of_fair_sources_passed():
    table = [row for row in rows("masks") if row["source"] in NAMES]
    for name in NAMES:
        assert sum(int(row["decisions"]) for row in table if row["source"] == name) >= 10**11
    values = [float(row[kind]) for row in table for kind in ("worst p-value", "sum p-value")]
    assert min(values) > 1e-5


def test_wrong_masks_failed():
    table = [row for row in rows("masks") if row["source"].startswith(WRONG)]
    assert len(table) == 12
    assert all(float(row["worst p-value"]) < 1e-9 for row in table)


# --- the drivers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", SOURCES)
def test_streams_are_what_their_names_say(streams, cls):
    first = {name: next(make(cls, 1, 0)) for name, make in streams["MAKERS"].items()}
    stream = next(streams["words"](cls, 1, 0))
    assert np.array_equal(first["bytes"][:256], cls(1).random_raw(32).view(np.uint8))
    turned = [int(f"{word:032b}"[::-1], 2) for word in stream[:64].view("<u4").tolist()]
    assert first["reversed"][:64].view("<u4").tolist() == turned
    key, counter = reference.identity(1)
    digits = reference.tie_digits(cls.__name__, key, counter, 0, 8)
    assert first["tie digits"][:48].tolist() == [
        int(digit) >> 8 * i & 255 for digit in digits for i in range(1, 7)
    ]
    mask = np.asarray(fd.dropout_mask((4, 4096), 0.5, rng=cls(1)))
    windows = np.packbits(mask[:, :64], bitorder="little")
    assert np.array_equal(first["windows"][:32], windows)
    seeds = first["64 seeds"].view("<u8")
    assert [int(seeds[i]) for i in range(3)] == [int(cls(1 + i).random_raw()) for i in range(3)]
    assert all(chunk.size % 4 == 0 for chunk in first.values())


def test_a_later_place_is_later_in_the_stream(streams):
    for name in ("bytes", "kept bits", "tie digits"):
        make = streams["MAKERS"][name]
        assert not np.array_equal(
            next(make(fd.Philox4x32, 1, 0)), next(make(fd.Philox4x32, 1, 2**48))
        )
    kept = next(streams["kept"](fd.Philox4x32, 1, 2**48))[:8]
    source = fd.Philox4x32(1)
    source.position = 2**48
    assert np.array_equal(kept, fd.dropout_mask(64, 0.5, rng=source, store="bits").bits)


def test_controls_differ_from_the_source_in_the_seeds_alone(streams):
    """With the right lanes the maker of controls makes the stream itself."""
    right = next(streams["xoshiro"](1, streams["right_lanes"]))
    assert np.array_equal(right, next(streams["words"](fd.Xoshiro256PlusPlus, 1, 0)))


@pytest.mark.parametrize(
    ("test", "p"),
    [
        *(("counts", 0.5), ("counts", 1e-3), ("patterns", 0.1), ("pairs", 0.1)),
        *(("places", 0.5), ("runs", 0.5), ("runs", 0.1)),
    ],
)
def test_statistics_of_fair_masks_are_standard_deviates(masks, test, p, monkeypatch):
    """Of NumPy's generator here, whose masks share nothing with those of the sources."""
    size = 2**19
    monkeypatch.setitem(masks[test].__globals__, "CHUNK", size)
    rng = np.random.Generator(np.random.PCG64(1))

    def draw(n, p):
        return np.packbits(rng.random(n) >= p, bitorder="little")

    statistics = masks[test](draw, p, 2 * size)
    assert np.max(np.abs(statistics)) < 5
    if statistics.size > 100:
        assert 0.95 < np.mean(statistics**2) < 1.05
