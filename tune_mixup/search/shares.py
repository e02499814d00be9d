"""Which share of a GPU each trial gets, and on which type of GPU."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from typing_extensions import override

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.nodes import ANY_TYPE, Node, fitting, gpu_types, of_type, slots
from tune_mixup.measuring.packing import Packed
from tune_mixup.record.facts import SweepFacts, TrialFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.sweep_config import SweepConfig


class Place(NamedTuple):
    """Where a trial runs."""

    gpus: float
    """Its share of a GPU, at most 1."""
    gpu_type: str = ANY_TYPE


class Begin(NamedTuple):
    """A trial to run: its number, its configuration, and where."""

    number: int
    config: TrialConfig
    place: Place
    heard: int
    """The last epoch that the record knows of; the worker tells of later ones that it finds, before it trains."""


class Shares(ABC):
    """Hands out places. What a trial has is in its record where it differs from the sweep's `gpus_per_trial`."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.record = record
        self.config = config

    def of(self, number: int) -> float:
        """The share that a trial has, or had when it last ran."""
        return self.config.gpus if (gpus := self.record.study.facts(number).gpus) is None else gpus

    @abstractmethod
    def has_room(self) -> bool:
        """Whether a trial may begin now."""

    @abstractmethod
    def take(self, number: int) -> Place:
        """The place of a trial that begins, or begins again; there must be room."""

    @abstractmethod
    def enlarge(self, number: int) -> str | None:
        """What a trial that ran out of memory goes on with, in words; None when it can't have more."""

    @abstractmethod
    def release(self, number: int) -> None:
        """The trial runs no more."""


class FixedShares(Shares):
    """The share that the configuration says; a trial that runs out of memory gets twice as much for itself."""

    @override
    def has_room(self) -> bool:
        """Always: Ray lets trials wait."""
        return True

    @override
    def take(self, number: int) -> Place:
        """On any GPU."""
        return Place(self.of(number))

    @override
    def enlarge(self, number: int) -> str | None:
        """Twice the share, up to a whole GPU."""
        share = self.of(number)
        if not 0 < share < 1:
            return None
        larger = min(1.0, 2 * share)
        self.record.study.note(number, TrialFacts(gpus=larger))
        return f"{larger:g}"

    @override
    def release(self, number: int) -> None:
        """Nothing: places are not counted."""


class PackedShares(Shares):
    """As many trials on a GPU of each type as was decided; out of memory means that these are too many."""

    def __init__(self, record: SweepRecord, config: SweepConfig, nodes: Sequence[Node], decision: Packed) -> None:
        """For the GPUs of `nodes`; `decision` knows each type of them."""
        super().__init__(record, config)
        self.decision = decision
        self._pools = {gpu_type: of_type(nodes, gpu_type) for gpu_type in gpu_types(nodes)}
        self._running: dict[int, str] = {}
        """Trial -> type of its GPU."""

    @override
    def has_room(self) -> bool:
        """Whether a place is free on some type of GPU."""
        return bool(self._free())

    @override
    def take(self, number: int) -> Place:
        """On the type of GPU whose trials are the fastest, of those that have a free place."""
        packing = self.decision.gpus
        gpu_type = min(self._free(), key=lambda it: packing[it].step_s or math.inf)
        self._running[number] = gpu_type
        share = packing[gpu_type].share
        if share != self.of(number):
            self.record.study.note(number, TrialFacts(gpus=share))
        return Place(share, gpu_type if len(self._pools) > 1 else ANY_TYPE)

    @override
    def enlarge(self, number: int) -> str | None:
        """What trials have from now on: the share of the next smaller number on such a GPU.

        Unless others have brought that about since the trial began. Those that run keep what they have.
        """
        gpu_type, had = self._running[number], self.of(number)
        packing = self.decision.gpus[gpu_type]
        if had >= packing.share:
            lowered = packing.lowered(f"trial {number} ran out of memory with {had:g}")
            if lowered is None:
                return None
            packing = lowered
            self.decision = self.decision.replace(gpus={**self.decision.gpus, gpu_type: packing})
            self.record.study.note_sweep(SweepFacts(packing=self.decision.model_dump(mode="json")))
        return f"{packing.share:g}, which all trials have from now on{f' on {gpu_type}' if gpu_type else ''}"

    @override
    def release(self, number: int) -> None:
        """Its place is free again."""
        self._running.pop(number, None)

    def _free(self) -> list[str]:
        held = list(self._running.values())
        return [gpu_type for gpu_type in self._pools if held.count(gpu_type) < self._places(gpu_type)]

    def _places(self, gpu_type: str) -> int:
        share = self.decision.gpus[gpu_type].share
        return fitting(self._pools[gpu_type], cpus=self.config.cpus, gpus=share)


def shares_for(record: SweepRecord, config: SweepConfig, nodes: Sequence[Node], decision: Packed) -> Shares:
    """Packed where packing was decided, else fixed."""
    return PackedShares(record, config, nodes, decision) if decision.gpus else FixedShares(record, config)


def room(config: SweepConfig, nodes: Sequence[Node], decision: Packed) -> int:
    """Trials that run at once. Raises ValueError when not even one fits."""
    packed = sum(
        fitting(of_type(nodes, gpu_type), cpus=config.cpus, gpus=decision.gpus[gpu_type].share)
        for gpu_type in gpu_types(nodes)
        if decision.gpus
    )
    return packed or slots(nodes, cpus=config.cpus, gpus=config.gpus)
