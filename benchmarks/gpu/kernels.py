"""Where a graph step's time goes: its longest kernels, and how long the device has nothing to do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu import Result, Size
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.timing import config, stepper, wait
from benchmarks.rows import row
from tune_mixup.training.trainer import Trainer

NET = "resnet18, batch 128"
STEPS, LONGEST = 20, 30


class Kernel(NamedTuple):
    """Something that the device did."""

    name: str
    began_us: float
    ended_us: float


def results(size: Size) -> Iterator[Result]:
    """One: the kernels of some replays by their total time, and how long there was none."""
    trainer = Trainer(config(size, size.nets[NET], RUNGS["graph"]), device=size.device)
    steps, count = stepper(trainer), min(STEPS, size.replays)
    steps(count)
    wait(size.device)
    on_gpu = size.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as seen:
        steps(count)
        wait(size.device)
    device = DeviceType.CUDA if on_gpu else DeviceType.CPU
    kernels = [
        Kernel(event.name, event.time_range.start, event.time_range.end)
        for event in seen.events() or ()
        if event.device_type == device
    ]
    yield {
        "net": NET,
        "kernels_per_step": len(kernels) / count,
        "idle": idle_share(kernels),
        "step_us": (max(one.ended_us for one in kernels) - min(one.began_us for one in kernels)) / count,
        "longest": longest(kernels),
    }


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """The idle share, with the three longest kernels; all thirty are in the file."""
    return [
        row(
            f"{one['net']}: idle share of a graph step",
            value=100 * one["idle"],
            value_unit="%",
            note=f"{one['kernels_per_step']:.0f} kernels a step of {one['step_us']:.0f} us. Longest: "
            + "; ".join(f"{kernel['share']:.0%} {kernel['name'][:60]}" for kernel in one["longest"][:3]),
        )
        for one in own
    ]


def longest(kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
    """The `LONGEST` names by their total time: calls, microseconds, and share of the time of all kernels."""
    total: dict[str, list[float]] = {}
    for kernel in kernels:
        total.setdefault(kernel.name, []).append(kernel.ended_us - kernel.began_us)
    everything = sum(sum(times) for times in total.values())
    ranked = sorted(total, key=lambda name: -sum(total[name]))[:LONGEST]
    return [
        {"name": name, "calls": len(total[name]), "us": sum(total[name]), "share": sum(total[name]) / everything}
        for name in ranked
    ]


def idle_share(kernels: Sequence[Kernel]) -> float:
    """The share of the time from the first begin to the last end in which no kernel ran, in [0, 1)."""
    busy, until = 0.0, float("-inf")
    for kernel in sorted(kernels, key=lambda one: one.began_us):
        busy += max(0.0, kernel.ended_us - max(until, kernel.began_us))
        until = max(until, kernel.ended_us)
    whole = until - min(kernel.began_us for kernel in kernels)
    return 1 - busy / whole
