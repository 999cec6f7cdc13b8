# SPDX-License-Identifier: BSD-3-Clause
"""The battery of masks: kept elements are counted, compared with others, and with other masks.

    python tools/evidence/masks.py                   # 10^11 decisions of each source; half an hour
    python tools/evidence/masks.py --share 0.01      # a hundredth of it

Lines go to docs/evidence/masks.csv, one for each test, and what has a line there is not run again.
A line has the decisions, and how many statistics were made of them. Each statistic should have mean
0 and variance 1. "worst" is the largest of them, and its p-value is that of the worst of so many.
"sum" is the p-value of the sum of their squares.
"""

import argparse
import csv
import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from streams import CONTROLS, SOURCES, TOGETHER, Bytes

import fastdrop as fd

PATH = Path(__file__).parents[2] / "docs" / "evidence" / "masks.csv"
COLUMNS = (
    *("source", "test", "p", "seed", "decisions"),
    *("statistics", "worst", "worst p-value", "sum p-value"),
)
Draw = Callable[[int, float], Bytes]  # so many kept bits at p, packed
Statistics = NDArray[np.float64]

PS = (
    *(0.5, 1 / 3, 2 / 3, 0.1, 0.9, 0.25, 0.75, 0.05, 0.95, 0.2, 0.8, 0.01, 0.99, 0.001, 0.999),
    *(1e-4, 1 - 1e-4, 1e-5, 1e-6, 0.5 + 2**-9, 0.25 + 2**-16, 0.123456789, 1 / math.pi, 1 / 256),
)
APART = 2**44  # positions between two tests
CHUNK = 2**27  # decisions of one draw
BLOCK = 2**14  # elements that one seeding of the lanes makes
LAGS = np.unique([*range(1, 4097), *(2**i for i in range(13, 22))])


