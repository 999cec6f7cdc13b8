# SPDX-License-Identifier: BSD-3-Clause
"""Dependencies point one way and end at NumPy; what is public is explained, with examples."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastdrop as fd

PACKAGE = Path(fd.__file__).parent
TREE = Path(__file__).parents[1] / "fastdrop"
needs_tree = pytest.mark.skipif(
    not (TREE / "mask" / "_mask.pyx").exists(), reason="the sources are not here"
)

# A room and those that it may know. Rooms come from the kernels up; the command line sees all.
ROOMS = {
    "_typing": set(),
    "_checks": {"_typing"},
    "_cpus": set(),
    "_fork": set(),
    "_reference": set(),
    "_incomplete": set(),
    "_pickle": {"_checks"},
    "kernels": {"_typing"},
    "apply": {"kernels", "_checks", "_typing"},
    "source": {"kernels", "_checks", "_fork", "_pickle", "_typing", "_words"},
    "mask": {"apply", "source", "kernels", "_checks", "_pickle", "_typing"},
    "_words": {"_checks"},
    "typing": {"_typing"},
    "functional": {"mask", "source", "apply", "_checks", "_typing", "_words"},
    "layers": {"functional", "mask", "source", "_checks", "_typing", "_words"},
    "monte_carlo": {"_checks", "_typing", "_words"},
    "config": {"kernels", "_checks", "_cpus", "_fork", "_typing", "_words"},
    "__init__": {"functional", "layers", "monte_carlo", "mask", "source", "config", "_incomplete"}
    | {"_words"},
    "__main__": {"cli"},
    "cli": {"__init__", "_cpus", "kernels", "_reference", "_typing"},
}

# Rooms for one framework each, which nothing but themselves imports.
INTEGRATIONS = {"torch", "jax", "dask", "thinc"}
COMPANIONS = {"jax": {"flax"}}  # packages that belong to a framework
ROOMS |= dict.fromkeys(
    INTEGRATIONS,
    {"__init__", "functional", "mask", "source", "apply", "kernels", "config", "_words"}
    | {"_checks", "_typing"},
)

# The folders of the C sources, in the same way; `numpy` is the one header of NumPy.
KERNEL_ROOMS = {
    "common.h": set(),
    "sources.h": set(),
    "kernels.h": {"common.h", "sources.h"},
    "listed_ties.h": {"kernels.h"},
    "simd": {"common.h"},
    "source": {"kernels.h"},
    "mask": {"apply", "kernels.h", "listed_ties.h", "source"},
    "exp.h": {"kernels.h"},
    "apply": {"exp.h", "kernels.h"},
    "attention": {"exp.h"},
    "norm": {"apply", "kernels.h"},
    "targets": {"common.h", "simd", "source", "mask", "apply", "attention", "norm"},
    "engine": {"common.h", "kernels.h", "listed_ties.h", "numpy/random/bitgen.h"},
}
SYSTEM_HEADERS = {
    "arm_neon.h",
    "cpuid.h",
    "emmintrin.h",
    "immintrin.h",
    "intrin.h",
    "math.h",
    "pthread.h",
    "signal.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "sys/sysctl.h",
    "time.h",
    "unistd.h",
    "windows.h",
    "xmmintrin.h",
}

CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>[\w.]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n#]+)"
    r"|c?import[ \t]+(?P<modules>[\w., \t]+?)(?:[ \t]+as[ \t]+\w+)?[ \t]*(?:#.*)?)$",
    re.MULTILINE,
)


def files(*suffixes):
    return sorted(path for path in TREE.rglob("*") if path.suffix in suffixes)


def name_of(path):
    return str(path.relative_to(TREE))


def room_of(path):
    parts = path.relative_to(TREE).parts
    return parts[0] if len(parts) > 1 else path.stem


def python_imports(path):
    """Modules that a .py file imports at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in only_for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def cython_imports(path):
    """Modules that a .pyx, .pxd or .pyi file imports or cimports."""
    for match in CYTHON_IMPORT.finditer(path.read_text(encoding="utf-8")):
        if match["modules"]:
            yield from (name.split()[0] for name in match["modules"].split(","))
            continue
        assert not match["base"].startswith("."), f"{path}: a relative import"
        for name in match["names"].strip("() \n").split(","):
            if name.strip():
                yield f"{match['base']}.{name.split()[0]}"


def imports(path):
    return list((python_imports if path.suffix == ".py" else cython_imports)(path))


def rooms_known(path):
    """The rooms whose doors this file opens."""
    rooms = set()
    for name in imports(path):
        package, _, inside = name.partition(".")
        if package != "fastdrop" or inside == "__version__":
            continue
        room = inside.partition(".")[0]
        rooms.add(room if room in ROOMS else "__init__")
    return rooms - {room_of(path)}


