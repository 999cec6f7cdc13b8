# SPDX-License-Identifier: BSD-3-Clause
"""Masks, sources and layers of every kind, made anew and the same each time, and all their uses."""

import contextlib
import copy
import pickle

import numpy as np
from helpers import SOURCES

import fastdrop as fd

SHAPE = (4, 10)
X = np.arange(1.0, 41.0).reshape(SHAPE)
P = np.linspace(0.0, 1.0, 40).reshape(SHAPE)


def numpy_rng():
    return np.random.default_rng(1)


def after_a_call(layer, *arrays):
    layer(*map(np.copy, arrays))  # some keep them
    return layer


MASKS = {
    "seeded": lambda: fd.dropout_mask(SHAPE, 0.3, rng=1),
    "packed": lambda: fd.dropout_mask(SHAPE, 0.3, rng=1, store="bits"),
    "of NumPy": lambda: fd.dropout_mask(SHAPE, 0.3, rng=numpy_rng()),
    "of arrays": lambda: fd.dropout_mask(SHAPE, P, rng=1),
    "of rows": lambda: fd.dropout_mask(SHAPE, P[:, :1], rng=1),
    "of keep_prob": lambda: fd.dropout(X, keep_prob=P[0], rng=1)[1],
    "unscaled": lambda: fd.dropout(X, P, rng=1, scale="none")[1],
    "of bools": lambda: fd.dropout(X, P, mask=X % 3 > 0)[1],
    "of blocks": lambda: fd.drop_block2d(X.reshape(1, *SHAPE), 0.2, block_size=2, rng=1)[1][0],
    "of relu": lambda: fd.relu_dropout(X - 20, 0.3, rng=1)[1],
    "of zoneout": lambda: fd.zoneout(X, -X, 0.3, rng=1)[1],
    "of zoneout, evaluated": lambda: fd.zoneout(X, -X, 0.3, training=False)[1],
    "evaluated": lambda: fd.dropout(X, P, training=False, scale="test")[1],
    "window": lambda: fd.dropout_mask((8, 30), 0.3, rng=1)[::-2, 1::3],
    "packed window": lambda: fd.dropout_mask((8, 30), 0.3, rng=1).packed()[::-2, 1::3],
    "window of arrays": lambda: fd.dropout_mask((4, 30), np.repeat(P, 3, 1), rng=1)[:, ::3],
}
FACTORS = {
    "factors, seeded": lambda: fd.gaussian_dropout(X, 0.3, rng=1)[1],
    "factors, stored": lambda: fd.gaussian_dropout(X, 0.3, rng=numpy_rng())[1],
    "factors, window": lambda: fd.gaussian_dropout(np.ones((8, 30)), 0.3, rng=1)[1][::-2, 1::3],
}
GENERATORS = {
    **{cls.__name__: lambda cls=cls: cls(7) for cls in SOURCES},
    "a child": lambda: fd.Xoshiro256PlusPlus(7).spawn(2)[1],
    "NumPySource": lambda: fd.NumPySource(np.random.PCG64(7), draws="double"),
}
LAYERS = {
    "Dropout": lambda: after_a_call(fd.Dropout(P, rng=1), X),
    "Dropout of rows": lambda: after_a_call(fd.Dropout(0.3, noise_shape=(None, 1), rng=1), X),
    "Dropout1d": lambda: after_a_call(fd.Dropout1d(0.3, rng=numpy_rng()), X),
    "DropPath": lambda: after_a_call(fd.DropPath(P[:, :1], rng=1), X),
    "AlphaDropout": lambda: after_a_call(fd.AlphaDropout(0.3, rng=1), X),
    "GaussianDropout": lambda: after_a_call(fd.GaussianDropout(0.3, rng=numpy_rng()), X),
    "ReLUDropout": lambda: after_a_call(fd.ReLUDropout(0.3, rng=1), X),
    "Zoneout": lambda: after_a_call(fd.Zoneout(0.3, rng=1), X, X),
    "DropoutAdd": lambda: after_a_call(fd.DropoutAdd(0.3, rng=1), X, X),
    "GELUDropout": lambda: after_a_call(fd.GELUDropout(0.3, rng=1), X),
    "SiLUDropout": lambda: after_a_call(fd.SiLUDropout(0.3, rng=1), X),
    "DropoutAddLayerNorm": lambda: after_a_call(
        fd.DropoutAddLayerNorm(X[0].copy(), X[1].copy(), 0.3, rng=1), X, X
    ),
    "DropoutAddRMSNorm": lambda: after_a_call(fd.DropoutAddRMSNorm(X[0].copy(), 0.3, rng=1), X, X),
    "DropConnect": lambda: after_a_call(fd.DropConnect(X[:3].copy(), 0.5, rng=1), X),
}
VALUES = MASKS | FACTORS | GENERATORS | LAYERS


