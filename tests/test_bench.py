# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark measures what it says: its clockwork, its rows, its tables, its command line.

No test here looks at a real clock: a fake one shows that the harness divides, alternates and takes
medians rightly, and every statement that is timed in earnest runs once at a tiny size.
"""

import argparse
import io
import json
import re
import sys
import timeit
from pathlib import Path

import numpy as np
import pytest
from suite import arrays_in, start_of

import fastdrop as fd
from fastdrop.cli import (
    _bench_arrays,
    _bench_family,
    _bench_peers,
    _bench_rows,
    _bench_tables,
    _bench_timing,
    bench,
    demo,
    info,
)
from fastdrop.cli._bench_timing import Comparison, Effort, Goal, Result, Row
from fastdrop.cli._bench_turns import repeats_lasting

pytest.importorskip("rich")

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
needs_page = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")

TINY = {"memory": 1 << 15, "LLC": 1 << 14, "L2": 64, "L1": 16}  # whole maps for the family
BRIEF = Effort(sample=1e-9, budget=0, rounds=(2, 2))


class FakeClock:
    """Time that passes only when a statement says so, and a diary of who let it pass."""

    def __init__(self):
        self.now = 0.0
        self.diary = []

    def timer(self, name, *costs):
        """Time a statement that costs so many seconds at its first run, its second, ..."""
        costs = list(costs)

        def statement():
            self.now += costs.pop(0) if len(costs) > 1 else costs[0]
            self.diary.append(name)

        return timeit.Timer(statement, timer=lambda: self.now)


def result(goal=None, ratio=2.0, baseline_seconds=1e-6, **fields):
    fields = {"size": 1000, "goal": goal, "p": 0.1} | fields
    row = Row("Title", "a case", "run()", "walk()", **fields)
    seconds = ratio * baseline_seconds, baseline_seconds
    return Result(row, Comparison(*seconds, ratio, (ratio, ratio), rounds=9))


def command(*options):
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return bench.main(parser.parse_args(options))


# The clockwork


@pytest.mark.parametrize("cost", [1e-7, 3.3e-6, 1.9e-3, 2e-3, 0.5])
def test_a_sample_lasts_long_enough_but_not_much_longer(cost):
    loops, seconds = repeats_lasting(FakeClock().timer("a", cost).timeit, sample=2e-3)
    assert seconds == pytest.approx(loops * cost)
    assert seconds >= 2e-3
    assert loops == 1 or seconds < 2 * 2e-3


def test_the_first_run_is_not_timed():
    cold_start = FakeClock().timer("a", 100.0, 1e-3)
    loops, seconds = repeats_lasting(cold_start.timeit, sample=1e-3)
    assert (loops, seconds) == (1, pytest.approx(1e-3))


def test_candidate_and_baseline_take_turns():
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=0, rounds=(3, 9))
    _bench_timing.compare(clock.timer("A", 1.0), clock.timer("B", 1.0), effort)
    assert "".join(clock.diary) == "AA" + "BB" + "ABBAAB"  # warm and calibrate each, then rounds


def test_times_are_those_of_one_run():
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=0, rounds=(3, 9))
    times = _bench_timing.compare(clock.timer("A", 3e-6), clock.timer("B", 2e-6), effort)
    assert times.candidate_seconds == pytest.approx(3e-6)
    assert times.baseline_seconds == pytest.approx(2e-6)
    assert times.ratio == pytest.approx(1.5)
    assert times.quartiles == pytest.approx((1.5, 1.5))


def test_a_hiccup_does_not_move_the_median():
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=0, rounds=(5, 5))
    hiccup = clock.timer("A", 2.0, 2.0, 2.0, 90.0, 2.0)
    assert _bench_timing.compare(hiccup, clock.timer("B", 1.0), effort).ratio == 2.0


def test_a_machine_that_slows_down_leaves_the_ratio_alone():
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=0, rounds=(4, 4))
    candidate = clock.timer("A", 3.0, 3.0, 3.0, 6.0, 12.0, 24.0)
    baseline = clock.timer("B", 1.0, 1.0, 1.0, 2.0, 4.0, 8.0)
    assert _bench_timing.compare(candidate, baseline, effort).ratio == 3.0


def test_a_baseline_that_does_its_work_several_times_counts_once():
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=0, rounds=(3, 9))
    times = _bench_timing.compare(clock.timer("A", 3e-6), clock.timer("B", 16e-6), effort, 8)
    assert times.baseline_seconds == pytest.approx(2e-6)
    assert times.ratio == pytest.approx(1.5)


@pytest.mark.parametrize(("budget", "rounds"), [(0, 3), (14.0, 7), (1e6, 9)])
def test_the_budget_sets_the_rounds_within_their_limits(budget, rounds):
    clock = FakeClock()
    effort = Effort(sample=1e-3, budget=budget, rounds=(3, 9))
    times = _bench_timing.compare(clock.timer("A", 1.0), clock.timer("B", 1.0), effort)
    assert times.rounds == rounds


def test_a_goal_is_a_bound_on_the_cost_or_on_the_gain():
    cost, gain = Goal(1.5), Goal(3, faster=True)
    assert (str(cost), str(gain)) == ("<= 1.5", ">= 3 x faster")
    assert cost.met(1.5)
    assert not cost.met(1.51)
    assert gain.met(0.25)
    assert not gain.met(0.5)
    assert gain.score(0.25) == 4
    shown_alone = Goal(None, faster=True)
    assert (str(shown_alone), shown_alone.met(0.25), shown_alone.score(0.25)) == ("", None, 4)


# The unit


@pytest.mark.parametrize("layout", ["C", "F", "reversed", "every other"])
def test_what_is_read_and_what_is_written_lie_half_a_page_apart(layout):
    buffer = _bench_arrays.Buffer()
    values = np.random.default_rng(1).random((100, 70), np.float32)
    values = {
        "C": values,
        "F": np.asfortranarray(values),
        "reversed": values[::-1, ::-1],
        "every other": values[:, ::2],
    }[layout]
    for _ in range(300):  # more than a block
        x = buffer.to_read(values)
        y = buffer.to_write(values)
        assert (x.ctypes.data % 4096, y.ctypes.data % 4096) == (2048, 0)
        assert not np.shares_memory(x, y)
        assert x.strides == y.strides == np.empty_like(values).strides
    np.testing.assert_array_equal(x, values)
    np.testing.assert_array_equal(y, 1)


def test_what_is_read_into_new_arrays_lies_half_a_page_from_them():
    values = np.ones(1 << 20, np.float32)
    x = _bench_arrays.Buffer().to_read(values, into_new=True)
    assert 1024 < (values.copy().ctypes.data - x.ctypes.data) % 4096 < 3072


@pytest.mark.parametrize(
    ("times", "slow"),
    [
        ({16: 2e-6, 256: 10e-6, 4096: 250e-6}, []),  # as usual: a call costs a little
        ({16: 10e-6, 256: 10e-6, 4096: 250e-6}, ["10"]),  # 4 to 32 bytes past modulo a page
        ({16: 2e-6, 256: 138e-6, 4096: 250e-6}, ["138"]),
        ({256: 138e-6}, []),
    ],
)
def test_a_baseline_slower_per_byte_than_with_larger_arrays_is_flagged(times, slow):
    results = [result(size=size, baseline_seconds=seconds) for size, seconds in times.items()]
    others = [result(size=size, baseline_seconds=1e-6, p=1 / 3) for size in times]
    flagged = _bench_timing.flag_slow_baselines([*reversed(results), *others])
    assert [one.row for one in flagged] == [one.row for one in [*reversed(results), *others]]
    assert _bench_timing.notes_of_slow_baselines(flagged) == [
        f"Slow baseline: Title, a case, p = 0.1: {time} us, so its ratio is too small and not "
        "judged."
        for time in slow
    ]


def test_a_goal_is_not_judged_by_a_slow_baseline():
    pair = [result(Goal(3), size=16, baseline_seconds=1e-4), result(Goal(3), size=256)]
    assert [one.met for one in pair] == [True, True]
    assert [one.met for one in _bench_timing.flag_slow_baselines(pair)] == [None, True]


# The machine


def test_caches_are_read_from_the_system(tmp_path):
    described = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("3", "Unified", "260M")]
    for i, facts in enumerate(described):
        (tmp_path / f"index{i}").mkdir()
        for name, fact in zip(("level", "type", "size"), facts, strict=True):
            (tmp_path / f"index{i}" / name).write_text(fact + "\n")
    assert _bench_timing.caches(tmp_path) == {1: 48 << 10, 3: 260 << 20}
    assert _bench_timing.caches(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("caches", "memory"),
    [({1: 32 << 10, 3: 32 << 20}, 24), ({3: 33 << 20}, 25), ({3: 1 << 30}, 26), ({}, 24)],
)
def test_arrays_in_memory_are_twice_the_last_level_cache(caches, memory):
    assert _bench_rows.places(caches)["memory"] == 1 << memory


def test_powers_of_two_are_written_as_such():
    assert [_bench_timing.power_of_two(n) for n in (1, 4096, 1000)] == ["2^0", "2^12", "1000"]


# The rows


def every_row():
    level = fd.simd_levels()[-1]
    rows = [
        *_bench_rows.core_rows(level, TINY),
        *_bench_family.family_rows([level], TINY),
        *_bench_peers.peer_rows([level], [64]),
    ]
    return [pytest.param(row, id=f"{row.table}-{row.case}-{row.p:.2g}") for row in rows]


@pytest.mark.parametrize("row", every_row())
def test_statements_run(row):
    with _bench_timing.conditions(row):
        try:
            names = _bench_timing.namespace(row)
        except _bench_timing.Unavailable as reason:
            pytest.skip(str(reason))
        exec(row.candidate, names)
        exec(row.baseline, names)


@pytest.mark.parametrize("row", every_row())
def test_arrays_of_statements_are_placed(row):
    if row.baseline == "x.copy()":
        pytest.skip("whose x is placed by where new arrays are")
    try:
        names = _bench_timing.namespace(row)
    except _bench_timing.Unavailable as reason:
        pytest.skip(str(reason))
    assert {start_of(array) for array in arrays_in(list(names.values()))} == {0, 2048}


def test_the_copy_on_two_threads_is_one_of_many_that_python_starts_once():
    (row,) = {
        row.baseline: row for row in _bench_rows.core_rows("avx2", TINY) if row.threads == 2
    }.values()
    names = _bench_timing.namespace(row)
    copies = []
    names["np"] = argparse.Namespace(copyto=lambda y, x: copies.append((y.size, x.size)))
    exec(row.baseline, names)
    assert copies == [(row.size // 2, row.size // 2)] * 2 * row.baseline_runs
    assert row.baseline_runs > 1


def test_conditions_are_restored():
    before = fd.get_num_threads()
    with _bench_timing.conditions(Row("", "", "", "", size=1, threads=before + 1)):
        assert fd.get_num_threads() == before + 1
    assert fd.get_num_threads() == before


@pytest.mark.parametrize("level", ["avx2", "avx512"])
def test_every_row_has_a_goal_on_one_thread(level):
    rows = _bench_rows.core_rows(level, TINY)
    assert all(row.goal for row in rows)
    assert {row.simd for row in rows} == {level}
    assert {row.p for row in rows} == {0.1, 1 / 3, 0.5, 0.9}


def test_only_rows_about_two_threads_keep_their_goal_on_more():
    rows = _bench_rows.core_rows("avx2", TINY, threads=4)
    assert {row.threads for row in rows if row.goal} == {2}
    assert {row.threads for row in rows if not row.goal} == {4}


def test_every_function_of_the_family_is_compared_with_a_copy_and_with_pytorch():
    rows = _bench_family.family_rows(["avx2"], TINY)
    tables = {row.table: [] for row in rows}
    for row in rows:
        tables[row.table].append(row.case)
    copies, _, fused, _, torch = tables.values()
    assert [*copies, "np.copyto, the limit"] == torch
    assert set(fused) == {"relu_dropout", "dropout_add with bias"}
    names = {name for name in fd.functional.__all__ if "drop" in name or name == "zoneout"}
    names -= {name for name in names if name.endswith(("_backward", "_mask", "_rates"))}
    assert {case.removesuffix(" with bias") for case in copies} == names
    on_two = _bench_family.family_rows(["avx2"], TINY, threads=2)
    assert not any(row.goal and row.goal.limit for row in on_two)


def test_peers_run_once_however_many_levels_are_measured():
    rows = _bench_peers.peer_rows(["slow", "fast"], [64])
    assert len([row for row in rows if row.simd == "slow"]) == 3
    assert len([row for row in rows if row.simd == "fast"]) == 3
    assert len([row for row in rows if not row.simd]) == len(_bench_peers.PEERS)


def test_a_peer_that_is_not_installed_is_left_out_with_a_note(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = next(row for row in _bench_peers.peer_rows([], [64]) if "PyTorch" in row.case)
    results, left_out = bench.measure_all([torch, torch], BRIEF)
    assert results == []
    (note,) = bench.notes_of_left_out(left_out)
    assert note == f"Without torch, 2 rows are left out, of: {torch.table}."
    assert _bench_peers.bytes_kept_by_torch(10) == 40


# The tables


def test_a_table_of_promises():
    (table,) = _bench_tables.tabulate(
        [
            result(Goal(1.5)),
            result(Goal(30, faster=True), ratio=1 / 40, simd="avx2"),
            result(None, ratio=0.5, p=1 / 3),
        ],
        _bench_tables.CORE_COLUMNS,
    )
    assert table.markdown() == (
        "### Title\n"
        "\n"
        "`run()  against  walk()`\n"
        "\n"
        "| case | p | SIMD | ns per element | baseline | ratio | goal | met? |\n"
        "| :-- | --: | :-- | --: | --: | --: | :-- | :-- |\n"
        "| a case | 0.1 |  | 2 | 1 | 2.00 | <= 1.5 | no |\n"
        "| a case | 0.1 | avx2 | 0.025 | 1 | 40.0 x faster | >= 30 x faster | yes |\n"
        "| a case | 1/3 |  | 0.5 | 1 | 0.500 |  |  |\n"
    )


def test_a_table_of_the_family():
    (table,) = _bench_tables.tabulate(
        [result(Goal(10, faster=True), ratio=1 / 20, note="F.dropout(t, p)")],
        _bench_tables.FAMILY_COLUMNS,
    )
    unit = "ns per element"
    assert table.header == (
        "function", "SIMD", unit, "baseline", "ratio", "goal", "met?", "compared with"
    )  # fmt: skip
    assert table.cells[0][4:] == ("20.0 x faster", ">= 10 x faster", "yes", "F.dropout(t, p)")
    assert table.code == ""


def test_a_table_of_peers():
    (table,) = _bench_tables.tabulate([result(note="eager", ratio=160)], _bench_tables.PEER_COLUMNS)
    assert table.header == ("system", "SIMD", "ns per element", "times a copy", "note")
    assert table.cells == [("a case", "", "160", "160", "eager")]
    assert table.code == ""


def test_small_calls_are_shown_in_microseconds():
    (table,) = _bench_tables.tabulate([result(per_call=True)], _bench_tables.CORE_COLUMNS)
    assert table.header[3] == "us per call"
    assert table.cells[0][3:5] == ("2", "1")


def test_a_terminal_shows_the_same_cells():
    from rich.console import Console

    (table,) = _bench_tables.tabulate([result(Goal(1.5))], _bench_tables.CORE_COLUMNS)
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    text = console.file.getvalue()
    assert all(cell in text for cell in (*table.header, *table.cells[0], table.title, table.code))


@pytest.mark.parametrize("columns", ["CORE", "FAMILY", "PEER"])
def test_names_are_whole_at_80_columns(columns):
    from rich.console import Console

    of_rows = {
        "CORE": _bench_rows.core_rows("avx512", TINY),
        "FAMILY": _bench_family.family_rows(["avx512"], TINY),
        "PEER": _bench_peers.peer_rows(["avx512"], [64]),
    }
    results = [
        Result(row, Comparison(0.000123456, 0.000123456, 1234.5, (1.0, 1.0), 9))
        for row in of_rows[columns]
    ]
    console = Console(file=io.StringIO(), width=80)
    for table in _bench_tables.tabulate(results, getattr(_bench_tables, f"{columns}_COLUMNS")):
        console.print(table)
    text = console.file.getvalue()
    lines = text.splitlines()
    assert "…" not in text
    assert all(any(row.case in line for line in lines) for row in of_rows[columns])


def test_goals_are_counted():
    judged = [result(Goal(1.5)), result(Goal(2.5)), result(None)]
    assert _bench_tables.summary(judged) == "1 of 2 goals met."
    assert _bench_tables.summary([result(None)]) == "No goal was judged."


# The command


@pytest.fixture
def tiny(monkeypatch):
    """Let the command measure as little as possible, and none of the large packages."""
    monkeypatch.setattr(bench, "places", lambda caches: TINY)
    monkeypatch.setattr(bench, "PEER_SIZES", (64, 128))
    monkeypatch.setattr(bench, "QUICK", BRIEF)
    for package in ("torch", "jax", "numba"):
        monkeypatch.setitem(sys.modules, package, None)


def test_the_command_prints_tables_and_writes_json(tiny, tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert command("--quick", "--full", "--markdown", "--json", str(file)) == 0
    printed = capsys.readouterr().out
    for title in ("Machine", "Forward, L2", "Kept for the backward pass", "Dropout of 2^7 float32"):
        assert f"### {title}" in printed
    assert " goals met." in printed
    assert printed.count("Without torch, ") == printed.count("Without jax, ") == 1

    data = json.loads(file.read_text())
    assert set(data) == {"schema", "machine", "core", "kept", "family", "peers", "notes"}
    assert data["schema"] == bench.SCHEMA
    assert data["machine"]["fastdrop"] == fd.__version__
    measured = {field for kind in (Row, Comparison) for field in kind.__dataclass_fields__}
    records = data["core"] + data["family"] + data["peers"]
    assert all(set(record) == measured | {"met"} for record in records)
    assert all(record["candidate_seconds"] > 0 for record in records)
    assert {record["size"] for record in data["peers"]} == {64, 128}
    assert [record["case"] for record in data["kept"]] == ["seeded mask", "packed mask"]


def test_slow_baselines_are_told(tiny, monkeypatch, capsys):
    monkeypatch.setattr(
        bench, "notes_of_slow_baselines", lambda results: [f"{len(results)} looked at"]
    )
    assert command("--quick", "--rows", "peers", "--markdown") == 0
    assert capsys.readouterr().out.endswith("6 looked at\n")


def test_rows_can_be_chosen(tiny, capsys):
    assert command("--quick", "--rows", "peers", "--simd", "best", "--simd", "scalar") == 0
    printed = capsys.readouterr().out
    assert "Forward, L2" not in printed
    assert "scalar" in printed


def test_a_picture_is_drawn(tiny, tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "bench.png"
    assert command("--quick", "--rows", "peers", "--plot", str(file)) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--simd", "mmx"], "SIMD level 'mmx' is not one of"),
        (["--threads", "0"], "--threads must be at least 1, not 0."),
        (["--json", "no/such/folder/x.json"], "There is no folder"),
    ],
)
def test_a_run_that_cannot_finish_does_not_start(options, sentence, capsys):
    assert command(*options) == 2
    assert sentence in capsys.readouterr().err


def test_more_threads_than_cpus_are_told(tiny, capsys):
    assert command("--quick", "--rows", "peers", "--threads", "999") == 0
    told = capsys.readouterr().err
    assert re.search(r"^There are \d+ CPUs for the 999 threads of --threads\.$", told, re.MULTILINE)
    assert command("--quick", "--rows", "peers", "--threads", "1") == 0
    assert "CPUs" not in capsys.readouterr().err


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    tiny, monkeypatch, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("measured"))
    assert command("--rows", "peers", "--plot", str(tmp_path / "x.txt")) == 2
    assert "--plot cannot draw 'x.txt'" in capsys.readouterr().err


@pytest.mark.parametrize("rows", ["core", "family"])
def test_a_plot_needs_the_peers(rows, capsys):
    pytest.importorskip("matplotlib")
    assert command("--rows", rows, "--plot", "x.png") == 2
    assert f"--plot draws the peers, which --rows {rows} leaves out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "options"), [("rich", []), ("matplotlib", ["--plot", "x.png"])]
)
def test_what_is_missing_is_named_with_its_cure(package, options, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert command(*options) == 2
    message = capsys.readouterr().err
    assert package in message
    assert 'pip install ".[bench]"' in message


def test_the_level_in_use_is_measured_unless_others_are_asked_for(monkeypatch):
    slowest, best = fd.simd_levels()[0], fd.simd_levels()[-1]
    monkeypatch.delenv("FASTDROP_SIMD", raising=False)
    assert bench.simd_levels([]) == [best]
    assert bench.simd_levels([slowest, "best", slowest]) == list(dict.fromkeys([slowest, best]))
    monkeypatch.setenv("FASTDROP_SIMD", slowest)
    assert bench.simd_levels([]) == [slowest]


# python -m fastdrop info


def test_info_shows_the_version(capsys):
    parser = argparse.ArgumentParser()
    info.add_arguments(parser)
    assert info.main(parser.parse_args([])) == 0
    assert fd.__version__ in capsys.readouterr().out


# The page of the command line


@needs_page
@pytest.mark.parametrize("module", [bench, demo])
def test_every_option_is_explained(module):
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    section = PAGE.read_text(encoding="utf-8").split(f"## {module.__name__.split('.')[-1]}\n")[1]
    explained = set(re.findall(r"^\| `(--[a-z]+)", section.split("\n## ")[0], re.MULTILINE))
    assert explained == options
