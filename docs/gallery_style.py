# SPDX-License-Identifier: BSD-3-Clause
"""How sphinx-gallery treats the examples of `gallery/`: their order, and one look for all."""

from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from threadpoolctl import threadpool_limits

import fastdrop as fd
from fastdrop.cli._demo_plots import DROPOUT_COLOR, STYLE, TRAINING_COLOR, WITHOUT_COLOR

# The plots of the demo, larger: they are read on telephones too. The colours can be told apart
# by the colour-blind; "C0" is dropout, "C1" what it is compared with, "C2" a third thing.
GALLERY_STYLE = STYLE | {
    "axes.prop_cycle": cycler(color=[DROPOUT_COLOR, WITHOUT_COLOR, TRAINING_COLOR]),
    "figure.figsize": (5.8, 3.9),
    "figure.dpi": 100,
    "font.size": 12,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "savefig.dpi": 100,
    "savefig.bbox": "tight",
}

ORDER = (
    "plot_test_error.py",
    "plot_data_size.py",
    "plot_gaussian.py",
    "plot_features.py",
    "plot_sparsity.py",
    "plot_monte_carlo.py",
    "plot_photograph.py",
    "plot_percolation.py",
    "networks.py",
)


class Order:
    """Sort the examples as `ORDER` does; one that is missing there is an error."""

    def __init__(self, src_dir: Any) -> None:
        """Take the folder of the examples, which does not matter."""

    def __call__(self, filename: str) -> int:
        """Return the place of an example."""
        return ORDER.index(filename)


def prepare(gallery_conf: Any, fname: Any) -> None:
    """Set the look before each example, and one thread: the matrix products are small."""
    plt.rcdefaults()
    plt.rcParams.update(GALLERY_STYLE)
    threadpool_limits(1, user_api="blas")
    fd.set_num_threads(1)
