# SPDX-License-Identifier: BSD-3-Clause
"""Random calls from several threads for a while: right all the time, and with no more memory.

    python tools/soak.py --seconds 60

Threads make calls by chance of every public function and layer, and hold each against the twin or,
where arrays are large, against the same call once more; meanwhile the level and the number of
threads change all the time, and the process forks children that do the same. Threads share one
source, whose masks may not overlap. Memory is looked at in the middle and at the end. A fault is
printed with the seed of its call, and ends the run with status 1.
"""

import argparse
import itertools
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from face import MEMBERS, assert_near, assert_same

import fastdrop as fd

FUNCTIONS = [name for name in MEMBERS if name not in ("mc_predict", "drop_connect_backward")]
PATIENCE = 60  # seconds until a child is taken to hang
GROWTH = 16 * 2**20  # bytes that allocators may come and go by


class Soak:
    """What all threads share."""

    def __init__(self, seconds, seed):
        self.end = time.monotonic() + seconds
        self.seeds = itertools.count(seed << 32)
        self.counts, self.faults = Counter(), []
        self.shared, self.ranges = fd.Xoshiro256PlusPlus(seed), []

    def goes_on(self):
        """Tell whether there is time left, and nothing wrong."""
        return time.monotonic() < self.end and not self.faults

    def check(self, name, chance):
        """Make a call by chance, and compare."""
        if chance.random() < 0.8:
            MEMBERS[name](chance, layouts=True).check()
            return
        size = chance.choice((4_096, 20_000, 100_000))
        call = MEMBERS[name](chance, dtype=None, size=size // 8 if MEMBERS[name].sums else size)
        copy = call.moved(lambda _, array: array.copy())
        y, mask = call.run()
        again, same = copy.run()
        (assert_near if call.member.sums else assert_same)(again, y)
        assert mask == same

    def draw_shared(self, chance):
        """Draw from the source that all threads share; nobody else may get this range."""
        n = chance.choice((1, 100, 5_000, 70_000))
        y, mask = fd.dropout(np.ones(n, np.float32), 0.3, rng=self.shared)
        assert np.array_equal(y != 0, np.asarray(mask))
        self.ranges.append((mask.state["position"], n))

    def work(self):
        """Make calls until the time is over."""
        while self.goes_on():
            seed = next(self.seeds)
            chance = random.Random(seed)
            name = chance.choice(FUNCTIONS)
            try:
                self.check(name, chance)
                self.draw_shared(chance)
            except Exception:
                self.faults.append(f"{name}, seed {seed}\n{traceback.format_exc()}")
            self.counts[name] += 1

    def turn(self):
        """Change levels and numbers of threads."""
        chance = random.Random(0)
        while self.goes_on():
            fd.set_num_threads(chance.choice((1, 2, 3, 8)))
            with fd.use_simd(chance.choice(fd.simd_levels())):
                time.sleep(0.01)
            self.counts["turns"] += 1

    def fork(self):
        """Let a child make some calls; it must come to an end."""
        if not hasattr(os, "fork"):
            return
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for name in FUNCTIONS:
                    self.check(name, random.Random(os.getpid()))
                fd.dropout(np.ones(300_000))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        deadline = time.monotonic() + PATIENCE
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                self.faults.append("a forked child hangs")
            time.sleep(0.01)
        if ended[1]:
            self.faults.append(f"a forked child, {child}, ended with {ended[1]}; see above")
        self.counts["forks"] += 1


def memory():
    """Return the bytes in memory of this process, or 0 where nobody tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def overlapping(ranges):
    """Return the first of two ranges that overlap, or None."""
    for (start, n), (following, _) in itertools.pairwise(sorted(ranges)):
        if start + n > following:
            return start, n
    return None


def main():
    """Run for a while; return 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in FUNCTIONS:  # imports all that is imported late, whose locks a child would inherit
        MEMBERS[name](random.Random(0)).check()
    soak = Soak(options.seconds, options.seed)
    threads = [threading.Thread(target=soak.work) for _ in range(options.threads)]
    threads.append(threading.Thread(target=soak.turn))
    for thread in threads:
        thread.start()
    middle, half = None, time.monotonic() + options.seconds / 2
    while soak.goes_on():
        soak.fork()
        time.sleep(0.2)
        if middle is None and time.monotonic() > half:
            middle = memory()
    for thread in threads:
        thread.join()
    end = memory()
    for fault in soak.faults:
        print(fault)
    overlap = overlapping(soak.ranges)
    if overlap:
        print(f"two masks of the shared source overlap at {overlap}")
    grows = middle is not None and end - middle > GROWTH
    calls = sum(soak.counts[name] for name in FUNCTIONS)
    print(
        f"{calls} calls, {len(soak.ranges)} shared masks, {soak.counts['turns']} changes of level, "
        f"{soak.counts['forks']} forks; {(middle or 0) / 2**20:.1f} MiB in the middle, "
        f"{end / 2**20:.1f} MiB at the end{': it grows' if grows else ''}"
    )
    return 1 if soak.faults or overlap or grows else 0


if __name__ == "__main__":
    sys.exit(main())
