# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks of PyTorch run, miss nothing that is public, and leave the allocator out."""

import pytest
import suite
import torch
from isolated import isolated

import fastdrop.torch

if not suite.FOLDER.is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)

MODULES = suite.load("suite_of_torch_benchmarks")
CLASSES = [cls for cls in suite.benchmarks(MODULES) if issubclass(cls, MODULES["common"].Torch)]

each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Leave the allocator of the tests as it is; count what would change it."""
    calls = []
    tax = MODULES["common"].of_this_tree("tools/torch_tax.py")
    monkeypatch.setattr(tax, "keep_memory", lambda: calls.append("kept"))
    return calls


# In a child: PyTorch never forgets a Python kernel that the floor of the tax has registered.
@each_class
@isolated
def test_benchmarks_run_and_the_allocator_keeps_its_memory(cls, kept):
    count = 0
    for benchmark, params in suite.runs(cls):
        count += 1
        assert len(kept) == count
        assert torch.get_num_threads() == 1
        for name in suite.methods(cls):
            getattr(benchmark, name)(*params)
    assert count > 0


@each_class
def test_what_is_read_lies_in_the_middle_of_a_page(cls):
    for benchmark, params in suite.runs(cls):
        tensors = [tensor for tensor in suite.arrays_in(benchmark) if tensor.nbytes > 4096]
        assert {suite.start_of(tensor) for tensor in tensors} <= {2048}, params


@each_class
def test_a_call_is_prepared_once(cls):
    benchmark, params = next(suite.runs(cls))
    held = dict(vars(benchmark))
    benchmark.setup(*params)
    assert vars(benchmark) == held


@pytest.mark.parametrize("way", ["stock", "installed", "explicit"])
def test_each_way_calls_what_it_says(way, monkeypatch):
    called = []
    monkeypatch.setattr(
        fastdrop.torch, "dropout", lambda x, *rest: called.append("fastdrop") or x * 1
    )
    benchmark = MODULES["bench_torch"].Functions()
    benchmark.setup("dropout", way)
    benchmark.call()
    assert called == ["fastdrop"] * (way == "explicit")
    torch.manual_seed(1)
    stock = torch.nn.functional.dropout(torch.ones(1000))
    with benchmark.around[0]():
        torch.manual_seed(1)
        assert torch.equal(torch.nn.functional.dropout(torch.ones(1000)), stock) == (
            way != "installed"
        )


def test_everything_public_has_a_benchmark():
    assert suite.missing(fastdrop.torch.__all__, MODULES) == {"is_installed"}  # reads one attribute


def test_every_function_and_module_is_measured_in_every_way():
    functions, ways = MODULES["bench_torch"].Functions.params
    modules, module_ways = MODULES["bench_torch"].Modules.params
    relatives, fused = MODULES["bench_torch_relatives"], MODULES["bench_fused"]
    names = {name for name in fastdrop.torch.__all__ if "rop" in name} | {"zoneout", "Zoneout"}
    assert {*functions, *modules, *relatives.Relatives.params[0]} | {
        *relatives.RelativeModules.params[0],
        *fused.FusedPasses.params[0],
        *fused.FusedModules.params[0],
        "WeightDropLSTM",
    } == names - {"scaled_dot_product_attention"}
    assert ways == MODULES["bench_attention"].WAYS == ["stock", "installed", "explicit"]
    assert module_ways == [*ways, "accelerated"]
