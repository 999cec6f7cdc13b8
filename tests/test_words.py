# SPDX-License-Identifier: BSD-3-Clause
"""A word that went, or that another library has, is an error that says the right one."""

import inspect
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import signatures

import fastdrop as fd
from fastdrop import functional, layers

X = np.ones((2, 3, 4, 5))
SQUARE = np.ones((5, 5))

# What each function needs before its words.
ARRAYS = {
    "dropout1d": (X[0],),
    "dropout3d": (X,),
    "embedding_dropout": (SQUARE,),
    "drop_connect": (SQUARE, SQUARE),
    "dropout_add": (X, X),
    "dropout_add_layer_norm": (X, X, None, None),
    "dropout_add_rms_norm": (X, X, None),
    "zoneout": (X, X),
    "dropout_mask": ((2, 3),),
    "exact_mask": ((2, 3),),
    "symmetric_mask": (3,),
    "bernoulli": ((2, 3),),
}
# What layers are made of, before p.
PARTS = {
    "DropConnect": (SQUARE,),
    "DropoutAddLayerNorm": (None, None),
    "DropoutAddRMSNorm": (None,),
}
FUNCTIONS = [
    name for name in functional.__all__ if "rng" in inspect.signature(getattr(fd, name)).parameters
]
WITH_NOISE_SHAPE = {"dropout", "dropout_mask", "Dropout"}
WITH_KEEP_PROB = WITH_NOISE_SHAPE | {"dropout_add_layer_norm", "dropout_add_rms_norm"}
SHARING = {
    "gaussian_dropout",
    "GaussianDropout",
    *("dropout", "dropout_mask", "alpha_dropout", "dropout_add", "zoneout"),
    *("Dropout", "AlphaDropout", "DropoutAdd", "Zoneout"),
}
WITH_P = {
    *("drop_path", "drop_block2d", "drop_connect", "embedding_dropout", "gaussian_dropout"),
    *("zoneout", "DropPath", "DropBlock2d", "DropConnect", "EmbeddingDropout", "GaussianDropout"),
    *("Zoneout", "bernoulli"),
}
PEERS = {
    "rate": "p",
    "prob": "p",
    "drop_prob": "p",
    "seed": "rng",
    "random_state": "rng",
    "generator": "rng",
}


def called(name, **words):
    """A call of a function with p and words, from a source that must not advance."""
    source = fd.Philox4x32(1)
    try:
        getattr(fd, name)(*ARRAYS.get(name, (X,)), 0.5, **({"rng": source} | words))
    finally:
        assert source.position == 0


def made(name, **words):
    """A call of the constructor of a layer."""
    return getattr(fd, name)(*PARTS.get(name, ()), 0.5, **words)


EVERY = [(name, called) for name in FUNCTIONS] + [(name, made) for name in layers.__all__]
every = pytest.mark.parametrize(("name", "use"), EVERY, ids=[name for name, _ in EVERY])


@every
def test_words_of_peers(name, use):
    for word, right in PEERS.items():
        with pytest.raises(
            TypeError,
            match=rf"^{name}\(\) has no argument {word}=0\.25: it is called {right} here$",
        ):
            use(name, **{word: 0.25})


@every
def test_words_that_went(name, use):
    if name not in WITH_KEEP_PROB:
        with pytest.raises(TypeError, match=r"keep_prob=0\.8: .* p here, and p is 1 - keep_prob$"):
            use(name, keep_prob=0.8)
    if name not in WITH_NOISE_SHAPE:
        right = "it is called broadcast_axes here, and" if name in SHARING else "it has "
        with pytest.raises(TypeError, match=rf"noise_shape=\(2, 1\): {right}"):
            use(name, noise_shape=(2, 1))


@every
def test_which_words_there_are(name, use):
    parameters = inspect.signature(getattr(fd, name)).parameters
    assert ("keep_prob" in parameters) == (name in WITH_KEEP_PROB)
    assert ("noise_shape" in parameters) == (name in WITH_NOISE_SHAPE)
    assert ("broadcast_axes" in parameters) == (name in SHARING)
    assert (parameters["p"].default is inspect.Parameter.empty) == (name in WITH_P)
    assert not {"late", "words"} & set(parameters)


