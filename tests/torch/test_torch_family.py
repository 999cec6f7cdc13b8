# SPDX-License-Identifier: BSD-3-Clause
"""The family for NumPy arrays against PyTorch: its autograd, its modules, its formulas."""

import numpy as np
import pytest
import torch
from helpers import kept_of

import fastdrop as fd
import fastdrop.torch


def random(shape, seed=3):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dropout1d", (4, 5, 6)),
        ("dropout1d", (5, 6)),
        ("dropout2d", (4, 5, 6, 3)),
        ("dropout3d", (4, 5, 6, 3, 2)),
        ("dropout3d", (5, 6, 3, 2)),
    ],
)
def test_channels_are_those_of_the_adapter(name, shape):
    x = random(shape)
    y, _ = getattr(fd, name)(x, 0.3, rng=9)
    other = getattr(fastdrop.torch, name)(torch.from_numpy(x), 0.3, seed=9)
    assert np.array_equal(y, other.numpy())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("dropout1d", (5, 64)), ("dropout3d", (5, 4, 4, 4)), ("dropout2d", (3, 5, 8, 8))],
)
def test_pytorch_reads_axes_alike(name, shape):
    """What PyTorch drops as a whole is one decision of ours."""
    _, mask = getattr(fd, name)(np.ones(shape), 0.5, rng=1)
    y = getattr(torch.nn.functional, name)(torch.ones(shape), 0.5).numpy()
    whole = y.reshape(mask.size, -1)
    assert (whole == whole[:, :1]).all()


@pytest.mark.parametrize(
    ("function", "options", "shape"),
    [
        (fd.dropout, {"broadcast_axes": 1}, (4, 5, 6)),
        (fd.dropout1d, {}, (4, 5, 6)),
        (fd.dropout2d, {"channel_axis": -1}, (4, 3, 3, 6)),
        (fd.dropout3d, {}, (4, 5, 2, 2, 3)),
        (fd.drop_path, {}, (9, 6)),
        (fd.embedding_dropout, {}, (9, 6)),
        (fd.drop_block2d, {"block_size": 3}, (4, 3, 9, 8)),
    ],
)
def test_gradients_are_those_of_autograd(function, options, shape):
    x, dy = random(shape), random(shape, seed=4)
    y, mask = function(x, 0.3, rng=2, **options)
    leaf = torch.from_numpy(x).requires_grad_()
    same = leaf * torch.from_numpy(kept_of(mask)) * mask.scale
    same.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y, same.detach().numpy(), rtol=1e-15)
    np.testing.assert_allclose(fd.dropout_backward(dy, mask), leaf.grad.numpy(), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("leading", [(), (7,), (2, 7)])
def test_drop_connect_is_a_linear_map(dtype, leading):
    arrays = [random((*leading, 5)), random((4, 5), 4), random(4, 5), random((*leading, 4), 6)]
    if np.dtype(dtype).kind == "c":
        arrays = [a + 1j * random(a.shape, 7) for a in arrays]
    x, weight, bias, dy = (np.asarray(a, dtype) for a in arrays)
    y, mask = fd.drop_connect(x, weight, 0.3, bias=bias, rng=2)
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    dropped = leaves[1] * torch.from_numpy(kept_of(mask)) * mask.scale
    same = torch.nn.functional.linear(leaves[0], dropped, leaves[2])
    same.backward(torch.from_numpy(dy))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(y, same.detach().numpy(), **tolerance)
    gradients = fd.drop_connect_backward(dy, x, weight, mask)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(gradient, leaf.grad.numpy(), **tolerance)


@pytest.mark.parametrize(("height", "width", "block"), [(12, 9, 3), (12, 9, 7), (5, 8, 7)])
def test_blocks_are_those_of_a_max_pool(height, width, block):
    """The way torchvision and timm take: corners, padded, dilated by a pool, then normalised."""
    p, shape = 0.3, (6, 4, height, width)
    x = random(shape)
    y, _ = fd.drop_block2d(x, p, block_size=block, rng=2)
    clipped = min(block, height, width)
    rows, columns = height - clipped + 1, width - clipped + 1
    gamma = p * height * width / (clipped**2 * rows * columns)
    corners = fd.bernoulli((6, 4, rows, columns), gamma, rng=2)
    edge = clipped - 1
    padded = torch.nn.functional.pad(torch.from_numpy(corners).double(), [edge] * 4)
    dropped = torch.nn.functional.max_pool2d(padded, clipped, stride=1)
    kept = 1 - dropped
    same = torch.from_numpy(x) * kept * (kept.numel() / kept.sum())
    assert 0 < kept.sum() < kept.numel()
    np.testing.assert_allclose(y, same.numpy(), rtol=1e-14)


@pytest.mark.parametrize(("depth", "p"), [(1, 0.2), (2, 0.2), (12, 0.1), (24, 0.5)])
def test_rates_of_paths_as_timm_computes_them(depth, p):
    expected = torch.linspace(0, p, depth, dtype=torch.float64)
    np.testing.assert_allclose(fd.drop_path_rates(depth, p), expected.numpy(), rtol=1e-14)
