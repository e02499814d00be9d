"""A stopping rule of your own: a trial that has got no better for some epochs ends.

    tune-mixup sweep my_space.py --set sweep.stopping.name=my_stopping_rule:Patience --set sweep.stopping.patience=3

Settings make the rule at work, which is told of each report and decides. It is told of all reports in the record again
when a sweep is resumed, in any order of trials: so a decision may depend on what was reported, not on when.
"""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field
from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, Stopping, StoppingRule


class Patience(Stopping):
    """Settings of the rule; it compares a trial with itself only."""

    patience: int = Field(default=5, ge=1)
    """Epochs without a better value after which a trial ends."""
    needs_every_epoch = True

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        return PatienceRule(objective.direction, self.patience)


@dataclass
class _Best:
    epoch: int
    value: float
    latest: int
    """The epoch of the last report."""


@dataclass
class PatienceRule(StoppingRule):
    """Remembers each trial's best value and when it was."""

    direction: Literal["maximize", "minimize"]
    patience: int
    _bests: dict[int, _Best] = field(default_factory=dict)

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        best = self._bests.get(trial)
        if best is not None and epoch <= best.latest:
            return None  # told again
        better = best is None or (value > best.value if self.direction == "maximize" else value < best.value)
        best = _Best(epoch, value, epoch) if best is None or better else _Best(best.epoch, best.value, epoch)
        self._bests[trial] = best
        if seat.spared or epoch - best.epoch < self.patience:
            return None
        why = f"epoch {epoch}: no better than {best.value:.4g} of epoch {best.epoch} for {epoch - best.epoch} epochs"
        return Decision(epoch=epoch, stop=True, by="rule", why=why, value=value)
