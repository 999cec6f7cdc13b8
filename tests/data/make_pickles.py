# SPDX-License-Identifier: BSD-3-Clause
"""Make pickles_v1.json: pickled masks, sources and layers, and what each of them gives.

It was run once, by the commit that the file names. The pickles are frozen, since every later
version must load them. Run it for a new way of pickling alone, into a file of another number:
``python tests/data/make_pickles.py 2 <commit>``.
"""

import base64
import hashlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np

import fastdrop as fd

SHAPE = (4, 10)
X = np.arange(1.0, 41.0).reshape(SHAPE)
P = np.linspace(0.0, 1.0, 40).reshape(SHAPE)
SOURCES = ("Xoshiro256PlusPlus", "Xorshift128Plus", "Philox4x32")
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "SFC64", "MT19937", "Philox")


def source_of(name, position=11):
    source = getattr(fd, name)(7)
    source.position = position
    return source


def masks():
    """Masks of every kind: seeded, packed, windows, broadcast, and with arrays of numbers."""
    mask = fd.dropout_mask
    for name in SOURCES:
        yield f"seeded, {name}", mask(SHAPE, 0.3, rng=source_of(name))
        yield f"packed, {name}", mask(SHAPE, 0.3, rng=source_of(name), store="bits")
        yield f"of words, {name}", mask(9, 1 / 3, rng=getattr(fd, name)(key=3, counter=2**128 - 3))
        yield f"at the end, {name}", mask(9, 0.1, rng=source_of(name, 2**64 - 10))
    for name in BIT_GENERATORS:
        yield f"of {name}", mask(SHAPE, 0.3, rng=getattr(np.random, name)(7))
    for draws in ("bytes", "double", "float"):
        source = fd.NumPySource(np.random.PCG64(7), draws=draws)
        yield f"of {draws}", mask(SHAPE, 0.3, rng=source)
    for p in (0.0, 0.5, 1.0, 1e-4):
        yield f"p {p}", mask(SHAPE, p, rng=7)
        yield f"p {p}, packed", mask(SHAPE, p, rng=7, store="bits")
    yield "keep_prob", mask(SHAPE, keep_prob=0.1, rng=7)
    yield "keep_prob, smallest", mask(SHAPE, keep_prob=5e-324, rng=7)
    yield "without axes", mask((), 0.3, rng=7)
    yield "without axes, packed", mask((), 0.3, rng=7, store="bits")
    yield "empty", mask((0, 3), 0.3, rng=7)
    yield "empty, packed", mask((0, 3), 0.3, rng=7, store="bits")
    yield "window", mask((8, 30), 0.3, rng=7)[::-2, 1::3]
    yield "window of rows", mask((8, 30), 0.3, rng=7)[2:6]
    yield "window of a window", mask((8, 30, 4), 0.3, rng=7)[::2, 5:, 1][1, ::-3]
    yield "packed window", mask((8, 30), 0.3, rng=7, store="bits")[::-2, 1::3]
    yield "rows", fd.dropout(X, 0.3, rng=7, noise_shape=(None, 1))[1]
    yield "columns", fd.dropout(X, 0.3, rng=7, broadcast_axes=0)[1]
    yield "array", mask(SHAPE, P, rng=7)
    yield "array for rows", mask(SHAPE, P[:, :1], rng=7)
    yield "array for columns", mask(SHAPE, keep_prob=P[0], rng=7)
    yield "array, of NumPy", mask(SHAPE, P, rng=np.random.default_rng(7))
    yield "array, window", mask((4, 30), np.repeat(P, 3, 1), rng=7)[:, ::3]
    yield "array, unscaled", fd.dropout(X, P, rng=7, scale="none")[1]
    yield "array, evaluated", fd.dropout(X, P, training=False, scale="test")[1]
    yield "evaluated", fd.dropout(X, 0.3, training=False)[1]
    yield "evaluated, as in the paper", fd.dropout(X, 0.3, training=False, scale="test")[1]
    yield "unscaled", fd.dropout(X, 0.3, rng=7, scale="none")[1]
    yield "bools", fd.dropout(X, 0.3, mask=X % 3 > 0)[1]
    yield "blocks", fd.drop_block2d(X.reshape(1, *SHAPE), 0.2, block_size=2, rng=7)[1][0]
    yield "relu", fd.relu_dropout(X - 20, 0.3, rng=7)[1]
    yield "alpha", fd.alpha_dropout(X, 0.3, rng=7)[1]
    yield "zoneout", fd.zoneout(X, -X, 0.3, rng=7)[1]


