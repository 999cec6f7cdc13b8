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
    other = getattr(fastdrop.torch, name)(torch.from_numpy(x), 0.3, rng=9)
    assert np.array_equal(y, other.numpy())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("dropout1d", (5, 64)), ("dropout3d", (5, 4, 4, 4)), ("dropout2d", (3, 5, 8, 8))],
)
def test_pytorch_reads_axes_alike(name, shape):
    """What PyTorch drops as a whole is one decision of fastdrop."""
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


def affine_parts(x, y):
    """Of y = a * x + b where kept and one number where dropped: kept, a, b and that number."""
    values, counts = np.unique(y, return_counts=True)
    dropped = values[counts.argmax()]
    kept = y != dropped
    (a, b), *_ = np.linalg.lstsq(np.stack([x[kept], np.ones(kept.sum())], 1), y[kept], rcond=None)
    return kept, a, b, dropped


@pytest.mark.parametrize("p", [0.1, 0.4, 0.8])
def test_alpha_dropout_has_torchs_numbers(p):
    x = np.random.default_rng(1).standard_normal((50, 60))
    theirs = torch.nn.functional.alpha_dropout(torch.from_numpy(x), p, training=True).numpy()
    kept, *numbers = affine_parts(x, theirs)
    assert 0 < kept.sum() < kept.size
    given, mask = fd.alpha_dropout(x, p, rng=1)
    same, *own = affine_parts(x, given)
    assert np.array_equal(same, np.asarray(mask))
    np.testing.assert_allclose(own, numbers, rtol=1e-7)  # torch's constant has 17 digits, b fewer


@pytest.mark.parametrize("bias", [False, True])
def test_fused_gradients_are_those_of_autograd(bias):
    """With the same mask, values and gradients are those of the separate operations."""
    rng = np.random.default_rng(2)
    x, residual, dy = rng.standard_normal((3, 20, 30))
    b = rng.standard_normal(30) if bias else None
    y, mask = fd.dropout_add(x, residual, 0.3, bias=b, rng=1)
    kept = torch.from_numpy(np.asarray(mask).astype(float) * mask.scale)
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, residual)]
    added = torch.from_numpy(b).requires_grad_() if bias else torch.zeros(())
    result = tensors[1] + (tensors[0] + added) * kept
    result.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(y, result.detach().numpy(), rtol=1e-14, atol=1e-14)
    dx = fd.dropout_backward(dy, mask)
    np.testing.assert_allclose(dx, tensors[0].grad.numpy(), rtol=1e-14)
    assert np.array_equal(dy, tensors[1].grad.numpy())
    if bias:
        np.testing.assert_allclose(dx.sum(axis=0), added.grad.numpy(), rtol=1e-13)


def test_relu_and_gaussian_gradients_are_those_of_autograd():
    x, dy = np.random.default_rng(2).standard_normal((2, 20, 30))
    for function, inner in ((fd.relu_dropout, torch.relu), (fd.gaussian_dropout, lambda t: t)):
        y, mask = function(x, 0.3, rng=1)
        if function is fd.relu_dropout:
            drawn = np.asarray(fd.dropout_mask(x.shape, 0.3, rng=1)) * mask.scale
        else:
            drawn = np.asarray(mask).astype(float)
        tensor = torch.from_numpy(x).requires_grad_()
        result = inner(tensor) * torch.from_numpy(drawn)
        result.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(y, result.detach().numpy(), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(fd.dropout_backward(dy, mask), tensor.grad.numpy(), rtol=1e-14)


def test_evaluation_of_relu_and_sum_are_torchs():
    x, residual = np.random.default_rng(2).standard_normal((2, 20, 30)).astype(np.float32)
    x[0, :3] = 0.0, -0.0, np.nan
    y, _ = fd.relu_dropout(x, 0.3, training=False)
    np.testing.assert_array_equal(y, torch.relu(torch.from_numpy(x)).numpy())
    y, _ = fd.dropout_add(x, residual, 0.3, training=False)
    t = torch.nn.functional.dropout(torch.from_numpy(x), 0.3, training=False) + torch.from_numpy(
        residual
    )
    np.testing.assert_array_equal(y, t.numpy())
