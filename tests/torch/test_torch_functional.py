# SPDX-License-Identifier: BSD-3-Clause
"""The explicit functions: the masks of NumPy arrays, on tensors of any layout and dtype."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch_tensors import COMPLEX, FLOATS, LAYOUTS, array_of, layouts

import fastdrop as fd
import fastdrop.torch

ELEMENTS = (fastdrop.torch.dropout, fastdrop.torch.alpha_dropout)
CHANNELS = (
    fastdrop.torch.dropout1d,
    fastdrop.torch.dropout2d,
    fastdrop.torch.dropout3d,
    fastdrop.torch.feature_alpha_dropout,
)
AXES = {"dropout1d": 3, "dropout2d": 4, "dropout3d": 5, "feature_alpha_dropout": 4}


# ---- the mask of NumPy arrays --------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
def test_a_seed_gives_the_elements_that_arrays_have(dtype, layout):
    x = layouts(torch.randn(3, 8, 5, 7, dtype=dtype))[layout]
    y = fastdrop.torch.dropout(x, 0.3, rng=5)
    expected, _ = fd.dropout(array_of(x), 0.3, rng=5)
    assert np.ascontiguousarray(array_of(y)).tobytes() == expected.tobytes()
    assert y.dtype == x.dtype


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("inplace", (False, True))
def test_a_seed_gives_the_channels_that_arrays_have(layout, inplace):
    x = layouts(torch.randn(3, 8, 5, 7))[layout]
    if inplace:
        x = x.clone()
    expected, _ = fd.dropout(x.numpy().copy(), 0.3, rng=5, noise_shape=(None, None, 1, 1))
    y = fastdrop.torch.dropout2d(x, 0.3, inplace=inplace, rng=5)
    assert np.array_equal(y.numpy(), expected)


@pytest.mark.parametrize("p", (0.0, 0.1, 1 / 3, 0.5, 1.0))
def test_every_probability_is_that_of_arrays(p):
    x = torch.randn(10_001)
    expected, _ = fd.dropout(x.numpy(), p, rng=(1, 2))
    assert np.array_equal(fastdrop.torch.dropout(x, p, rng=(1, 2)).numpy(), expected)


def test_a_source_advances_as_by_arrays():
    source, twin = fd.Philox4x32(3), fd.Philox4x32(3)
    for shape, noise_shape in (((5, 3), None), ((2, 4, 6), (None, None, 1)), ((7,), None)):
        x = torch.randn(shape)
        function = fastdrop.torch.dropout if noise_shape is None else fastdrop.torch.dropout1d
        y = function(x, 0.5, rng=source)
        expected, _ = fd.dropout(x.numpy(), 0.5, rng=twin, noise_shape=noise_shape)
        assert np.array_equal(y.numpy(), expected)
        assert source.position == twin.position
    fastdrop.torch.dropout(x, 0.0, rng=source)
    assert source.position == twin.position + 7
    fastdrop.torch.dropout(x, training=False, rng=source)
    assert source.position == twin.position + 7


def test_masks_do_not_depend_on_threads():
    x = torch.randn(1 << 18)
    results = []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        results.append((fastdrop.torch.dropout(x, 0.1), fastdrop.torch.dropout(x, 0.1, rng=1)))
    for drawn, seeded in results[1:]:
        assert torch.equal(drawn, results[0][0])
        assert torch.equal(seeded, results[0][1])


def test_a_dropped_element_is_zero_whatever_it_held():
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -1.0]).repeat(500)
    y = fastdrop.torch.dropout(x, 0.5, rng=1)
    kept = torch.from_numpy(np.asarray(fd.dropout_mask(2000, 0.5, rng=1)))
    assert not y[~kept].any() and not y[~kept].signbit().any()
    torch.testing.assert_close(y[kept], 2 * x[kept], rtol=0, atol=0, equal_nan=True)


# ---- PyTorch's generators ------------------------------------------------------------------------


@pytest.mark.parametrize("function", ELEMENTS + CHANNELS, ids=lambda function: function.__name__)
def test_manual_seed_and_generators_make_masks_again(function):
    x = torch.randn((40, 30, 2, 2, 2)[: AXES.get(function.__name__, 2)])
    torch.manual_seed(7)
    first, second = function(x, 0.5, True), function(x, 0.5, True)
    torch.manual_seed(7)
    assert torch.equal(function(x, 0.5, True), first)
    assert not torch.equal(first, second)
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(function(x, 0.5, True, rng=generator), first)
    assert torch.equal(function(x, 0.5, True, rng=generator), second)


def test_a_generator_of_its_own_leaves_the_default_alone():
    before = torch.get_rng_state()
    fastdrop.torch.dropout(torch.ones(10), rng=torch.Generator())
    fastdrop.torch.dropout(torch.ones(10), rng=1)
    fastdrop.torch.dropout(torch.ones(10), training=False)
    fastdrop.torch.dropout(torch.ones(10), 0.0)
    assert torch.equal(torch.get_rng_state(), before)


# ---- tensors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", (None, 3))
@pytest.mark.parametrize("name", ("dropout", "dropout2d", "alpha_dropout", "feature_alpha_dropout"))
def test_layouts_are_preserved(name, seed, layout):
    x = layouts(torch.rand(3, 8, 5, 7) + 1)[layout]
    y = getattr(fastdrop.torch, name)(x, 0.4, True, rng=seed)
    assert y.stride() == torch.empty_like(x).stride()
    if seed is None:
        function = getattr(torch.nn.functional, name)
        with fastdrop.torch.installed():
            assert function(x, 0.4, True).stride() == y.stride()
    kept = (y != y.min()) if "alpha" in name else (y != 0)
    if name == "dropout":
        assert torch.equal(y[kept], x[kept] * torch.tensor(1 / 0.6))
    if name in ("dropout2d", "feature_alpha_dropout"):
        assert torch.equal(kept.any(-1).any(-1), kept.all(-1).all(-1))


@pytest.mark.parametrize("shape", ((), (0,), (1,), (3, 0, 2), (1, 1, 1)))
@pytest.mark.parametrize("inplace", (False, True))
def test_small_and_empty_shapes(shape, inplace):
    x = torch.ones(shape)
    y = fastdrop.torch.dropout(x, 0.5, inplace=inplace, rng=2)
    assert y.shape == x.shape
    assert torch.equal(y, torch.from_numpy(fd.dropout(np.ones(shape, np.float32), 0.5, rng=2)[0]))
    assert (y is x) == inplace


def test_evaluation_and_p_of_zero_return_x_itself():
    x = torch.ones(5)
    for function in ELEMENTS:
        assert function(x, training=False) is x
        assert function(x, 0.0, True) is x
    for function in CHANNELS:
        z = torch.ones(1, 5, 1, 1, 1)[(..., *(0,) * (5 - AXES[function.__name__]))]
        assert function(z, training=False) is z
        assert function(z, 0.0, True) is z


def test_in_place_writes_x_and_says_so_to_autograd():
    x = torch.ones(1000)
    version = x._version
    assert fastdrop.torch.dropout(x, 0.5, inplace=True) is x
    assert set(x.tolist()) == {0.0, 2.0}
    assert x._version > version
    window = torch.ones(10, 10)[:, ::2]
    assert fastdrop.torch.dropout(window, 1.0, inplace=True) is window
    assert not window.any()


def test_alpha_dropout_keeps_mean_and_deviation():
    x = torch.randn(400, 50, 5)
    for function in (fastdrop.torch.alpha_dropout, fastdrop.torch.feature_alpha_dropout):
        for p in (0.1, 0.5, 0.8):
            y = function(x, p, True, rng=1)
            assert abs(y.mean() - x.mean()) < 0.05
            assert abs(y.std() - x.std()) < 0.05
    assert not fastdrop.torch.alpha_dropout(x, 1.0, True).any()


@pytest.mark.parametrize("dtype", (torch.float16, torch.float32, torch.float64))
def test_alpha_dropout_is_that_of_arrays(dtype, installed):
    """Bit for bit: one pass of the same kernel; so are its gradients."""
    for name in ("alpha_dropout", "feature_alpha_dropout"):
        for p in (0.1, 0.7, 1.0):
            x = torch.randn(30, 7, 5, dtype=dtype, requires_grad=True)
            y = getattr(fastdrop.torch, name)(x, p, True, rng=3)
            dx = torch.autograd.grad(y, x, torch.ones_like(y))[0]
            expected, mask = getattr(fd, name)(x.detach().numpy(), p, rng=3)
            assert np.array_equal(y.detach().numpy(), expected)
            assert np.array_equal(dx.numpy(), mask.backward(np.ones_like(expected)))
            torch.manual_seed(5)
            y = getattr(F, name)(x, p, True)
            torch.manual_seed(5)
            assert torch.equal(getattr(fastdrop.torch, name)(x, p, True), y)


def test_alpha_dropout_of_complex_numbers_is_refused(installed):
    x = torch.ones(2, 3, dtype=torch.complex64)
    for function in (fastdrop.torch.alpha_dropout, fastdrop.torch.feature_alpha_dropout):
        with pytest.raises(TypeError, match=r"input must be of real floats, not of .*complex64"):
            function(x, 0.5, True, rng=1)
    for function in (F.alpha_dropout, F.feature_alpha_dropout):  # as in PyTorch
        with pytest.raises(NotImplementedError, match="ComplexFloat"):
            function(x, 0.5, True)


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("p", (-0.1, 1.1, float("nan")))
@pytest.mark.parametrize("function", ELEMENTS, ids=lambda function: function.__name__)
def test_probabilities_out_of_range_are_refused(function, p):
    with pytest.raises(ValueError, match=r"p must be .*, not .*"):
        function(torch.ones(3), p)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1, "rng": torch.Generator()}, "seed=1 and rng="),
        (
            {"rng": np.random.default_rng()},
            "rng must be .*, not a Generator, which only goes forward",
        ),
        ({"rng": "one"}, "rng must be .*, not '"),
    ],
)
def test_wrong_generators_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        fastdrop.torch.dropout(torch.ones(3), **arguments)


def test_seeds_are_for_floats_on_the_cpu():
    with pytest.raises(TypeError, match="input must be a strided tensor of floats on the CPU"):
        fastdrop.torch.dropout(torch.ones(3).to_sparse(), rng=1)
    with pytest.raises(TypeError, match=r"input must .* torch\.int64"):
        fastdrop.torch.dropout(torch.ones(3, dtype=torch.int64), rng=1)
    assert fastdrop.torch.dropout(torch.ones(3, device="meta")).device.type == "meta"


def test_channels_need_two_axes():
    with pytest.raises(ValueError, match="input must have at least two axes"):
        fastdrop.torch.feature_alpha_dropout(torch.ones(3), 0.5, True)
    with pytest.raises(RuntimeError, match="Expected 2D or 3D input, but received a 4D input"):
        fastdrop.torch.dropout1d(torch.ones(1, 1, 1, 1))
    with pytest.warns(UserWarning, match="Received a 5-D input to dropout2d"):
        fastdrop.torch.dropout2d(torch.ones(1, 1, 1, 1, 1))
    with pytest.warns(UserWarning, match="channel-wise 1D"):
        fastdrop.torch.dropout2d(torch.ones(1, 1, 1))
    with pytest.warns(UserWarning, match="Received a 2-D input to dropout3d"):
        fastdrop.torch.dropout3d(torch.ones(1, 1))
