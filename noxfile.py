# SPDX-License-Identifier: BSD-3-Clause
"""Everything that continuous integration does, one session each: `nox -l` lists them."""

import os
from pathlib import Path

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
BUILD_REQUIREMENTS = ["setuptools>=77", "Cython>=3.1", "numpy>=2"]


@nox.session
def build(session: nox.Session) -> None:
    """Compile the extension modules in place, beside their sources."""
    session.install(*BUILD_REQUIREMENTS)
    session.run("python", "setup.py", "build_ext", "--inplace", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the package and run its tests; arguments go to pytest."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("level", LEVELS)
def simd(session: nox.Session, level: str) -> None:
    """Run the tests with one instruction set forced; skip it where the machine lacks it."""
    session.install(".[test]")
    listing = session.run(
        "python", "-P", "-c", "import fastdrop; print(*fastdrop.simd_levels())", silent=True
    )
    if level not in str(listing).split():
        session.skip(f"this machine cannot run {level}")
    session.run("pytest", *session.posargs, env={"FASTDROP_SIMD": level})


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests with the oldest NumPy that is supported."""
    session.install(".[test]", "numpy==2.0.*")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take long: every length at guard pages, many exits, large arrays."""
    session.install(".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Make random calls from several threads, with forks, for a while; `-- --seconds 600`."""
    session.install(".[test]")
    session.run("python", "tools/soak.py", *session.posargs)


def install_sanitized(session: nox.Session, *others: str) -> dict[str, str]:
    """Install a build with two sanitizers, and return the environment that it runs in."""
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    session.install(*BUILD_REQUIREMENTS)
    session.install(
        *("--no-build-isolation", ".[test]", *others),
        env={"CFLAGS": f"{flags} -g", "LDFLAGS": flags, "FASTDROP_BUILD_DEBUG": "1"},
    )
    preload = [
        str(session.run("gcc", f"-print-file-name={name}", external=True, silent=True)).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        "LD_PRELOAD": os.pathsep.join(preload),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
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
    environment = install_sanitized(session, "torch", "expecttest")
    session.run(
        *("pytest", "--capture=sys"), *(session.posargs or ["tests/torch"]), env=environment
    )


@nox.session
def thread_sanitizer(session: nox.Session) -> None:
    """Run the tests of threads under the thread sanitizer (GCC on Linux)."""
    flags = "-fsanitize=thread"
    session.install(*BUILD_REQUIREMENTS)
    session.install(
        "--no-build-isolation", ".[test]", env={"CFLAGS": f"{flags} -g", "LDFLAGS": flags}
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
def emulate(session: nox.Session) -> None:
    """Run the kernels of other machines (Linux): qemu-user, Wine, musl; `-- s390x` chooses."""
    session.install(*BUILD_REQUIREMENTS)
    session.run("bash", "tools/emulate.sh", *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling; changes nothing."""
    session.install("ruff", "cython-lint", "clang-format", "codespell")
    kernel_files = Path("fastdrop/kernels").rglob("*.[ch]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("cython-lint", "fastdrop")
    session.run("clang-format", "--dry-run", "--Werror", *map(str, kernel_files))
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the sources, and the stubs against the compiled modules."""
    allowlist = os.path.abspath(".ci/stubtest-allowlist.txt")
    config = os.path.abspath("mypy.ini")
    session.install(".[lint]")
    session.run("mypy")
    session.chdir(session.create_tmp())  # so that the installed package is the one looked at
    session.run("stubtest", "fastdrop", "--allowlist", allowlist, "--mypy-config-file", config)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, run every example in it, and check the docstrings."""
    session.install(".[docs]")
    build = ("sphinx-build", "-W", "-n", "docs")
    session.run(*build, "docs/_build/html")
    for builder in ("text", "man"):
        session.run(*build, "-b", builder, f"docs/_build/{builder}")
    session.run(*build, "-b", "doctest", "-D", "plot_gallery=0", "docs/_build/doctest")
    session.run("python", ".ci/check_links.py", "docs/_build/html")
    session.run("python", ".ci/check_docstrings.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Run a few benchmarks once on the working tree; `-- --bench Forward` chooses others."""
    session.install(".[bench]")
    session.chdir("asv_benches")
    session.run("asv", "machine", "--yes")
    session.run("asv", "check", "--python=same")
    session.run(
        *("asv", "run", "--python=same", "--quick", "--show-stderr", "--dry-run"),
        *(session.posargs or ["--bench", "Small.*track|Import"]),
    )


@nox.session
def regression(session: nox.Session) -> None:
    """Fail where a ratio of HEAD is 1.3 times that of HEAD^; `-- main HEAD` names others."""
    session.install("asv", "build", "virtualenv")
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
    """Build the source distribution, and a wheel from it."""
    session.install("build")
    session.run("python", "-m", "build")


@nox.session
def public_types(session: nox.Session) -> None:
    """Check with pyright that it knows the type of every public name."""
    session.install(".[torch]", "pyright[nodejs]")
    session.chdir(session.create_tmp())  # so that the installed package is the one looked at
    session.run("pyright", "--ignoreexternal", "--verifytypes", "fastdrop")


@nox.session
def doctest_modules(session: nox.Session) -> None:
    """Run the examples of the installed package as its users may: by `pytest --pyargs`."""
    session.install(".", "pytest", "torch")
    session.chdir(session.create_tmp())
    session.run("pytest", "--doctest-modules", "--pyargs", "fastdrop", *session.posargs)


@nox.session
def parallel(session: nox.Session) -> None:
    """Run the tests in several processes, each of which has to collect the same ones."""
    session.install(".[test]", "pytest-xdist")
    session.run("pytest", "-n", "auto", *session.posargs)
