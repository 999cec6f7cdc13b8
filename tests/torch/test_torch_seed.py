# SPDX-License-Identifier: BSD-3-Clause
"""Words of masks: one way of drawing them, and never one draw for two masks."""

import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import fastdrop.torch as ft
from fastdrop.torch import _seed


def kept(mask):
    out = torch.empty(500, dtype=torch.bool)
    mask.write_kept(out, 1)
    return out


def test_programs_that_run_and_that_are_recorded_draw_alike():
    for generator in (None, torch.Generator()):
        (torch.default_generator if generator is None else generator).manual_seed(5)
        mask = _seed.draw_mask(0.5, (1,), generator=generator)
        after = torch.get_rng_state() if generator is None else generator.get_state()
        (torch.default_generator if generator is None else generator).manual_seed(5)
        words = _seed.draw_words(generator)
        assert words.dtype == torch.int64 and words.shape == (4,) and words[3] == 0
        same = _seed.mask_from_words(words, 0.5, (1,))
        assert torch.equal(kept(mask), kept(same))
        again = torch.get_rng_state() if generator is None else generator.get_state()
        assert torch.equal(after, again)


DROPS = {
    "dropout": lambda x: ft.dropout(x, 0.5),
    "dropout1d": lambda x: ft.dropout1d(x.view(1, -1, 1), 0.5).flatten(),
    "relu_dropout": lambda x: ft.relu_dropout(x, 0.5),
    "dropout_add": lambda x: ft.dropout_add(x, torch.zeros(500), 0.5),
    "F.dropout": lambda x: F.dropout(x, 0.5),
    "native_dropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "bernoulli_": lambda x: x.bernoulli_(0.5),
}


@pytest.mark.parametrize("name", DROPS)
def test_code_that_drops_between_the_lines_of_a_call_has_a_mask_of_its_own(name, in_python):
    """As a signal handler, a finalizer or a hook does, here after every line."""
    inner, busy = [], []

    def trace(frame, event, argument):
        if event == "line" and not busy:
            busy.append(True)
            inner.append(DROPS[name](torch.ones(500)) != 0)
            busy.pop()
        return trace if "fastdrop" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outer = DROPS[name](torch.ones(500)) != 0
    finally:
        sys.settrace(before)
    assert len(inner) > 3
    for mask in inner:
        assert not torch.equal(mask, outer)


class Drops(TorchFunctionMode):
    """Drops after each function that a call of the package makes."""

    def __init__(self):
        super().__init__()
        self.masks = []

    def __torch_function__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        self.masks.append(kept(_seed.draw_mask(0.5, (1,))))
        return result


def test_a_mode_that_drops_in_a_draw_has_a_mask_of_its_own():
    with Drops() as mode:
        mask = _seed.draw_mask(0.5, (1,))
        y = ft.dropout(torch.ones(500)) != 0
    assert mode.masks
    for other in mode.masks:
        assert not torch.equal(other, kept(mask)) and not torch.equal(other, y)


def test_an_error_in_a_draw_leaves_the_next_one_alone():
    class Refuses(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            raise KeyError

    with pytest.raises(KeyError), Refuses():
        _seed.draw_mask(0.5, (1,))
    assert not torch.equal(kept(_seed.draw_mask(0.5, (1,))), kept(_seed.draw_mask(0.5, (1,))))


def test_threads_draw_masks_of_their_own():
    masks = []

    def draw():
        masks.extend(kept(_seed.draw_mask(0.5, (1,))) for _ in range(100))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tuple(mask.tolist()) for mask in masks}) == 400