def factors():
    """Masks of Gaussian dropout."""
    for name in SOURCES:
        yield f"seeded, {name}", fd.gaussian_dropout(X, 0.3, rng=source_of(name))[1]
    for name in BIT_GENERATORS:
        yield f"of {name}", fd.gaussian_dropout(X, 0.3, rng=getattr(np.random, name)(7))[1]
    whole = fd.gaussian_dropout(np.ones((8, 30)), 0.3, rng=7)[1]
    yield "window", whole[::-2, 1::3]
    yield "window of rows", whole[2:6]
    yield "without axes", fd.gaussian_dropout(1.0, 0.3, rng=7)[1]
    yield "empty", fd.gaussian_dropout(np.ones((0, 3)), 0.3, rng=7)[1]
    yield "evaluated", fd.gaussian_dropout(X, 0.3, training=False)[1]


def sources():
    """Sources of every kind; what NumPy's generators pickle is NumPy's affair."""
    for name in SOURCES:
        yield name, source_of(name)
        yield f"{name} of words", getattr(fd, name)(key=3, counter=2**128 - 3)
        yield f"{name}, spawned", getattr(fd, name)(7).spawn(2)[1]
        yield f"{name}, jumped", source_of(name, 2**63 + 5).jumped(2**40)
        yield f"Generator of {name}", np.random.Generator(source_of(name))
    for draws in ("bytes", "double", "float"):
        yield f"NumPySource, {draws}", fd.NumPySource(np.random.PCG64(7), draws=draws)


def layers():
    """Layers that have been called once."""
    made = [
        fd.Dropout(0.3, rng=7),
        fd.Dropout(P, rng=7),
        fd.Dropout(0.3, noise_shape=(None, 1), rng=source_of("Philox4x32")),
        fd.Dropout1d(0.3, rng=np.random.default_rng(7)),
        fd.DropPath(0.3, rng=7),
        fd.AlphaDropout(0.3, rng=7),
        fd.FeatureAlphaDropout(0.3, rng=7),
        fd.GaussianDropout(0.3, rng=7),
        fd.ReLUDropout(0.3, rng=7),
        fd.EmbeddingDropout(0.3, rng=7),
        fd.DropConnect(X[:3].copy(), 0.3, rng=7),
        fd.Zoneout(0.3, rng=7),
        fd.DropoutAdd(0.3, rng=7),
    ]
    for number, layer in enumerate(made):
        layer(*inputs(layer))
        yield f"{type(layer).__name__} {number}", layer


def inputs(layer):
    """Return what such a layer is called with."""
    return (X, -X) if isinstance(layer, (fd.Zoneout, fd.DropoutAdd)) else (X,)


def digest(array):
    """Return the SHA-256 of an array's bytes, little endian."""
    array = np.asarray(array)
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def given_by(value):
    """Return what a value gives, as what JSON can hold."""
    if isinstance(value, (fd.Mask, fd.GaussianMask)):
        numbers = [value.p, value.scale] if isinstance(value, fd.Mask) else [value.p]
        return [
            list(value.shape),
            value.nbytes,
            [[np.shape(number), digest(np.float64(number))] for number in numbers],
            digest(value),
            digest(value.apply(np.arange(1.0, value.size + 1).reshape(value.shape))),
        ]
    if isinstance(value, np.random.Generator):
        return digest(value.random(5))
    if isinstance(value, (np.random.BitGenerator, fd.NumPySource)):
        place = [value.key, value.counter, value.position] if hasattr(value, "key") else []
        return [place, digest(fd.dropout_mask(100, 0.3, rng=value))]
    mask = given_by(value.mask)
    return [mask, [digest(value(*inputs(value))) for _ in range(2)]]


def main(number, commit):
    """Write the file."""
    values = {
        kind.__name__: {
            name: {
                "pickle": base64.b64encode(pickle.dumps(value, 4)).decode(),
                "gives": given_by(value),
            }
            for name, value in kind()
        }
        for kind in (masks, factors, sources, layers)
    }
    file = Path(__file__).with_name(f"pickles_v{number}.json")
    file.write_text(json.dumps({"commit": commit, "numpy": np.__version__} | values, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
