# SPDX-License-Identifier: BSD-3-Clause
"""The commands suit any terminal, pipe and file: what they print, and what they try first."""

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fastdrop.cli import _terminal, bench, demo

needs_rich = pytest.mark.skipif(
    not all(map(find_spec, ("rich", "matplotlib", "sklearn"))), reason="no extras"
)
TINY = (
    "from fastdrop.cli import demo, main; "
    "demo.QUICK = demo.Plan(keeps=(0.1, demo.HALF, demo.WITHOUT), seeds=3, training_images=60, "
    "hidden=(16, 16), epochs=20, checkpoints=4, autoencoder_seeds=2, autoencoder_units=64, "
    "autoencoder_images=200, autoencoder_epochs=2); "
)


def run(code, *arguments, encoding="utf-8", **options):
    """Run Python code with these arguments on a terminal of that encoding; return what it said."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "MPLBACKEND": "Agg"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        env=environment,
        **options,
    )


# ---- what is printed -----------------------------------------------------------------------------


@needs_rich
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_the_demo_ends_on_any_terminal(encoding, tmp_path):
    """In a folder whose name could be read as markup and as an emoji, and is not in ASCII."""
    folder = tmp_path / "run[a] [bold]x[/bold] :smile: \xe9"
    code = f"{TINY} main(['demo', '--quick', '--out', sys.argv[1]])"
    result = run(f"import sys; {code}", folder, encoding=encoding)
    assert result.stderr == b""
    lines = result.stdout.decode(encoding)
    plus_minus = "+-" if encoding == "ascii" else "±"
    assert f"{plus_minus}: standard error over seeds" in lines.replace("\n", " ")
    shown = str(folder) if encoding != "ascii" else str(folder).replace("\xe9", "\\xe9")
    assert f"Plots in {shown}:" in lines
    assert lines.index("keep") < lines.index("Plots in")
    table = [line for line in lines.splitlines() if line.lstrip("| ")[:3] in ("0.1", "0.5", "1.0")]
    assert len(table) == 3
    assert len(set(map(len, table))) == 1  # the columns are aligned
    assert {path.name for path in folder.iterdir()} == set(demo.FIGURES)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_info_prints_any_name(encoding):
    """The name of a processor, for example, can be anything."""
    code = (
        "from fastdrop import config; from fastdrop.cli import main; "
        "config._processor = lambda: 'CPU® 5 – 3 × \u8001 \\udcff'; main(['info'])"
    )
    result = run(code, encoding=encoding)
    assert result.stderr == b""
    expected = {
        "ascii": r"CPU\xae 5 - 3 x \u8001 \udcff",
        "latin-1": "CPU® 5 - 3 × \\u8001 \\udcff",
    }
    assert expected[encoding] in result.stdout.decode(encoding)


@needs_rich
def test_brackets_and_colons_are_no_markup(capsys):
    text = "x[::2] [bold]b[/bold] :smile: [/]"
    _terminal.console().print(text)
    assert capsys.readouterr().out == text + "\n"


@needs_rich
def test_brackets_in_a_row_are_no_markup(capsys, monkeypatch):
    """Cases of the benchmark are statements, which may index."""
    from fastdrop.cli import _bench_timing

    monkeypatch.setattr(bench, "measure", lambda row, effort: None)
    row = _bench_timing.Row("Windows", "x[/2] of [::2]", "run()", "walk()", size=1)
    monkeypatch.setenv("FORCE_COLOR", "1")
    bench.measure_all([row], None)
    assert "Windows, x[/2] of [::2]" in capsys.readouterr().err


# ---- closed pipes --------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows end in another error")
@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["bench", "--help"]])
def test_a_closed_pipe_ends_quietly(arguments):
    """As by `| head -1`: nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "fastdrop", *arguments], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert result.stderr == b""
    assert result.returncode in (0, 1)


@needs_rich
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows end in another error")
def test_a_pipe_that_closes_ends_the_demo_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    code = f"{TINY} main(['demo', '--quick', '--out', {str(tmp_path / 'plots')!r}])"
    result = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 1


# ---- outputs are tried first ---------------------------------------------------------------------


def command(module, *options):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.main(parser.parse_args([str(option) for option in options]))


@pytest.fixture
def nothing_is_measured(monkeypatch):
    def refuse(*args):
        raise AssertionError("it has begun")

    monkeypatch.setattr(bench, "measure", refuse)
    monkeypatch.setattr(demo, "run", refuse)


@needs_rich
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--json", "folder"], "Cannot write '"),
        (["--json", "none/x.json"], "There is no folder 'none' to write 'x.json' to."),
        (["--json", "file/x.json"], "There is no folder 'file' to write 'x.json' to."),
        (["--plot", "folder.png"], "Cannot write '"),
        (["--plot", "x.xyz"], "--plot cannot draw 'x.xyz': Format 'xyz' is not supported"),
        (["--plot", "x"], "--plot cannot draw 'x': Format '' is not supported"),
        (["--plot", "x.png", "--json", "./x.png"], "--json and --plot both name 'x.png'."),
        (["--json", "x" * 300], "Cannot write '"),
    ],
)
def test_the_benchmark_tries_its_outputs(
    options, sentence, tmp_path, monkeypatch, capsys, nothing_is_measured
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    assert command(bench, "--quick", *options) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert Path(options[1]).name in said
    assert sorted(tmp_path.iterdir()) == before


@needs_rich
def test_the_demo_tries_its_outputs(tmp_path, capsys, nothing_is_measured):
    (tmp_path / "features.png").mkdir()
    assert command(demo, "--out", tmp_path) == 2
    file = tmp_path.resolve() / "features.png"
    assert capsys.readouterr().err.startswith(f"Cannot write {str(file)!r}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["features.png"]


@needs_rich
def test_a_folder_that_is_read_only(tmp_path, capsys, nothing_is_measured):
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        for module, options in (
            (demo, ("--out", tmp_path)),
            (bench, ("--json", tmp_path / "x.json")),
            (bench, ("--plot", tmp_path / "x.png")),
        ):
            assert command(module, *options) == 2
            assert "Permission denied" in capsys.readouterr().err
    finally:
        tmp_path.chmod(0o755)


def test_a_trial_leaves_things_as_they_were(tmp_path):
    old, new, link, target = (tmp_path / name for name in ("old", "new", "link", "target"))
    old.write_text("text")
    os.utime(old, ns=(1, 1))
    assert _terminal.cannot_write(old) is None
    assert old.read_text() == "text"
    assert old.stat().st_mtime_ns == 1
    assert _terminal.cannot_write(new) is None
    assert not new.exists()
    link.symlink_to(target)
    assert _terminal.cannot_write(link) is None
    assert link.is_symlink()
    assert not target.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_tried(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert _terminal.cannot_write(tmp_path / "pipe") is None