def of_chi_square(sum_of_squares: float, degrees: int) -> float:
    """Return a standard deviate of a chi-square statistic, by Wilson and Hilferty."""
    spread = 2 / (9 * degrees)
    return ((sum_of_squares / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def of_cells(counts: NDArray[np.int64], chances: NDArray[np.float64]) -> Statistics:
    """Return one statistic of counts; cells in which few are expected are counted together."""
    expected = chances * counts.sum()
    rare = expected < 20
    counts, expected = (
        np.append(numbers[~rare], numbers[rare].sum()) for numbers in (counts, expected)
    )
    if expected[-1] < 20:
        counts, expected = counts[:-1], expected[:-1]
    return np.array(
        [of_chi_square(float(np.sum((counts - expected) ** 2 / expected)), counts.size - 1)]
    )


def chances_of_octets(p: float, octets: int) -> NDArray[np.float64]:
    """Return the chance of each value of so many octets of kept bits."""
    kept = np.bitwise_count(np.arange(256**octets, dtype=np.uint32)).astype(np.float64)
    return np.asarray((1 - p) ** kept * p ** (8 * octets - kept))


def draws(draw: Draw, p: float, decisions: int) -> Iterator[Bytes]:
    """Give kept bits, in chunks."""
    for _ in range(0, decisions, CHUNK):
        yield draw(CHUNK, p)


def counts(draw: Draw, p: float, decisions: int) -> Statistics:
    """As many are kept as should be."""
    kept = sum(
        int(np.bitwise_count(bits).sum(dtype=np.int64)) for bits in draws(draw, p, decisions)
    )
    return np.array([(kept - decisions * (1 - p)) / math.sqrt(decisions * p * (1 - p))])


def patterns(draw: Draw, p: float, decisions: int) -> Statistics:
    """All 65,536 patterns of 16 neighbours come as often as they should."""
    found = np.zeros(65536, dtype=np.int64)
    for bits in draws(draw, p, decisions):
        found += np.bincount(bits.view("<u2"), minlength=65536)
    return of_cells(found, chances_of_octets(p, 2))


def pairs(draw: Draw, p: float, decisions: int) -> Statistics:
    """Octets of kept bits say nothing of those one lane, two lanes, a step, or a block later."""
    apart = (1, 2, 8, BLOCK // 8)
    found = np.zeros((len(apart), 65536), dtype=np.int64)
    for bits in draws(draw, p, decisions):
        for row, lag in zip(found, apart, strict=True):
            # Every other pair, so that no octet is in two.
            chosen = bits.reshape(-1, 2, lag).astype(np.uint16)
            row += np.bincount((chosen[:, 0] | chosen[:, 1] << 8).ravel(), minlength=65536)
    return np.concatenate([of_cells(row, chances_of_octets(p, 2)) for row in found])


def places(draw: Draw, p: float, decisions: int) -> Statistics:
    """Every place of a block, and so of a lane, a step and a tile, is kept as often."""
    found = np.zeros(BLOCK, dtype=np.int64)
    for bits in draws(draw, p, decisions):
        for part in bits.reshape(32, -1, BLOCK // 8):
            found += np.unpackbits(part, axis=1, bitorder="little").sum(axis=0, dtype=np.int32)
    rows = decisions // BLOCK
    return np.asarray((found - rows * (1 - p)) / math.sqrt(rows * p * (1 - p)))


def lags(draw: Draw, p: float, decisions: int) -> Statistics:
    """No element says anything of those 1 to 4096 later, or a power of two up to 2^21."""
    size = 2**22
    products = np.zeros(LAGS.size)
    for _ in range(0, decisions, size):
        kept = np.unpackbits(draw(size, p), bitorder="little")
        values = -math.sqrt((1 - p) / p), math.sqrt(p / (1 - p))
        x = np.array(values, dtype=np.float32)[kept]
        spectrum = np.fft.rfft(x, 2 * size)
        products += np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[LAGS]
    return products / np.sqrt((size - LAGS) * (decisions // size))


def runs(draw: Draw, p: float, decisions: int) -> Statistics:
    """Count runs of kept and of dropped elements by their length."""
    longest = 4096
    found = np.zeros((2, longest + 1), dtype=np.int64)
    for bits in draws(draw, p, decisions):
        for part in bits.reshape(32, -1):
            kept = np.unpackbits(part, bitorder="little")
            changes = np.flatnonzero(kept[1:] != kept[:-1])
            lengths = np.minimum(np.diff(changes), longest)
            first = kept[changes[0] + 1]
            for value in (0, 1):
                found[value] += np.bincount(lengths[value ^ first :: 2], minlength=longest + 1)
    results = []
    for row, stay in zip(found, (p, 1 - p), strict=True):
        chances = stay ** np.arange(longest) * (1 - stay)
        chances[-1] = stay ** (longest - 1)
        results.append(of_cells(row[1:], chances))
    return np.concatenate(results)


def crossed(sources: list[fd.Source], p: float, decisions: int) -> Statistics:
    """No two of 64 masks are alike: 2016 correlations."""
    size = 2**18
    scale = np.float32(math.sqrt(p / (1 - p))), np.float32(-math.sqrt((1 - p) / p))
    rounds = max(1, decisions // (size * len(sources)))
    products = np.zeros((len(sources),) * 2)
    for _ in range(rounds):
        kept = np.stack([np.asarray(fd.dropout_mask(size, p, rng=source)) for source in sources])
        x = np.where(kept, *scale)
        products += x @ x.T
    return np.asarray(products[np.triu_indices(len(sources), 1)] / math.sqrt(rounds * size))


def families(cls: type[fd.Source], seed: int) -> dict[str, list[fd.Source]]:
    """Return families of sources that differ as little as they can."""
    key = cls(seed).key[0] | cls(seed).key[1] << 32
    apart = [cls(seed) for _ in range(TOGETHER)]
    for index, source in enumerate(apart):
        source.position = index * APART
    return {
        "64 seeds": [cls(seed + i) for i in range(TOGETHER)],
        "64 keys of one other bit": [cls(key=key ^ 1 << bit) for bit in range(TOGETHER)],
        "64 counters": [cls(key=key, counter=i << 64) for i in range(TOGETHER)],
        "64 jumps": [cls(seed).jumped(i) for i in range(TOGETHER)],
        "64 children": list(cls(seed).spawn(TOGETHER)),
        "64 places": apart,
    }


# Name -> the test, its probabilities, and the decisions of each.
TESTS = {
    "counts": (counts, PS, 2**32),
    "patterns of 16": (patterns, (0.5, 1 / 3, 0.1), 2**32),
    "pairs of octets": (pairs, (0.5, 1 / 3), 2**31),
    "places in a block": (places, (0.5, 1 / 3, 0.1), 2**31),
    "lags": (lags, (0.5, 0.1), 2**27),
    "runs": (runs, (0.5, 0.1), 2**28),
}
CROSSED = 2**28


def of_source(cls: type[fd.Source], seed: int) -> Callable[[int], Draw]:
    """Return what makes the function that draws for test number i."""

    def numbered(number: int) -> Draw:
        source = cls(seed)
        source.position = number * APART
        return lambda n, p: fd.dropout_mask(n, p, rng=source, store="bits").bits

    return numbered


def of_bytes(make: Callable[..., Iterator[Bytes]], seed: int) -> Callable[[int], Draw]:
    """Return the same for bytes that are wrong on purpose, at p = 1/2 alone."""
    stream = make(fd.Source, seed, 0)

    def numbered(number: int) -> Draw:
        left = np.empty(0, dtype=np.uint8)

        def draw(n: int, p: float) -> Bytes:
            nonlocal left
            assert p == 0.5
            chunks = [left]
            while sum(chunk.size for chunk in chunks) < n // 8:
                chunks.append(np.packbits(next(stream) >= 128, bitorder="little"))
            joined = np.concatenate(chunks)
            left = joined[n // 8 :]
            return joined[: n // 8]

        return draw

    return numbered


def of_rounded(bits: int, seed: int) -> Callable[[int], Draw]:
    """Return the same for a p that is rounded to so many bits."""
    right = of_source(fd.Xoshiro256PlusPlus, seed)

    def numbered(number: int) -> Draw:
        draw = right(number)
        return lambda n, p: draw(n, round(p * 2**bits) / 2**bits)

    return numbered


def summary(statistics: Statistics) -> tuple[int, str, str, str]:
    """Return how many there are, the worst, its p-value, and that of their squares together."""
    worst = float(np.max(np.abs(statistics)))
    one = math.erfc(worst / math.sqrt(2))
    of_worst = -math.expm1(statistics.size * math.log1p(-one)) if one < 1 else 1.0
    together = of_chi_square(float(np.sum(statistics**2)), statistics.size)
    of_sum = math.erfc(together / math.sqrt(2)) / 2
    if statistics.size == 1:
        of_sum = of_worst
    return statistics.size, f"{worst:.2f}", f"{of_worst:.3g}", f"{of_sum:.3g}"


def lines(options: argparse.Namespace) -> Iterator[tuple[str, str, float, int, object]]:
    """Give source, test, p, decisions, and the function that makes the statistics."""
    share, seed = options.share, options.seed

    def decided(wanted: int) -> int:
        return max(CHUNK, int(wanted * share) // CHUNK * CHUNK)

    makers = {name: of_source(cls, seed) for name, cls in SOURCES.items()}
    for name, make in makers.items():
        number = itertools.count(1)
        for test, (function, ps, wanted) in TESTS.items():
            for p in ps:
                call = (function, make(next(number)), p, decided(wanted))
                yield name, test, p, call[-1], call
        for p in (0.5, 0.1):
            for test, sources in families(SOURCES[name], seed).items():
                yield name, test, p, decided(CROSSED), (crossed, sources, p, decided(CROSSED))
    few = CHUNK
    for name, maker in CONTROLS.items():
        for test in ("patterns of 16", "pairs of octets", "lags"):
            call = (TESTS[test][0], of_bytes(maker, seed)(0), 0.5, few)
            yield f"wrong on purpose: {name}", test, 0.5, few, call
    for bits, p, many in ((8, 1 / 3, few), (16, 0.001, 2**30), (16, 1e-4, 2**30)):
        call = (counts, of_rounded(bits, seed)(0), p, many)
        yield f"wrong on purpose: p of {bits} bits", "counts", p, many, call


def main() -> None:
    """Run what has no line yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the decisions")
    parser.add_argument("--out", type=Path, default=PATH)
    options = parser.parse_args()
    if not options.out.exists():
        options.out.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with options.out.open(newline="", encoding="utf-8") as file:
        done = {tuple(row[name] for name in COLUMNS[:4]) for row in csv.DictReader(file)}
    for source, test, p, decisions, (function, *arguments) in lines(options):
        line = (source, test, f"{p:.12g}", str(options.seed))
        if line in done:
            continue
        started = time.process_time()
        found = summary(function(*arguments))
        with options.out.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow([*line, decisions, *found])
        print(*line, *found, f"{time.process_time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
