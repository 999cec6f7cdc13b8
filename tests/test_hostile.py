# SPDX-License-Identifier: BSD-3-Clause
"""Objects that lie or change give an error or the right result, and touch nothing else.

Right is what the memory says, at the moment of the one conversion of an argument. After an error
the source is where it was, and out holds what it held. Every test runs in a child, so that what
kills the process fails one test.
"""

import contextlib
import copy
import ctypes
import itertools
import math
import pickle
import random
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from face import MEMBERS, Drawn, assert_near, assert_same, copied
from guarded import Guarded, Placed
from isolated import isolated

import fastdrop as fd

CALLS = 3  # of each function, chosen by chance
ERRORS = (TypeError, ValueError)


class HostileError(Exception):
    """What an object raises itself; it may come through."""


def as_plain(array):
    """The memory of an array as an honest one."""
    return np.ndarray.view(array, np.ndarray)


class Watched:
    """A call, and what every hostile variant of it must do: the same, or nothing."""

    def __init__(self, call):
        self.call, self.untouched, self.drawn = call, Drawn(call.source), Drawn(call.source)
        self.expected, self.kept = call.expected(self.drawn)
        self.before = None if call.target is None else call.target.copy()

    def assert_withstood(self, hostile):
        """Run a variant: it gives what the call would, or leaves no trace."""
        source, target = copied(self.call.source), self.call.target
        if target is not None:
            target[...] = self.before
        try:
            y, mask = hostile.run(source)
        except (*ERRORS, HostileError):
            self.untouched.assert_left(source)
            assert target is None or target.tobytes() == self.before.tobytes()
            return
        self.drawn.assert_left(source)
        y = as_plain(y) if isinstance(y, np.ndarray) else y
        (assert_near if self.call.member.sums else assert_same)(y, self.expected)
        assert mask is None or np.array_equal(np.asarray(mask), self.kept)


def calls_of(name, seed):
    """Some calls of a member on small arrays that have elements."""
    for i in range(CALLS if name.islower() else 1):  # layers call functions
        yield MEMBERS[name](
            random.Random(f"{name} {seed} {i}"), size=random.Random(i).choice((8, 30, 60))
        )


every_member = pytest.mark.parametrize("name", MEMBERS)


# ---- subclasses of ndarray that lie --------------------------------------------------------------


class Flags:
    """Flags that allow everything."""

    c_contiguous = f_contiguous = aligned = writeable = owndata = contiguous = True

    def __getitem__(self, name):
        return True


def raises(*args, **kwargs):
    raise HostileError


def raises_of_views(self, parent):
    if parent is not None:
        raise HostileError


def liar(**lies):
    """A subclass with other attributes than its memory has."""
    return type("Liar", (np.ndarray,), lies)


def says(value):
    return property(lambda self: value)


def gives(value):
    return lambda self, *args, **kwargs: value


SMALL, HUGE = np.zeros(1), (10**8,)
FACTS = {
    "shape": [HUGE, (1,), (), (-3,), (2.5,), None, [4]],
    "strides": [(0,), (10**9,), (-8,), None],
    "flags": [Flags()],
    "dtype": [np.dtype("f4"), np.dtype("f8"), np.dtype("?"), np.dtype("O"), np.dtype("V3"), None],
    "ndim": [0, 1, 99, -1],
    "size": [0, 10**9, -1],
    "itemsize": [1, 99],
    "nbytes": [0, 10**9],
    "T": [SMALL],
    "base": [SMALL],
    "real": [SMALL],
    "imag": [SMALL],
    "flat": [SMALL],
    "ctypes": [None],
    "data": [b""],
    "_mask": [np.ones(1, bool), None],
    "__array_interface__": [{"shape": HUGE, "typestr": "<f8", "data": (8, False), "version": 3}],
    "__array_struct__": [None],
    "__array_priority__": [1e9],
}
METHODS = {
    "__array__": [SMALL, np.zeros(8), 1.0],
    "__len__": [0, 10**9],
    "__index__": [10**9],
    "__setitem__": [None],
}
for _names, _value in (
    ("reshape view astype copy transpose ravel flatten byteswap", SMALL),
    ("sum min max mean item tolist __float__", 0.25),
    ("all any __bool__ __eq__ __ge__ __le__ __gt__ __lt__", True),
    ("__and__ __invert__ __sub__ __rsub__ __rtruediv__ __add__ __mul__", SMALL),
    ("__getitem__ __iter__ __matmul__ __rmatmul__", SMALL),
    ("__array_ufunc__ __array_function__ __array_wrap__", SMALL),
):
    METHODS |= {name: [_value] for name in _names.split()}
