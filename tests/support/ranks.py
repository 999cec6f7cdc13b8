# SPDX-License-Identifier: BSD-3-Clause
"""One of several processes that train one model: ``ranks.py RANK RANKS STORE OUT``.

It writes the digests of what it has at the end. Sums over samples are taken one sample after the
other, so that they do not depend on who has which samples.
"""

import hashlib
import json
import sys
import warnings

import torch
import torch.distributed as distributed
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
    init_device_mesh,
)

import fastdrop as fd
import fastdrop.torch as ft

SAMPLES, INPUTS, HIDDEN, STEPS = 12, 5, 18, 4
P = 0.3


def digest(*tensors):
    """Return a digest of the bytes of tensors."""
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()


def share(length, rank, ranks):
    """Return which of so many rows a rank has."""
    return slice(rank * length // ranks, (rank + 1) * length // ranks)


def gathered(part, dim, ranks):
    """Return the parts of all ranks as one tensor."""
    parts = [torch.empty_like(part) for _ in range(ranks)]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts, dim)


def of_each_sample(weight, samples):
    """Return a copy of the weight for each sample, which gets the gradient of that sample."""
    return weight.expand(samples, *weight.shape).clone().requires_grad_()


def linear(x, weights):
    """Return the products of samples with a weight for each."""
    return (weights * x[:, None, :]).sum(-1)


def in_order(gradients):
    """Return the sum over samples, one after the other."""
    total = torch.zeros_like(gradients[0])
    for gradient in gradients:
        total += gradient
    return total


def data():
    """Return inputs, targets and the weights at the start."""
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64}
    x = torch.randn(SAMPLES, INPUTS, **options)
    y = torch.randn(SAMPLES, 1, **options)
    return x, y, torch.randn(HIDDEN, INPUTS, **options), torch.randn(1, HIDDEN, **options)


def train_by_samples(rank, ranks, shard=True):
    """Train with some of the samples on each rank; without ``shard``, all of them here."""
    x, y, first, second = data()
    rows = share(SAMPLES, rank, ranks)
    layer = ft.Dropout(P, rng=7)
    if shard:
        layer = ft.Dropout(P, rng=7, shard=(rows, (SAMPLES, HIDDEN)))
    x, y = x[rows], y[rows]
    for _ in range(STEPS):
        weights = of_each_sample(first, len(x)), of_each_sample(second, len(x))
        hidden = layer(torch.relu(linear(x, weights[0])))
        ((linear(hidden, weights[1]) - y) ** 2).sum().backward()
        gradients = [w.grad if ranks == 1 else gathered(w.grad, 0, ranks) for w in weights]
        first = first - 0.01 * in_order(gradients[0])
        second = second - 0.01 * in_order(gradients[1])
    return digest(first, second)


def train_by_columns(rank, ranks):
    """Train with some of the hidden columns on each rank, and all samples."""
    x, y, first, second = data()
    columns = share(HIDDEN, rank, ranks)
    layer = ft.Dropout(P, rng=7, shard=((..., columns), (SAMPLES, HIDDEN)))
    for _ in range(STEPS):
        own = of_each_sample(first[columns], SAMPLES)
        part = layer(torch.relu(linear(x, own)))
        hidden = gathered(part.detach(), 1, ranks).requires_grad_()
        weights = of_each_sample(second, SAMPLES)
        ((linear(hidden, weights) - y) ** 2).sum().backward()
        part.backward(hidden.grad[:, columns])
        first = first - 0.01 * in_order(gathered(own.grad, 1, ranks))
        second = second - 0.01 * in_order(weights.grad)
    return digest(first, second)


def drop_dtensors(ranks):
    """Check that a DTensor gets the mask of the whole, however it is placed."""
    mesh = init_device_mesh("cpu", (ranks,))
    whole = torch.arange(1.0, 36.0).reshape(7, 5)
    mask = fd.dropout_mask((7, 1), P, rng=9)
    for placement in (Shard(0), Shard(1), Replicate()):
        layer, expected_layer = ft.Dropout(P, rng=7), ft.Dropout(P, rng=7)
        for _ in range(2):
            x = distribute_tensor(whole, mesh, [placement]).requires_grad_()
            leaf = whole.clone().requires_grad_()
            y, expected = layer(x), expected_layer(leaf)
            assert isinstance(y, DTensor) and y.placements == (placement,)
            assert torch.equal(y.full_tensor(), expected)
            (y * y).sum().full_tensor().backward()
            (expected * expected).sum().backward()
            assert torch.equal(x.grad.full_tensor(), leaf.grad)
            assert layer.rng.position == expected_layer.rng.position
        x = distribute_tensor(whole, mesh, [placement])
        found = ft.dropout(x, mask=mask)
        assert torch.equal(found.full_tensor(), ft.dropout(whole, mask=mask))
        found = ft.dropout(x, P, rng=3, broadcast_dims=0)
        assert torch.equal(found.full_tensor(), ft.dropout(whole, P, rng=3, broadcast_dims=0))
        assert ft.dropout(x, P, False, rng=3) is x
        expected = ft.dropout(whole, P, rng=3)
        assert ft.dropout(x, P, inplace=True, rng=3) is x
        assert torch.equal(x.full_tensor(), expected)
    refuse(mesh, x, layer)


def refuse(mesh, x, layer):
    """Check what is refused, before a source advances."""
    partial = DTensor.from_local(torch.ones(7, 5), mesh, [Partial()], run_check=False)
    shard = ft.Dropout(P, rng=7, shard=((), (7, 5)))
    place = layer.rng.position
    for call, match in [
        (lambda: layer(partial), "must be sharded or replicated"),
        (lambda: shard(x), "and a DTensor exclude each other"),
        (lambda: ft.dropout(x, P, rng=layer.rng, noise_shape=(3, 1)), "noise_shape"),
        (lambda: ft.dropout(x, mask=fd.dropout_mask((4, 5), P, rng=1)), "does not broadcast"),
        (
            lambda: ft.dropout(x, P, mask=fd.dropout_mask((7, 5), P, rng=1)),
            "and a mask exclude each other",
        ),
        (lambda: ft.dropout(x, 1.5, rng=layer.rng), "p must be a number in [0, 1], not 1.5"),
    ]:
        try:
            call()
        except (TypeError, ValueError) as error:
            assert match in str(error), error
        else:
            raise AssertionError(match)
    assert layer.rng.position == place and shard.rng.position == 0


def main():
    """Do all of it and write the digests."""
    rank, ranks, store, out = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    torch.set_num_threads(1)
    warnings.simplefilter("error", UserWarning)
    distributed.init_process_group(
        "gloo", rank=rank, world_size=ranks, init_method=f"file://{store}"
    )
    digests = [train_by_samples(rank, ranks), train_by_columns(rank, ranks)]
    if ranks == 1:
        digests.append(train_by_samples(0, 1, shard=False))
    drop_dtensors(ranks)
    with open(out, "w") as file:
        json.dump(digests, file)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