@needs_tree
def test_the_parser_of_imports_sees_them():
    """So that an empty answer below means that there is nothing."""
    assert rooms_known(TREE / "mask" / "_draw.pyx") == {"_checks", "apply", "kernels", "source"}
    assert rooms_known(TREE / "apply" / "_apply.pxd") == {"kernels"}
    assert rooms_known(TREE / "functional" / "dropout.py") >= {"_checks", "apply", "mask", "source"}
    assert rooms_known(TREE / "__init__.py") == ROOMS["__init__"]
    assert "numpy" in imports(TREE / "mask" / "_mask.pyx")
    assert "numpy.random.bit_generator.BitGenerator" in imports(TREE / "source" / "_source.pxd")


@needs_tree
@pytest.mark.parametrize("path", files(".py", ".pyi", ".pyx", ".pxd"), ids=name_of)
def test_dependencies_point_one_way(path):
    assert room_of(path) in ROOMS, "a new room: say above what it may know"
    assert rooms_known(path) <= ROOMS[room_of(path)]


@needs_tree
def test_masks_of_tensors_are_masks():
    """One thing under both: `torch` imports the decisions, and makes no own."""
    assert {"mask", "apply"} <= rooms_known(TREE / "torch" / "_tensor.pyx")
    declared = TREE.joinpath("torch", "_tensor.pxd").read_text(encoding="utf-8")
    assert "cdef Decisions decisions" in declared
    assert "cdef fd_seeded" not in declared


def test_the_rules_have_no_circle():
    left = dict(ROOMS)
    while left:
        free = [room for room, known in left.items() if not known & left.keys()]
        assert free, f"{sorted(left)} know each other"
        for room in free:
            del left[room]


@needs_tree
@pytest.mark.parametrize("path", files(".py", ".pyx", ".pxd"), ids=name_of)
def test_numpy_is_the_only_package_but_for_frameworks_and_the_command_line(path):
    allowed = {"fastdrop", "numpy", "libc", "cpython"} | set(sys.stdlib_module_names)
    if path.suffix != ".py":
        allowed |= {"cython"}  # its directives, at compile time
    if room_of(path) == "_reference":
        allowed -= {"fastdrop"}
    if room_of(path) in INTEGRATIONS:
        allowed |= {room_of(path)} | COMPANIONS.get(room_of(path), set())
    if room_of(path) != "cli":
        assert {name.partition(".")[0] for name in imports(path)} <= allowed


@needs_tree
@pytest.mark.parametrize(
    "path",
    [path for path in files(".pyx", ".py") if room_of(path) in {"apply", "mask", "source"}],
    ids=name_of,
)
def test_compiled_code_has_its_arguments_refused_by_checks(path):
    """It may test by itself, for speed; the sentences stand in one room."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^ *raise (?:Type|Value|Index|Overflow)Error.*$", text, re.MULTILINE) == []


@needs_tree
@pytest.mark.parametrize(
    "path", [path for path in files(".c", ".h") if room_of(path) == "kernels"], ids=name_of
)
def test_kernels_know_neither_python_nor_the_rooms_above(path):
    home = path.relative_to(TREE / "kernels").parts[0]
    assert home in KERNEL_ROOMS, "a new folder: say above what it may include"
    text = path.read_text(encoding="utf-8")
    assert "Python.h" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for bracket, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.MULTILINE):
        if bracket == "<":
            assert name in SYSTEM_HEADERS | KERNEL_ROOMS[home]
        else:
            included = (path.parent / name).resolve().relative_to((TREE / "kernels").resolve())
            assert included.parts[0] in {home} | KERNEL_ROOMS[home]
            assert (TREE / "kernels" / included).exists()


@needs_tree
def test_registers_h_lists_what_a_register_must_do():
    """All that wide.h needs, and no more; the compiler compares the levels with the list."""
    simd = TREE / "kernels" / "simd"
    needed = "".join(path.read_text(encoding="utf-8") for path in sorted(simd.glob("wide*.h")))
    own = set(re.findall(r"^(r_\w+)\(", needed, re.MULTILINE))
    listed = simd.joinpath("registers.h").read_text(encoding="utf-8")
    names = [set(re.findall(r"\br_\w+", text)) for text in (needed, listed)]
    assert '#include "registers.h"' in needed
    assert names[0] - own == names[1]


@needs_tree
def test_only_kernels_are_written_in_c():
    """The engine's, and those that PyTorch's dispatcher and JAX's compiler are given."""
    given = {"torch": "dispatcher", "jax": "calls"}
    written = files(".c", ".h")
    assert {room_of(path) for path in written} == {"kernels", *given}
    for room, folder in given.items():
        assert {path.parent.name for path in written if room_of(path) == room} == {folder}


@needs_tree
def test_checks_have_every_message_about_an_argument():
    """Of the NumPy face; `_words` speaks of words alone, and `_testing` is for tests."""
    others = {"_checks", "_words", "_testing", "torch", "jax", "dask", "cli"}
    for path in files(".py", ".pyx"):
        if room_of(path) not in others and path.stem not in others:
            raised = re.findall(
                r"raise (?:Type|Value|Index|Overflow)Error", path.read_text("utf-8")
            )
            assert not raised, name_of(path)


