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
def pyproject():
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("pyproject.toml is not here")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project(pyproject):
    return pyproject["project"]


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
    assert names["dask"] == {"dask"}
    assert names["jax"] == {"jax"}
    assert {"bench", "docs", "lint"} <= set(names)


def test_metadata_of_the_installed_package(project):
    try:
        installed = metadata.metadata("fastdrop")
    except metadata.PackageNotFoundError:
        pytest.skip("fastdrop is not installed")
    assert installed["Version"] == fd.__version__
    assert installed["Version"] == project["version"]
    assert installed["License-Expression"] == "BSD-3-Clause"
    assert installed["Description-Content-Type"] == "text/markdown"
    assert "](docs/" not in installed.get_payload()
    required = [
        name_of(requirement)
        for requirement in installed.get_all("Requires-Dist")
        if "extra ==" not in requirement
    ]
    assert required == ["numpy"]


@needs_tree
def test_the_packages_are_named(pyproject):
    """Whatever else lies in a clone, such as the folder of the demo, is none of them."""
    found = {path.parent for path in (ROOT / "fastdrop").rglob("__init__.py")}
    names = {".".join(path.relative_to(ROOT).parts) for path in found}
    assert set(pyproject["tool"]["setuptools"]["packages"]) == names


@pytest.fixture
def python_alone(tmp_path, pyproject):
    """A clone in which there is nothing to compile, and folders that other things left there."""
    pytest.importorskip("setuptools", minversion="77")  # as pyproject.toml asks for
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "setup.py").write_text("from setuptools import setup; setup(long_description='-')")
    packages = (name.replace(".", "/") for name in pyproject["tool"]["setuptools"]["packages"])
    for folder in (*packages, "fastdrop-demo", "fastdrop_bench", "scratch"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    return tmp_path


def names_in_wheel(clone, function):
    """Build a wheel by this function of setuptools' backend and return the names in it."""
    code = f"from setuptools import build_meta; build_meta.{function}('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, check=True)
    (wheel,) = (clone / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@needs_tree
def test_folders_beside_the_package_are_no_packages(python_alone):
    names = names_in_wheel(python_alone, "build_wheel")
    assert {name.partition("/")[0] for name in names} == {"fastdrop"}


@needs_tree
def test_an_editable_install_is_a_path(python_alone):
    """Type checkers do not follow the hooks that it could be instead."""
    (name,) = names_in_wheel(python_alone, "build_editable")
    assert name.endswith(".pth")


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


# ---- what is said where a file is missing --------------------------------------------------------


def is_compiled(path):
    return path.suffix in (".so", ".pyd")


@pytest.fixture(params=["source folder", "installed"])
def copied(request, tmp_path):
    """A copy of the package that may be damaged, in a folder of its own."""
    copy = tmp_path / "fastdrop"
    ignored = ("__pycache__", "*.c", "*.h", "*.pyx", "*.pxd")
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns(*ignored))
    if request.param == "source folder":
        sources = tree(".pyx", ".pxd")
        if not sources:
            pytest.skip("the sources are not here")
        for name in sources:
            shutil.copy(ROOT / name, tmp_path / name)
    return copy


def what_an_import_says(copy):
    """Return the last line of `import fastdrop`, from the folder of the copy."""
    run = subprocess.run(
        [sys.executable, "-c", "import fastdrop; print(fastdrop.__file__)"],
        cwd=copy.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
    )
    return (run.stdout if run.returncode == 0 else run.stderr).splitlines()[-1]


def cure_of(copy):
    if (copy / "kernels" / "_kernels.pyx").exists():
        return 'run "pip install ." there, or leave that folder'
    return "install it again"


def test_a_whole_copy_is_imported(copied):
    assert what_an_import_says(copied) == str(copied / "__init__.py")


def test_not_compiled(copied):
    for path in filter(is_compiled, list(copied.rglob("*"))):
        path.unlink()
    if (copied / "kernels" / "_kernels.pyx").exists():
        expected = (
            f"ImportError: fastdrop is imported from its source folder ({copied}), whose compiled "
            f"modules are missing; {cure_of(copied)}"
        )
    else:
        expected = (
            f"ImportError: fastdrop in {copied} has none of its compiled modules; {cure_of(copied)}"
        )
    assert what_an_import_says(copied) == expected


def test_compiled_for_another_python(copied):
    for path in filter(is_compiled, list(copied.rglob("*"))):
        path.rename(path.with_name(f"{path.name.split('.')[0]}.cpython-39-sparc{path.suffix}"))
    said = what_an_import_says(copied)
    assert said.startswith(
        f"ImportError: fastdrop in {copied} is compiled for another Python (cpython-39-sparc); "
        "this one needs "
    )
    assert said.endswith(f"; {cure_of(copied)}")


@pytest.mark.parametrize(
    "name",
    ["kernels._kernels", "source._source", "mask._mask", "_checks", "config", "functional"],
)
def test_one_is_lost(copied, name):
    for path in copied.glob(f"{name.replace('.', '/')}.*"):
        if is_compiled(path) or path.suffix == ".py":
            path.unlink()
    shutil.rmtree(copied / name, ignore_errors=True)
    assert what_an_import_says(copied) == (
        f"ImportError: fastdrop in {copied} is incomplete: fastdrop.{name} is missing; "
        f"{cure_of(copied)}"
    )


def test_what_is_not_missing_is_not_blamed(copied):
    """A package that fastdrop needs; a file that is there, but is no library."""
    (copied.parent / "numpy.py").write_text("raise ModuleNotFoundError('no numpy', name='numpy')")
    assert what_an_import_says(copied) == "ModuleNotFoundError: no numpy"
    (copied.parent / "numpy.py").unlink()
    (damaged,) = filter(is_compiled, (copied / "source").glob("_source.*"))
    damaged.write_bytes(b"")
    said = what_an_import_says(copied)
    assert said.startswith("ImportError: ")
    assert "is missing" not in said


@pytest.mark.parametrize(
    ("face", "lost", "cure"),
    [
        ("torch", "torch", "fastdrop.torch needs PyTorch 2.13 or newer: pip install torch"),
        ("jax", "jax", "fastdrop.jax needs JAX 0.5 or newer: pip install jax"),
        ("dask", "dask", 'fastdrop.dask needs Dask: pip install "dask[array]"'),
    ],
)
def test_a_face_without_its_framework_says_what_to_install(face, lost, cure):
    code = f"import sys; sys.modules[{lost!r}] = None; import fastdrop.{face}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == f"ModuleNotFoundError: {cure}"


# ---- the tests -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_process_collects_the_same_tests():
    """As pytest-xdist asks for, which runs them in several: no order of a set is in them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", ROOT / "tests"]
    first, second = (
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[:-1]  # the last line has a time
        for seed in ("1", "2")
    )
    assert first == second


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


@needs_tree
def test_what_is_foreign_to_a_wheel_is_told(tmp_path):
    """A linker once wrote libraries into the wheels for Windows."""
    wheel = tmp_path / "fastdrop.whl"
    problems = runpy.run_path(str(ROOT / ".ci" / "check_wheel.py"))["problems"]
    whole = ["fastdrop/", "fastdrop/_a.cp311.pyd", "fastdrop/_a.pyi", "fastdrop/py.typed"]

    def found(*names):
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in (*names, "fastdrop-1.dist-info/RECORD"):
                archive.writestr(name, "")
        return [problem.partition(": ")[2] for problem in problems(wheel)]

    assert found(*whole) == []
    assert found(*whole, "fastdrop/python.lib") == ["holds fastdrop/python.lib"]
    assert found(*whole, "fastdrop/_a.pyx") == ["holds fastdrop/_a.pyx"]
    assert found(*whole, "tests/a.py") == ["tests/a.py lies outside the package"]
