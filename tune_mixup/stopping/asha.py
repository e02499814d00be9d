"""Asynchronous successive halving (ASHA): whether a trial at a rung goes on, decided from the record alone.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934, algorithm 2, in the
stopping variant: a trial that is not in the best 1/eta of its rung ends there.

Differs from the paper: values are medians of the last reports; a trial is compared with those of its group only; and
the share that goes on is rounded up, for a trial that is stopped can't be promoted later, as one that only pauses can.
"""

import statistics
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, StoppingRule
from tune_mixup.stopping.rungs import num_going_on
from tune_mixup.stopping.with_rungs import WithRungs


class Asha(WithRungs):
    """Settings of ASHA."""

    name: Literal["asha"] = "asha"

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        return AshaRule(objective.direction, self.reduction_factor, smoothing=self.reports_smoothed(objective))


@dataclass
class _Rung:
    """Who has come to a rung, and with what."""

    values: dict[int, float] = field(default_factory=dict)
    merits: list[float] = field(default_factory=list)
    """Minus the merit of each, rising: the best first."""


@dataclass
class AshaRule(StoppingRule):
    """The rungs of a sweep and what was measured there."""

    direction: Literal["maximize", "minimize"]
    reduction_factor: int
    smoothing: int = 1
    """Reports over whose median a rung decides."""
    _rungs: dict[tuple[str, int], _Rung] = field(default_factory=dict)
    _latest: dict[int, int] = field(default_factory=dict)
    _recent: dict[int, deque[float]] = field(default_factory=dict)

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Decide at the highest rung that the trial has reached since its report before."""
        before = self._latest.get(trial, 0)
        if epoch <= before:
            return None
        self._latest[trial] = epoch
        recent = self._recent.setdefault(trial, deque(maxlen=self.smoothing))
        recent.append(value)
        reached = [rung for rung in seat.rungs if before < rung <= epoch]
        if not reached:
            return None
        self._enter(trial, seat.group, reached[-1], statistics.median(recent))
        return self._at_rung(trial, epoch, reached[-1], seat)

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
        keep = num_going_on(num, self.reduction_factor)
        value, cutoff, rank = rung.values[trial], self._cutoff(rung, keep), self._rank(rung, trial)
        stop = rank > keep
        group = f" ({seat.group})" if seat.group else ""
        why = (
            f"epoch {epoch}: {value:.4g} is number {rank} of {num}{group} at the rung of epoch {at}; "
            f"the best {keep} go on (cutoff {cutoff:.4g})"
        )
        if stop and seat.spared:
            why += "; it goes on for the control group"
        return Decision(
            epoch=epoch, stop=stop and not seat.spared, by="rung", why=why,
            rung=at, value=value, rank=rank, of=num, cutoff=cutoff, group=seat.group,
        )  # fmt: skip

    def _rank(self, rung: _Rung, trial: int) -> int:
        return 1 + bisect_left(rung.merits, self._demerit(rung.values[trial]))

    def _cutoff(self, rung: _Rung, keep: int) -> float:
        return self._demerit(rung.merits[keep - 1])

    def _demerit(self, value: float) -> float:
        return -value if self.direction == "maximize" else value
