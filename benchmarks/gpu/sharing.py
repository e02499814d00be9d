"""K trials on one GPU: as processes that take turns, as processes under MPS, as streams of one process, fused."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from benchmarks.gpu import Result, Size, mps
from benchmarks.gpu.fused import FusedGroup
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.timing import FAST, config, images_per_s, peak, stepper
from benchmarks.gpu.worker import workers
from benchmarks.rows import row
from tune_mixup.data.augment import augment_batch, prepare
from tune_mixup.training.network import DTYPES, new_model
from tune_mixup.training.trainer import Trainer


def results(size: Size, *, net: str, way: str) -> Iterator[Result]:
    """One for each number of trials at a time: images per second of all of them together."""
    for found in WAYS[way](size, net):
        yield {"net": net, "way": way, **found}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Each way of sharing against one trial in a process of its own."""
    alone = {one["net"]: one["images_per_s"] for one in own if (one.get("trials"), one["way"]) == (1, "processes")}
    made = []
    for one in own:
        if "why" in one:
            made.append(row(f"{one['net']}: {one['way']}", value=None, value_unit="x", note=one["why"]))
        elif (one["trials"], one["way"]) != (1, "processes"):
            other = alone.get(one["net"])
            made.append(
                row(
                    f"{one['net']}: {one['trials']} at a time, {one['way']}, against one trial alone",
                    ours=one["images_per_s"],
                    other=other,
                    unit="images/s",
                    value=one["images_per_s"] / other if other else None,
                    value_unit="x",
                )
            )
    return made


def _processes(size: Size, net: str, environment: Mapping[str, str] = os.environ) -> Iterator[Result]:
    """All start at once; then one, two, ... of them train at the same time while the others idle."""
    with workers(max(size.shared_by), net, environment) as ready:
        for count in size.shared_by:
            for worker in ready[:count]:
                worker.train(size.seconds * size.repeats)
            said = [worker.answer() for worker in ready[:count]]
            total = math.fsum(one["images_per_s"] for one in said)
            yield {"trials": count, "images_per_s": total, "used_bytes": max(one["used_bytes"] for one in said)}


def _under_mps(size: Size, net: str) -> Iterator[Result]:
    """The same, as clients of a daemon; one result that says why, where there is none."""
    try:
        with mps.running() as environment:
            yield from _processes(size, net, environment)
    except RuntimeError as error:
        yield {"why": str(error)}


def _streams(size: Size, net: str) -> Iterator[Result]:
    """One process; each trial's graph is replayed on a stream of its own."""
    trial = config(size, size.nets[net], RUNGS["graph"])
    trainers = [Trainer(trial, device=size.device) for _ in range(max(size.shared_by))]
    run = [stepper(trainer) for trainer in trainers]
    streams = [torch.cuda.Stream() if size.device.type == "cuda" else None for _ in trainers]
    for count in size.shared_by:

        def steps(number: int, count: int = count) -> None:
            for _ in range(number):
                for each, stream in zip(run[:count], streams[:count], strict=True):
                    with torch.cuda.stream(stream):
                        each(1)

        measured = images_per_s(steps, count * trial.training.batch_size, size)
        yield {"trials": count, **measured, **peak(size)}


def _fused(size: Size, net: str) -> Iterator[Result]:
    """One set of stacked weights; eager, with one batch for each member."""
    trial = config(size, size.nets[net], FAST)
    trainer = Trainer(trial, device=size.device)
    data, batch = trainer.data, trial.training.batch_size
    dtype = DTYPES[trial.training.precision]
    one_hot = torch.eye(data.num_classes, device=size.device)
    images = prepare(data.train.images, trial.data.augment)
    for count in size.shared_by:
        group = FusedGroup(
            [new_model(trial.replace(seed=seed), data, size.device) for seed in range(count)],
            lr=torch.full((count,), trial.optimizer.lr, device=size.device),
            momentum=0.9,
            weight_decay=trial.optimizer.weight_decay,
            autocast=None if dtype == torch.float32 else dtype,
        )
        made = torch.Generator(size.device).manual_seed(0)

        def steps(number: int, count: int = count, group: FusedGroup = group, made: torch.Generator = made) -> None:
            for _ in range(number):
                index = torch.randint(len(data.train.targets), (count * batch,), device=size.device, generator=made)
                pixels = augment_batch(images, index, size=data.size, augment=trial.data.augment, generator=made)
                inputs = trainer.step.network.inputs(pixels).reshape(count, batch, data.channels, *data.size)
                targets = one_hot[data.train.targets[index]].reshape(count, batch, -1)
                lam = torch.rand(count, device=size.device, generator=made)
                partner = torch.rand(count, batch, device=size.device, generator=made).argsort(1)
                group.step(inputs, targets, lam=lam, partner=partner)

        yield {"trials": count, **images_per_s(steps, count * batch, size, warm_up=5), **peak(size)}


WAYS: dict[str, Callable[[Size, str], Iterator[Result]]] = {
    "processes": _processes,
    "MPS": _under_mps,
    "streams": _streams,
    "fused": _fused,
}
"""Name -> how trials share."""
