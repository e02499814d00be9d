"""How copies of a trial do beside each other on one node and one device, each in a process of its own."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.child import Child
from tune_mixup.measuring.messages import EpochSeen, Fault, Watch
from tune_mixup.measuring.packing import Load, OutOfMemory, Probe

MIN_EPOCHS, MIN_S, ENOUGH_S = 3, 3.0, 20.0
"""A copy is watched for this many epochs and seconds while all run; after `ENOUGH_S` a single epoch will do."""


@dataclass(frozen=True)
class Place:
    """What a probe takes of a cluster for its time."""

    cpus: float
    """Logical CPUs."""
    gpus: float
    """1: the copies share a whole GPU, which nobody else has meanwhile; 0: they run on the CPU."""
    where: Mapping[str, float]
    """Other resources to ask for, which say the node: `accelerator_type:X` or `node:IP`."""


class Run(Protocol):
    """Runs `together` at a place, on whatever host that is."""

    def __call__(self, watch: Watch, copies: int, place: Place) -> Load | Fault:
        """Give back what `together` found there."""


@dataclass(frozen=True)
class NodeProbe(Probe):
    """A trial on one node of a cluster, with all of its CPUs or with one GPU."""

    run: Run
    config: TrialConfig
    threads: int
    """CPU threads of each copy."""
    place: Place
    memory_bytes: int | None = None
    """What the node's workers may use of its memory; None: as much as the probe finds there."""

    @override
    def measure(self, copies: int, steps: int | None = None) -> Load:
        """Raises OutOfMemory, and ValueError when the trial has a fault."""
        watch = Watch(config=self.config, threads=self.threads, gpu=self.place.gpus > 0, steps=steps)
        found = self.run(watch, copies, self.place)
        if not isinstance(found, Fault):
            return found if self.memory_bytes is None else found._replace(memory_bytes=self.memory_bytes)
        if found.out_of_memory:
            raise OutOfMemory(found.words)
        raise ValueError(f"the probe of the largest setting failed: {found.words}; give a number instead of auto")


def together(watch: Watch, copies: int) -> Load | Fault:
    """Train `copies` of a trial at once on this host until enough was seen of each.

    Returns the longest of their median steps with the largest peak, or the fault that ended one of them.
    """
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(Child(watch.threads)) for _ in range(copies)]
        for child in children:
            child.ask(watch)
        for child in children:
            first = _next(child)
            if isinstance(first, Fault):
                return first
        warm = time.time()
        loads = []
        for child in children:
            seen: list[Load] = []
            while not _enough(len(seen), time.time() - warm):
                epoch = _next(child)
                if isinstance(epoch, Fault):
                    return epoch
                if epoch.began >= warm:
                    seen.append(epoch.load)
            loads.append(_most(seen)._replace(step_s=median(load.step_s for load in seen)))
    return _most(loads)


def _next(child: Child) -> EpochSeen | Fault:
    said = child.answer()
    assert isinstance(said, EpochSeen | Fault)
    return said


def _enough(epochs: int, seconds: float) -> bool:
    return (epochs >= MIN_EPOCHS and seconds >= MIN_S) or (epochs >= 1 and seconds >= ENOUGH_S)


def _most(loads: Sequence[Load]) -> Load:
    return loads[0]._replace(
        step_s=max(load.step_s for load in loads),
        peak_bytes=max(load.peak_bytes for load in loads),
        memory_bytes=max(load.memory_bytes for load in loads),
    )
