"""Two captured trials in one process: their steps issued in turn to two streams, against one trial after the other."""

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.gpu import Result, Size
from benchmarks.gpu.equality import GRAPH, Trained, same, state, trial
from benchmarks.gpu.timing import let_go, stepper, wait

KINDS: tuple[dict[str, Any], ...] = (
    {"mixing.name": "mixup"},
    {"mixing.name": "generalized_mixup", "optimizer.lr": 0.125},
)


def streams(size: Size) -> Iterator[Result]:
    """PyTorch's graphs that were captured on one stream share a workspace there, and spoil each other's results."""
    in_turn = _trained(size, at_once=False)
    let_go()
    at_once = _trained(size, at_once=True)
    let_go()
    for kind, one, other in zip(KINDS, at_once, in_turn, strict=True):
        yield same(f"{kind['mixing.name']}: two graphs at once, against in turn", one, other)


def _trained(size: Size, *, at_once: bool) -> list[Trained]:
    """What each comes to after `size.replays` steps; the streams outside keep one step from waiting for the other."""
    trainers = [trial(size, kind, GRAPH) for kind in KINDS]
    run = [stepper(trainer) for trainer in trainers]
    places = [torch.cuda.Stream() if at_once and size.device.type == "cuda" else None for _ in trainers]
    turns, each = (size.replays, 1) if at_once else (1, size.replays)
    wait(size.device)
    for _ in range(turns):
        for steps, place in zip(run, places, strict=True):
            with torch.cuda.stream(place):
                steps(each)
    wait(size.device)
    found = [state(trainer) for trainer in trainers]
    for trainer in trainers:
        trainer.close()
    return found