LIES = {
    **{
        f"{name} is {value!r}"[:60]: liar(**{name: says(value)})
        for name, values in FACTS.items()
        for value in values
    },
    **{
        f"{name}() is {value!r}"[:60]: liar(**{name: gives(value)})
        for name, values in METHODS.items()
        for value in values
    },
    **{
        f"{name} raises": liar(**{name: property(raises)})
        for name in FACTS
        if not name.startswith("__array_")  # which NumPy itself asks for, and minds
    },
    **{f"{name}() raises": liar(**{name: raises}) for name in METHODS},
    "views raise": liar(__array_finalize__=raises_of_views),
    "everything raises": liar(__getattribute__=raises),
    "all facts": liar(**{name: says(values[0]) for name, values in FACTS.items()}),
    "all methods": liar(**{name: gives(values[0]) for name, values in METHODS.items()}),
}


def lying(array, lie):
    """The same memory, as an instance of a lying class."""
    return np.ndarray.__new__(lie, array.shape, array.dtype, array, 0, array.strides)


@every_member
@isolated
def test_subclasses_that_lie(name):
    faults = []
    for call in calls_of(name, "lies"):
        watched = Watched(call)
        for argument, (says_what, lie) in itertools.product((*call.arrays, "out"), LIES.items()):
            array = call.target if argument == "out" else call.arrays[argument]
            if array is None:
                continue
            if argument == call.written:
                hostile = replace(call, out=lying(array, lie))
            else:
                hostile = replace(call, arrays=call.arrays | {argument: lying(array, lie)})
            try:
                watched.assert_withstood(hostile)
            except Exception as error:
                faults.append(f"{argument} whose {says_what}: {error!r:.200}")
    assert not faults, "\n".join(faults)


# ---- objects that change -------------------------------------------------------------------------


class Changing:
    """An object whose first conversion gives an array, and every later one something else."""

    def __init__(self, array, later):
        self.array, self.later, self.conversions = array, later, 0

    def __array__(self, dtype=None, copy=None):
        self.conversions += 1
        return self.array if self.conversions == 1 else self.later(self.array)


class ChangingSequence:
    """Likewise a sequence."""

    def __init__(self, array, later):
        self.array, self.later, self.conversions = array, later, 0

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        self.conversions += 1
        return iter(self.array if self.conversions == 1 else self.later(self.array))

    def __getitem__(self, index):
        return self.array[index]


def raising(array):
    raise HostileError


CHANGES = {
    "shorter": lambda array: array[..., :1],
    "longer": lambda array: np.repeat(array, 1000, axis=-1),
    "flat": lambda array: array.reshape(-1),
    "of objects": lambda array: array.astype(object),
    "of bytes": lambda array: np.zeros(array.shape, np.int8),
    "of other numbers": lambda array: array[..., ::-1],
    "raising": raising,
}


@pytest.mark.parametrize("kind", [Changing, ChangingSequence])
@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "mc_predict"])
@isolated
def test_arguments_are_converted_once(name, kind):
    for call in calls_of(name, "changes"):
        watched = Watched(call)
        for argument, later in itertools.product(call.arrays, CHANGES.values()):
            array = call.arrays[argument]
            if argument == call.written:  # out must be an array
                continue
            if kind is ChangingSequence and (array.dtype != np.float64 or array.ndim != 1):
                continue
            changing = kind(array, later)
            watched.assert_withstood(replace(call, arrays=call.arrays | {argument: changing}))
            assert changing.conversions <= 1, argument


