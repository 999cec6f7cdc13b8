# SPDX-License-Identifier: BSD-3-Clause
"""What is said of arguments and names that other libraries have, or that went.

A public function ends its parameters with ``*late`` and ``**words``, which take what fits nowhere,
and hands them to `refuse`; `public` leaves both out of its signature. An empty pair costs 25 ns.

A default that must be told apart from the same number, where that is given, is `HALF`; signatures
show the number, and types by the names that the sources give them.
"""

import enum
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from fastdrop._checks import MISSING, check_given, either, shown

__all__ = ["HALF", "explained", "public", "refuse", "where"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class _Default(enum.Enum):
    """A default that says that nothing was given; its value is what is shown."""

    HALF = 0.5


# Typed as what it stands for.
HALF = cast("float", _Default.HALF)

P, RNG, SHARED = ("p", "dropout_p"), ("rng", "key"), ("broadcast_axes", "broadcast_dims")
ARRAY = ("x", "input", "weight", "new")

# A word of another library -> those of fastdrop, of which a function has one at most.
MEANINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("rate", "prob", "drop_prob", "drop_rate", "dropout_p", "ratio", "P"), P),
    **dict.fromkeys(("keep_prob", "keep_rate", "retain_prob"), P),
    **dict.fromkeys(("probability", "dropout", "p_drop", "p"), P),
    **dict.fromkeys(
        ("rng", "rng_seed", "seed", "random_state", "generator", "bit_generator", "key"), RNG
    ),
    **dict.fromkeys(("noise_shape", "broadcast_axes", "broadcast_dims"), SHARED),
    **dict.fromkeys(("axis", "axes", "dim", "dims"), ("axes", *SHARED)),
    "size": ("shape",),
    **dict.fromkeys(("input", "inputs", "x", "X", "data", "array", "tensor"), ARRAY),
    "epsilon": ("eps",),
    "is_training": ("training",),
    "deterministic": ("training",),
    "inplace": ("out",),
    "out": ("inplace",),
    "train": ("training",),
}

# What people look for in the package, and where it is.
OF_TORCH = (
    *("install", "installed", "uninstall", "is_installed", "accelerate", "fuse_output"),
    *("locked_dropout", "LockedDropout", "WeightDropLSTM", "scaled_dot_product_attention"),
)
OF_NUMPY = ("Generator", "PCG64", "default_rng", "random")

PLACES = {
    **dict.fromkeys(("dask", "jax"), "import fastdrop.{name} loads it"),
    **dict.fromkeys(OF_TORCH, "fastdrop.torch has it"),
    **dict.fromkeys(OF_NUMPY, "numpy.random has it, and rng takes its generators"),
    **dict.fromkeys(("manual_seed", "random_seed", "set_seed"), "fastdrop.seed does this"),
    **dict.fromkeys(("Philox", "PhiloxSource"), "fastdrop.Philox4x32 is that source"),
    **{f"SpatialDropout{n}D": f"fastdrop.Dropout{n}d does this" for n in (1, 2, 3)},
}

NOWHERE: Mapping[str, str] = {}

# What more there is to say of some of them.
HINTS = {
    "keep_prob": ", and p is 1 - keep_prob",
    "keep_rate": ", and p is 1 - keep_rate",
    "retain_prob": ", and p is 1 - retain_prob",
    "noise_shape": ", and names the axes of length 1",
    "deterministic": ", and says the opposite",
    **dict.fromkeys(("axis", "axes", "dim", "dims"), ", and names the axes that share decisions"),
    "inplace": ", and takes the array to write into",
}


class _Written(str):
    """An annotation as the sources write it, which `help` shows without quotes."""

    __repr__ = str.__str__


def _written(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function that have a name of their own, as they are shown."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: own.replace(default=own.default.value) if isinstance(own.default, _Default) else own
        for name, own in inspect.signature(function).parameters.items()
        if own.kind not in variadic
    }


def _show(function: Callable[..., Any], shown: Callable[..., Any]) -> None:
    """Give a function the signature that another has, without what is not shown."""
    signature = inspect.signature(shown)
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            each.replace(annotation=_written(each.annotation))
            for each in _parameters(shown).values()
        ],
        return_annotation=_written(signature.return_annotation),
    )


def _expect(function: Any) -> None:
    """Let a call without a required argument reach the function, if that explains words.

    So `dropout_mask(size=3)` hears of shape, and not that it is missing.
    """
    code = function.__code__
    if code.co_flags & inspect.CO_VARKEYWORDS:
        names = code.co_varnames[: code.co_argcount]
        given = function.__defaults__ or ()
        required = len(names) - len(given) - (names[:1] == ("self",))
        function.__defaults__ = (*[MISSING] * required, *given)


def public(module: str = "fastdrop") -> Callable[[FunctionT], FunctionT]:
    """Return a decorator for functions that people import from ``module``."""

    def publish(function: FunctionT) -> FunctionT:
        _show(function, function)
        if module != "fastdrop.torch":  # whose functions are traced, with their defaults
            _expect(function)
        function.__module__ = module
        return function

    return publish


def refuse(
    function: Callable[..., Any],
    late: tuple[object, ...],
    words: Mapping[str, object],
    name: str | None = None,
    places: Mapping[str, str] = NOWHERE,
) -> NoReturn:
    """Raise the TypeError of arguments that a function has not; ``places`` says where they go."""
    parameters = _parameters(function)
    name = function.__name__ if name is None else name
    if words:
        word, value = next(iter(words.items()))
        right = [own for own in MEANINGS.get(word, ()) if own in parameters]
        if right:
            hint = "" if right[0] == "axes" else HINTS.get(word, "")
            advice = f"it is called {right[0]} here{hint}"
        elif word in places:
            advice = places[word]
        else:
            known = ", ".join(own for own in parameters if own != "self")
            advice = f"it has {known}"
        raise TypeError(f"{name}() has no argument {word}={shown(value)}: {advice}")
    named = [own for own, each in parameters.items() if each.kind is each.KEYWORD_ONLY]
    ordered = [own for own in parameters if own not in named and own != "self"]
    value = shown(late[0])
    advice = f"give {value} by name ({', '.join(named)})" if named else f"{value} is too much"
    raise TypeError(f"{name}() takes only {either(ordered, 'and')} by position: {advice}")


def explained(constructor: FunctionT, places: Mapping[str, str]) -> FunctionT:
    """Return a constructor of a layer that says what is wrong with its arguments."""
    signature = inspect.signature(constructor)
    ordered = [
        own
        for own in signature.parameters.values()
        if own.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ][1:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    required = [
        own
        for own in [*signature.parameters.values()][1:]
        if own.kind in named and own.default is own.empty
    ]

    @functools.wraps(constructor)
    def construct(self: Any, *given: Any, **words: Any) -> None:
        unknown = {word: words[word] for word in words if word not in signature.parameters}
        if unknown or len(given) > len(ordered):
            refuse(constructor, given[len(ordered) :], unknown, type(self).__name__, places)
        for own in required:
            if own.name not in words and own not in ordered[: len(given)]:
                check_given(own.name, MISSING)
        constructor(self, *given, **words)

    _show(construct, constructor)
    return construct  # type: ignore[return-value]


def where(name: str) -> str:
    """Return what is said, after a colon, of a name that the package has not; or nothing."""
    return f": {PLACES[name].format(name=name)}" if name in PLACES else ""
