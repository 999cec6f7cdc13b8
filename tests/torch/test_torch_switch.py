# SPDX-License-Identifier: BSD-3-Clause
"""On and off: blocks that nest and overlap in threads, and PyTorch as it was while it is off."""

import os
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F

from fastdrop.torch import _install, install, installed, uninstall

config = torch.compiler.config


def is_fastdrop():
    """Return whether the gradient of dropout is that of the package."""
    y = F.dropout(torch.ones(6, 6, requires_grad=True) * 1)
    return "Drop" in type(y.grad_fn).__name__


def in_a_thread(function):
    """Return what a function returns in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(autouse=True)
def off_before_and_after():
    assert not is_fastdrop() and config.cache_key_tag == ""
    yield
    uninstall()
    assert not is_fastdrop() and config.cache_key_tag == ""


# ---- on and off ----------------------------------------------------------------------------------


def test_on_and_off():
    install()
    assert is_fastdrop()
    install()
    with installed():
        assert is_fastdrop()
    assert is_fastdrop()
    uninstall()
    assert not is_fastdrop()
    uninstall()
    with pytest.raises(KeyError), installed():
        raise KeyError
    assert not is_fastdrop()


def test_it_is_for_all_threads():
    with installed():
        assert in_a_thread(is_fastdrop)
    in_a_thread(install)
    assert is_fastdrop()
    in_a_thread(uninstall)
    assert not is_fastdrop()


def test_blocks_nest():
    with installed():
        with installed():
            assert is_fastdrop()
        assert is_fastdrop()
    assert not is_fastdrop()


def test_blocks_overlap():
    first, second = installed(), installed()
    with first:
        second.__enter__()
    assert is_fastdrop()
    second.__exit__(None, None, None)
    assert not is_fastdrop()


def test_blocks_of_threads_overlap():
    opened, closed = threading.Event(), threading.Event()
    seen = []

    def first():
        with installed():
            opened.set()
            closed.wait()

    thread = threading.Thread(target=first)
    thread.start()
    opened.wait()
    with installed():
        torch.manual_seed(0)
        before = F.dropout(torch.ones(64))
        closed.set()
        thread.join()
        torch.manual_seed(0)
        seen += [is_fastdrop(), torch.equal(F.dropout(torch.ones(64)), before)]
    assert seen[0] and not is_fastdrop()
    torch.manual_seed(0)
    assert not torch.equal(F.dropout(torch.ones(64)), before)


def test_install_and_uninstall_in_a_block_decide_what_is_after_it():
    with installed():
        uninstall()
        assert is_fastdrop()  # in the block whatever other code does
    assert not is_fastdrop()
    with installed():
        install()
    assert is_fastdrop()
    with installed():
        uninstall()
        assert is_fastdrop()
    assert not is_fastdrop()


def test_kernels_are_registered_once():
    with installed():
        library = _install._library
    install()
    uninstall()
    with installed():
        assert _install._library is library


def test_installing_warns_of_nothing():
    code = (
        "import fastdrop.torch, torch; fastdrop.torch.install();"
        "torch.dropout(torch.ones(3), .5, True)"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)


def test_threads_drop_while_others_switch():
    failures, go = [], threading.Barrier(5)

    def switch_often():
        go.wait()
        for _ in range(300):
            with installed():
                install()
            uninstall()

    def drop_often():
        go.wait()
        x = torch.ones(64, requires_grad=True)
        for _ in range(300):
            y = F.dropout(x)
            if not set(y.tolist()) <= {0.0, 2.0}:
                failures.append(y)
            if not torch.equal(torch.autograd.grad(y.sum(), x)[0], y):
                failures.append(x)
            if not set(torch.empty(9).bernoulli_(0.5).tolist()) <= {0.0, 1.0}:
                failures.append("bernoulli_")

    threads = [threading.Thread(target=switch_often) for _ in range(2)]
    threads += [threading.Thread(target=drop_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and not is_fastdrop()


# ---- the compiler's cache key --------------------------------------------------------------------


def test_compiled_programs_are_cached_under_a_key_of_their_own():
    with config.patch(cache_key_tag="users"):
        with installed():
            assert config.cache_key_tag.startswith("users")
            assert config.cache_key_tag != "users"
            with installed():
                pass
            assert config.cache_key_tag != "users"
        assert config.cache_key_tag == "users"


def test_a_key_that_the_program_changed_meanwhile_stays():
    with config.patch(cache_key_tag=""):
        install()
        config.cache_key_tag = "users"
        uninstall()
        assert config.cache_key_tag == "users"
        install()
        config.cache_key_tag += " and more"
        uninstall()
        assert config.cache_key_tag == "users and more"
        with installed():
            config.cache_key_tag = "other"
        assert config.cache_key_tag == "other"


def test_a_key_that_was_put_back_while_on():
    with config.patch(cache_key_tag="users"):
        install()
    assert config.cache_key_tag == ""
    uninstall()
    assert config.cache_key_tag == ""


def test_the_key_of_threads_whose_blocks_overlap():
    opened, closed = threading.Event(), threading.Event()
    tags = []

    def other():
        with installed():
            tags.append(config.cache_key_tag)
            opened.set()
            closed.wait()
        tags.append(config.cache_key_tag)

    thread = threading.Thread(target=other)
    thread.start()
    opened.wait()
    with installed():
        pass
    closed.set()
    thread.join()
    assert tags[0] and not tags[1]


# ---- off is PyTorch ------------------------------------------------------------------------------

# Prints what operators do: results, random states, graphs of autograd, errors, traced programs.
OFF = """
import hashlib, sys, warnings
import torch, torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx
import fastdrop.torch
warnings.simplefilter("ignore")
if "switched" in sys.argv:
    fastdrop.torch.install()
    fastdrop.torch.uninstall()

