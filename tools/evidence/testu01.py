# SPDX-License-Identifier: BSD-3-Clause
"""Batteries of TestU01, on all that fastdrop makes bits of: p-values, a line for each test.

    python tools/evidence/testu01.py SmallCrush
    python tools/evidence/testu01.py Crush --sources Philox4x32 --variants bytes --minutes 30

Lines go to docs/evidence/BATTERY.csv, and what has a line there is not run again: a run that was
ended goes on where it was. Of Crush and BigCrush each test starts at a place of its own in the
stream, 2^48 bytes from the next, so that each can be repeated alone.

Needs a C compiler, and TestU01 with its headers (of Debian: libtestu01-0-dev, in non-free);
TESTU01 names the folder that has its usr/include and usr/lib, if it is none of the system's.
"""

import argparse
import csv
import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from streams import CONTROLS, FAIR, MAKERS, SOURCES, Bytes

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "docs" / "evidence"
COLUMNS = ("source", "variant", "seed", "test", "statistic", "p-value")
TESTS = {"SmallCrush": 10, "Crush": 96, "BigCrush": 106}
APART = 2**48  # bytes of the stream between two tests
CONTROLLED = "wrong on purpose"  # where the name of a source would be


def compiled(folder: str) -> ctypes.CDLL:
    """Return words.c, compiled and loaded together with TestU01."""
    library = Path(folder) / "words.so"
    command = ["cc", "-O2", "-shared", "-fPIC", str(HERE / "words.c"), "-o", str(library)]
    root = os.environ.get("TESTU01")
    if root:
        headers = {path.parents[1] for path in Path(root).rglob("testu01/*.h")}
        found = next(Path(root).rglob("libtestu01.so")).parent
        # By the old tag, the libraries that these need are looked for there, too.
        command += [f"-L{found}", f"-Wl,-rpath,{found},--disable-new-dtags"]
        command += [f"-I{path}" for path in headers]
    subprocess.run(
        [*command, "-ltestu01", "-ltestu01probdist", "-ltestu01mylib", "-lm"], check=True
    )
    return ctypes.CDLL(str(library))


REFILL = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t))


@contextmanager
def silent() -> Iterator[None]:
    """Throw away what C code prints: a report that no option turns off."""
    saved = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(saved, 1)
        os.close(nowhere)
        os.close(saved)


def run(
    library: ctypes.CDLL, battery: str, test: int, of_fair_bits: bool, stream: Iterator[Bytes]
) -> list[tuple[str, float]]:
    """Return the statistics and p-values of one test; of all where it is 0."""
    held: list[Bytes] = []  # what C reads has to stay

    @REFILL
    def refill(size: "ctypes._Pointer[ctypes.c_size_t]") -> int:
        held[:] = [np.ascontiguousarray(next(stream))]
        size[0] = held[0].nbytes
        return held[0].ctypes.data

    with silent():
        library.run_battery(list(TESTS).index(battery), test, of_fair_bits, refill)
    count = ctypes.c_int.in_dll(library, "bbattery_NTests").value
    values = (ctypes.c_double * count).in_dll(library, "bbattery_pVal")
    names = (ctypes.c_char_p * count).in_dll(library, "bbattery_TestNames")
    # A test that was not run has the value -1.
    return [
        ((name or b"").decode(), value)
        for name, value in zip(names, values, strict=True)
        if value >= 0
    ]


def main() -> None:
    """Run what is asked for and has no line yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("battery", choices=TESTS)
    parser.add_argument("--sources", nargs="*", choices=[*SOURCES, CONTROLLED])
    parser.add_argument("--variants", nargs="*", choices=[*MAKERS, *CONTROLS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", nargs="*", type=int, help="numbers of tests; default: all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start none later")
    options = parser.parse_args()

    path = RESULTS / f"{options.battery}.csv"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with path.open(newline="", encoding="utf-8") as file:
        done = {
            tuple(row[name] for name in ("source", "variant", "seed", "test"))
            for row in csv.DictReader(file)
        }
    streams = {
        (source, variant): maker
        for source in [*SOURCES, CONTROLLED]
        if source in (options.sources or [*SOURCES, CONTROLLED])
        for variant, maker in (CONTROLS if source == CONTROLLED else MAKERS).items()
        if variant in (options.variants or [*MAKERS, *CONTROLS])
    }
    # SmallCrush is short: all of its tests are one.
    whole = options.battery == "SmallCrush"
    tests = [0] if whole else options.tests or range(1, TESTS[options.battery] + 1)
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(folder)
        for (source, variant), maker in streams.items():
            for test in tests:
                if (source, variant, str(options.seed), str(test)) in done:
                    continue
                if time.monotonic() > end:
                    return
                started = time.process_time()
                stream = maker(SOURCES.get(source), options.seed, test * APART)
                found = run(library, options.battery, test, variant == FAIR, stream)
                with path.open("a", newline="", encoding="utf-8") as file:
                    csv.writer(file, lineterminator="\n").writerows(
                        (source, variant, options.seed, test, name, f"{value:.3g}")
                        for name, value in found
                    )
                least = min(min(value, 1 - value) for _, value in found)
                print(
                    f"{source}, {variant}, test {test}: {len(found)} p-values, {least:.2g} from"
                    f" the nearer end, {time.process_time() - started:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
