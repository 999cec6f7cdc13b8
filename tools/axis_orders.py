# SPDX-License-Identifier: BSD-3-Clause
"""Time every function on arrays whose axes lie in another order, against the same in C order.

``python tools/axis_orders.py`` prints a table: a row for each function, forward and backward, and a
column for each order of the axes in memory. A number is the median of the ratios of calls that take
turns: 2 says that the call takes twice its own time in C order. Name functions to have those alone.
``--windows`` prints the same of masks of windows of columns, against masks of their shape.
"""

import argparse
from collections.abc import Callable

import numpy as np

import fastdrop as fd
from fastdrop.cli._bench_arrays import Buffer
from fastdrop.cli._bench_timing import power_of_two
from fastdrop.cli._bench_turns import calls_in_turn, for_seconds, median_ratio

# Shapes of 2^20 elements (and more or less, by --size), and the axes in the order of memory.
ORDERS = {
    "2d 10": ((0.5, 0.5), (1, 0)),
    "3d 021": ((64, 0.5, 0.5), (0, 2, 1)),
    "3d 102": ((0.5, 64, 0.5), (1, 0, 2)),
    "3d 210": ((64, 0.5, 0.5), (2, 1, 0)),
    "3d 120": ((64, 0.5, 0.5), (1, 2, 0)),
    "3d 201": ((0.5, 0.5, 64), (2, 0, 1)),
    "4d 0231": ((16, 32, 0.5, 0.5), (0, 2, 3, 1)),
    "4d 3120": ((16, 32, 0.5, 0.5), (3, 1, 2, 0)),
}

WINDOWS = (64, 256, 1024)  # columns

Call = Callable[[np.ndarray, np.ndarray, np.ndarray], object]


