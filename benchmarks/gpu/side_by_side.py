"""Two captured trials in one process: their steps issued in turn to two streams, against one trial after the other."""

from collections.abc import Iterator

import torch

from benchmarks.gpu import Result, Size
from benchmarks.gpu.equality import GRAPH, Trained, same, state, trial
from benchmarks.gpu.timing import let_go, wait
from tune_mixup.training.fitting import draw_batches
from tune_mixup.training.trainer import Trainer

KINDS = ({"mixing.name": "mixup"}, {"mixing.name": "generalized_mixup", "optimizer.lr": 0.125})


def streams(size: Size) -> Iterator[Result]:
    """PyTorch's graphs that were captured on one stream share a workspace there, and spoil each other's results."""
    in_turn = _trained(size, at_once=False)
    let_go()
    at_once = _trained(size, at_once=True)
    let_go()
    for kind, one, other in zip(KINDS, at_once, in_turn, strict=True):
        yield same(f"{kind['mixing.name']}: two graphs at once, against in turn", one, other)


def _trained(size: Size, *, at_once: bool) -> list[Trained]:
    trainers = [trial(size, kind, GRAPH) for kind in KINDS]
    places = [torch.cuda.Stream() if at_once and size.device.type == "cuda" else None for _ in trainers]
    batches = [draw_batches(trainer.config, trainer.data, epoch=0) for trainer in trainers]
    rounds = -(-size.replays // len(batches[0]))
    wait(size.device)
    for trainer in trainers:
        trainer.step.begin_epoch(0)
    wait(size.device)
    numbers = [number for _ in range(rounds) for number in range(len(batches[0]))]
    order = (
        [(which, number) for number in numbers for which in range(len(trainers))]
        if at_once
        else [(which, number) for which in range(len(trainers)) for number in numbers]
    )
    for which, number in order:
        _step(trainers[which], batches[which][number], places[which])
    wait(size.device)
    return [state(trainer) for trainer in trainers]


def _step(trainer: Trainer, index: torch.Tensor, stream: "torch.cuda.Stream | None") -> None:
    with torch.cuda.stream(stream), trainer.step.kernels():
        trainer.step.set_rate(trainer.config.optimizer.lr)
        trainer.step(index)
