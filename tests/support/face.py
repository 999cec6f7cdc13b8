# SPDX-License-Identifier: BSD-3-Clause
"""The public NumPy face as a table: how every function is called, and what the twin says of it.

A `Call` is one call with all that it is given, chosen by a `random.Random`. Tests put its arrays
elsewhere, exchange them or take its memory away, run it, and compare. `MEMBERS` has every function
and every layer; test_face.py fails where a public name is missing here.
"""

import inspect
import math
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from helpers import DTYPES, SOURCES, assert_same_floats, same_state
from layouts import EVERY_DTYPE, LAYOUTS, WRITEABLE, components, floats, native, swapped

import fastdrop as fd
from fastdrop import _reference as reference

# Public names that take no arrays of floats, and where they are tested.
ELSEWHERE = {
    "GaussianMask": "test_gaussian.py",
    "Mask": "test_mask.py",
    "NumPySource": "test_numpy_source.py",
    "Philox4x32": "test_source.py",
    "Source": "test_source.py",
    "Xorshift128Plus": "test_source.py",
    "Xoshiro256PlusPlus": "test_source.py",
    "as_source": "test_source.py",
    "symmetric_mask": "test_exact.py",
    "exact_mask": "test_exact.py",
    "drop_path_rates": "test_shaped.py",
    "get_num_threads": "test_threads.py",
    "seed": "test_seed.py",
    "seeded": "test_seed.py",
    "set_num_threads": "test_threads.py",
    "show_config": "test_threads.py",
    "simd_levels": "test_threads.py",
    "use_simd": "test_threads.py",
}

NUMBERS = (0.0, 2.0**-64, 0.1, 1 / 3, 0.5, 0.9, 1 - 2.0**-53, 1.0)
SELU_LIMIT = -1.7580993408473766


# ---- what is drawn -------------------------------------------------------------------------------


def copied(source):
    """A source of its own, at the same place."""
    return pickle.loads(pickle.dumps(source))


