# SPDX-License-Identifier: BSD-3-Clause
"""Settings are as asked for: by the environment, by the machine, and inside of blocks."""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import config
from fastdrop._cpus import usable_cpus
from fastdrop.kernels import _kernels

PATIENCE = 60  # seconds until a program is taken to hang

# ---- the environment -----------------------------------------------------------------------------

REPORT = (
    "import fastdrop as fd; from fastdrop.kernels import _kernels; "
    "print(fd.get_num_threads(), _kernels.get_level())"
)
VARIABLES = ("FASTDROP_NUM_THREADS", "OMP_NUM_THREADS", "FASTDROP_SIMD")


def python(code, **variables):
    """Run Python with these of the variables and no others."""
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "threads", "level"),
    [
        ({}, None, "auto"),
        ({"FASTDROP_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3, "auto"),
        ({"OMP_NUM_THREADS": "5,2", "FASTDROP_SIMD": "scalar"}, 5, "scalar"),
        ({"FASTDROP_NUM_THREADS": "100", "FASTDROP_SIMD": "auto"}, 100, "auto"),
        ({"FASTDROP_NUM_THREADS": "", "FASTDROP_SIMD": ""}, None, "auto"),
        (
            {"FASTDROP_NUM_THREADS": " ", "OMP_NUM_THREADS": " 5 , 2 ", "FASTDROP_SIMD": " "},
            5,
            "auto",
        ),
    ],
)
def test_environment(variables, threads, level):
    result = python(REPORT, **variables)
    assert result.returncode == 0, result.stderr
    levels = fd.simd_levels()
    assert result.stdout.split() == [
        str(usable_cpus() if threads is None else threads),
        levels[-1] if level == "auto" else level,
    ]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("FASTDROP_NUM_THREADS", "many", ["'many'", "at least 1"]),
        ("FASTDROP_SIMD", "mmx", ["'mmx'", "'scalar'", "'auto'"]),
    ],
)
def test_a_bad_environment_is_an_error_at_import(variable, value, words):
    result = python(REPORT, **{variable: value})
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: ")
    assert all(word in last for word in (variable, *words))


@pytest.fixture
def environment(monkeypatch):
    """Set variables and read them again; level and threads are then as before."""
    level = _kernels.get_level()
    monkeypatch.setattr(config, "_base_level", level)

    def read(**variables):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        config._from_environment()
        return fd.get_num_threads(), _kernels.get_level()

    yield read
    _kernels.set_level(level)


def test_environment_variables_that_are_obeyed(environment):
    fastest, cpus = fd.simd_levels()[-1], usable_cpus()
    assert environment() == (cpus, fastest)
    for level in fd.simd_levels():
        assert environment(FASTDROP_SIMD=level) == (cpus, level)
    assert environment(OMP_NUM_THREADS="7") == (7, fastest)
    assert environment(OMP_NUM_THREADS="7", FASTDROP_NUM_THREADS="2") == (2, fastest)
    for spaces in ("7 ,2", "\t7", " 7 "):
        assert environment(OMP_NUM_THREADS=spaces) == (7, fastest)
    for other in (
        "",
        " ",
        ",",
        "0",
        "many",
        "-2",
    ):  # another package's variable: not refused
        assert environment(OMP_NUM_THREADS=other) == (cpus, fastest)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FASTDROP_NUM_THREADS", "0"),
        ("FASTDROP_NUM_THREADS", "-1"),
        ("FASTDROP_NUM_THREADS", "2.5"),
        ("FASTDROP_NUM_THREADS", "two"),
        ("FASTDROP_SIMD", "AVX-512"),
        ("FASTDROP_SIMD", "avx2,sse2"),
        ("FASTDROP_SIMD", "altivec"),
    ],
)
def test_environment_variables_that_are_refused(environment, variable, value):
    before = fd.get_num_threads(), _kernels.get_level()
    with pytest.raises(ValueError, match=variable) as caught:
        environment(**{variable: value})
    assert value in str(caught.value)
    assert "must be" in str(caught.value)
    if variable == "FASTDROP_SIMD":
        assert (fd.get_num_threads(), _kernels.get_level()) == before


# ---- levels --------------------------------------------------------------------------------------


def test_levels_are_used_inside_their_block_only():
    outer = _kernels.get_level()
    for level in fd.simd_levels():
        with fd.use_simd(level):
            assert _kernels.get_level() == level
            with fd.use_simd("auto"):
                assert _kernels.get_level() == fd.simd_levels()[-1]
            assert _kernels.get_level() == level
        assert _kernels.get_level() == outer
        with pytest.raises(RuntimeError), fd.use_simd(level):
            raise RuntimeError
        assert _kernels.get_level() == outer


@pytest.mark.parametrize("level", ["", "AVX2", "mmx", "scalar ", "all", None, 2])
def test_levels_that_are_refused(level):
    before = _kernels.get_level()
    with pytest.raises((ValueError, TypeError)) as caught, fd.use_simd(level):
        pass
    message = str(caught.value)
    assert repr(level) in message
    assert all(repr(name) in message for name in (*fd.simd_levels(), "auto"))
    assert _kernels.get_level() == before


