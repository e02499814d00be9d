"""Asynchronous successive halving (ASHA): whether a trial at a rung goes on, decided from the record alone.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934, algorithm 2, in the
stopping variant: a trial that is not in the best 1/eta of its rung ends there.

Differs from the paper: values are medians of the last reports; a trial is compared with those of its group only; and a
trial that was let through while few had come is stopped later, when it is far from the best of the many.
"""

import math
import statistics
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

TAKEN_BACK = 1.5
"""A trial let through a rung is stopped later when it is below the best TAKEN_BACK / eta of those who came since."""
MARGIN = 0.1
"""Share of the epochs before a drop of the learning rate, or before the end, in which there is no rung."""


def grace_of(epochs: int, grace_epochs: int | None) -> int:
    """The epochs before which no trial is stopped: as asked, else 10 % of all, but of few epochs a third.

    At least 5, and in between 10: what short runs have reached after fewer says little about where they end.
    """
    if grace_epochs is not None:
        return grace_epochs
    return max(5, round(0.1 * epochs), min(10, math.ceil(epochs / 3)))


def rung_epochs(
    epochs: int, *, grace_epochs: int | None, reduction_factor: int, drops: Iterable[int] = ()
) -> list[int]:
    """The epochs after which trials are compared: grace, grace * eta, ... below `epochs`.

    Grace is as in `grace_of`. A rung that would lie in the last 10 % of the epochs before
    one of `drops` (epochs at which the learning rate falls at once) moves to just behind it: what is compared before a
    drop is the noise of a large rate. In the last 10 % of all epochs there is none: it could save next to nothing.
    """
    rung = grace_of(epochs, grace_epochs)
    margin = max(1, round(MARGIN * epochs))
    rungs = set()
    while rung < epochs:
        behind = [drop + 1 for drop in drops if drop - margin < rung <= drop]
        rungs.add(behind[0] if behind else rung)
        rung *= reduction_factor
    return sorted(rung for rung in rungs if rung < epochs - margin)


def smoothed(values: Mapping[int, float], epoch: int, reports: int) -> float:
    """The median of the last `reports` values (epoch -> value) up to `epoch`, or of as many as there are."""
    recent = sorted(one for one in values if one <= epoch)[-reports:]
    return statistics.median(values[one] for one in recent)


class Seat(NamedTuple):
    """Where a trial is compared and with whom; known before its first epoch."""

    rungs: tuple[int, ...]
    """Epochs, rising."""
    group: str = ""
    """Only trials of one group are compared; empty where there is but one."""
    spared: bool = False
    """A trial of the control group: it is compared, and goes on whatever comes out."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided on a trial after an epoch, and by which numbers."""

    epoch: int
    stop: bool
    why: str
    """One line."""
    rung: int | None = None
    """The rung's epoch; None for what was not decided at a rung, as for the fields below."""
    value: float | None = None
    """The smoothed metric."""
    rank: int | None = None
    """1 for the best."""
    of: int | None = None
    """How many of the group have come to the rung."""
    cutoff: float | None = None
    """The worst value that goes on."""
    group: str | None = None

    def plain(self) -> dict[str, Any]:
        """As it stands in the record: a JSON object without what is None."""
        return {key: value for key, value in vars(self).items() if value is not None}


