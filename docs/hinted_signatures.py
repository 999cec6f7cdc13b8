# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx extension that shows type hints in signatures as the sources write them.

Sphinx would evaluate them and spell out every union, a wall of text; and of compiled modules it
knows no hints at all. This reads them from the Python sources and, for compiled modules, from the
stubs. `reference/types.md` says what the names in them stand for.
"""

import ast
import inspect
import sys
from functools import cache
from pathlib import Path


class Written(str):
    """Text that a signature shows as it is, without quotes."""

    __repr__ = str.__str__


@cache
def definitions(module):
    """Every function of a module by its qualified name, from its stub where it has one."""
    path = Path(sys.modules[module].__file__)
    stub = path.with_name(path.name.partition(".")[0] + ".pyi")
    found = {}

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                if any(ast.unparse(decorator) == "overload" for decorator in child.decorator_list):
                    found.setdefault(prefix + child.name, child)
                else:
                    found[prefix + child.name] = child

    walk(ast.parse((stub if stub.exists() else path).read_text("utf-8")), "")
    return found


def home(obj):
    """Return the module where it is written, whatever module it says that it is of."""
    inner = inspect.unwrap(obj)
    if inspect.isfunction(inner):
        return inner.__globals__["__name__"]
    for name, module in sys.modules.items():  # of a compiled class: where its stub is
        known = name.startswith("fastdrop.") and vars(module).get(obj.__name__) is obj
        if known and any(own.startswith(f"{obj.__name__}.") for own in definitions(name)):
            return name
    return obj.__module__


def definition(obj):
    """Where a function, or a class's constructor, is written down; None if it is nowhere."""
    if not inspect.isclass(obj):
        return definitions(home(obj)).get(obj.__qualname__)
    for base in inspect.getmro(obj):
        if base.__module__.startswith("fastdrop"):
            for name in ("__new__", "__init__"):
                made_by = vars(base).get(name)
                module = home(made_by if inspect.isfunction(made_by) else base)
                node = definitions(module).get(f"{base.__qualname__}.{name}")
                if node is not None:
                    return node
    return None


def hinted_signature(app, what, name, obj, options, args, retann):
    """Add the types to a signature, as they are written in the source."""
    if not args or not (getattr(obj, "__module__", None) or "").startswith("fastdrop"):
        return None
    node = definition(obj)
    if node is None:
        return None
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    hints = {a.arg: Written(ast.unparse(a.annotation)) for a in arguments if a.annotation}
    parameters = []
    for parameter in inspect.signature(obj).parameters.values():
        if parameter.name == "self":
            continue
        if isinstance(parameter.default, type) and parameter.default is not parameter.empty:
            parameter = parameter.replace(default=Written(parameter.default.__name__))
        parameters.append(parameter.replace(annotation=hints.get(parameter.name, parameter.empty)))
    returns = None if inspect.isclass(obj) or node.returns is None else ast.unparse(node.returns)
    return str(inspect.Signature(parameters)), returns


def setup(app):
    """Listen for signatures."""
    app.connect("autodoc-process-signature", hinted_signature, priority=400)  # before numpydoc
    return {"parallel_read_safe": True}