TURNS = {
    "axes reversed": lambda shape: shape[::-1],
    "one axis": lambda shape: (math.prod(shape),),
    "an axis more": lambda shape: (1, *shape),
    "a column": lambda shape: (math.prod(shape), 1),
}


class Turning:
    """What changes the shapes of arrays in place, whatever is asked of it."""

    def __init__(self, turn, array=None):
        self.turn, self.array = turn, array

    def __array__(self, dtype=None, copy=None):
        self.turn()
        return self.array

    def __enter__(self):
        self.turn()

    def __exit__(self, *error):
        self.turn()

    def __float__(self):
        self.turn()
        return 0.25

    def __ge__(self, other):
        self.turn()
        return True

    __le__ = __ge__


class Bits:
    """A bit generator with a lock of its own."""

    def __init__(self, lock):
        self.generator = np.random.PCG64(1)
        self.capsule, self.lock = self.generator.capsule, lock


@every_member
@isolated
def test_arrays_that_get_other_shapes_during_a_call(name):
    """Setting a shape in place is always allowed: by methods of other arguments, or by threads."""
    for call in calls_of(name, "turns"):
        for at_end, how in itertools.product((False, True), TURNS.values()):
            for hook in (*call.arrays, "p", "rng"):
                guarded = call.moved(
                    lambda _, array, at_end=at_end: Placed(Guarded(1), array, at_end).array
                )
                arrays = [*guarded.arrays.values(), *([] if call.out is None else [guarded.target])]

                def turn(arrays=arrays, how=how):
                    with warnings.catch_warnings(action="ignore"):
                        for array in arrays:
                            array.shape = how(array.shape)

                turning = Turning(turn, guarded.arrays.get(hook))
                source = fd.NumPySource(Bits(turning)) if hook == "rng" else None
                if hook in call.arrays:
                    guarded = replace(guarded, arrays=guarded.arrays | {hook: turning})
                elif hook == "p" and "p" in call.options:
                    guarded = replace(guarded, options=call.options | {"p": turning})
                with contextlib.suppress(*ERRORS):
                    guarded.run(source)


# ---- numbers and words ---------------------------------------------------------------------------

COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
ARITHMETIC = [
    f"__{side}{name}__"
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
    for side in ("", "r")
] + ["__neg__", "__abs__"]
CONVERSIONS = ("__int__", "__float__", "__index__", "__bool__", "__hash__", "__round__")


def subclasses_of(base, value):
    """The value in subclasses that lie: of every kind one by one, and in several ways at once."""
    for names, answers in (
        (COMPARISONS, (True, False)),
        (ARITHMETIC, (0, 10**9)),
        (CONVERSIONS, (base(7) if base is not str else 7,)),
        (("__repr__", "__str__", "__format__"), (None,)),
        ((*COMPARISONS, *ARITHMETIC), (True, False)),
    ):
        for answer in answers:
            lies = {name: gives(answer) for name in names}
            yield type("Liar", (base,), {"__hash__": base.__hash__} | lies)(value)
            yield type("Raiser", (base,), {name: raises for name in names})(value)


