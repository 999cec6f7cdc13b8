# SPDX-License-Identifier: BSD-3-Clause
"""Prints what attention on few keys costs after `install()`, as ratios to PyTorch's own.

On few keys the time is that of the calls. Each row is a call of PyTorch's function on one thread,
in a program that has installed fastdrop and in one that has not: in turn in one run, the least time
of many rounds. ``formula`` is PyTorch's formula for attention with the dropout of fastdrop in it,
which is what fastdrop would be without its blocks. The exit status does not judge.

    python tools/torch_small_attention.py [--rounds 60]
"""

import argparse
from collections.abc import Callable, Iterator

import torch
from torch.nn.functional import scaled_dot_product_attention as attention

import fastdrop.torch
from fastdrop.cli._bench_turns import calls_in_turn

P = 0.1
Call = Callable[[], object]


def formula(*qkv: torch.Tensor, dropout_p: float) -> torch.Tensor:
    """Return attention by PyTorch's formula, whose weights are whole."""
    return torch.ops.aten._scaled_dot_product_attention_math(*qkv, None, dropout_p)[0]


def case(
    heads: int,
    width: int,
    keys: int,
    *,
    way: Callable[..., torch.Tensor] = attention,
    p: float = P,
    backward: bool = True,
    dtype: torch.dtype = torch.float32,
    mask: str = "",
    columns: bool = False,
) -> Call:
    """Return a call on ``keys`` queries and keys; ``columns`` lie in memory one after another."""
    shape = (1, heads, width, keys) if columns else (1, heads, keys, width)
    tensors = [torch.randn(shape).to(dtype) for _ in range(4)]
    *qkv, gradient = [x.transpose(2, 3) for x in tensors] if columns else tensors
    options = {}
    if mask == "bool":
        options["attn_mask"] = torch.ones(keys, keys, dtype=torch.bool)
    elif mask == "added":
        options["attn_mask"] = torch.zeros(keys, keys, requires_grad=True)
    if not backward:
        return lambda: way(*qkv, dropout_p=p, **options)
    qkv = [x.detach().requires_grad_() for x in qkv]

    def step() -> None:
        way(*qkv, dropout_p=p, **options).backward(gradient)
        for x in qkv:
            x.grad = None

    return step


def least(stock: Call, own: Call, rounds: int) -> tuple[float, float]:
    """Return the least microseconds of both, measured in turn."""
    times = calls_in_turn(
        {"stock": stock, "own": own},
        lambda: lambda done: done < rounds,
        around={"own": fastdrop.torch.installed},
    )
    return 1e6 * min(times["stock"]), 1e6 * min(times["own"])


def rows() -> Iterator[tuple[str, Call, Call]]:
    """Yield a name, PyTorch's call and what replaces it."""
    for heads, width, keys in ((1, 8, 1), (8, 64, 1), (1, 8, 4), (8, 64, 16), (8, 64, 64)):
        size = (heads, width, keys)
        name = f"{heads} heads of {width}, keys {keys}"
        both = case(*size)
        forward = case(*size, backward=False)
        yield f"{name}: forward and backward", both, both
        yield f"{name}: forward alone", forward, forward
        yield f"{name}: formula, forward and backward", both, case(*size, way=formula)
    for keys in (1, 64):
        call = case(8, 64, keys, mask="bool")
        yield f"8 heads of 64, keys {keys}: mask of bools, forward and backward", call, call
    for name, options in (
        ("bfloat16", {"dtype": torch.bfloat16}),
        ("mask of bools", {"mask": "bool"}),
        ("columns in memory order", {"columns": True}),
    ):
        call = case(8, 64, 1, backward=False, **options)
        yield f"8 heads of 64, keys 1: {name}, forward alone", call, call
    for heads, keys in ((2, 1), (2, 64)):
        call = case(heads, 64, keys, mask="added")
        yield f"{heads} heads of 64, keys {keys}: gradient of an additive mask", call, call
    call = case(1, 8, 1, p=0.0, backward=False)
    yield "1 heads of 8, keys 1: no dropout, forward alone", call, call


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{'case':70}  stock us  ratio")
    for name, stock, own in rows():
        before, after = least(stock, own, rounds)
        print(f"{name:70}  {before:8.1f}  {after / before:5.2f}", flush=True)


if __name__ == "__main__":
    main()