@needs_tree
def test_files_are_short():
    """About 450 lines at most; the reference alone has the whole specification in one."""
    written = files(".py", ".pyx", ".pxd", ".c", ".h")
    lengths = {name_of(path): path.read_text("utf-8").count("\n") for path in written}
    assert {name for name, lines in lengths.items() if lines > 475} == {"_reference.py"}


@needs_tree
@pytest.mark.parametrize("path", files(".py", ".pyi", ".pyx", ".pxd", ".c", ".h"), ids=name_of)
def test_every_file_names_its_licence(path):
    with path.open(encoding="utf-8") as file:
        assert "SPDX-License-Identifier: BSD-3-Clause" in file.readline()


def test_importing_the_package_imports_numpy_alone():
    code = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import fastdrop
print(*sorted(set(sys.modules) - before))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    imported = result.stdout.split()
    packages = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    packages = {name for name in packages if not re.match(r"_?cython_", name)}  # its run time
    assert packages <= {"fastdrop", "numpy"}
    assert "fastdrop.mask._mask" in imported
    for name in ("cli", "_reference", *INTEGRATIONS):
        assert f"fastdrop.{name}" not in imported


def test_every_module_can_be_imported_with_numpy_alone():
    """As by `pytest --doctest-modules`; the rooms for frameworks need theirs."""
    code = f"""
import importlib, pkgutil, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {{*sys.stdlib_module_names, "numpy", "fastdrop"}}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Nothing())
names = [module.name for module in pkgutil.walk_packages(["{PACKAGE.as_posix()}"], "fastdrop.")]
for name in names:
    if name.split(".")[1] not in {INTEGRATIONS | {"__main__"}}:
        importlib.import_module(name)
        print(name)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == ""
    assert {"fastdrop.cli._bench_plot", "fastdrop.cli._demo_plots"} <= set(result.stdout.split())


# ---- what is public ------------------------------------------------------------------------------


def modules(package):
    """Names of the package and of the modules in it that are plain Python, but for frameworks'."""
    yield package.__name__
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if found.name.split(".")[1] in INTEGRATIONS | {"cli", "__main__", "_reference"}:
            continue
        module = importlib.import_module(found.name)
        if found.ispkg:
            yield from modules(module)
        elif module.__file__.endswith(".py"):
            yield found.name


MODULES = [name for name in modules(fd) if hasattr(importlib.import_module(name), "__all__")]


def methods(cls):
    """Public methods and attributes that a class of the package defines itself or in a base."""
    for base in cls.__mro__:
        if base.__module__.startswith("fastdrop"):
            yield from (
                (name, value)
                for name, value in vars(base).items()
                if not name.startswith("_") and callable(value)
            )


@pytest.mark.parametrize("module", MODULES)
def test_all_lists_what_there_is(module):
    module = importlib.import_module(module)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_names_of_the_public_api():
    assert fd.__all__ == sorted(fd.__all__)
    public = {
        name
        for name, value in vars(fd).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public - {"PackageNotFoundError", "version"} == set(fd.__all__)


@pytest.mark.parametrize("name", fd.__all__)
def test_public_objects_are_explained_with_examples(name):
    documentation = inspect.getdoc(getattr(fd, name))
    assert documentation
    assert documentation.splitlines()[0].endswith(".")
    assert "\nExamples\n--------\n" in documentation
    assert doctest.DocTestParser().get_examples(documentation)


@pytest.mark.parametrize(
    ("cls", "signature"),
    [
        (fd.Xoshiro256PlusPlus, "(seed=None, *, key=None, counter=None)"),
        (fd.Xorshift128Plus, "(seed=None, *, key=None, counter=None)"),
        (fd.Philox4x32, "(seed=None, *, key=None, counter=None)"),
        (fd.NumPySource, "(bit_generator, draws='bytes')"),
    ],
)
def test_compiled_classes_show_their_signatures(cls, signature):
    assert str(inspect.signature(cls)) == signature


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        pytest.param(value, method, id=f"{cls}.{method}")
        for cls in fd.__all__
        if inspect.isclass(value := getattr(fd, cls))
        for method in dict(methods(value))
    ],
)
def test_public_methods_are_explained_with_examples(cls, name):
    documentation = inspect.getdoc(getattr(cls, name))
    assert documentation
    assert "\nExamples\n--------\n" in documentation


@pytest.mark.parametrize("name", fd.__all__)
def test_public_names_are_in_the_reference(name):
    reference = Path(__file__).parents[1] / "docs" / "reference"
    if not reference.exists():
        pytest.skip("the documentation is not here")
    pages = "".join(page.read_text(encoding="utf-8") for page in reference.glob("*.md"))
    assert re.search(rf"\b{name}\b", pages)
