# SPDX-License-Identifier: BSD-3-Clause
"""setup.py compiles the tables of the machine that is built for, and says what it leaves out."""

import ctypes
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastdrop as fd

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "fastdrop" / "kernels"

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.py").exists() or not KERNELS.exists(), reason="the sources are not here"
)

X86 = ["scalar", "sse2", "avx2", "avx512"]
ARM = ["scalar", "neon"]
# What machines call themselves -> the tables that they have.
LEVELS = {**dict.fromkeys(("x86_64", "amd64"), X86), **dict.fromkeys(("aarch64", "arm64"), ARM)}

# The flags that a user may have set, of which none may reach the kernels.
FAST_MATH = [
    "-ffast-math",
    "-Ofast",
    "-funsafe-math-optimizations",
    "-ffinite-math-only",
    "-fno-signed-zeros",
    "-freciprocal-math",
    "-Ofast -ffast-math -funsafe-math-optimizations -ffinite-math-only",
]

COMPILERS = [path for path in map(shutil.which, ("gcc", "clang")) if path]
every_compiler = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda path: Path(path).name)


@pytest.fixture(scope="module")
def build():
    """What setup.py defines, without building anything."""
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    return runpy.run_path(str(ROOT / "setup.py"), run_name="build")


# ---- the tables ----------------------------------------------------------------------------------


@pytest.mark.skipif("FASTDROP_BUILD_LEVELS" in os.environ, reason="some were left out on purpose")
def test_no_table_was_left_out():
    """One that a compiler cannot build is left out with a notice, which is easily missed."""
    machine = platform.machine().lower()
    if machine not in LEVELS:
        pytest.skip(f"{machine} has no tables of its own")
    assert fd.kernels._kernels.get_build()["levels"] == LEVELS[machine]
    assert fd.show_config("dicts")["build"]["left out"] == "none"


@pytest.mark.parametrize(
    ("plat_name", "archflags", "expected"),
    [
        ("linux-x86_64", "", X86),
        ("linux-aarch64", "", ARM),
        ("linux-riscv64", "", ["scalar"]),
        ("linux-x86_64", "-arch arm64", X86),  # macOS's own variable
        ("linux-x86_64", "-O2", X86),
        ("win-amd64", "", X86),
        ("win-arm64", "", ARM),
        ("macosx-11.0-arm64", "", ARM),
        ("macosx-11.0-arm64", "-O2", ARM),
        ("macosx-11.0-arm64", "-arch x86_64", X86),
        ("macosx-10.13-universal2", "", [*X86, "neon"]),
        ("macosx-10.13-universal2", "-arch arm64", ARM),
        ("macosx-10.13-universal2", "-arch arm64 -arch  x86_64", [*X86, "neon"]),
    ],
)
def test_tables_are_those_of_the_platform_that_is_built_for(
    build, monkeypatch, plat_name, archflags, expected
):
    monkeypatch.delenv("FASTDROP_BUILD_LEVELS", raising=False)
    monkeypatch.setenv("ARCHFLAGS", archflags)
    assert list(build["levels"](plat_name)) == expected
    gcc_flags, _ = build["levels"](plat_name).get("avx2", ([], []))
    assert ("-Xarch_x86_64" in gcc_flags) == (len(expected) == 5)


class Compiler:
    """Stands in for setuptools' object, which MSVC's initialises at its first use."""

    compiler_type = "unix"
    initialized = False

    def __init__(self, cannot=()):
        self.cannot = cannot
        self.platforms = []

    def initialize(self, plat_name):
        self.platforms.append(plat_name)
        self.initialized = True

    def compile(self, sources, **options):
        from setuptools.errors import CompileError

        level = Path(sources[0]).stem
        if level in self.cannot:
            raise CompileError(level)
        return [f"{level}.o"]


def command_with(build, compiler, plat_name="linux-x86_64"):
    from setuptools import Distribution

    command = build["BuildKernels"](Distribution())
    command.ensure_finalized()
    command.compiler, command.plat_name, command.extensions = compiler, plat_name, []
    return command


