# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx directive that documents Python sources without importing them.

``fastdrop.torch`` cannot be imported where PyTorch is not installed, nor with a mock in PyTorch's
place, because it asks PyTorch for dispatch keys and operators while it is imported. Its reference
is therefore read from the sources: the pages are the same on every machine, and signatures show the
type hints as they are written. ::

    .. static:: fastdrop.torch.functional dropout dropout1d

    .. static-summary::

       fastdrop.torch.functional dropout dropout1d
       fastdrop.torch.modules Dropout
          (p: float = 0.5, inplace: bool = False)

The first documents the names where it stands. The second makes a table of the names of all its
lines, and a page for each, in the folder ``generated`` next to its page, as autosummary does for
what can be imported. There a signature has a line of its own.

The first argument is the module that defines the names, which are documented as members of the
current module (``py:currentmodule``). Type aliases of the same folder are written out. A signature
is for a class, whose constructor may be another package's. Examples are run by the ``doctest``
builder, unless the condition ``:skipif:`` holds.
"""

import ast
import re
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
    """Return name -> expression of the type aliases in a folder, and of defaults with a name."""
    return {"HALF": ast.Constant(0.5)} | {
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


def entries(lines):
    """Return (module, name, signature or "") of all names in a summary."""
    found = []
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("("):
            found[-1][2] = line
        else:
            module, *names = line.split()
            found.append([module, names, ""])
    return [(module, name, signature) for module, names, signature in found for name in names]


class StaticSummary(Directive):
    """Shows a table of names, each a link to its page, with the first sentence about it."""

    has_content = True
    option_spec: ClassVar = {"skipif": directives.unchanged_required}

    def run(self):
        """Return the nodes of the table, and a hidden one for the pages."""
        environment = self.state.document.settings.env
        package = environment.ref_context["py:module"]
        rows = [".. default-role:: py:obj", "", ".. list-table::", "   :widths: auto", ""]
        pages = [".. default-role:: autolink", "", ".. toctree::", "   :hidden:", ""]
        for module, name, _ in entries(self.content):
            path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            environment.note_dependency(str(path))
            node = next(n for n in parsed(path).body if getattr(n, "name", None) == name)
            first = ast.get_docstring(node).split("\n\n")[0].replace("\n", " ")
            rows += [f"   * - :py:obj:`{name}`", f"     - {first}"]
            pages.append(f"   generated/{package}.{name}")
        section = nodes.section()
        section.document = self.state.document
        self.state.nested_parse(StringList([*rows, "", *pages], source=package), 0, section)
        return section.children


MODULE = re.compile(r"^\.\. py:(?:current)?module:: (.+)$", re.M)
SUMMARY = re.compile(r"^\.\. static-summary::\n((?: +:.*\n)*)((?: +[^: ].*\n|\n)+)", re.M)


def write_pages(app):
    """Write the pages that the tables lead to, before Sphinx looks which pages there are."""
    for page in Path(app.srcdir, "reference").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for summary in SUMMARY.finditer(text):
            options, content = summary.groups()
            *_, package = MODULE.findall(text, 0, summary.start())
            for module, name, signature in entries(content.splitlines()):
                full = f"{package}.{name}"  # searches and tabs tell it from others of that name
                title = f"{full}\n{'=' * len(full)}\n\n.. py:currentmodule:: {package}\n\n"
                own = f"   :signature: {signature}\n" if signature else ""
                to = page.parent / "generated" / f"{package}.{name}.rst"
                to.parent.mkdir(exist_ok=True)
                made = f"{title}.. static:: {module} {name}\n{options}{own}"
                if not to.exists() or to.read_text(encoding="utf-8") != made:
                    to.write_text(made, encoding="utf-8")


def setup(app):
    """Register the directives."""
    app.add_directive("static", Static)
    app.add_directive("static-summary", StaticSummary)
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
