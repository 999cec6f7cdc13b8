# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks of asv, with small arrays and nothing timed: what they do, not how fast."""

import ast
import importlib
import inspect
import itertools
import re
import sys
import types
from importlib import util
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "asv_benches" / "benchmarks"
METHOD = re.compile("(time|timeraw|track|peakmem)_")

# Whole maps of the family. Larger arrays come a little after smaller ones.
SMALL = {"L1": 1 << 12, "L2": 1 << 12, "LLC": 1 << 15, "memory": 1 << 15}


def load(name="suite_of_benchmarks"):
    """Import all files of the suite as a package of that name; return module names -> modules."""
    spec = util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    sys.modules[name] = util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    files = sorted(FOLDER.glob("[a-z]*.py"))
    modules = {file.stem: importlib.import_module(f"{name}.{file.stem}") for file in files}
    modules["common"].SIZES.update(SMALL)
    modules["common"].real_ratio = modules["common"].ratio
    modules["common"].ratio = run_both
    modules["bench_memory"].ELEMENTS = 1 << 12
    modules["bench_compiled"].BACKEND = "aot_eager"  # inductor would call a compiler of C++
    modules["bench_attention"].LENGTH = 64
    modules["bench_attention"].Attention.params[1] = [64]
    return modules


def run_both(candidate, baseline, *, around, baseline_runs, seconds):
    """Stand for the measuring of a ratio: each runs once, where it would be measured."""
    for function, context in zip((candidate, baseline), around, strict=True):
        with context():
            function()
    return {"samples": [1.0], "number": 1}


def benchmarks(modules):
    """Return the classes of the suite that have benchmarks."""
    return [
        cls
        for module in modules.values()
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__ and methods(cls)
    ]


def methods(cls):
    """Return the names of the benchmarks of a class."""
    return [name for name in dir(cls) if METHOD.match(name)]


def runs(cls):
    """Go through (prepared instance, parameters) of a class, without what cannot run here."""
    lists = getattr(cls, "params", [])
    for params in itertools.product(*lists):
        benchmark = cls()
        if params in getattr(benchmark, "skip_params", []):
            continue
        try:
            if hasattr(benchmark, "setup"):
                benchmark.setup(*params)
        except NotImplementedError:
            continue
        yield benchmark, params


def missing(names, modules):
    """Return which of these names no file of the suite mentions, in its code or as a parameter."""
    mentioned = set()
    for module in modules.values():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                mentioned.add(node.attr)
            elif isinstance(node, ast.Constant):
                mentioned.add(node.value)
        for cls in benchmarks({"": module}):
            mentioned.update(itertools.chain(*getattr(cls, "params", [])))
    return set(names) - mentioned


def arrays_in(thing, depth=4):
    """Find the arrays and tensors that a benchmark, or a function of it, holds on to."""
    if isinstance(thing, np.ndarray) or hasattr(thing, "data_ptr"):
        return [thing]
    inner = []
    if isinstance(thing, (list, tuple)):
        inner = thing
    elif isinstance(thing, types.FunctionType):
        inner = [cell.cell_contents for cell in thing.__closure__ or ()]
        if "buffer" in thing.__globals__:  # made of statements, for which these are names
            inner += [value for value in thing.__globals__.values() if hasattr(value, "shape")]
    elif isinstance(thing, types.MethodType | types.BuiltinMethodType):
        inner = [thing.__self__]
    elif hasattr(thing, "prepare"):
        inner = vars(thing).values()
    return [array for one in inner for array in arrays_in(one, depth - 1)] if depth else []


def start_of(array, page=4096):
    """Return how far from the start of its page an array or a tensor starts."""
    if hasattr(array, "data_ptr"):
        return array.data_ptr() % page
    return np.lib.array_utils.byte_bounds(array)[0] % page