def test_tables_that_do_not_compile_are_left_out_loudly(build, monkeypatch, capsys):
    from setuptools import Extension

    monkeypatch.delenv("FASTDROP_BUILD_LEVELS", raising=False)
    command = command_with(build, Compiler(cannot=("avx2", "avx512")))
    extension = Extension("fastdrop.kernels._kernels", [])
    command.add_tables(extension, msvc=False)
    assert extension.extra_objects == ["scalar.o", "sse2.o"]
    assert extension.define_macros == [("FD_HAVE_SCALAR", "1"), ("FD_HAVE_SSE2", "1")]
    command.build_extensions()
    assert "WITHOUT the kernels for avx2, avx512" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plat_name", "levels", "notice"),
    [
        ("linux-x86_64", None, ""),
        ("linux-x86_64", "scalar", ""),
        ("linux-armv8l", "scalar", ""),
        ("linux-armv8l", None, "with the scalar kernels ALONE: it has no others for linux-armv8l"),
    ],
)
def test_a_build_that_is_slow_unasked_says_so(
    build, monkeypatch, capsys, plat_name, levels, notice
):
    from setuptools import Extension

    monkeypatch.delenv("FASTDROP_BUILD_LEVELS", raising=False)
    if levels:
        monkeypatch.setenv("FASTDROP_BUILD_LEVELS", levels)
    command = command_with(build, Compiler(), plat_name)
    command.add_tables(Extension("fastdrop.kernels._kernels", []), msvc=False)
    command.build_extensions()
    said = capsys.readouterr().err
    assert notice in said if notice else said == ""


def test_the_scalar_table_has_to_compile(build):
    from setuptools import Extension
    from setuptools.errors import CompileError

    command = command_with(build, Compiler(cannot=("scalar",)))
    with pytest.raises(CompileError):
        command.add_tables(Extension("fastdrop.kernels._kernels", []), msvc=False)


def test_the_compiler_is_initialised_once_and_for_the_right_platform(build):
    """For several threads share it afterwards."""
    compiler = Compiler()
    command_with(build, compiler, "win-arm64").build_extensions()
    command_with(build, compiler, "win-arm64").build_extensions()
    assert compiler.platforms == ["win-arm64"]


def test_32_bits_are_refused_before_numpy_is_imported():
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    code = (
        "import runpy, sys; sys.maxsize, sys.modules['numpy'] = 2**31 - 1, None; "
        "runpy.run_path('setup.py', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == "fastdrop needs a 64-bit Python\n"


# ---- what the C code says of itself --------------------------------------------------------------


def compile_library(compiler, path, *sources, flags=()):
    command = [compiler, "-shared", "-fPIC", f"-I{KERNELS}", *flags, "-o", path, *sources]
    subprocess.run(command, check=True)
    return path


@every_compiler
def test_a_build_knows_what_it_lacks(compiler, tmp_path):
    """Also where it was asked to have the tables of two architectures, as for macOS."""
    machine = platform.machine().lower()
    if machine not in LEVELS:
        pytest.skip(f"{machine} has no tables of its own")
    tables = tmp_path / "tables.c"
    names = sorted({*X86, *ARM})
    tables.write_text('#include "kernels.h"\n' + "".join(
        f'const fd_kernels fd_kernels_{name} = {{.name = "{name}"}};\n' for name in names
    ))  # fmt: skip
    for number, built in enumerate((["scalar"], ["scalar", "sse2", "neon"], names)):
        library = ctypes.CDLL(
            compile_library(
                compiler,
                tmp_path / f"{number}.so",
                KERNELS / "engine" / "cpu.c",
                tables,
                flags=[f"-DFD_HAVE_{name.upper()}" for name in built],
            )
        )
        has, lacks = (
            ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, name)))
            for name in ("fd_cpu_built", "fd_cpu_left_out")
        )
        expected = LEVELS[machine]
        assert has.decode().split(",") == [name for name in expected if name in built]
        assert lacks.decode().split(",")[1:] == [name for name in expected if name not in built]


