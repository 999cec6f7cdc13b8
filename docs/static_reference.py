# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx directive that documents Python sources without importing them.

``fastdrop.torch`` cannot be imported where PyTorch is not installed, nor with a mock in PyTorch's
place, because it asks PyTorch for dispatch keys and operators while it is imported. Its reference
is therefore read from the sources: the page is the same on every machine, and signatures show the
type hints as they are written. ::

    .. static:: fastdrop.torch.functional dropout dropout1d

    .. static:: fastdrop.torch.modules Dropout
       :signature: (p: float = 0.5, inplace: bool = False)

The first argument is the module that defines the names, which are documented as members of the
current module (``py:currentmodule``). Type aliases of the same folder are written out. A signature
is for a class, whose constructor may be another package's. Examples are run by the ``doctest``
builder, unless the condition ``:skipif:`` holds.
"""

import ast
from functools import cache
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList

ROOT = Path(__file__).parents[1]


@cache
def parsed(path):
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def aliases(folder):
    """Return name -> expression of the type aliases in a folder."""
    return {
        node.target.id: node.value
        for path in sorted(folder.glob("*.py"))
        for node in parsed(path).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
    }


class WriteOut(ast.NodeTransformer):
    """Puts what they stand for in the place of type aliases."""

    def __init__(self, known):
        self.known = known

    def visit_Name(self, node):
        """Return what stands for a name, with aliases in it written out too."""
        return self.visit(self.known[node.id]) if node.id in self.known else node


def signature_of(node, known):
    """Return the text of a function's signature, type hints and all."""
    arguments = WriteOut(known).visit(node.args)
    arguments.vararg = arguments.kwarg = None  # they take what fits nowhere, to refuse it
    returns = f" -> {ast.unparse(WriteOut(known).visit(node.returns))}" if node.returns else ""
    return f"({ast.unparse(arguments)}){returns}"


class Static(Directive):
    """Documents functions and classes of a module from its source."""

    required_arguments = 2  # the module and a name, or more names
    final_argument_whitespace = True
    option_spec: ClassVar = {
        "signature": directives.unchanged_required,
        "skipif": directives.unchanged_required,
    }

    def run(self):
        """Return the nodes of all names."""
        module, *names = " ".join(self.arguments).split()
        path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        environment = self.state.document.settings.env
        environment.note_dependency(str(path))
        definitions = {node.name: node for node in parsed(path).body if hasattr(node, "name")}
        # The other default role, autolink, imports what it links to.
        lines = [".. default-role:: py:obj", ""]
        for name in names:
            node = definitions[name]
            function = isinstance(node, ast.FunctionDef)
            signature = self.options.get("signature", "")
            if function and not signature:
                signature = signature_of(node, aliases(path.parent))
            lines += [f".. py:{'function' if function else 'class'}:: {name}{signature}", ""]
            document = ast.get_docstring(node).splitlines()
            full_name = f"{environment.ref_context['py:module']}.{name}"
            # Numpydoc listens, and turns sections into what Sphinx understands.
            environment.events.emit(
                "autodoc-process-docstring", "data", full_name, None, None, document
            )
            lines += [f"   {line}".rstrip() for line in document] + [""]
        lines += [".. default-role:: autolink", ""]
        section = nodes.section()
        section.document = self.state.document
        self.state.nested_parse(StringList(lines, source=str(path)), 0, section)
        if "skipif" in self.options:
            for block in section.findall(nodes.doctest_block):
                block["skipif"] = self.options["skipif"]
        return section.children


def setup(app):
    """Register the directive."""
    app.add_directive("static", Static)
    return {"parallel_read_safe": True}
