# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks of asv run, miss nothing that is public, and divide by what they say.

Every benchmark is prepared and called once, with small arrays; no test looks at a clock. Those in
PyTorch are in `tests/torch`.
"""

import ast
import base64
import contextlib
import hashlib
import io
import itertools
import json
import math
import re
import runpy
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import suite

import fastdrop as fd

if not suite.FOLDER.is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)

MODULES = suite.load()
COMMON = MODULES["common"]
CLASSES = [cls for cls in suite.benchmarks(MODULES) if not issubclass(cls, COMMON.Torch)]

each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@each_class
def test_benchmarks_run(cls):
    for benchmark, params in suite.runs(cls):
        for name in suite.methods(cls):
            getattr(benchmark, name)(*params)


# Baselines that write new arrays, by which their sources are placed.
INTO_NEW = {"FreshMemory", "Words", "ZoneoutBackward"}


@each_class
def test_what_is_read_and_written_lies_half_a_page_apart(cls):
    if cls.__name__ not in INTO_NEW:
        for benchmark, params in suite.runs(cls):
            starts = {suite.start_of(array) for array in suite.arrays_in(benchmark)}
            assert starts <= {0, 2048}, params


# Public, and without a benchmark.
WITHOUT = {
    "Source": "the base of those that have benchmarks",
    "as_source": "measured in every call of a function",
    "exact_mask": "a permutation of NumPy's",
    "symmetric_mask": "one half is a mask, the other its copy",
    "seeded": "a setting",
    "drop_path_rates": "a few numbers, once in a program",
    "get_num_threads": "a setting",
    "show_config": "for people",
    "simd_levels": "a setting",
    "use_simd": "a setting; asv runs each benchmark at every level",
}
# Made by functions that have benchmarks, and measured there.
VALUES = {"Mask", "GaussianMask"}


def test_everything_public_has_a_benchmark():
    assert suite.missing(fd.__all__, MODULES) == WITHOUT.keys() | VALUES


def test_every_function_of_the_family_has_a_benchmark_of_its_backward_pass():
    (backward,) = MODULES["bench_family"].FamilyBackward.params
    family = {case.removesuffix(" with bias") for case in MODULES["bench_family"].FAMILY}
    fused = set(MODULES["bench_fused"].BACKWARD)
    assert family - set(backward) == {"dropout", "zoneout", "drop_connect", *fused}
    for name in ("Backward", "ZoneoutBackward", "DropConnectBackward", "FusedBackward"):
        assert any(cls.__name__ == name for cls in CLASSES)


def test_every_layer_is_beside_its_function():
    layers = {name for name in fd.__all__ if isinstance(getattr(fd, name), type)}
    layers -= {"NumPySource", "Source", *COMMON.SOURCES, *VALUES}
    assert set(MODULES["bench_layers"].LAYERS) == layers


# What stays the same while commits change


FIRST_COMMIT = (
    *("Mask", "NumPySource", "Philox4x32", "Xorshift128Plus", "Xoshiro256PlusPlus", "bernoulli"),
    *("dropout", "dropout_backward", "dropout_mask", "get_num_threads", "set_num_threads"),
    *("show_config", "simd_levels", "use_simd"),
)


OTHERS = ("torch", "fastdrop.torch", "ml_dtypes", "jax", "numba", "keras", "thinc")


@pytest.fixture(scope="module")
def beside_first_commit():
    """Load the suite beside a package that has what the first commit had."""
    package = types.ModuleType("fastdrop")
    vars(package).update((name, getattr(fd, name)) for name in FIRST_COMMIT)
    package.dropout = lambda x, p, **options: fd.dropout(x, float(p), **options)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(sys.modules, "fastdrop", package)
        modules = suite.load("suite_beside_the_first_commit")
        yield {cls.__name__: cls for cls in suite.benchmarks(modules)}


def test_parameters_that_a_commit_lacks_are_skipped_alone(beside_first_commit):
    for name in ("Window", "Pickles"):
        ran = [params for _, params in suite.runs(beside_first_commit[name])]
        assert ran == [("seed",), ("bits",)]


@pytest.mark.parametrize("name", [cls.__name__ for cls in suite.benchmarks(MODULES)])
def test_what_is_not_there_is_skipped(name, beside_first_commit, monkeypatch):
    """NumPy is there, and what the package had in its first commit."""
    for package in OTHERS:
        monkeypatch.setitem(sys.modules, package, None)
    for benchmark, params in suite.runs(beside_first_commit[name]):
        for method in suite.methods(type(benchmark)):
            getattr(benchmark, method)(*params)


@pytest.mark.parametrize("file", ["_bench_arrays.py", "_bench_relatives.py", "_bench_turns.py"])
def test_what_measures_needs_no_commit(file):
    tree = ast.parse((suite.ROOT / "fastdrop" / "cli" / file).read_text(encoding="utf-8"))
    outer = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in outer if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module.split(".")[0] for node in outer if isinstance(node, ast.ImportFrom)}
    assert names <= {*sys.stdlib_module_names, "numpy"}


def test_statements_and_arrays_are_those_of_this_tree():
    assert COMMON.BUFFER.__class__.__module__ == "_bench_arrays"
    for file in suite.FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("fastdrop.cli"), file.name


# The clockwork


def test_preparations_are_made_once(monkeypatch):
    benchmark = MODULES["bench_apply"].InPlace()
    made = []
    monkeypatch.setattr(type(benchmark), "prepare", lambda self, *params: made.append(params))
    for _ in range(3):
        benchmark.setup("L1")
    assert made == [("L1",)]


@pytest.mark.parametrize(("seconds", "count"), [(0, 5), (1.3, 7), (1.5, 9)])
def test_a_call_is_divided_by_one_of_several_baselines(seconds, count, monkeypatch):
    now, inside = [0.0], []
    monkeypatch.setattr(COMMON._turns, "perf_counter", lambda: now[0])

    def costs(seconds):
        def run():
            now[0] += seconds

        return run

    @contextlib.contextmanager
    def context():
        inside.append(now[0])
        yield
        now[0] += 0.01

    samples = COMMON.real_ratio(
        *(costs(0.0246912), costs(0.16)),
        around=(context, contextlib.nullcontext),
        baseline_runs=8,
        seconds=seconds,
    )
    assert samples == {"samples": [1.23] * count, "number": 1}
    assert len(inside) == 1 + count


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_that_copy_are_given_work_once_for_many_copies(threads, monkeypatch):
    benchmark, copied = MODULES["bench_threads"].Threads(), []
    try:
        benchmark.setup(threads, "memory")
    except NotImplementedError as reason:
        pytest.skip(str(reason))
    record = types.SimpleNamespace(copyto=lambda y, x: copied.append(y.size))
    monkeypatch.setattr(MODULES["bench_threads"], "np", record)
    benchmark.baseline()
    assert sum(copied) == benchmark.x.size * benchmark.baseline_runs
    assert benchmark.baseline_runs >= 4


@pytest.mark.parametrize(("seconds", "told"), [(2e-6, ""), (90e-6, "slow baseline: 90 us")])
def test_a_slow_copy_is_told(seconds, told, monkeypatch, capsys):
    times = iter([[seconds] * 3, [40e-6] * 3])  # of a copy, and of one four times as long
    monkeypatch.setattr(COMMON, "repeat", lambda *arguments, **options: next(times))
    benchmark = MODULES["bench_apply"].Forward()
    benchmark.setup("Philox4x32", 0.1, "L1")
    benchmark.track_ratio("Philox4x32", 0.1, "L1")
    assert capsys.readouterr().err.startswith(told)


def test_a_third_is_shown_as_one():
    assert [repr(p) for p in COMMON.PROBABILITIES] == ["0.1", "1/3", "0.5", "0.9"]
    assert COMMON.PROBABILITIES[1] == 1 / 3


# Results


def record(**versions):
    columns = ["result", "params", "version"]
    params = [["0.1", "0.5", "0.9"]]  # those left out have no number, and those that failed None
    values = [1.2345, math.nan, None]
    results = {name: [values, params, version] for name, version in versions.items()}
    return {
        "commit_hash": "cc12657d0",
        "env_vars": {"FASTDROP_SIMD": "auto"},
        "result_columns": columns,
        "results": results,
    }


@pytest.fixture
def results(tmp_path):
    """Make a folder of results: of a machine, at two commits, of one of two known benchmarks."""
    folder = tmp_path / "project" / "asv_benches" / "results"
    (folder / "named").mkdir(parents=True)
    known = {
        "now": {"version": "2", "params": [["0.1", "0.5", "0.9"]]},
        "never": {"version": "1", "params": []},
        "version": 2,
    }
    (folder / "benchmarks.json").write_text(json.dumps(known), encoding="utf-8")
    for file, content in {
        "1-env.json": record(now="2", gone="1"),
        "2-env.json": record(now="1", gone="1"),
    }.items():
        (folder / "named" / file).write_text(json.dumps(content), encoding="utf-8")
    (folder / "named" / "machine.json").write_text("{}", encoding="utf-8")
    return folder


def test_pruning_takes_out_what_nothing_shows(results):
    prune = runpy.run_path(str(suite.FOLDER.parent / "prune.py"))["prune"]
    assert prune(results) == {"gone": 2, "now": 1}
    assert {path.name for path in (results / "named").iterdir()} == {"1-env.json", "machine.json"}
    assert (results / "named" / "1-env.json").read_text("utf-8") == json.dumps(record(now="2"))
    assert prune(results) == {}


PUBLISH = suite.FOLDER.parent / "publish.py"
DASHBOARD = suite.ROOT / "docs" / "dashboard.py"
FROM_ELSEWHERE = re.compile(r"(<script|stylesheet)[^>]*https?:|integrity|crossorigin")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("url", [None, "https://example.org/fastdrop"])
def test_only_results_that_are_committed_are_published(url, results, tmp_path):
    benches = results.parent
    shutil.copy(suite.FOLDER.parent / "asv.conf.json", benches)
    project = "[project]\n" + (f'urls.Repository = "{url}"\n' if url else "")
    (benches.parent / "pyproject.toml").write_text(project, encoding="utf-8")
    for command in (["init", "-q"], ["add", "asv_benches/results"]):
        subprocess.run(["git", *command], cwd=benches.parent, check=True)
    (results / "other").mkdir()
    for name in ("other/machine.json", "named/3-env.json"):
        (results / name).write_text("{}", encoding="utf-8")

    settings = runpy.run_path(str(PUBLISH))["settings"]
    conf = settings(benches, tmp_path / "copy", tmp_path / "html")
    copies = Path(conf["results_dir"])
    assert {path.relative_to(copies).as_posix() for path in copies.rglob("*.json")} == {
        *("benchmarks.json", "named/1-env.json", "named/2-env.json", "named/machine.json"),
    }
    shown = json.loads((copies / "benchmarks.json").read_bytes())
    assert shown == {"now": {"version": "2", "params": [["0.1"]]}, "version": 2}
    assert conf["html_dir"] == str(tmp_path / "html")
    assert Path(conf["repo"]) == benches.parent
    assert conf["show_commit_url"] == (f"{url}/commit/" if url else "#/?commit=")


def page_of_asv():
    """Return the page that asv publishes."""
    asv = pytest.importorskip("asv")
    return Path(asv.__file__).with_name("www").joinpath("index.html").read_text("utf-8")


def known_by_addresses(text):
    """Return a page as it would be if each script were its own address."""

    def hashed(match):
        digest = hashlib.sha512(match[1].encode()).digest()
        return f'"{match[1]}" integrity="sha512-{base64.b64encode(digest).decode()}"'

    return re.sub(r'"(https://[^"]+)" integrity="[^"]+"', hashed, text)


@pytest.mark.skipif(not DASHBOARD.exists(), reason="the documentation is not here")
@pytest.mark.parametrize("online", [False, True])
def test_the_site_has_the_scripts_of_its_dashboard(online, tmp_path, monkeypatch):
    """Where the build may use a network; the one of the published site may."""
    text, asked, real_run = known_by_addresses(page_of_asv()), [], subprocess.run

    def run(command, **options):
        """Stand in for asv, and for the process that is told to publish."""
        if command[0] == "git":
            return real_run(command, **options)
        if "publish" in command:
            (tmp_path / "benchmarks" / "index.html").write_text(text, encoding="utf-8")
        else:
            monkeypatch.setattr(sys, "argv", command[1:])
            runpy.run_path(command[1])["main"]()
        return None

    def urlopen(url, timeout):
        asked.append(url)
        return io.BytesIO(url.encode())

    monkeypatch.delenv("FASTDROP_DOCS_ONLINE", raising=False)
    if online:
        settings = suite.ROOT.joinpath(".readthedocs.yaml").read_text("utf-8")
        name, value = re.search(r"- (\w+)=(\w+) sphinx-build", settings).groups()
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    (tmp_path / "benchmarks").mkdir()
    tags = types.SimpleNamespace(has={"dashboard"}.__contains__)
    app = types.SimpleNamespace(outdir=tmp_path, tags=tags)
    runpy.run_path(str(DASHBOARD))["publish"](app, None)
    made = (tmp_path / "benchmarks" / "index.html").read_text("utf-8")
    assert bool(FROM_ELSEWHERE.search(made)) is not online
    assert len(asked) == online * text.count("integrity=")
    for name in re.findall(r"\.\./_static/([\w.]+)", made):
        assert (DASHBOARD.parent / "_static" / name).exists()
    assert {"dashboard.css", "dashboard.js"} <= set(re.findall(r"_static/([\w.]+)", made))
    error = (tmp_path / "benchmarks" / "error.html").read_text("utf-8")
    assert "scripts from the web" in error


def test_scripts_of_others_are_put_next_to_the_pages(tmp_path):
    keep_scripts = runpy.run_path(str(PUBLISH))["keep_scripts"]
    page, text = tmp_path / "index.html", page_of_asv()
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^https://.* must have the sha256 .*, not "):
        keep_scripts(tmp_path, str.encode)

    page.write_text(known_by_addresses(text), encoding="utf-8")
    keep_scripts(tmp_path, str.encode)
    made = page.read_text(encoding="utf-8")
    assert not FROM_ELSEWHERE.search(made)
    names = re.findall(r'"scripts/([^"]+)"', made)
    assert len(names) == text.count("integrity=") > 5
    files = {path.name for path in (tmp_path / "scripts").iterdir()}
    assert files == {*names, "LICENCES.txt"}

    page.write_text('<script src="https://example.org/other.js"></script>', encoding="utf-8")
    with pytest.raises(ValueError, match=r"nothing from elsewhere, not https://example.org/other"):
        keep_scripts(tmp_path, str.encode)


def named_benchmarks():
    """Go through (name of a class, the class, name of its benchmark), torch's too."""
    for cls in suite.benchmarks(MODULES):
        for method in suite.methods(cls):
            yield f"{cls.__module__.split('.')[1]}.{cls.__name__}", cls, method