class StoppingRule(ABC):
    """Who stops trials early. `note` every report in the record, in any order of trials, and it is restored."""

    has_rungs: bool = False
    """Whether it compares trials at the rungs of their seats."""

    @abstractmethod
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Note a finite value after `epoch` epochs; None where there was nothing to decide.

        One of an epoch that the trial had already passed counts for nothing.
        """

    def note(self, trial: int, epoch: int, value: float, seat: Seat) -> None:
        """Take in a report on which all was decided before."""
        self.report(trial, epoch, value, seat)


class Never(StoppingRule):
    """Every trial goes on to the end."""

    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """None."""
        return None


@dataclass
class _Rung:
    """Who has come to a rung, and with what."""

    values: dict[int, float] = field(default_factory=dict)
    merits: list[float] = field(default_factory=list)
    """Minus the merit of each, rising: the best first."""


@dataclass
class Asha(StoppingRule):
    """The rungs of a sweep and what was measured there."""

    direction: Literal["maximize", "minimize"]
    reduction_factor: int
    smoothing: int = 1
    """Reports over whose median a rung decides."""
    has_rungs = True
    _rungs: dict[tuple[str, int], _Rung] = field(default_factory=dict)
    _latest: dict[int, int] = field(default_factory=dict)
    _recent: dict[int, deque[float]] = field(default_factory=dict)

    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Decide at the highest rung that the trial has reached since its report before, else look back."""
        before = self._latest.get(trial, 0)
        if epoch <= before:
            return None
        self._latest[trial] = epoch
        recent = self._recent.setdefault(trial, deque(maxlen=self.smoothing))
        recent.append(value)
        reached = [rung for rung in seat.rungs if before < rung <= epoch]
        decision = None
        if reached:
            self._enter(trial, seat.group, reached[-1], statistics.median(recent))
            decision = self._at_rung(trial, epoch, reached[-1], seat)
        if seat.spared or (decision is not None and decision.stop):
            return decision
        return self._looking_back(trial, epoch, seat, below=reached[-1] if reached else epoch) or decision

    def compared(self, group: str, rung: int) -> dict[int, float]:
        """Trial -> smoothed value of those who have come to a rung."""
        return dict(self._rungs[group, rung].values) if (group, rung) in self._rungs else {}

    def _enter(self, trial: int, group: str, epoch: int, value: float) -> None:
        rung = self._rungs.setdefault((group, epoch), _Rung())
        rung.values[trial] = value
        insort(rung.merits, self._demerit(value))

    def _at_rung(self, trial: int, epoch: int, at: int, seat: Seat) -> Decision:
        rung = self._rungs[seat.group, at]
        num = len(rung.merits)
        keep = max(1, num // self.reduction_factor)
        value, cutoff, rank = rung.values[trial], self._cutoff(rung, keep), self._rank(rung, trial)
        stop = rank > keep
        why = (
            f"epoch {epoch}: {value:.4g} is number {rank} of {num}{_in(seat.group)} at the rung of epoch {at}; "
            f"the best {keep} go on (cutoff {cutoff:.4g})"
        )
        if stop and seat.spared:
            why += "; it goes on for the control group"
        return Decision(
            epoch=epoch, stop=stop and not seat.spared, why=why,
            rung=at, value=value, rank=rank, of=num, cutoff=cutoff, group=seat.group,
        )  # fmt: skip

    def _looking_back(self, trial: int, epoch: int, seat: Seat, *, below: int) -> Decision | None:
        """Stop a trial that would not be let through an earlier rung by far, now that more have come there."""
        for at in seat.rungs:
            rung = self._rungs.get((seat.group, at))
            if at >= below or rung is None or trial not in rung.values:
                continue
            num = len(rung.merits)
            keep = max(1, int(TAKEN_BACK * num / self.reduction_factor))
            value, cutoff, rank = rung.values[trial], self._cutoff(rung, keep), self._rank(rung, trial)
            if rank > keep:
                why = (
                    f"epoch {epoch}: its {value:.4g} at the rung of epoch {at} is by now number {rank} of "
                    f"{num}{_in(seat.group)}; the best {keep} stay (cutoff {cutoff:.4g})"
                )
                return Decision(
                    epoch=epoch, stop=True, why=why,
                    rung=at, value=value, rank=rank, of=num, cutoff=cutoff, group=seat.group,
                )  # fmt: skip
        return None

    def _rank(self, rung: _Rung, trial: int) -> int:
        return 1 + bisect_left(rung.merits, self._demerit(rung.values[trial]))

    def _cutoff(self, rung: _Rung, keep: int) -> float:
        return self._demerit(rung.merits[keep - 1])

    def _demerit(self, value: float) -> float:
        return -value if self.direction == "maximize" else value


def _in(group: str) -> str:
    return f" ({group})" if group else ""
