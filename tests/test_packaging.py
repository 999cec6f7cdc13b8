# SPDX-License-Identifier: BSD-3-Clause
"""What is shipped is complete and nothing more: stubs, metadata, symbols, sdist and wheel."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata, util
from pathlib import Path

import pytest

import fastdrop as fd

ROOT = Path(__file__).parents[1]
PACKAGE = Path(fd.__file__).parent
COMPILED = sorted(path for path in PACKAGE.rglob("_*") if path.suffix in (".so", ".pyd"))
SOURCES = {".pyx", ".pxd", ".h", ".c"}

needs_tree = pytest.mark.skipif(
    not (ROOT / "fastdrop" / "mask" / "_mask.pyx").exists(), reason="the sources are not here"
)


@pytest.fixture(scope="module")
def project():
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("pyproject.toml is not here")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def tree(*suffixes):
    """Files of the package in the source tree, as in an archive."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fastdrop").rglob("*")
        if path.suffix in suffixes or path.name in suffixes
    }


def module_of(path):
    """Dotted name of a compiled module."""
    return ".".join(("fastdrop", *path.relative_to(PACKAGE).parts)).partition(".cp")[0]


# ---- types ---------------------------------------------------------------------------------------


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("path", COMPILED, ids=module_of)
def test_compiled_modules_have_stubs(path):
    assert (path.parent / f"{module_of(path).rpartition('.')[2]}.pyi").exists()


@needs_tree
def test_every_cython_module_is_compiled_and_has_a_stub():
    modules = {path.removesuffix(".pyx") for path in tree(".pyx")}
    assert {module_of(path).replace(".", "/") for path in COMPILED} == modules
    assert {path.removesuffix(".pyi") for path in tree(".pyi")} == modules


# ---- metadata ------------------------------------------------------------------------------------


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_numpy_is_the_only_requirement(project):
    assert [name_of(requirement) for requirement in project["dependencies"]] == ["numpy"]
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "BSD-3-Clause"


def test_extras(project):
    extras = project["optional-dependencies"]
    names = {extra: {name_of(requirement) for requirement in extras[extra]} for extra in extras}
    assert {"rich", "matplotlib", "scikit-learn"} <= names["demo"]
    assert {"pytest", "hypothesis", "ml-dtypes"} <= names["test"]
    assert names["torch"] == {"torch"}
    assert {"bench", "docs", "lint"} <= set(names)


def test_metadata_of_the_installed_package(project):
    try:
        installed = metadata.metadata("fastdrop")
    except metadata.PackageNotFoundError:
        pytest.skip("fastdrop is not installed")
    assert installed["Version"] == fd.__version__
    assert installed["Version"] == project["version"]
    assert installed["License-Expression"] == "BSD-3-Clause"
    required = [
        name_of(requirement)
        for requirement in installed.get_all("Requires-Dist")
        if "extra ==" not in requirement
    ]
    assert required == ["numpy"]


# ---- symbols -------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="looks at ELF files")
@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm")
@pytest.mark.parametrize("path", COMPILED, ids=module_of)
def test_compiled_modules_export_their_init_function_alone(path):
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1].partition("@")[0] for line in listing.stdout.splitlines()}
    exported -= {"_init", "_fini", "_edata", "_end", "__bss_start"}
    assert exported == {f"PyInit_{module_of(path).rpartition('.')[2]}"}


# ---- archives ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Names in the sdist and in the wheel that is built from it."""
    if util.find_spec("build") is None:
        pytest.skip("the package `build` is not installed")
    work = tmp_path_factory.mktemp("build")
    shutil.copytree(
        ROOT,
        work / "tree",
        ignore=shutil.ignore_patterns("build", "dist", ".*", "*.so", "__pycache__", "*.egg-info"),
    )
    isolated = not all(util.find_spec(name) for name in ("Cython", "setuptools"))
    command = [sys.executable, "-m", "build", "--outdir", str(work / "dist"), str(work / "tree")]
    subprocess.run(
        command if isolated else [*command, "--no-isolation"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
        timeout=600,
    )
    (sdist,) = (work / "dist").glob("*.tar.gz")
    (wheel,) = (work / "dist").glob("*.whl")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    return in_sdist, in_wheel


@needs_tree
def test_the_coefficients_of_the_normal_kernel_are_the_twins():
    made = runpy.run_path(str(ROOT / "tools" / "make_normal_table.py"))
    assert made["header"]() == made["FILE"].read_text(encoding="utf-8")


@pytest.mark.slow
@needs_tree
def test_the_sdist_has_every_source(archives):
    in_sdist, _ = archives
    assert tree(".py", ".pyi", "py.typed", *SOURCES) <= in_sdist
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert tests <= in_sdist
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "data").iterdir()}
    assert data <= in_sdist
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.py", "pytest.ini"}
    assert wanted <= in_sdist
    assert not [name for name in in_sdist if name.endswith((".so", ".pyd", ".o", ".pyc"))]
    in_kernels = {name for name in in_sdist if Path(name).suffix in (".c", ".h")}
    assert {name for name in in_kernels if not name.startswith("tests/")} <= tree(".c", ".h") | {
        name for name in in_kernels if name.startswith("tools/")
    }


@pytest.mark.slow
@needs_tree
def test_the_wheel_has_no_sources(archives):
    _, in_wheel = archives
    package = {name for name in in_wheel if ".dist-info/" not in name}
    assert all(name.startswith("fastdrop/") for name in package)
    compiled = {name for name in package if name.endswith((".so", ".pyd"))}
    assert {name.partition(".")[0] for name in compiled} == {
        name.removesuffix(".pyx") for name in tree(".pyx")
    }
    # A .pxd would need the headers that it names, which stay behind.
    assert not [name for name in package if Path(name).suffix in {".c", ".h", ".pyx", ".pxd"}]
    assert package - compiled == tree(".py", ".pyi", "py.typed")