class ChangingIndex:
    """No number, but it becomes one: the right one first, and others later."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def __index__(self):
        return self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]


def seen(result):
    """What can be compared of a result."""
    if isinstance(result, fd.Mask):
        return result.shape, result.size, result.p, result.scale, np.asarray(result).tobytes()
    if isinstance(result, np.ndarray):
        return result.shape, result.dtype.str, result.tobytes()
    if isinstance(result, np.random.BitGenerator):
        return result.key, result.counter, result.position
    if isinstance(result, (tuple, list)):
        return [seen(one) for one in result]
    return result


def places(value):
    """What a source says after its position was set."""
    source = fd.Philox4x32(1)
    source.position = value
    return source, source.random_raw(3)


def threads(value):
    fd.set_num_threads(value)
    return fd.get_num_threads()


X, MAPS = np.arange(1.0, 13.0).reshape(3, 4), np.ones((2, 3, 4, 4))
MASK = fd.dropout_mask((3, 4), 0.3, rng=1)
_, FACTORS = fd.gaussian_dropout(X, 0.3, rng=1)
# Of integers: what is called, a right value, and wrong ones.
INTEGERS = {
    "shape": (lambda n: fd.dropout_mask(n, 0.3, rng=1), 12, [-1, 2**63]),
    "a length": (lambda n: fd.dropout_mask((n, 4), 0.3, rng=1), 3, [-1, 2**62]),
    "a length of bits": (lambda n: fd.dropout_mask((4, n), rng=1, store="bits"), 3, [-1, 2**62]),
    "a length of bernoulli": (lambda n: fd.bernoulli((n, 4), 0.3, rng=1), 3, [-1, 2**62]),
    "packed": (lambda n: fd.bernoulli((n, 4), 0.3, rng=1, packed=True), 3, [-1, 2**62]),
    "noise_shape": (lambda n: fd.dropout(X, rng=1, noise_shape=(n, 1)), 3, [-1, 2, 9]),
    "noise_shape of 1": (lambda n: fd.dropout(X, rng=1, noise_shape=(n, 4)), 1, [0, 2]),
    "alpha's": (lambda n: fd.alpha_dropout(X, rng=1, broadcast_axes=n), 1, [-3, 2, 9]),
    "broadcast_axes": (lambda n: fd.dropout(X, rng=1, broadcast_axes=n), 1, [2, -3]),
    "some axes": (lambda n: fd.dropout(X, rng=1, broadcast_axes=(n, 0)), 1, [0, 2]),
    "channel_axis": (lambda n: fd.dropout2d(MAPS, rng=1, channel_axis=n), 3, [0, 4, -4]),
    "block_size": (lambda n: fd.drop_block2d(MAPS, 0.3, rng=1, block_size=n), 2, [0, -1]),
    "samples": (lambda n: fd.mc_predict(fd.Dropout(0.5, rng=1), X, n), 2, [0, -1]),
    "depth": (lambda n: fd.drop_path_rates(n, 0.5), 3, [0, -1]),
    "threads": (threads, 2, [0, -1]),
    "an index": (lambda n: MASK[n], 2, []),
    "an index of bits": (lambda n: MASK.packed()[0, n], 2, []),
    "a start": (lambda n: MASK[n:], 2, []),
    "a step": (lambda n: MASK[:, ::n], 2, []),
    "an index of factors": (lambda n: np.asarray(FACTORS[n]), 2, []),
    "key": (lambda n: fd.Philox4x32(key=n), 5, [-1, 2**64]),
    "a word": (lambda n: fd.Philox4x32(key=(n, 1)), 5, [-1, 2**32]),
    "position": (places, 5, [-1, 2**64]),
    "jumps": (lambda n: fd.Philox4x32(1).jumped(n), 2, [-1]),
    "children": (lambda n: fd.Philox4x32(1).spawn(n), 2, []),
    "words": (lambda n: fd.Philox4x32(1).random_raw(n), 3, []),
}
FLOATS = {
    "p": (lambda p: fd.dropout(X, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "keep_prob": (lambda p: fd.dropout(X, keep_prob=p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "p of a mask": (lambda p: fd.dropout_mask(12, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "prob": (lambda p: fd.bernoulli(12, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "p of alpha": (lambda p: fd.alpha_dropout(X, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "p of blocks": (lambda p: fd.drop_block2d(MAPS, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "p of zoneout": (lambda p: fd.zoneout(X, X, p, rng=1), 0.25, [1.5, -0.5, math.nan]),
    "p of layers": (lambda p: fd.Dropout(p, rng=1)(X), 0.25, [1.5, -0.5, math.nan]),
    "p of factors": (lambda p: fd.gaussian_dropout(X, p, rng=1)[0], 0.25, [1.5, 1.0, math.nan]),
    "p of rates": (lambda p: fd.drop_path_rates(3, p), 0.25, [1.5, -0.5, math.nan]),
}
# Of words: what is called, and all right ones.
WORDS = {
    "scale": (lambda word: fd.dropout(X, rng=1, scale=word), ["train", "test", "none"]),
    "store": (lambda word: fd.dropout_mask(12, rng=1, store=word), ["auto", "seed", "bits"]),
    "draws": (
        lambda word: fd.dropout_mask(12, rng=fd.NumPySource(np.random.PCG64(1), word)),
        ["bytes", "double", "float"],
    ),
    "mode": (lambda word: fd.show_config(word), ["dicts", "stdout"]),
}
TROUBLES = (*ERRORS, OverflowError, IndexError, HostileError)


@pytest.mark.parametrize(
    ("base", "call", "right", "wrong"),
    [
        pytest.param(base, *entry, id=name)
        for base, entries in ((int, INTEGERS), (float, FLOATS))
        for name, entry in entries.items()
    ],
)
@isolated
def test_subclasses_of_numbers(base, call, right, wrong):
    """They count as what they are, whatever they say of themselves, or are errors."""
    expected = seen(call(right))
    for value in subclasses_of(base, right):
        with contextlib.suppress(*TROUBLES):
            assert seen(call(value)) == expected, (type(value), vars(type(value)))
    for number in wrong:
        for value in (number, *subclasses_of(base, number)):
            try:
                result = call(value)
            except TROUBLES:
                continue
            pytest.fail(f"{number}, {vars(type(value))}, gives {result}")


@pytest.mark.parametrize(
    ("call", "words"), [pytest.param(*entry, id=name) for name, entry in WORDS.items()]
)
@isolated
def test_subclasses_of_words(call, words):
    """They count as what they are or say that they equal, or are errors."""
    expected = [seen(call(word)) for word in words]
    for word in (*words, "some"):
        for value in subclasses_of(str, word):
            with contextlib.suppress(*TROUBLES):
                assert seen(call(value)) in expected, (word, vars(type(value)))


@pytest.mark.parametrize(
    ("call", "right"), [pytest.param(*entry[:2], id=name) for name, entry in INTEGERS.items()]
)
@isolated
def test_indices_that_change(call, right):
    expected = seen(call(right))
    for later in (-1, 0, 1, right + 1, 10**6, 2**62, 2**64):
        with contextlib.suppress(*TROUBLES):
            assert seen(call(ChangingIndex(right, later))) == expected


# ---- objects that were never made ----------------------------------------------------------------


CLASSES = [
    pytest.param(getattr(fd, name), id=name)
    for name in fd.__all__
    if isinstance(getattr(fd, name), type)
]


@pytest.mark.parametrize("own", [False, True], ids=["new", "subclass"])
@pytest.mark.parametrize("cls", CLASSES)
@isolated
def test_objects_that_were_never_made(cls, own):
    """A user's subclass may forget to call super().__init__: errors of any kind, and no crash."""
    made = type("Own", (cls,), {"__init__": lambda self: None})() if own else cls.__new__(cls)
    for name in dir(made):
        with contextlib.suppress(Exception):
            attribute = getattr(made, name)
            if callable(attribute) and not isinstance(attribute, type):
                for arguments in ((), (X,), (X, X), (1,), (X[0],), (0.5,), (None,)):
                    with contextlib.suppress(Exception):
                        attribute(*arguments)
    for use in (
        lambda: fd.dropout(X, rng=made),
        lambda: fd.dropout(X, mask=made),
        lambda: fd.gaussian_dropout(X, 0.5, rng=made),
        lambda: fd.bernoulli(12, 0.5, rng=made),
        lambda: fd.dropout_mask(12, rng=made),
        lambda: fd.dropout_backward(X, made),
        lambda: fd.zoneout_backward(X, made),
        lambda: fd.drop_connect_backward(X[:, :3], X, X, made),
        lambda: made(X),
        lambda: made(X, X),
        lambda: made == made,
        lambda: np.random.Generator(made).random(3),
        lambda: pickle.loads(pickle.dumps(made)),
        lambda: copy.deepcopy(made),
        lambda: np.asarray(made),
        lambda: made[0],
        lambda: made[...],
        lambda: repr(made),
        lambda: fd.Dropout(made),
        lambda: fd.NumPySource(made),
    ):
        with contextlib.suppress(Exception):
            use()