def shape_of(parts: tuple[float, ...], size: int) -> tuple[int, ...]:
    """Return lengths: 0.5 stands for the square root of what the others leave of the size."""
    rest = size
    for part in parts:
        rest //= int(part) if part >= 1 else 1
    side = 1 << (rest.bit_length() // 2)
    lengths = [int(part) if part >= 1 else side for part in parts]
    lengths[parts.index(0.5)] = rest // side
    return tuple(lengths)


def calls(source: fd.Source, shape: tuple[int, ...], dtype: str) -> dict[str, Call]:
    """Return a function of (x, other, y) for each row."""
    like = np.ones(shape, dtype)
    few = (*(1 for _ in shape[1:]), shape[-1])
    p = np.random.default_rng(1).uniform(0.1, 0.3, shape)
    bias = np.ones(shape[-1], dtype)
    seeded = fd.dropout_mask(shape, 0.1, rng=1)
    packed, each = seeded.packed(), fd.dropout_mask(shape, p, rng=1)
    shared = fd.dropout_mask(few, 0.1, rng=1)
    gaussian = fd.gaussian_dropout(like, 0.1, rng=1)[1]
    zoned = fd.zoneout(like, like, 0.1, rng=1)[1]
    return {
        "dropout": lambda x, other, y: fd.dropout(x, 0.1, rng=source, out=y),
        "dropout, p array": lambda x, other, y: fd.dropout(x, p, rng=source, out=y),
        "dropout, shared": lambda x, other, y: fd.dropout(
            x, 0.1, rng=source, out=y, noise_shape=few
        ),
        "alpha_dropout": lambda x, other, y: fd.alpha_dropout(x, 0.1, rng=source, out=y),
        "relu_dropout": lambda x, other, y: fd.relu_dropout(x, 0.1, rng=source, out=y),
        "zoneout": lambda x, other, y: fd.zoneout(x, other, 0.1, rng=source, out=y),
        "dropout_add": lambda x, other, y: fd.dropout_add(x, other, 0.1, rng=source, out=y),
        "dropout_add, bias": lambda x, other, y: fd.dropout_add(
            x, other, 0.1, bias=bias, rng=source, out=y
        ),
        "gaussian_dropout": lambda x, other, y: fd.gaussian_dropout(x, 0.1, rng=source, out=y),
        "gaussian, shared": lambda x, other, y: fd.gaussian_dropout(
            x, 0.1, rng=source, out=y, broadcast_axes=0
        ),
        "drop_path": lambda x, other, y: fd.drop_path(x, 0.1, rng=source, out=y),
        "seeded backward": lambda x, other, y: fd.dropout_backward(x, seeded, out=y),
        "packed backward": lambda x, other, y: fd.dropout_backward(x, packed, out=y),
        "p array backward": lambda x, other, y: fd.dropout_backward(x, each, out=y),
        "shared backward": lambda x, other, y: fd.dropout_backward(x, shared, out=y),
        "gaussian backward": lambda x, other, y: fd.dropout_backward(x, gaussian, out=y),
        "zoneout_backward": lambda x, other, y: fd.zoneout_backward(x, zoned),
    }


def in_order(buffer: Buffer, shape: tuple[int, ...], dtype: str, axes: tuple[int, ...]) -> list:
    """Return x, another array and one to write to, whose axes lie in that order in memory."""
    numbers = np.resize(np.random.default_rng(1).standard_normal(4096), shape).astype(dtype)
    back = np.argsort(axes)
    inputs = [buffer.to_read(np.ascontiguousarray(numbers.transpose(axes))) for _ in range(2)]
    return [array.transpose(back) for array in (*inputs, buffer.to_write(inputs[0]))]


def ratio(candidate: Callable[[], object], baseline: Callable[[], object]) -> float:
    """Return how many times as long the candidate takes."""
    calls = {"candidate": candidate, "baseline": baseline}
    times = calls_in_turn(calls, lambda: for_seconds(0.2, fewest=15))
    return median_ratio(times, "candidate", "baseline")


def print_row(name: str, ratios: list[float]) -> None:
    """Print a line of the table."""
    print(f"{name:20}" + "".join(f"{number:9.2f}" for number in ratios), flush=True)


def orders(names: list[str], size: int, dtype: str, source: fd.Source) -> None:
    """Print the table of orders."""
    print(f"{'':20}" + "".join(f"{order:>9}" for order in ORDERS))
    cases = []
    for parts, axes in ORDERS.values():
        buffer, shape = Buffer(), shape_of(parts, size)
        plain = in_order(buffer, shape, dtype, tuple(range(len(shape))))
        cases.append((calls(source, shape, dtype), in_order(buffer, shape, dtype, axes), plain))
    for name in names or list(cases[0][0]):
        print_row(
            name,
            [
                ratio(lambda: functions[name](*there), lambda: functions[name](*plain))  # noqa: B023
                for functions, there, plain in cases
            ],
        )


def windows(size: int, dtype: str, source: fd.Source) -> None:
    """Print the table of windows: of masks four times and 64 times as wide."""
    print(f"{'':20}" + "".join(f"{width:>9}" for width in WINDOWS))
    for times in (4, 64):
        ratios = []
        for width in WINDOWS:
            shape = (size // width, width)
            x, _, y = in_order(Buffer(), shape, dtype, (0, 1))
            plain = fd.dropout_mask(shape, 0.1, rng=source)
            whole = fd.dropout_mask((shape[0], times * width), 0.1, rng=source)
            window = whole[:, width : 2 * width]
            ratios.append(
                ratio(lambda: window.apply(x, out=y), lambda: plain.apply(x, out=y))  # noqa: B023
            )
        print_row(f"1 of {times} columns", ratios)


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="*", help="rows of the table; all")
    parser.add_argument("--size", type=int, default=1 << 20, help="elements")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--source", default="Xoshiro256PlusPlus", help="a class of fastdrop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", action="store_true", help="windows, and not orders")
    chosen = parser.parse_args()
    fd.set_num_threads(chosen.threads)
    source = getattr(fd, chosen.source)(1)
    print(f"{chosen.source}, {chosen.dtype}, {power_of_two(chosen.size)} elements")
    if chosen.windows:
        windows(chosen.size, chosen.dtype, source)
    else:
        orders(chosen.functions, chosen.size, chosen.dtype, source)


if __name__ == "__main__":
    main()