def test_the_block_that_was_opened_last_and_is_open_decides():
    """Whatever the order in which blocks are closed; with none open, the level is the base."""
    base, levels = _kernels.get_level(), fd.simd_levels()
    chosen = [levels[index % len(levels)] for index in range(3)]
    for order in itertools.permutations(range(3)):
        blocks = [fd.use_simd(level) for level in chosen]
        for block in blocks:
            block.__enter__()
        open_blocks = list(range(3))
        for index in order:
            assert _kernels.get_level() == chosen[open_blocks[-1]]
            blocks[index].__exit__(None, None, None)
            open_blocks.remove(index)
        assert _kernels.get_level() == base


def test_blocks_of_several_threads():
    """One that was opened first is closed first, while the other thread's is open."""
    base, slow, fast = _kernels.get_level(), fd.simd_levels()[0], fd.simd_levels()[-1]
    opened, closed = threading.Event(), threading.Event()

    def other():
        with fd.use_simd(fast):
            opened.set()
            assert closed.wait(PATIENCE)

    thread = threading.Thread(target=other)
    with fd.use_simd(slow):
        thread.start()
        assert opened.wait(PATIENCE)
        assert _kernels.get_level() == fast
    assert _kernels.get_level() == fast
    closed.set()
    thread.join(PATIENCE)
    assert _kernels.get_level() == base


def test_blocks_in_many_threads_leave_the_base_level():
    base = _kernels.get_level()

    def work(seed):
        for index in np.random.default_rng(seed).integers(len(fd.simd_levels()), size=500):
            with fd.use_simd(fd.simd_levels()[index]):
                pass

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert _kernels.get_level() == base


def test_a_block_may_be_opened_again():
    base, block = _kernels.get_level(), fd.use_simd("scalar")
    with block, fd.use_simd("auto"), block:
        assert _kernels.get_level() == "scalar"
    assert _kernels.get_level() == base
    with block:
        assert _kernels.get_level() == "scalar"
    assert _kernels.get_level() == base


def test_blocks_decorate_functions():
    @fd.use_simd("scalar")
    def level():
        return _kernels.get_level()

    base = _kernels.get_level()
    assert level() == level() == "scalar"
    assert _kernels.get_level() == base


def test_a_call_without_a_block_changes_nothing_but_is_checked():
    base = _kernels.get_level()
    fd.use_simd("scalar")
    assert _kernels.get_level() == base
    with pytest.raises(ValueError, match="'nonsense'"):
        fd.use_simd("nonsense")


def test_levels():
    levels = fd.simd_levels()
    assert isinstance(levels, tuple)
    assert levels[0] == "scalar"
    order = ("scalar", "sse2", "avx2", "avx512", "neon")
    assert levels == tuple(level for level in order if level in levels)


# ---- the machine ---------------------------------------------------------------------------------


def machine(root, cgroup, **files):
    """Make a folder that has these files of a Linux machine."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


VERSION_1 = "9:name=systemd:/\n4:memory:/job\n2:cpu,cpuacct:/job\n"
GROUPS = {
    "2, in a container": ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
    "2, a part of a CPU": ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
    "2, none": ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
    "2, of a service": ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n"}, 3),
    "2, of what it is in": (
        "0::/a/b\n",
        {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 50000\n", "cpu.max": "max 100000\n"},
        4,
    ),
    "2, beside version 1": (VERSION_1 + "0::/job\n", {"unified/job/cpu.max": "5 1\n"}, 5),
    "1": (
        VERSION_1,
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
        },
        3,
    ),
    "1, in a container, with the path of the host": (
        VERSION_1,
        {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        2,
    ),
    "1, none": (
        VERSION_1,
        {"cpu/job/cpu.cfs_quota_us": "-1\n", "cpu/job/cpu.cfs_period_us": "100000\n"},
        64,
    ),
    "no files": (VERSION_1 + "0::/\n", {}, 64),
    "other files": ("0::/\n", {"cpu.max": "\n", "cpu/cpu.cfs_quota_us": "much"}, 64),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has control groups")
@pytest.mark.parametrize(("cgroup", "files", "expected"), GROUPS.values(), ids=GROUPS.keys())
def test_the_quota_of_control_groups(tmp_path, monkeypatch, cgroup, files, expected):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert usable_cpus(machine(tmp_path, cgroup, **files)) == expected


def test_a_machine_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: None, raising=False)
    assert usable_cpus(tmp_path) == 1


def test_what_python_says_counts(environment, monkeypatch):
    """It knows PYTHON_CPU_COUNT, from Python 3.13 on; the quota may be less still."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 1, raising=False)
    assert environment()[0] == 1
    assert fd.show_config(mode="dicts")["threads"]["CPUs"] == "1"
    assert environment(OMP_NUM_THREADS="3")[0] == 3


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or hasattr(os, "process_cpu_count"),
    reason="needs a system that can forbid CPUs, and a Python that does not count them",
)
def test_cpus_that_are_forbidden_do_not_count():
    result = python("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + REPORT)
    assert result.stdout.split()[0] == "1", result.stderr


# ---- what is shown -------------------------------------------------------------------------------


def test_show_config(capsys):
    shown = fd.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert shown["version"]["fastdrop"] == fd.__version__
    assert shown["version"]["numpy"] == np.__version__
    assert shown["threads"]["most a call"] == str(fd.get_num_threads())
    assert shown["kernels"]["level"] in fd.simd_levels()
    assert fd.show_config() is None
    printed = capsys.readouterr().out
    for section, entries in shown.items():
        assert section in printed
        for entry, value in entries.items():
            assert entry in printed
            assert str(value) in printed
    with pytest.raises(ValueError, match="'json'"):
        fd.show_config(mode="json")
