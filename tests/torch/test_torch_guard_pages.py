# SPDX-License-Identifier: BSD-3-Clause
"""Nothing outside of tensors is read or written: they lie at pages that nobody may touch.

The calls are made in a process of their own, which runs this file: a forked child of one that has
called backward may not do so itself.
"""

import functools
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import fastdrop as fd
import fastdrop.torch as fdt

SUPPORT = Path(__file__).parents[1] / "support"
LENGTHS = (*range(1, 36), 63, 64, 65, 127, 129, 257, 1023, 4097, 20_011)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def numbers(*shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype)


def elementwise(n, chance):
    """The functions of one tensor and its relatives, on n elements."""
    dtype = chance.choice(DTYPES)
    x, other = numbers(n, dtype=dtype), numbers(n, dtype=dtype, seed=1)
    seed = chance.getrandbits(20)
    p = chance.choice((0.0, 0.1, 0.5, 1.0))
    options = {"training": True, "rng": seed}
    for function in (fdt.dropout, fdt.alpha_dropout, fdt.relu_dropout):
        yield functools.partial(function, p=p, **options), {"input": x}
    yield functools.partial(fdt.dropout, p=p, inplace=True, **options), {"input": x}
    mask = fd.dropout_mask(2 * n, p, rng=seed)
    each = np.random.default_rng(seed).random(n)
    for given in (mask[:n], mask[::2], mask[0:1], fd.dropout_mask(n, each, rng=seed)):
        yield functools.partial(fdt.dropout, mask=given), {"input": x}
    kept = torch.as_tensor(mask[::2])
    yield functools.partial(fdt.dropout, p=p, rng=seed), {"input": x, "mask": kept}
    yield functools.partial(fdt.dropout_add, p=p, **options), {"input": x, "residual": other}
    rows = chance.choice([d for d in (1, 2, 3, 5) if n % d == 0])
    x, other = x.reshape(rows, -1), other.reshape(rows, -1)
    arrays = {"input": x, "residual": other, "bias": other[0].clone()}
    yield functools.partial(fdt.dropout_add, p=p, **options), arrays
    for function, axes in ((fdt.dropout1d, 3), (fdt.dropout2d, 4), (fdt.dropout3d, 5)):
        shape = (1, rows, *(1,) * (axes - 3), n // rows)
        yield functools.partial(function, p=p, **options), {"input": x.reshape(shape)}
    yield (
        functools.partial(fdt.feature_alpha_dropout, p=p, **options),
        {"input": x.reshape(1, rows, -1)},
    )


def attentions(n, chance):
    """Attention of n keys, with masks of all kinds, and heads that share keys."""
    dtype = chance.choice(DTYPES)
    queries, width, value_width = chance.randint(1, 9), chance.randint(1, 9), chance.randint(1, 9)
    heads, shared = chance.choice(((1, 1), (2, 1), (2, 2)))
    arrays = {
        "query": numbers(heads, queries, width, dtype=dtype),
        "key": numbers(shared, n, width, dtype=dtype, seed=1),
        "value": numbers(shared, n, value_width, dtype=dtype, seed=2),
    }
    options = {"dropout_p": 0.3, "rng": chance.getrandbits(20), "enable_gqa": heads != shared}
    yield functools.partial(fdt.scaled_dot_product_attention, **options), arrays
    causal = functools.partial(fdt.scaled_dot_product_attention, is_causal=True, **options)
    yield causal, arrays
    for mask in (numbers(queries, n, dtype=dtype), numbers(queries, n, dtype=dtype) > 0):
        with_mask = arrays | {"attn_mask": mask}
        yield functools.partial(fdt.scaled_dot_product_attention, **options), with_mask


def results_of(call, tensors, put=None):
    """The output, and the gradients of what has some; the output's gradient is put somewhere."""
    if call.keywords.get("inplace"):
        return [call(**tensors).clone()]
    leaves = {name: x.detach() for name, x in tensors.items()}
    inputs = [x.requires_grad_() for x in leaves.values() if x.is_floating_point()]
    out = call(**leaves)
    gradient = numbers(*out.shape, dtype=out.dtype, seed=3)
    gradient = gradient if put is None else put("gradient", gradient)
    return [out.detach(), *torch.autograd.grad(out, inputs, gradient, allow_unused=True)]


def main():
    """Make all calls on guarded tensors, and compare with the same calls on others."""
    from guarded import Guarded, Placed

    rooms = {}

    def put(name, x, at_end, read_only=True):
        room = rooms.setdefault(name, Guarded(2**20))
        whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
        placed = Placed(room, x.contiguous().view(whole).numpy(), at_end)
        tensor = torch.from_numpy(placed.array).view(x.dtype)
        if read_only:
            placed.read_only()
        return tensor

    levels = itertools.cycle(fd.simd_levels())
    count = 0
    for n in LENGTHS:
        for at_end in (False, True):
            chance = random.Random(f"{n} {at_end}")
            some = elementwise(n, chance)
            calls = itertools.chain(some, attentions(n, chance)) if n < 2000 else some
            for call, arrays in calls:
                with fd.use_simd(next(levels)):
                    read_only = not call.keywords.get("inplace")
                    guarded = {name: put(name, x, at_end, read_only) for name, x in arrays.items()}
                    found = results_of(call, guarded, functools.partial(put, at_end=at_end))
                    expected = results_of(call, arrays)
                for one, other in zip(found, expected, strict=True):
                    assert torch.equal(one, other), (call, n, at_end)
                count += 1
    print(count)


def test_functions_and_gradients():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    # Else the products of attention, which are MKL's, may be rounded by where an array begins.
    environment["MKL_CBWR"] = "COMPATIBLE"
    command = [sys.executable, "-X", "faulthandler", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


if __name__ == "__main__":
    main()