@every
def test_p_is_required(name, use):
    if name not in WITH_P:
        return
    parts = PARTS.get(name, ())
    with pytest.raises(TypeError, match=r"^p must be given; it is missing$|'p'"):
        getattr(fd, name)(*(parts if use is made else ARRAYS.get(name, (X,))), rng=1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_missing(name):
    """The word of a peer is explained first, also where it leaves an argument without a value."""
    source, function = fd.Philox4x32(1), getattr(fd, name)
    parameters = inspect.signature(function).parameters
    required = [own for own, each in parameters.items() if each.default is each.empty]
    with pytest.raises(TypeError, match=rf"^{name}\(\) .* rate=0\.5: it is called p here$"):
        function(rate=0.5, rng=source)
    if "x" in parameters:
        with pytest.raises(TypeError, match=rf"^{name}\(\) .* input=1: it is called x here$"):
            function(input=1, rng=source)
    arrays = ARRAYS.get(name, (X,))
    for index in range(len(required)):
        with pytest.raises(TypeError, match=r"^\w+ must be given; it is missing$"):
            function(*arrays[:index], rng=source)
    assert source.position == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_training_by_position(name):
    source, arrays = fd.Philox4x32(1), ARRAYS.get(name, (X,))
    with pytest.raises(
        TypeError, match=rf"^{name}\(\) takes only .* by position: give True by name"
    ):
        getattr(fd, name)(*arrays, 0.5, True, rng=source)
    assert source.position == 0


@every
def test_unknown_words(name, use):
    known = ", ".join(inspect.signature(getattr(fd, name)).parameters)
    with pytest.raises(TypeError, match=rf"^{name}\(\) has no argument wrong=1: it has "):
        use(name, wrong=1)
    with pytest.raises(TypeError, match=re.escape(known)):
        use(name, wrong=1)


def test_words_of_other_places():
    with pytest.raises(TypeError, match=r"^bernoulli\(\) has no argument size=3: .* shape here$"):
        fd.bernoulli(3, 0.5, size=3)
    for call in (lambda: fd.dropout_mask(size=3), lambda: fd.bernoulli(size=3, p=0.5)):
        with pytest.raises(TypeError, match=r"has no argument size=3: it is called shape here$"):
            call()
    with pytest.raises(TypeError, match="it is called out here, and takes the array to write into"):
        fd.dropout(X, inplace=True)
    with pytest.raises(TypeError, match="bias=bias"):
        fd.DropoutAdd(0.5, bias=np.ones(5))
    for name in layers.__all__:
        with pytest.raises(TypeError, match=r" training=False: .* methods train and eval"):
            made(name, training=False)
        arrays = (X, X) if name.startswith(("Zoneout", "DropoutAdd")) else (X,)
        with pytest.raises(TypeError, match=r" training=False: .* methods train and eval"):
            made(name)(*arrays, training=False)


def test_layers_of_users_have_their_own_words():
    class Own(fd.Dropout):
        def __init__(self, rate, seed):
            super().__init__(rate, rng=seed)

    assert Own(rate=0.25, seed=1).p == 0.25


def test_masks_of_shared_decisions():
    for words, shape in (
        ({"noise_shape": (None, 1)}, (4, 1)),
        ({"noise_shape": ()}, ()),
        ({"broadcast_axes": 0}, (1, 6)),
        ({"broadcast_axes": (-1, 0)}, (1, 1)),
    ):
        mask = fd.dropout_mask((4, 6), 0.3, rng=1, **words)
        assert mask == fd.dropout_mask(shape, 0.3, rng=1)
        assert mask == fd.dropout(np.ones((4, 6)), 0.3, rng=1, **words)[1]
    with pytest.raises(TypeError, match="broadcast_axes=0 and noise_shape="):
        fd.dropout_mask((4, 6), noise_shape=(4, 1), broadcast_axes=0)
    with pytest.raises(ValueError, match="noise_shape"):
        fd.dropout_mask((4, 6), noise_shape=(3, 1))


@pytest.mark.parametrize("keep_prob", [0.8, np.linspace(0, 1, 5)])
def test_a_layer_of_keep_prob(keep_prob):
    layer = fd.Dropout(keep_prob=keep_prob, rng=1)
    assert layer.p is None
    assert "keep_prob=" in repr(layer)
    source = fd.Xoshiro256PlusPlus(1)
    for _ in range(2):
        y, mask = fd.dropout(X, keep_prob=keep_prob, rng=source)
        assert np.array_equal(layer(X), y)
        assert layer.mask == mask
    with pytest.raises(TypeError, match=r"p=0\.2 and keep_prob="):
        fd.Dropout(0.2, keep_prob=keep_prob)
    with pytest.raises(ValueError, match=r"keep_prob must .*, not 1\.5"):
        fd.Dropout(keep_prob=1.5)


# ---- what is public ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", fd.__all__)
def test_public_objects_say_where_they_are_imported_from(name):
    value = getattr(fd, name)
    assert (value.__module__, value.__name__, value.__qualname__) == ("fastdrop", name, name)
    assert pickle.loads(pickle.dumps(value)) is value
    assert repr(value).startswith(("<class 'fastdrop." + name, "<function " + name))


@pytest.mark.parametrize("base", [fd.NumPySource, fd.Source, fd.Philox4x32])
def test_users_classes_of_sources_are_of_their_own_modules(base):
    class Own(base):
        pass

    assert (Own.__module__, base.__module__) == (__name__, "fastdrop")


def test_what_loads_on_first_use():
    code = (
        "import sys, fastdrop as fd\n"
        "assert 'fastdrop.torch' not in sys.modules and 'fastdrop.typing' not in sys.modules\n"
        "assert {'torch', 'typing'} <= set(dir(fd))\n"
        "assert fd.typing.RNGLike is not None\n"
        "assert not hasattr(fd, 'jaxx')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sources_of_what_rng_may_be():
    source = fd.as_source(7)
    assert isinstance(source, fd.Source)
    assert fd.as_source(np.random.Generator(source)) is source
    assert fd.dropout_mask(99, rng=7) == fd.dropout_mask(99, rng=source)


@pytest.mark.skipif(not signatures.PAGE.exists(), reason="the documentation is not here")
def test_signatures_are_those_of_the_table():
    values = ("Mask", "GaussianMask", "NumPySource", "Philox4x32", "Source")
    values += ("Xorshift128Plus", "Xoshiro256PlusPlus")
    names = [name for name in fd.__all__ if name not in values]
    assert signatures.found(fd, names) == signatures.written("fd.")


def test_help_shows_types_by_their_names():
    shown = str(inspect.signature(fd.dropout))
    assert shown.startswith("(x: ArrayLike, p: ProbabilityLike = 0.5, *, keep_prob: ")
    assert shown.endswith(") -> tuple[NDArray[Any], Mask]")
    assert str(inspect.signature(fd.Dropout.eval)) == "(self) -> Self"
    for name in [*functional.__all__, *layers.__all__]:
        public = getattr(fd, name)
        for each in (
            public,
            getattr(public, "forward", public),
            getattr(public, "backward", public),
        ):
            text = re.sub(r" = [^,)]+|Literal\[.*?\]", "", str(inspect.signature(each)))
            assert "'" not in text
            assert "numpy." not in text
            assert "Union[" not in text


@pytest.mark.parametrize(
    "imported", ["fastdrop.typing", "fastdrop.torch", "fastdrop.dask", "fastdrop.jax"]
)
def test_dir_is_the_same_in_every_process(imported):
    pytest.importorskip(imported.replace("fastdrop.", "").replace("typing", "numpy"))
    code = (
        "import fastdrop as fd\n"
        "before = dir(fd)\n"
        f"import {imported} as face\n"
        "assert dir(fd) == before == sorted({*fd.__all__, '__version__', 'torch', 'typing'})\n"
        "late = {'linen', 'nnx'} if face.__name__ == 'fastdrop.jax' else set()\n"
        "assert face.__name__ == 'fastdrop.typing' or {*dir(face)} == {*face.__all__} | late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("face", ["dask", "jax"])
def test_faces_that_must_be_imported_say_so(face):
    code = f"import fastdrop as fd; fd.{face}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = f"module 'fastdrop' has no attribute {face!r}: import fastdrop.{face} loads it"
    assert f"AttributeError: {said}" in run.stderr


def test_dir_shows_public_names_only():
    assert set(dir(fd)) == {*fd.__all__, "__version__", "torch", "typing"}
    assert not {"version", "PackageNotFoundError"} & set(vars(fd))
