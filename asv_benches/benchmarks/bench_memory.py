# SPDX-License-Identifier: BSD-3-Clause
"""Memory: what a step needs at its peak, and what is kept for the backward pass."""

import numpy as np

from .common import Benchmark, fd

ELEMENTS = 2**24


class Peak(Benchmark):
    """The whole process. Two arrays of 64 MiB exist before dropout begins."""

    def prepare(self):
        self.arrays(ELEMENTS)

    def peakmem_arrays_alone(self):
        np.copyto(self.y, self.x)

    def peakmem_dropout(self):
        fd.dropout(self.x, 0.1, rng=1, out=self.y)

    def peakmem_dropout_backward(self):
        _, mask = fd.dropout(self.x, 0.1, rng=1, out=self.y)
        fd.dropout_backward(self.x, mask, out=self.y)

    def peakmem_numpy_idiom(self):
        rng = np.random.default_rng(1)
        self.x * (rng.random(self.x.shape) >= 0.1) / 0.9


class KeptForBackward(Benchmark):
    """Bytes for each element that a mask keeps."""

    params = [["seed", "bits"]]
    param_names = ["store"]

    def track_mask(self, store):
        mask = fd.dropout_mask(2**20, 0.1, rng=1, store=store)
        return mask.nbytes / mask.size

    track_mask.unit = "bytes per element"