def make(dtype, kind):
    x = torch.arange(1, 121).reshape(2, 3, 4, 5).to(dtype)
    if kind == "gaps":
        x = x[..., ::2]
    if kind == "channels last":
        x = x.to(memory_format=torch.channels_last)
    if kind == "inference":
        with torch.inference_mode():
            x = x.clone()
    if kind == "sparse":
        x = x[0, 0].to_sparse()
    if kind == "meta":
        x = x.to("meta")
    if kind == "leaf":
        x.requires_grad_(x.is_floating_point() or x.is_complex())
    if kind == "tracked":
        x = x.requires_grad_(x.is_floating_point() or x.is_complex()) * 1
    return x

names = [a + b for a in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
         for b in ("", "_")]
calls = {name: lambda x, p, t, o=getattr(torch, name): o(x, p, t) for name in names}
calls["native_dropout"] = torch.native_dropout
calls["bernoulli_"] = lambda x, p, t: x.bernoulli_(p)
calls["generator"] = lambda x, p, t: x.bernoulli_(p, generator=torch.Generator().manual_seed(3))
calls["bernoulli"] = lambda x, p, t: torch.bernoulli(x * 0 + 1, p)
calls["attention"] = lambda x, p, t: F.scaled_dot_product_attention(x, x, x, dropout_p=p)
calls["vmap"] = lambda x, p, t: torch.vmap(F.dropout, randomness="different")(x, p=p)
def digest(y):
    if y.is_meta or y.layout != torch.strided:
        return y.shape, y.layout
    raw = y.detach().resolve_conj().contiguous().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest()[:16], y.dtype, y.shape, y.stride(), str(y.grad_fn)[:20]
def outcome(call):
    torch.manual_seed(7)
    try:
        y = call()
        y = [digest(z) for z in (y if isinstance(y, tuple) else (y,))]
    except Exception as error:
        # PyTorch names the keys that an operator has kernels for, those in Python too.
        y = type(error), str(error).splitlines()[0].replace("PrivateUse3, ", "")
    return y, hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest()[:16]
for name, call in calls.items() if "operators" in sys.argv else ():
    for dtype in (torch.float32, torch.bfloat16, torch.complex64, torch.int64, torch.bool,
                  torch.uint16, torch.float8_e4m3fn):
        for kind in ("plain", "gaps", "channels last", "inference", "sparse", "meta", "leaf",
                     "tracked"):
            for p, train in ((0.25, True), (1.0, True), (0.0, True), (0.5, False), (1.5, True)):
                try:
                    x = make(dtype, kind)
                except Exception:
                    continue
                print(name, dtype, kind, p, train, outcome(lambda: call(x, p, train)))
torch.manual_seed(1)
model = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
print(outcome(lambda: model(torch.ones(5, 3, 8))))
programs = (lambda x: F.dropout(x, 0.5), lambda x: F.alpha_dropout(x, 0.5, True))
x = torch.ones(4, 5)
for program in programs if "programs" in sys.argv else ():
    print(make_fx(program)(x).code)
    print(outcome(lambda: torch.jit.trace(program, x, check_trace=False)(x)))
    print(outcome(lambda: torch.compile(program, backend="aot_eager", fullgraph=True)(x)))
    module = torch.nn.Module()
    module.forward = program
    print(torch.export.export(module, (x,)).graph_module.code)
"""


@pytest.mark.parametrize(
    ("what", "count"), [("operators", 3000), pytest.param("programs", 20, marks=pytest.mark.slow)]
)
def test_off_is_pytorch_though_kernels_are_registered(what, count):
    never, switched = (
        subprocess.run(
            [sys.executable, "-c", OFF, what, *arguments],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for arguments in ((), ("switched",))
    )
    assert len(never) > count
    assert switched == never


def test_switching_compiles_nothing_again():
    function = torch.compile(lambda x: F.dropout(x, 0.5), backend="aot_eager", fullgraph=True)
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    function(torch.ones(5))
    before = counters["stats"]["unique_graphs"]
    for _ in range(3):
        with installed():
            function(torch.ones(5))
        function(torch.ones(5))
    assert counters["stats"]["unique_graphs"] == before
    torch.compiler.reset()


@pytest.mark.slow
def test_a_program_that_was_switched_off_finds_stocks_compiled_programs(tmp_path):
    program = """
import sys, torch, torch.nn.functional as F
import fastdrop.torch
if "switched" in sys.argv:
    fastdrop.torch.install()
    fastdrop.torch.uninstall()
torch.compile(lambda x: F.dropout(x * 2, 0.5))(torch.ones(4000))
print(torch._dynamo.utils.counters["inductor"]["fxgraph_cache_hit"])
"""
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    for arguments, hits in (((), "0"), (("switched",), "1")):
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == hits
