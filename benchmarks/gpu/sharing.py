"""K trials on one GPU: as processes that take turns, as streams of one process, as one fused group."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import SpawnContext
from typing import Any

import torch
import torch.multiprocessing

from benchmarks import gpu
from benchmarks.gpu import Size
from benchmarks.gpu.fused import FusedGroup
from benchmarks.gpu.ladder import FAST
from benchmarks.gpu.timing import config, free, images_per_s, stepper, wait
from benchmarks.rows import row
from tune_mixup.data.augment import augment_batch, prepare
from tune_mixup.training.step import DTYPES, new_model
from tune_mixup.training.trainer import Trainer

SYNC_EVERY = 10
"""Steps between two looks at the clock."""


def measure() -> Iterator[dict[str, Any]]:
    size = gpu.size()
    return gpu.growing(size, rates(size), rows)


def rows(measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way of sharing against one trial in a process of its own; one that failed has none."""
    alone = {
        one["net"]: one["images_per_s"]
        for one in measured
        if (one["trials"], one["way"]) == (1, "processes") and "images_per_s" in one
    }
    return [
        row(
            f"{one['net']}: {one['trials']} at a time, {one['way']}, against one trial alone",
            ours=one["images_per_s"],
            other=alone[one["net"]],
            unit="images/s",
            value=one["images_per_s"] / alone[one["net"]],
            value_unit="x",
        )
        for one in measured
        if one["net"] in alone and "images_per_s" in one and (one["trials"], one["way"]) != (1, "processes")
    ]


def rates(size: Size) -> Iterator[dict[str, Any]]:
    """One result for each network, number of trials and way of sharing: images per second of all of them together."""
    fast = {**FAST, "training.compile": "graph"} if size.device.type == "cuda" else {}
    ways: dict[str, Callable[[Size, str, int, dict[str, Any]], dict[str, Any]]] = {
        "processes": _processes,
        "streams": _streams,
        "fused": _fused,
    }
    for net in size.shared_nets:
        for count in size.shared_by:
            for way, run in ways.items():
                free()
                try:
                    measured = run(size, net, count, fast)
                except RuntimeError as error:
                    measured = {"error": str(error).splitlines()[0]}
                yield {"net": net, "trials": count, "way": way, **measured}


def _streams(size: Size, net: str, count: int, fast: dict[str, Any]) -> dict[str, Any]:
    """One process; each trial's graph is replayed on a stream of its own."""
    trainers = [Trainer(config(size, net, **fast, seed=0), device=size.device) for _ in range(count)]
    run = [stepper(trainer) for trainer in trainers]
    streams = [torch.cuda.Stream() if size.device.type == "cuda" else None for _ in trainers]

    def steps(number: int) -> None:
        for _ in range(number):
            for each, stream in zip(run, streams, strict=True):
                with torch.cuda.stream(stream):
                    each(1)

    measured = images_per_s(steps, count * trainers[0].config.training.batch_size, size, warm_up=10)
    return {**measured, **_memory(size)}


def _fused(size: Size, net: str, count: int, fast: dict[str, Any]) -> dict[str, Any]:
    """One set of stacked weights; eager, with one batch for each member."""
    trial = config(size, net, **{key: value for key, value in fast.items() if key != "training.compile"})
    trainer = Trainer(trial, device=size.device)
    data, batch = trainer.data, trial.training.batch_size
    models = [new_model(trial.replace(seed=seed), data, size.device) for seed in range(count)]
    dtype = DTYPES[trial.training.precision]
    group = FusedGroup(
        models,
        lr=torch.full((count,), trial.optimizer.lr, device=size.device),
        momentum=0.9,
        weight_decay=trial.optimizer.weight_decay,
        autocast=None if dtype == torch.float32 else dtype,
    )
    made = torch.Generator(size.device).manual_seed(0)
    one_hot = torch.eye(data.num_classes, device=size.device)
    images = prepare(data.train.images, trial.data.augment)

    def steps(number: int) -> None:
        for _ in range(number):
            index = torch.randint(len(data.train.targets), (count * batch,), device=size.device, generator=made)
            pixels = augment_batch(images, index, size=data.size, augment=trial.data.augment, generator=made)
            inputs = trainer.step.inputs(pixels).reshape(count, batch, data.channels, *data.size)
            targets = one_hot[data.train.targets[index]].reshape(count, batch, -1)
            lam = torch.rand(count, device=size.device, generator=made)
            partner = torch.rand(count, batch, device=size.device, generator=made).argsort(1)
            group.step(inputs, targets, lam=lam, partner=partner)

    return {**images_per_s(steps, count * batch, size, warm_up=5), **_memory(size)}


def _memory(size: Size) -> dict[str, Any]:
    return {"peak_bytes": torch.cuda.max_memory_allocated()} if size.device.type == "cuda" else {}


def _processes(size: Size, net: str, count: int, fast: dict[str, Any]) -> dict[str, Any]:
    """Processes without a server between them: the GPU gives each one its turn."""
    context: SpawnContext = torch.multiprocessing.get_context("spawn")
    together = context.Barrier(count + 1)
    queue: Any = context.SimpleQueue()
    workers = [
        context.Process(target=_work, args=(size, net, fast, together, queue), daemon=True) for _ in range(count)
    ]
    before = _used(size)
    for worker in workers:
        worker.start()
    try:
        together.wait(timeout=180)
        rates = [queue.get() for _ in workers]
        used = max(rate["used_bytes"] for rate in rates) - before
    finally:
        for worker in workers:
            worker.join(timeout=30)
            if worker.is_alive():
                worker.terminate()
    total = math.fsum(rate["images_per_s"] for rate in rates)
    return {"images_per_s": total, **({"used_bytes": used} if size.device.type == "cuda" else {})}


def _work(size: Size, net: str, fast: dict[str, Any], together: Any, queue: Any) -> None:
    torch.set_num_threads(1)
    trial = config(size, net, **fast)
    steps = stepper(Trainer(trial, device=size.device))
    steps(SYNC_EVERY)
    wait(size.device)
    together.wait(timeout=180)
    began, made = time.perf_counter(), 0
    while time.perf_counter() - began < size.seconds * size.repeats:
        steps(SYNC_EVERY)
        wait(size.device)
        made += SYNC_EVERY
    rate = made * trial.training.batch_size / (time.perf_counter() - began)
    queue.put({"images_per_s": rate, "used_bytes": _used(size)})


def _used(size: Size) -> int:
    """Bytes of the whole GPU that are in use, contexts included."""
    if size.device.type != "cuda":
        return 0
    free_bytes, total = torch.cuda.mem_get_info()
    return total - free_bytes