PLOT = suite.ROOT / "docs" / "plot_history.py"


@pytest.mark.skipif(not PLOT.exists(), reason="the documentation is not here")
def test_the_history_shows_what_is_known_with_three_digits(results, tmp_path):
    pytest.importorskip("matplotlib")
    plot = runpy.run_path(str(PLOT))
    known = json.loads((results / "benchmarks.json").read_bytes())
    ratios = plot["read"](results / "named", ["cc12657"], known)
    assert ratios == {"cc12657": {"now(0.1)": 1.2345}}
    assert plot["panels_of"](ratios) == []

    names = {f"{name}.{method}": cls for name, cls, method in named_benchmarks()}
    for name in plot["COLUMNS"].values():
        benchmark, params = name.split("(")
        lists = names[benchmark].params
        assert ast.literal_eval(f"({params[:-1]},)") in set(itertools.product(*lists)), name

    values = dict.fromkeys(plot["COLUMNS"].values(), 0.031) | {
        "bench_torch.Training.track_ratio('installed', 'mlp')": 1.0
    }
    ratios = {"cc12657": values}
    table = plot["write_table"]({"cc12657": "a start"}, {"cpu": "CPU", "os": "OS"}, ratios)
    assert "| `cc12657` |" + " 0.0310 |" * len(plot["COLUMNS"]) + "\n" in table
    assert table.endswith("| `cc12657` | a start |\n")
    titles = [title for title, _, _ in plot["panels_of"](ratios)]
    assert titles[-1] == "PyTorch training steps"
    assert len(titles) == 1 + len(plot["PANELS"])
    plot["draw"](ratios, "light", tmp_path / "history.svg")
    assert (tmp_path / "history.svg").read_text(encoding="utf-8").count(">mlp<") == 1
