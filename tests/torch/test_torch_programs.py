# SPDX-License-Identifier: BSD-3-Clause
"""Small programs of people who use PyTorch."""

import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import fastdrop as fd
import fastdrop.torch


def model(**options):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), fastdrop.torch.Dropout(0.3, **options), nn.Linear(16, 2)
    )


def steps(network, count, seed=1):
    """Train, and return the losses."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(count):
        x = torch.randn(8, 6, generator=generator)
        loss = F.cross_entropy(network(x), (x.sum(1) > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_an_unmodified_program_is_reproducible(installed):
    network = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    x = torch.randn(2, 5, 8)
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(network(x))
    assert torch.equal(*results)


def test_a_finished_model_is_accelerated():
    network = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    assert fastdrop.torch.accelerate(network) is network
    assert isinstance(network[1], fastdrop.torch.Dropout)
    assert len(fastdrop.torch.accelerated(network)) == 1
    assert torch.equal(network.eval()(torch.ones(2, 6)), network[0](torch.ones(2, 6)))


def test_training_goes_on_after_a_restart():
    """The place of the module's source is in its state."""
    whole = steps(model(rng=7), 6)
    network = model(rng=7)
    first = steps(network, 3)
    assert first == whole[:3]
    kept = io.BytesIO()
    torch.save(network.state_dict(), kept)
    kept.seek(0)
    restarted = model(rng=7)
    restarted.load_state_dict(torch.load(kept, weights_only=True))
    x = torch.randn(4, 6)
    assert torch.equal(restarted(x), network(x))


def test_one_mask_in_numpy_and_in_pytorch():
    x = np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)
    expected, mask = fd.dropout(x, 0.4, rng=9)
    tensor = torch.from_numpy(x)
    assert np.array_equal(fastdrop.torch.dropout(tensor, 0.4, rng=9).numpy(), expected)
    assert np.array_equal(fastdrop.torch.dropout(tensor, mask=mask).numpy(), expected)
    assert torch.equal(tensor * mask, tensor * torch.as_tensor(mask))


def test_a_rank_holds_a_part_of_a_tensor():
    x = torch.randn(6, 4)
    whole = fastdrop.torch.Dropout(0.5, rng=3)(x)
    parts = []
    for first in (0, 2, 4):
        shard = (slice(first, first + 2), slice(None)), (6, 4)
        parts.append(fastdrop.torch.Dropout(0.5, rng=3, shard=shard)(x[first : first + 2]))
    assert torch.equal(torch.cat(parts), whole)


def test_a_recurrent_network_has_one_mask_for_all_steps():
    y = fastdrop.torch.dropout(torch.ones(4, 9, 6), 0.5, rng=1, broadcast_dims=1)
    assert all(torch.equal(y[:, t], y[:, 0]) for t in range(9))
