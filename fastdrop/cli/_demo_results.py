# SPDX-License-Identifier: BSD-3-Clause
"""What the demo does, and what it finds: plans, settings, errors and times."""

from dataclasses import dataclass

import numpy as np

from fastdrop.cli._demo_network import Array

WITHOUT = 1.0  # keep everything: no dropout
HALF = 0.5  # the setting to judge dropout by, named before looking at any error


@dataclass(frozen=True)
class Plan:
    """The sizes of the demo; the defaults are the full one."""

    keeps: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, HALF, 0.6, 0.7, 0.8, 0.9, WITHOUT)
    seeds: int = 12
    training_images: int = 200
    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 100
    checkpoints: int = 20
    autoencoder_seeds: int = 3
    autoencoder_units: int = 256
    autoencoder_images: int = 1500
    autoencoder_epochs: int = 150

    def total_epochs(self) -> int:
        """Return the number of epochs of all trainings together."""
        return len(self.keeps) * self.epochs + 2 * self.autoencoder_epochs


QUICK = Plan(
    keeps=(0.1, 0.3, HALF, 0.8, WITHOUT),
    seeds=6,
    epochs=50,
    checkpoints=12,
    autoencoder_seeds=1,
    autoencoder_epochs=60,
)


@dataclass(frozen=True)
class Times:
    """Milliseconds of one training step, all seeds together."""

    step: float
    dropout: float
    idiom: float


@dataclass(frozen=True)
class Curve:
    """Errors in percent, (checkpoints, seeds), after some of the epochs and after the last."""

    epochs: Array
    train_error: Array
    test_error: Array


@dataclass(frozen=True)
class Setting:
    """The classifiers of one probability of being present: final errors in percent, by seed."""

    keep: float
    train_error: Array
    test_error: Array
    curve: Curve
    times: Times | None  # None without dropout


@dataclass(frozen=True)
class Autoencoder:
    """The autoencoders of one probability of being present, one for each seed."""

    keep: float
    features: Array  # (seeds, units, pixels)
    activations: Array  # (seeds, test images, units)
    error: Array  # (seeds,): squared error in percent of the variance of the test images


@dataclass(frozen=True)
class Gain:
    """How many points of test error a setting saves, paired by seed."""

    mean: float
    standard_error: float

    def clear(self) -> bool:
        """Whether the gain is more than three standard errors from zero.

        Three, not two: the seeds are few and share most of their test images, so that the
        standard error is itself uncertain and rather too small.
        """
        return abs(self.mean) > 3 * self.standard_error

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ± {self.standard_error:.2f}"


@dataclass(frozen=True)
class Results:
    """Everything that the demo found."""

    plan: Plan
    settings: tuple[Setting, ...]
    autoencoders: tuple[Autoencoder, ...]

    def without(self) -> Setting:
        """Return the setting without dropout."""
        return self._setting(WITHOUT)

    def half(self) -> Setting:
        """Return the setting that drops half of the hidden units."""
        return self._setting(HALF)

    def best(self) -> Setting:
        """Return the setting with the lowest mean test error."""
        return min(self.settings, key=lambda setting: float(setting.test_error.mean()))

    def gain(self, setting: Setting) -> Gain:
        """Return the gain of `setting` against no dropout."""
        return Gain(*mean_and_error(self.without().test_error - setting.test_error))

    def _setting(self, keep: float) -> Setting:
        return next(setting for setting in self.settings if setting.keep == keep)


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean of `values` and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
