# SPDX-License-Identifier: BSD-3-Clause
"""A PyTorch without what the package needs of it is refused when it is imported."""

import re
from pathlib import Path

import pytest
import torch

import fastdrop.torch
from fastdrop.torch import _version


def test_every_private_name_is_asked_for():
    used = set()
    for path in Path(fastdrop.torch.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"(?<![\w.])torch\.(_C\.\w+|_[a-z]\w+)", text))
    submodules = {
        "_dynamo",
        "_inductor",
        "_ops",
        "_prims",
        "_subclasses",
    }  # which PyTorch imports when they are first used
    assert used - submodules <= set(_version.NAMES)


@pytest.mark.parametrize("name", ("_neg_view", "_C._dispatch_keys", "library.get_kernel"))
def test_the_error_names_what_is_missing(monkeypatch, name):
    _version.check_version()
    *modules, last = name.split(".")
    owner = torch
    for module in modules:
        owner = getattr(owner, module)
    monkeypatch.delattr(owner, last)
    with pytest.raises(
        ImportError, match=rf"has no torch\.{re.escape(name)}; fastdrop.torch needs"
    ):
        _version.check_version()


@pytest.mark.parametrize("version", ["2.12.1+cpu", "2.10.0", "1.13.1"])
def test_an_older_version_is_refused(monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(ImportError, match=rf"PyTorch is {re.escape(version)}; fastdrop.torch need"):
        _version.check_version()


@pytest.mark.parametrize("version", ["2.13.0+cpu", "2.14.1+cu130", "3.0.0a0+git1"])
def test_no_newer_version_is_refused(monkeypatch, version):
    monkeypatch.setattr(torch, "__version__", version)
    _version.check_version()