# ---- generators, locks and seeds -----------------------------------------------------------------


class Seeds(np.random.bit_generator.ISeedSequence):
    """A seed that gives whatever it likes."""

    def __init__(self, state):
        self.state = state

    def generate_state(self, n_words, dtype=np.uint32):
        return self.state


@pytest.mark.parametrize(
    "state",
    [
        None,
        7,
        "abcd",
        [],
        [1, 2, 3],
        [1, 2, 3, -1],
        [1, 2, 3, 2**32],
        [1, 2, 3, 2**64],
        [1, 2, 3, 0.5],
        [1, 2, 3, "4"],
        np.ones((4, 2), np.uint32),
        np.ones(4) / 2,
    ],
    ids=repr,
)
@isolated
def test_seeds_that_give_no_state(state, source_class):
    with pytest.raises(ERRORS):
        source_class(Seeds(state))
    with pytest.raises(ERRORS):
        fd.dropout(X, rng=Seeds(state))


class Lock:
    """A lock that fails."""

    def __init__(self, enters, leaves):
        self.enters, self.leaves = enters, leaves

    def __enter__(self):
        if self.enters:
            raise HostileError

    def __exit__(self, *error):
        if self.leaves:
            raise HostileError


@pytest.mark.parametrize("lock", [Lock(True, False), Lock(False, True), None, 7, Lock, []])
@pytest.mark.parametrize(
    "call",
    [
        lambda out, rng: fd.dropout(X, 0.5, rng=rng, out=out),
        lambda out, rng: fd.dropout(X, np.full(4, 0.5), rng=rng, out=out),
        lambda out, rng: fd.gaussian_dropout(X, 0.5, rng=rng, out=out),
        lambda out, rng: fd.relu_dropout(X, 0.5, rng=rng, out=out),
        lambda out, rng: fd.bernoulli((3, 4), 0.5, rng=rng, out=out.view(bool)[:, :4]),
    ],
    ids=["number", "array", "gaussian", "relu", "bernoulli"],
)
@isolated
def test_locks_that_fail(call, lock):
    out = np.full((3, 4), 7.0)
    with pytest.raises((*ERRORS, HostileError, AttributeError)):
        call(out, Bits(lock))
    assert (out == 7.0).all()


