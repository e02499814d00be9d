"""Asynchronous successive halving (ASHA): whether a trial at a rung goes on, decided from the record alone.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934, algorithm 2, in the
stopping variant: a trial that is not in the best 1/eta of its rung ends there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal


def rung_epochs(
    epochs: int, *, grace_epochs: int | None, reduction_factor: int, drops: Iterable[int] = ()
) -> list[int]:
    """The epochs after which trials are compared: grace, grace * eta, ... below `epochs`.

    `grace_epochs` defaults to max(5, 10 % of the epochs). A rung that would lie in the last 10 % of the epochs before
    one of `drops` (epochs at which the learning rate falls at once) moves to just behind it: what is compared before a
    drop is the noise of a large rate.
    """
    rung = grace_epochs if grace_epochs is not None else max(5, round(0.1 * epochs))
    margin = max(1, round(0.1 * epochs))
    rungs = []
    while rung < epochs:
        behind = [drop + 1 for drop in drops if drop - margin < rung <= drop]
        rungs.append(min(behind[0] if behind else rung, epochs))
        rung *= reduction_factor
    return sorted({rung for rung in rungs if rung < epochs})


@dataclass
class Asha:
    """The rungs of a sweep and what was measured there. Feed it every report in the record and it is restored."""

    direction: Literal["maximize", "minimize"]
    reduction_factor: int
    rungs: dict[int, dict[int, float]] = field(default_factory=dict)
    """Rung epoch -> trial -> value."""
    _latest: dict[int, int] = field(default_factory=dict)

    def report(self, trial: int, epoch: int, value: float, rung_epochs: Sequence[int]) -> str | None:
        """Note a finite value after `epoch` epochs; returns why the trial must stop, or None when it goes on.

        `rung_epochs` are this trial's rungs. A report counts for the highest rung it has reached since the trial's
        report before; one of an epoch that the trial had already passed counts for nothing.
        """
        before, self._latest[trial] = self._latest.get(trial, 0), max(epoch, self._latest.get(trial, 0))
        reached = [rung for rung in rung_epochs if before < rung <= epoch]
        if not reached:
            return None
        rung = self.rungs.setdefault(reached[-1], {})
        rung[trial] = value
        ranked = sorted(rung.values(), reverse=self.direction == "maximize")
        keep = max(1, len(ranked) // self.reduction_factor)
        rank = 1 + ranked.index(value)
        if rank <= keep:
            return None
        return (
            f"epoch {epoch}: {value:.4g} is number {rank} of {len(ranked)} at the rung of epoch {reached[-1]}; "
            f"the best {keep} go on (cutoff {ranked[keep - 1]:.4g})"
        )
