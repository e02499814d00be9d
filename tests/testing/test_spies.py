"""The watchers notice what they are there for; a suite whose watcher is blind would pass anything."""

import random

import numpy as np
import pytest
import torch

from tune_mixup.testing.watching import global_generators_untouched, no_reads_on_the_host, operators_noted


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t[0].item(),
        lambda t: bool(t[0]),
        lambda t: t.cpu(),
        lambda t: t[t > 0],
        lambda t: torch.nonzero(t),
        lambda t: torch.bincount(t.long()),
        lambda t: torch.equal(t, t),
        lambda t: range(t.long()[0]),
    ],
)
def test_the_spy_notices_reads_on_the_host(read):
    with no_reads_on_the_host(), pytest.raises(AssertionError, match="on the host"):
        read(torch.ones(3))


def test_the_host_may_read_again_behind_the_block():
    before = torch.Tensor.item
    with pytest.raises(AssertionError), no_reads_on_the_host():
        torch.ones(1).item()
    assert torch.Tensor.item is before and torch.ones(1).item() == 1


@pytest.mark.parametrize(
    ("draw", "whose"),
    [(random.random, "Python's"), (np.random.rand, "NumPy's"), (lambda: torch.rand(1), "torch's")],
)
def test_a_draw_from_a_global_generator_is_noticed(draw, whose):
    with torch.random.fork_rng(devices=[]):
        with pytest.raises(AssertionError, match=f"{whose} global generator"), global_generators_untouched():
            draw()
        with global_generators_untouched():
            torch.rand(1, generator=torch.Generator().manual_seed(0))
        with global_generators_untouched(torchs_own=False):
            torch.rand(1)


def test_operators_are_noted_with_their_shapes():
    notes = []
    with operators_noted(notes):
        torch.ones(2, 3) @ torch.ones(3, 4)
    assert notes[-1] == ("aten::mm", ((2, 3), (3, 4))) and len(notes) == 3