class Drawn:
    """What the twin draws from a source, from its place on; the source stays there."""

    def __init__(self, source):
        self.draws = getattr(source, "draws", None)
        if self.draws is not None:
            self.generator = np.random.Generator(copied(source.bit_generator))
        else:
            self.identity = type(source).__name__, source.key, source.counter
            self.position = source.position

    def kept(self, shape, p=None, keep_prob=None):
        """The decisions of a mask; p or keep_prob is a number or an array."""
        n = math.prod(shape)
        if self.draws in ("double", "float"):
            dtype = np.dtype(self.draws.replace("float", "float32"))
            drop = p if keep_prob is None else 1.0 - keep_prob
            return self.generator.random(shape, dtype=dtype) >= np.asarray(drop, dtype)
        if np.ndim(p if keep_prob is None else keep_prob):
            threshold = reference.decision_thresholds(shape, p, keep_prob)
        else:
            threshold = reference.decision_threshold(p, keep_prob)
        if self.draws == "bytes":
            kept = reference.numpy_kept(self.generator.bit_generator, n, threshold)
        else:
            kept = reference.kept(*self.identity, self.position, n, threshold)
            self.position += n
        return kept.reshape(shape)

    def words(self, shape):
        """The 32-bit words of a Gaussian mask."""
        n = math.prod(shape)
        if self.draws is not None:
            interface = self.generator.bit_generator.ctypes
            raw = [interface.next_uint64(interface.state) for _ in range(-(-n // 2))]
            raw = np.array(raw, "<u8").view("<u4")[:n]
        else:
            raw = reference.stream_bytes(*self.identity, self.position, 4 * n).view("<u4")
            self.position += 4 * n
        return raw.astype(np.uint32).reshape(shape)

    def assert_left(self, source):
        """Check that the source was left where the twin stopped."""
        if self.draws is not None:
            assert same_state(source.bit_generator.state, self.generator.bit_generator.state)
        else:
            assert source.position == self.position


# ---- calls ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A function or a layer of the face.

    Attributes
    ----------
    run : callable
        ``run(arrays, options, source, out)`` gives (y, mask); y is None, an array or a tuple.
    twin : callable
        ``twin(values, options, drawn)`` gives y, and the mask as an array.
    choose : callable
        ``choose(random, shape)`` gives the shapes of its arrays, the first one that of y; then
        arrays of other dtypes than x's; then its other options.
    axes : pair of int
        The least and the most axes.
    """

    run: Callable[..., tuple[Any, Any]]
    twin: Callable[..., tuple[Any, Any]]
    choose: Callable[..., tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]
    axes: tuple[int, int] = (0, 4)
    dtypes: tuple[Any, ...] = EVERY_DTYPE
    has_out: bool = True
    sums: bool = False  # whose results differ in the last bits
    backward: Callable[..., Any] = lambda mask, dy: mask.backward(dy)

    def __call__(self, random, *, dtype=None, size=None, layouts=False, numpy=True):
        """Return a call by chance, its x of about ``size`` elements."""
        dtype = np.dtype(random.choice(self.dtypes) if dtype is None else dtype)
        shape = shape_by_chance(random, self.axes, size)
        shapes, others, options = self.choose(random, shape)
        seed = random.getrandbits(30)
        make = ordinary if self.sums else floats
        arrays = {name: make(dtype, lengths, seed) for name, lengths in shapes.items()}
        if layouts:
            arrays = {name: laid(random, array) for name, array in arrays.items()}
            others = {name: laid(random, array, False) for name, array in others.items()}
            first = next(iter(arrays.values()), None)
            arrays = {name: ordered_as(first, array) for name, array in arrays.items()}
        source = source_by_chance(random, numpy)
        call = Call(self, {**arrays, **others}, options, source)
        return replace(call, out=out_by_chance(random, call, layouts)) if self.has_out else call


@dataclass(frozen=True)
class Call:
    """One call, with all that it is given; ``out`` is an array, or the name of one."""

    member: Member
    arrays: dict[str, Any]
    options: dict[str, Any]
    source: Any
    out: Any = None

    @property
    def x(self):
        """The array that y is like, or None."""
        return None if "shape" in self.options else next(iter(self.arrays.values()))

    @property
    def target(self):
        """The array that is written to, or None."""
        return self.arrays[self.out] if isinstance(self.out, str) else self.out

    @property
    def written(self):
        """The name of what is written to: "out", or that of an array."""
        return self.out if isinstance(self.out, str) else "out"

    def run(self, source=None):
        """Return (y, mask); without a source, a copy of its own one is drawn from."""
        source = copied(self.source) if source is None else source
        return self.member.run(self.arrays, self.options, source, self.target)

    def expected(self, drawn):
        """Return y and the mask as the twin says."""
        values = {name: native(array) for name, array in self.arrays.items()}
        return self.member.twin(values, self.options, drawn)

    def moved(self, place):
        """Return the same call with every array put where ``place(name, array)`` says."""
        arrays = {name: place(name, array) for name, array in self.arrays.items()}
        out = place("out", self.out) if isinstance(self.out, np.ndarray) else self.out
        return replace(self, arrays=arrays, out=out)

    def check(self):
        """Run it; compare y, the mask, where the source was left, and the backward pass."""
        drawn, source = Drawn(self.source), copied(self.source)
        expected, kept = self.expected(drawn)
        dy = None if self.x is None else native(self.x)
        y, mask = self.run(source)
        drawn.assert_left(source)
        assert self.target is None or y is self.target
        (assert_near if self.member.sums else assert_same)(y, expected)
        if mask is not None:
            assert np.array_equal(np.asarray(mask), kept)
        if isinstance(mask, fd.GaussianMask):
            assert_same(mask.backward(dy), reference.multiply(dy, kept))
        elif (
            mask is not None
            and dy is not None
            and self.member.backward is not None
            and not self.member.sums
        ):
            assert_same(
                self.member.backward(mask, dy), reference.apply(dy, kept, factor_of_mask(mask))
            )


def assert_same(actual, expected):
    """Check for equality of bits, but for those of NaN; of arrays, tuples of them, and None."""
    if expected is None:
        assert actual is None
    elif isinstance(expected, tuple):
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    else:
        assert type(actual) is np.ndarray
        assert actual.shape == expected.shape
        if expected.dtype.kind in "ub":
            assert np.array_equal(actual, expected)
        else:
            assert_same_floats(components(actual), components(expected))


def assert_near(actual, expected):
    """Check for equality but for rounding."""
    if isinstance(expected, tuple):
        for one, other in zip(actual, expected, strict=True):
            assert_near(one, other)
        return
    actual, expected = native(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    wide = np.complex128 if actual.dtype.kind == "c" else np.float64
    tolerance = 1e-2 if actual.dtype.itemsize == 2 else 1e-4
    np.testing.assert_allclose(actual.astype(wide), expected.astype(wide), tolerance, tolerance)


def ordinary(dtype, shape, seed):
    """Numbers between -1 and 1."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, shape)
    x = x + 1j * rng.uniform(-1, 1, shape) if np.dtype(dtype).kind == "c" else x
    return np.asarray(x, dtype)


# ---- by chance -----------------------------------------------------------------------------------


def shape_by_chance(random, axes, size=None):
    """A shape with as many axes; of exactly ``size`` elements, if that is given."""
    least, most = axes
    if size is None:
        return tuple(
            random.choice((0, 1, 2, 3, 5, 8, 11)) for _ in range(random.randint(least, most))
        )
    lengths = []
    for _ in range(random.randint(max(least, 1), max(most, 1)) - 1):
        lengths.append(random.choice([d for d in (1, 2, 3, 4, 5) if size % d == 0]))
        size //= lengths[-1]
    return (*lengths, size)


END = 2**64 - 2**24  # no call here takes as many positions


def source_by_chance(random, numpy=True):
    """A source somewhere in its stream, or one of NumPy's."""
    kind = random.randrange(8)
    if kind == 0 and numpy:
        bits = random.choice((np.random.PCG64, np.random.MT19937))(random.getrandbits(20))
        return fd.NumPySource(bits, draws=random.choice(("bytes", "bytes", "double", "float")))
    source = random.choice(SOURCES)(random.getrandbits(20))
    source.position = random.choice((0, 1, 63, 64, 16_300, random.getrandbits(50), END))
    return source


def laid(random, array, byte_orders=True):
    """The array in a layout by chance."""
    names = [name for name in LAYOUTS if byte_orders or "swapped" not in name]
    return LAYOUTS[random.choice(["C", *names])](array)


def ordered_as(x, array):
    """The array in x's byte order: all arrays of a call have one, as another is another dtype."""
    if array.dtype.isnative == x.dtype.isnative:
        return array
    return native(array) if x.dtype.isnative else swapped(native(array))


def out_by_chance(random, call, layouts):
    """No out, the first array, another one; or, in other layouts too, one that overlaps partly."""
    kind, x = random.randrange(6), call.x
    if kind < 2:
        return None
    if x is not None and kind == 2 and x.flags.writeable and not has_repeats(x):
        return next(iter(call.arrays))
    if x is not None and kind == 3 and layouts:
        shift = random.choice((1, 2, 15))
        room = np.empty(x.size + shift, x.dtype)
        moved, out = room[shift:].reshape(x.shape), room[:-shift].reshape(x.shape)
        moved[...] = x
        call.arrays[next(iter(call.arrays))] = moved
        return out
    layout = random.choice(list(WRITEABLE)) if layouts else "C"
    y = call.expected(Drawn(fd.Philox4x32(0)))[0] if x is None else x
    return WRITEABLE[layout](np.zeros(y.shape, y.dtype))


def has_repeats(x):
    """Does an element occur twice in memory?"""
    return any(not step and length > 1 for step, length in zip(x.strides, x.shape, strict=True))


def probability(random, shape=None, *, keeps=True, most=1.0):
    """p or keep_prob: a number, or, where a shape is given, an array that broadcasts to it.

    Gives arrays and options, of which one is empty.
    """
    name = random.choice(("p", "p", "keep_prob")) if keeps else "p"
    numbers = [number for number in NUMBERS if number <= most]
    if shape is None or random.random() < 0.6:
        return {}, {name: random.choice(numbers)}
    lengths = tuple(random.choice((1, length)) for length in shape)
    lengths = lengths[random.randint(0, len(shape)) :]
    if not lengths:
        return {}, {name: random.choice(numbers)}
    array = np.array([random.choice(numbers) for _ in range(min(math.prod(lengths), 97))])
    return {name: np.resize(array, lengths)}, {}


def training(random):
    """Mostly in training."""
    return {} if random.random() < 0.85 else {"training": False}


# ---- dropout, and masks of special shapes --------------------------------------------------------


def calling(function):
    """How a function is run that takes its arrays, and all else, by name."""

    def run(arrays, options, source, out):
        return function(**arrays, **options, rng=source, **({} if out is None else {"out": out}))

    return run


def numbers_of(values, options):
    """p and keep_prob, of which one is None."""
    given = {**options, **values}
    keep_prob = given.get("keep_prob")
    return given.get("p", 0.5) if keep_prob is None else None, keep_prob


@np.errstate(all="ignore")
def factor_of(p, keep_prob):
    """The factor of kept elements; where nothing is ever kept, nothing is multiplied."""
    present = np.asarray(1.0 - p if keep_prob is None else keep_prob, np.float64)
    return np.where(present > 0.0, 1.0 / present, 1.0)


def factor_of_mask(mask):
    # p of a keep_prob near 0 is 1, as it is of none; but what is kept is multiplied.
    return np.where(np.equal(mask.p, 1.0) & np.isinf(mask.scale), 1.0, mask.scale)


def everywhere(shape, options):
    """One decision for each element, or what the options say."""
    if "broadcast_axes" in options:
        axes = [axis % len(shape) for axis in options["broadcast_axes"]]
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    lengths = options.get("noise_shape", shape)
    full = shape[len(shape) - len(lengths) :]
    return tuple(a if b is None else b for a, b in zip(full, lengths, strict=True))


def channels_of(inner):
    """One decision for each channel, of arrays with so many axes besides."""

    def noise(shape, options):
        batch = (1, *shape) if len(shape) == inner + 1 else shape
        axis = options.get("channel_axis", 1) % len(batch)
        lengths = tuple(n if i in (0, axis) else 1 for i, n in enumerate(batch))
        return lengths[len(batch) - len(shape) :]

    return noise


def leading(count):
    """One decision for each place along the first axes."""
    return lambda shape, options: (*shape[:count], *(1,) * (len(shape) - count))


def twin_of_dropout(noise, name="x"):
    def twin(values, options, drawn):
        x = values[name]
        p, keep_prob = numbers_of(values, options)
        scale = options.get("scale", "train")
        kept = values.get("mask")
        shape = noise(x.shape, options) if kept is None else kept.shape
        if not options.get("training", True):
            present = 1.0 - p if keep_prob is None else keep_prob
            return reference.apply(x, True, present if scale == "test" else 1.0), np.ones(
                shape, bool
            )
        kept = drawn.kept(shape, p, keep_prob) if kept is None else kept
        return reference.apply(x, kept, factor_of(p, keep_prob) if scale == "train" else 1.0), kept

    return twin


def choose_dropout(random, shape):
    others, options = {}, training(random)
    kind = random.randrange(5)
    if kind == 0 and shape:
        axes = range(-len(shape), len(shape))
        options["broadcast_axes"] = [random.choice(axes)]
    elif kind == 1:
        lengths = [random.choice((1, length, None)) for length in shape]
        options["noise_shape"] = tuple(lengths[random.randint(0, len(shape)) :])
    noise = everywhere(shape, options)
    if kind == 2:
        lengths = tuple(random.choice((1, length)) for length in shape)
        bits = np.random.default_rng(random.getrandbits(20)).random(lengths) < 0.6
        others["mask"], noise = np.asarray(bits), lengths
    if random.random() < 0.3:
        options["scale"] = random.choice(("test", "none"))
    arrays, numbers = probability(random, noise)
    return {"x": shape}, others | arrays, options | numbers


def choose_channels(noise):
    def choose(random, shape):
        options = training(random)
        if random.random() < 0.3:
            options["channel_axis"] = -1
        arrays, numbers = probability(random, noise(shape, options), keeps=False)
        return {"x": shape}, arrays, options | numbers

    return choose


def choose_leading(noise, name="x"):
    def choose(random, shape):
        arrays, numbers = probability(random, noise(shape, {}), keeps=False)
        return {name: shape}, arrays, training(random) | numbers

    return choose


def twin_of_blocks(values, options, drawn):
    """Every corner takes a block of its own."""
    x, p = values["x"], options["p"]
    if not options.get("training", True):
        return x, np.ones(x.shape, bool)
    *maps, height, width = x.shape
    block = max(1, min(options["block_size"], height, width))
    rows, columns = height - block + 1, width - block + 1
    gamma = p * (height * width / max(1, block * block * rows * columns))
    kept = np.ones(x.shape, bool)
    for *place, row, column in np.argwhere(~drawn.kept((*maps, rows, columns), gamma)):
        kept[(*place, slice(row, row + block), slice(column, column + block))] = False
    return reference.apply(x, kept, kept.size / kept.sum() if kept.any() else 1.0), kept


def choose_blocks(random, shape):
    options = {"p": random.choice(NUMBERS[:6]), "block_size": random.choice((1, 2, 3, 7))}
    return {"x": shape}, {}, training(random) | options


# ---- relatives -----------------------------------------------------------------------------------


def twin_of_alpha(noise):
    def twin(values, options, drawn):
        x, p, shape = values["x"], options["p"], noise(values["x"].shape, options)
        if not options.get("training", True):
            return x, np.ones(shape, bool)
        kept = drawn.kept(shape, p)
        if p == 1:
            return np.zeros_like(x), kept
        # A p so near 1 that there is nothing between: the same order of operations counts.
        a = 1 / math.sqrt((1 - p) * (1 + p * SELU_LIMIT * SELU_LIMIT))
        return reference.affine(x, kept, a, -a * p * SELU_LIMIT, a * (1 - p) * SELU_LIMIT), kept

    return twin


def choose_alpha(noise_shapes):
    def choose(random, shape):
        options = training(random)
        if noise_shapes and random.random() < 0.3:
            options["broadcast_axes"] = [a for a in range(len(shape)) if random.random() < 0.5]
        return {"x": shape}, {}, options | probability(random, keeps=False)[1]

    return choose


def twin_of_gaussian(values, options, drawn):
    x = values["x"]
    if not options.get("training", True):
        return x, np.ones(x.shape, bool)
    words = drawn.words(x.shape)
    factors = reference.gaussian_factors(words.ravel(), options["p"]).reshape(x.shape)
    return reference.multiply(x, factors), factors


def twin_of_relu(values, options, drawn):
    x, p, bias = values["x"], options["p"], values.get("bias")
    if not options.get("training", True):
        return reference.relu(x, np.ones(x.shape, bool), 1.0, bias)
    return reference.relu(x, drawn.kept(x.shape, p), reference.scale_factor(p), bias)


def twin_of_activation(name):
    def twin(values, options, drawn):
        x, p, bias = values["x"], options["p"], values.get("bias")
        kept, factor = np.ones(x.shape, bool), 1.0
        if options.get("training", True):
            kept, factor = drawn.kept(x.shape, p), reference.scale_factor(p)
        return reference.activate(x, kept, factor, name, bias), kept

    return twin


def run_activation_backward(backward):
    def run(arrays, options, source, out):
        given = {} if out is None else {"out": out}
        bias = arrays.get("bias")
        return backward(arrays["dy"], arrays["x"], options["mask"], bias=bias, **given), None

    return run


def twin_of_activation_backward(name):
    def twin(values, options, drawn):
        kept, factor = np.asarray(options["mask"]), factor_of_mask(options["mask"])
        arrays = values["dy"], values["x"]
        return reference.activate_backward(*arrays, kept, factor, name, values.get("bias")), None

    return twin


def twin_of_norm(centered):
    def twin(values, options, drawn):
        x, p = values["x"], options["p"]
        kept, factor = np.ones(x.shape, bool), 1.0
        if options.get("training", True):
            kept, factor = drawn.kept(x.shape, p), reference.scale_factor(p)
        if not x.size:
            return x, kept
        sums = reference.joined(x, kept, factor, values["residual"], values.get("linear_bias"))
        weight, bias = values["weight"], values.get("bias")
        return reference.norm(sums, weight, bias, 1e-5, centered, x.dtype), kept

    return twin


def run_norm_backward(backward):
    """Run it; a gradient that is None is not one of these."""

    def run(arrays, options, source, out):
        before = (arrays[name] for name in ("dy", "x", "residual", "weight"))
        return (
            tuple(backward(*before, options["mask"], linear_bias=arrays["linear_bias"])),
            None,
        )

    return run


def twin_of_norm_backward(centered):
    def twin(values, options, drawn):
        x = values["x"]
        kept, factor = np.asarray(options["mask"]), factor_of_mask(options["mask"])
        number = np.float64 if x.dtype.itemsize == 8 else np.float32
        if not x.size:
            zeros = np.zeros(x.shape[-1:], number)
            return (x, x, zeros, zeros, zeros) if centered else (x, x, zeros, zeros), None
        sums = reference.joined(x, kept, factor, values["residual"], values["linear_bias"])
        gradients = reference.norm_backward(
            values["dy"], sums, kept, factor, values["weight"], None, 1e-5, centered
        )
        return gradients if centered else (*gradients[:3], gradients[4]), None

    return twin


def choose_norm(*names, rows, backward=False):
    def choose(random, shape):
        shapes = dict.fromkeys(names, shape) | dict.fromkeys(rows, shape[-1:])
        p = random.choice(NUMBERS)
        if backward:
            return shapes, {}, {"mask": fd.dropout_mask(shape, p, rng=source_by_chance(random))}
        return shapes, {}, {"p": p} | training(random)

    return choose


def twin_of_add(values, options, drawn):
    x, p, bias = values["x"], options["p"], values.get("bias")
    kept, factor = np.ones(x.shape, bool), 1.0
    if options.get("training", True):
        kept, factor = drawn.kept(x.shape, p), reference.scale_factor(p)
    return reference.add(x, kept, factor, values["residual"], bias), kept


def twin_of_zoneout(values, options, drawn):
    new, old, p = values["new"], values["old"], options["p"]
    if not options.get("training", True):
        kept = np.ones(new.shape, bool)
        return reference.add(new, kept, 1.0 - p, reference.apply(old, kept, p)), kept
    kept = drawn.kept(new.shape, p)
    return reference.select(new, kept, old), kept


def choose_plain(*names, most=1.0, bias=False):
    def choose(random, shape):
        shapes = dict.fromkeys(names, shape)
        if bias and shape and random.random() < 0.6:
            shapes["bias"] = shape[-1:]
        return shapes, {}, training(random) | probability(random, keeps=False, most=most)[1]

    return choose


def wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def twin_of_connect(values, options, drawn):
    x, weight = values["x"], values["weight"]
    p, _ = numbers_of(values, options)
    kept, factor = np.ones(weight.shape, bool), 1.0
    if options.get("training", True):
        kept, factor = drawn.kept(weight.shape, p), factor_of(p, None)
    y = wide(x) @ wide(reference.apply(weight, kept, factor)).T
    return (y + wide(values["bias"]) if "bias" in values else y).astype(x.dtype), kept


def choose_connect(random, shape):
    weight = (random.choice((0, 1, 3, 8)), shape[-1])
    shapes = {"x": shape, "weight": weight}
    if random.random() < 0.5:
        shapes["bias"] = weight[:1]
    numbers = [0.0, 0.1, 0.5, 1.0]
    if random.random() < 0.3:
        array = np.array([random.choice(numbers) for _ in range(shape[-1])])
        return shapes, {"p": array}, training(random)
    return shapes, {}, training(random) | {"p": random.choice(numbers)}


# ---- masks, booleans and the way back ------------------------------------------------------------


def run_mask(arrays, options, source, out):
    return None, fd.dropout_mask(**arrays, **options, rng=source)


def twin_of_mask(values, options, drawn):
    p, keep_prob = numbers_of(values, options)
    return None, drawn.kept(options["shape"], p, keep_prob)


def choose_mask(random, shape):
    arrays, numbers = probability(random, shape)
    return {}, arrays, {"shape": shape, "store": random.choice(("auto", "bits"))} | numbers


def run_bernoulli(arrays, options, source, out):
    return calling(fd.bernoulli)(arrays, options, source, out), None


def twin_of_bernoulli(values, options, drawn):
    chosen = ~drawn.kept(options["shape"], values.get("p", options.get("p")))
    packed = options.get("packed", False)
    return reference.pack(chosen) if packed else chosen.astype(options.get("dtype", bool)), None


def choose_bernoulli(random, shape):
    arrays, numbers = probability(random, shape, keeps=False)
    options = random.choice(({}, {"packed": True}, {"dtype": np.uint8}))
    return {}, arrays, {"shape": shape} | options | numbers


def run_backward(arrays, options, source, out):
    return fd.dropout_backward(arrays["dy"], options["mask"], out=out), None


def twin_of_backward(values, options, drawn):
    dy, mask = values["dy"], options["mask"]
    if isinstance(mask, fd.GaussianMask):
        return reference.multiply(dy, np.asarray(mask)), None
    return reference.apply(dy, np.asarray(mask), factor_of_mask(mask)), None


def choose_backward(random, shape):
    """A mask of every kind: seeded, packed, of several p, a window, and Gaussian ones."""
    source = source_by_chance(random)
    kind = random.randrange(4)
    if kind == 0:
        _, mask = fd.gaussian_dropout(np.zeros(shape), 0.3, rng=source)
    elif kind == 1 and shape:
        wider = (*shape[:-1], 2 * shape[-1])
        mask = fd.dropout_mask(wider, 0.3, rng=source)[..., ::-2]
    else:
        noise = tuple(random.choice((1, length, length)) for length in shape)
        arrays, numbers = probability(random, noise)
        mask = fd.dropout_mask(noise, **arrays, **numbers, rng=source)
    return {"dy": shape}, {}, {"mask": mask.packed() if kind == 3 else mask}


def run_zoneout_backward(arrays, options, source, out):
    return fd.zoneout_backward(arrays["dy"], options["mask"]), None


def twin_of_zoneout_backward(values, options, drawn):
    dy, kept = values["dy"], np.asarray(options["mask"])
    zero = np.zeros_like(dy)
    return (reference.select(dy, kept, zero), reference.select(zero, kept, dy)), None


def choose_zoneout_backward(random, shape):
    new = np.zeros(shape, np.float32)
    _, mask = fd.zoneout(new, new, 0.3, rng=source_by_chance(random))
    return {"dy": shape}, {}, {"mask": mask}


def run_connect_backward(arrays, options, source, out):
    return fd.drop_connect_backward(**arrays, mask=options["mask"]), None


def twin_of_connect_backward(values, options, drawn):
    dy, x, weight = (wide(values[name]) for name in ("dy", "x", "weight"))
    mask = options["mask"]
    rows = math.prod(dy.shape[:-1])
    flat, flat_x = dy.reshape(rows, dy.shape[-1]), x.reshape(rows, x.shape[-1])
    dropped = reference.apply(weight, np.asarray(mask), factor_of_mask(mask))
    dweight = reference.apply(flat.T @ flat_x.conj(), np.asarray(mask), factor_of_mask(mask))
    return (dy @ dropped.conj(), dweight, flat.sum(axis=0)), None


def choose_connect_backward(random, shape):
    weight = (shape[-1], random.choice((1, 3, 8)))
    mask = fd.dropout_mask(weight, 0.3, rng=source_by_chance(random))
    return {"dy": shape, "x": (*shape[:-1], weight[1]), "weight": weight}, {}, {"mask": mask}


def run_prediction(arrays, options, source, out):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "all 2 samples are alike")  # of few elements they may be
        return tuple(fd.mc_predict(fd.Dropout(options["p"], rng=source), arrays["x"], 2)), None


def twin_of_prediction(values, options, drawn):
    x = values["x"]
    samples = np.stack(
        [reference.apply(x, drawn.kept(x.shape, options["p"]), 2.0) for _ in range(2)]
    )
    return (wide(samples).mean(axis=0), wide(samples).std(axis=0), samples), None


def choose_prediction(random, shape):
    return {"x": shape}, {}, {"p": 0.5}


# ---- layers --------------------------------------------------------------------------------------


def as_layer(layer, function):
    """The member of a layer, which takes what it can of what its function takes."""
    names = set(inspect.signature(layer).parameters)
    member = MEMBERS[function]

    def run(arrays, options, source, out):
        given = arrays | options
        settings = {name: value for name, value in given.items() if name in names}
        made = layer(**settings, rng=source).train(options.get("training", True))
        biases = {"bias", "linear_bias"} - names
        inputs = [array for name, array in arrays.items() if name not in names | biases]
        others = {name: given[name] for name in biases & set(given)}
        y = made(*inputs, **others, **({} if out is None else {"out": out}))
        return y, made.mask

    def choose(random, shape):
        shapes, others, options = member.choose(random, shape)
        known = {*names, *shapes, "training"}
        unknown = [name for name in {**others, **options} if name not in known]
        return choose(random, shape) if unknown else (shapes, others, options)

    return replace(member, run=run, choose=choose)


MEMBERS = {
    "dropout": Member(calling(fd.dropout), twin_of_dropout(everywhere), choose_dropout),
    **{
        name: Member(
            calling(getattr(fd, name)),
            twin_of_dropout(channels_of(inner)),
            choose_channels(channels_of(inner)),
            (inner + 1, inner + 2),
        )
        for inner, name in enumerate(("dropout1d", "dropout2d", "dropout3d"), 1)
    },
    "drop_path": Member(
        calling(fd.drop_path), twin_of_dropout(leading(1)), choose_leading(leading(1)), (1, 4)
    ),
    "embedding_dropout": Member(
        calling(fd.embedding_dropout),
        twin_of_dropout(leading(1), "weight"),
        choose_leading(leading(1), "weight"),
        (2, 2),
    ),
    "drop_block2d": Member(calling(fd.drop_block2d), twin_of_blocks, choose_blocks, (3, 4)),
    "alpha_dropout": Member(
        calling(fd.alpha_dropout), twin_of_alpha(everywhere), choose_alpha(True), dtypes=DTYPES
    ),
    "feature_alpha_dropout": Member(
        calling(fd.feature_alpha_dropout),
        twin_of_alpha(leading(2)),
        choose_alpha(False),
        (2, 4),
        DTYPES,
    ),
    "gaussian_dropout": Member(
        calling(fd.gaussian_dropout), twin_of_gaussian, choose_plain("x", most=0.95)
    ),
    "relu_dropout": Member(
        calling(fd.relu_dropout), twin_of_relu, choose_plain("x", bias=True), dtypes=DTYPES
    ),
    "gelu_dropout": Member(
        calling(fd.gelu_dropout),
        twin_of_activation("gelu"),
        choose_plain("x", bias=True),
        dtypes=DTYPES,
        backward=None,
    ),
    "silu_dropout": Member(
        calling(fd.silu_dropout),
        twin_of_activation("silu"),
        choose_plain("x", bias=True),
        dtypes=DTYPES,
        backward=None,
    ),
    "gelu_dropout_backward": Member(
        run_activation_backward(fd.gelu_dropout_backward),
        twin_of_activation_backward("gelu"),
        choose_norm("x", "dy", rows=(), backward=True),
        dtypes=DTYPES,
    ),
    "silu_dropout_backward": Member(
        run_activation_backward(fd.silu_dropout_backward),
        twin_of_activation_backward("silu"),
        choose_norm("x", "dy", rows=(), backward=True),
        dtypes=DTYPES,
    ),
    "dropout_add_layer_norm": Member(
        calling(fd.dropout_add_layer_norm),
        twin_of_norm(True),
        choose_norm("x", "residual", rows=("weight", "bias", "linear_bias")),
        (1, 4),
        dtypes=DTYPES,
        backward=None,
    ),
    "dropout_add_rms_norm": Member(
        calling(fd.dropout_add_rms_norm),
        twin_of_norm(False),
        choose_norm("x", "residual", rows=("weight", "linear_bias")),
        (1, 4),
        dtypes=DTYPES,
        backward=None,
    ),
    "dropout_add_layer_norm_backward": Member(
        run_norm_backward(fd.dropout_add_layer_norm_backward),
        twin_of_norm_backward(True),
        choose_norm("x", "residual", "dy", rows=("weight", "linear_bias"), backward=True),
        (1, 4),
        dtypes=DTYPES,
        has_out=False,
    ),
    "dropout_add_rms_norm_backward": Member(
        run_norm_backward(fd.dropout_add_rms_norm_backward),
        twin_of_norm_backward(False),
        choose_norm("x", "residual", "dy", rows=("weight", "linear_bias"), backward=True),
        (1, 4),
        dtypes=DTYPES,
        has_out=False,
    ),
    "dropout_add": Member(
        calling(fd.dropout_add), twin_of_add, choose_plain("x", "residual", bias=True)
    ),
    "zoneout": Member(
        calling(fd.zoneout),
        twin_of_zoneout,
        choose_plain("new", "old"),
        backward=lambda mask, dy: fd.zoneout_backward(dy, mask)[0],
    ),
    "drop_connect": Member(
        calling(fd.drop_connect), twin_of_connect, choose_connect, (1, 3), has_out=False, sums=True
    ),
    "dropout_mask": Member(run_mask, twin_of_mask, choose_mask, has_out=False),
    "bernoulli": Member(run_bernoulli, twin_of_bernoulli, choose_bernoulli),
    "dropout_backward": Member(run_backward, twin_of_backward, choose_backward),
    "zoneout_backward": Member(
        run_zoneout_backward, twin_of_zoneout_backward, choose_zoneout_backward, has_out=False
    ),
    "drop_connect_backward": Member(
        run_connect_backward,
        twin_of_connect_backward,
        choose_connect_backward,
        (1, 3),
        has_out=False,
        sums=True,
    ),
    "mc_predict": Member(
        run_prediction, twin_of_prediction, choose_prediction, has_out=False, sums=True
    ),
}
MEMBERS |= {
    layer: as_layer(getattr(fd, layer), function)
    for layer, function in {
        "AlphaDropout": "alpha_dropout",
        "DropBlock2d": "drop_block2d",
        "DropConnect": "drop_connect",
        "DropPath": "drop_path",
        "Dropout": "dropout",
        "Dropout1d": "dropout1d",
        "Dropout2d": "dropout2d",
        "Dropout3d": "dropout3d",
        "DropoutAdd": "dropout_add",
        "DropoutAddLayerNorm": "dropout_add_layer_norm",
        "DropoutAddRMSNorm": "dropout_add_rms_norm",
        "EmbeddingDropout": "embedding_dropout",
        "FeatureAlphaDropout": "feature_alpha_dropout",
        "GaussianDropout": "gaussian_dropout",
        "GELUDropout": "gelu_dropout",
        "ReLUDropout": "relu_dropout",
        "SiLUDropout": "silu_dropout",
        "Zoneout": "zoneout",
    }.items()
}
# These layers take no bias.
for _name in ("GELUDropout", "ReLUDropout", "SiLUDropout"):
    MEMBERS[_name] = replace(MEMBERS[_name], choose=choose_plain("x"))
