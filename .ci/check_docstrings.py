# SPDX-License-Identifier: BSD-3-Clause
"""Check the docstrings of all that is public by numpydoc's rules: ``python check_docstrings.py``.

Members that another package defines are left to it, overridden or not: the methods of NumPy's bit
generators and of PyTorch's modules. An attribute needs a docstring, or a line in the section
"Attributes" or "Parameters" of its class or of one of its bases. Where PyTorch, JAX or Dask is not
installed, the package for it is left out.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator

from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

# What is not asked for, by numpydoc's codes.
ASIDE = {
    "ES01",  # an extended summary: a line says enough of many
    "RT02",  # a single return value without a name: here they have names
    "SA01",  # "See Also": the reference has one page for what belongs together
    "YD01",  # "Yields": what yields here are context managers, which yield nothing
}
ASIDE_FOR_ATTRIBUTES = ASIDE | {"EX01"}  # examples are where the class is


def names() -> Iterator[tuple[str, bool]]:
    """Yield all public functions, classes and members; and whether each is an attribute."""
    for module_name in ("fastdrop", "fastdrop.torch", "fastdrop.jax", "fastdrop.dask"):
        framework = module_name.partition(".")[2]
        if framework and importlib.util.find_spec(framework) is None:
            continue
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isroutine(thing) or inspect.isclass(thing):
                yield f"{module_name}.{name}", False
            if inspect.isclass(thing):
                yield from ((f"{module_name}.{name}.{m}", a) for m, a in members(thing))


def members(cls: type) -> Iterator[tuple[str, bool]]:
    """Yield the public members that the package defines, and whether each is an attribute."""
    listed = {
        name
        for base in cls.__mro__
        if base.__module__.startswith("fastdrop")
        for section in ("Attributes", "Parameters")  # of which many are attributes
        for entry in ClassDoc(base)[section]
        if entry.desc
        for name in entry.name.split(", ")
    }
    own, others = {}, set()
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("fastdrop"):
            own |= {name: member for name, member in vars(base).items() if name[0] != "_"}
        else:
            others |= set(vars(base))
    for name, member in own.items():
        if name not in others and (name not in listed or member.__doc__):
            yield name, not callable(member)


def main() -> None:
    """Print each fault; fail if there is one, or if nothing was looked at."""
    checked, faults = 0, []
    for name, is_attribute in names():
        checked += 1
        aside = ASIDE_FOR_ATTRIBUTES if is_attribute else ASIDE
        faults += [
            f"{name}: {code} {message}"
            for code, message in validate(name)["errors"]
            if code not in aside
        ]
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{checked} docstrings, {len(faults)} faults")
    if faults or not checked:
        sys.exit(1)


if __name__ == "__main__":
    main()