@every_compiler
@pytest.mark.parametrize("flags", FAST_MATH)
def test_fast_math_is_cancelled_and_does_not_reach_the_process(build, compiler, flags, tmp_path):
    """With -ffast-math, a library turns subnormals off for the process that loads it."""
    user = shlex.split(flags)
    source = tmp_path / "library.c"
    source.write_text('#include "common.h"\n')
    path = compile_library(
        compiler, tmp_path / "library.so", source, flags=[*user, *build["GCC_FLAGS"]]
    )
    path.unlink()
    source = tmp_path / "empty.c"  # linked with the user's flags, as setuptools does
    source.write_text("int nothing;\n")
    compile_library(
        compiler, path, source, flags=[*user, *build["OPTIMIZATION"], *build["PRECISE"]]
    )
    code = (
        "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(float('2.5e-323') * float('1') == 0)"
    )
    command = [sys.executable, "-c", code, path]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@every_compiler
@pytest.mark.parametrize("flags", ["-ffast-math", "-Ofast", "-ffinite-math-only", "-D_M_FP_FAST"])
def test_fast_math_that_was_not_cancelled_is_an_error(compiler, flags, tmp_path):
    """MSVC says _M_FP_FAST for /fp:fast."""
    source = tmp_path / "source.c"
    source.write_text('#include "common.h"\n')
    command = [compiler, "-std=c11", *shlex.split(flags), f"-I{KERNELS}", "-fsyntax-only", source]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode != 0
    assert "fastdrop cannot be compiled with -ffast-math" in run.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x87 is a part of x86 processors")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no GCC")
def test_x87_is_an_error(tmp_path):
    source = tmp_path / "source.c"
    source.write_text('#include "common.h"\n')
    command = ["gcc", "-std=c11", "-mfpmath=387", f"-I{KERNELS}", "-fsyntax-only", source]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode != 0
    assert "fastdrop cannot be compiled for x87" in run.stderr


# ---- for all later Pythons -----------------------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True])
def test_modules_for_all_later_pythons_are_built_where_asked(asked, monkeypatch):
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("FASTDROP_BUILD_ABI3", "1" if asked else "")
    made = runpy.run_path("setup.py", run_name="build")["extension"]("fastdrop.mask._mask")
    assert made.py_limited_api is asked
    assert (("Py_LIMITED_API", "0x030B0000") in made.define_macros) is asked


@pytest.mark.parametrize("path", sorted((ROOT / "fastdrop").rglob("*.pyx")), ids=lambda p: p.stem)
def test_no_module_needs_what_the_limited_api_hides(path):
    """The fields of types: see fastdrop/source/_class_name.pxd."""
    assert not re.search(r"\.(tp_\w+|ob_type|ob_refcnt)\b", path.read_text(encoding="utf-8"))


# ---- README.md -----------------------------------------------------------------------------------


def relative_links(text):
    links = re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"\s]+)", text)
    return [link for link in links if not link.startswith(("https://", "#"))]


def test_a_package_index_shows_no_link_that_is_relative(build, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = ["docs/_static/speed-dark.svg", "docs/_static/speed-light.svg"]
    assert relative_links(text)[:2] == pictures
    pages = build["readme"]("https://example.org/fastdrop")
    assert not relative_links(pages)
    for picture in pictures:
        assert f'"https://example.org/fastdrop/raw/main/{picture}"' in pages
    assert "[CONTRIBUTING.md](https://example.org/fastdrop/blob/main/CONTRIBUTING.md)" in pages
    plain = build["readme"](None)
    assert not relative_links(plain)
    assert "<" not in plain.partition("## ")[0]
    assert "How to contribute: CONTRIBUTING.md." in plain
    code = re.compile("^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(plain) == code.findall(pages) == code.findall(text)
    for link in relative_links(text):
        assert (ROOT / link).exists()