CAPSULES = ctypes.pythonapi.PyCapsule_New
CAPSULES.restype, CAPSULES.argtypes = (
    ctypes.py_object,
    [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
)
NAMES = [b"BitGenerator", b"Other", b""]
NULLS = (ctypes.c_void_p * 5)()  # the struct of a bit generator, without any function


@pytest.mark.parametrize("name", NAMES)
@isolated
def test_capsules_without_functions(name):
    bits = Bits(threading.Lock())
    bits.capsule = CAPSULES(ctypes.addressof(NULLS), name, None)
    for call in (
        lambda: fd.dropout(X, 0.5, rng=bits),
        lambda: fd.gaussian_dropout(X, 0.5, rng=bits),
        lambda: fd.bernoulli(12, 0.5, rng=bits),
        *(lambda draws=draws: fd.NumPySource(bits, draws) for draws in WORDS["draws"][1]),
    ):
        with pytest.raises(ERRORS):
            call()


@pytest.mark.parametrize("name", ["bit_generator", "_bit_generator", "capsule", "lock"])
@isolated
def test_generators_that_change(name):
    """What is asked for twice may be another thing the second time."""
    owner = np.random.PCG64(1)  # whose memory the capsules are
    for first, later in itertools.permutations(
        [np.random.PCG64(1), fd.Philox4x32(1), None, 7, raises, owner.capsule], 2
    ):
        answers = itertools.chain([first], itertools.repeat(later))
        made = type("Own", (Bits,), {name: property(lambda self, answers=answers: next(answers))})
        changing = made.__new__(made)
        for other in {"capsule", "lock"} - {name}:
            setattr(changing, other, getattr(owner, other))
        for use in (lambda rng: fd.dropout(X, rng=rng), fd.NumPySource):
            with contextlib.suppress(*TROUBLES, AttributeError):
                use(changing)
