# SPDX-License-Identifier: BSD-3-Clause
"""Every example in the documentation of the public names gives what it shows."""

import doctest
import importlib
import inspect

import pytest

import fastdrop as fd

MODULES = ("fastdrop._checks", "fastdrop._reference", "fastdrop.source.default")


def documented():
    """(name, documentation) of each public object and of its methods; of modules, their own."""
    for module in ("fastdrop", *MODULES):
        yield module, importlib.import_module(module).__doc__
    for name in fd.__all__:
        value = getattr(fd, name)
        yield name, value.__doc__
        for base in inspect.getmro(value) if inspect.isclass(value) else ():
            if base.__module__.startswith("fastdrop"):
                for attribute, member in vars(base).items():
                    yield f"{name}.{attribute}", getattr(member, "__doc__", None)


def doctests():
    parser = doctest.DocTestParser()
    for name, documentation in documented():
        if isinstance(documentation, str) and parser.get_examples(documentation):
            yield pytest.param(documentation, id=name)


@pytest.mark.parametrize("documentation", list(doctests()))
def test_examples(documentation, request):
    name = request.node.callspec.id
    test = doctest.DocTestParser().get_doctest(documentation, {}, name, name, 0)
    report = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)


def test_there_are_examples_of_everything():
    found = {parameter.id.partition(".")[0] for parameter in doctests()}
    assert set(fd.__all__) <= found