def uses_of_mask(mask):
    """All that is done with a mask of that shape, each a function."""
    yield lambda: np.asarray(mask)
    yield lambda: np.asarray(mask, np.float32)
    for x in (X, X.astype(np.float16), X.astype(np.complex64), np.asfortranarray(X), X[None]):
        yield lambda x=x: mask.apply(x)
    yield lambda: mask.backward(X)
    yield lambda: fd.dropout_backward(np.resize(X, mask.shape), mask)
    windows = (..., 1, np.s_[..., 2], np.s_[1:], np.s_[..., ::-2], np.s_[::-1, 3:], np.s_[:0])
    for window in windows:
        yield lambda window=window: np.asarray(mask[window])
        yield lambda window=window: mask[window].apply(X[window])
    for name in ("shape", "size", "p", "scale", "nbytes", "bits", "deviation"):
        yield lambda name=name: getattr(mask, name)
    yield lambda: mask.packed().bits
    yield lambda: mask.packed()[..., 1:].apply(X[..., 1:])
    yield lambda: mask == copy.deepcopy(mask)
    yield lambda: mask == pickle.loads(pickle.dumps(mask))
    yield lambda: repr(mask)
    yield lambda: len(mask)
    yield lambda: fd.dropout(X, mask=mask, scale="none")[0]
    yield lambda: fd.dropout(X, mask=mask, training=False, scale="test")[0]
    yield lambda: fd.zoneout_backward(X, mask)
    yield lambda: fd.drop_connect_backward(X[:, :4], X, X, mask)[0]


def uses_of_generator(source):
    yield lambda: fd.dropout(X, 0.3, rng=source)[0]
    yield lambda: fd.gaussian_dropout(X, 0.3, rng=source)[0]
    yield lambda: fd.bernoulli(40, P.ravel(), rng=source)
    yield lambda: source.random_raw(3)
    yield lambda: np.random.Generator(source).random(3)
    yield lambda: source.state
    yield lambda: [source.key, source.counter, source.position, source.seed_seq.entropy]
    yield lambda: source.jumped().key
    yield lambda: source.spawn(1)[0].key
    yield lambda: repr(source)
    yield lambda: fd.dropout(X, 0.3, rng=copy.deepcopy(source))[0]
    yield lambda: fd.dropout(X, 0.3, rng=pickle.loads(pickle.dumps(source)))[0]


def uses_of_layer(layer):
    two = (fd.Zoneout, fd.DropoutAdd, fd.DropoutAddLayerNorm, fd.DropoutAddRMSNorm)
    inputs = (X, X) if isinstance(layer, two) else (X,)
    dy = X[:, :3] if isinstance(layer, fd.DropConnect) else X
    yield lambda: layer.backward(dy)
    yield lambda: layer(*inputs)
    yield lambda: layer.backward(dy)
    yield lambda: repr(layer)
    yield lambda: copy.deepcopy(layer)(*inputs)
    yield lambda: pickle.loads(pickle.dumps(layer))(*inputs)
    yield lambda: layer.eval()(*inputs)


def uses_of(value):
    """All that is done with a value, in order."""
    if isinstance(value, (fd.Mask, fd.GaussianMask)):
        return uses_of_mask(value)
    if isinstance(value, (np.random.BitGenerator, fd.NumPySource)):
        return uses_of_generator(value)
    return uses_of_layer(value)


def used(value, errors):
    """What all uses of a value give, errors included."""
    results = []
    for use in uses_of(value):
        result = "an error"
        with contextlib.suppress(*errors):
            result = plain(use())
        results.append(result)
    return results


def plain(result):
    """The same as what can be compared with ``==``."""
    if isinstance(result, np.ndarray):
        return result.shape, result.dtype.str, result.tobytes()
    if isinstance(result, (tuple, list)):
        return [plain(one) for one in result]
    if isinstance(result, dict):
        return {name: plain(one) for name, one in result.items()}
    return result
