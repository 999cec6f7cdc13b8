# SPDX-License-Identifier: BSD-3-Clause
"""Checks of arguments: one clear sentence with the value and what is allowed.

All of them run before any source advances and before any output is written.
"""

from fastdrop._checks.arrays import (
    as_array,
    check_booleans,
    check_bools,
    check_no_pair,
    is_array,
    shown,
    takes_array,
)
from fastdrop._checks.probabilities import (
    check_gaussian_p,
    check_keep_prob,
    check_p,
    check_probabilities,
    check_probability,
)
from fastdrop._checks.shapes import (
    check_axes,
    check_broadcast,
    check_channel_axis,
    check_noise_lengths,
    check_noise_shape,
    check_one_way_to_share,
    check_shape,
    check_window,
)
from fastdrop._checks.states import (
    check_bits,
    check_entries,
    check_numbers,
    check_source_name,
    check_stream_version,
    check_strides,
)
from fastdrop._checks.values import (
    check_choice,
    check_integer,
    check_jumps,
    check_position,
    check_positive,
    check_seed,
    check_switch,
    check_words,
)

__all__ = [
    "as_array",
    "check_axes",
    "check_bits",
    "check_booleans",
    "check_bools",
    "check_broadcast",
    "check_channel_axis",
    "check_choice",
    "check_entries",
    "check_gaussian_p",
    "check_integer",
    "check_jumps",
    "check_keep_prob",
    "check_no_pair",
    "check_noise_lengths",
    "check_noise_shape",
    "check_numbers",
    "check_one_way_to_share",
    "check_p",
    "check_position",
    "check_positive",
    "check_probabilities",
    "check_probability",
    "check_seed",
    "check_shape",
    "check_source_name",
    "check_stream_version",
    "check_strides",
    "check_switch",
    "check_window",
    "check_words",
    "is_array",
    "shown",
    "takes_array",
]
