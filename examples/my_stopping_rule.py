"""A stopping rule of one's own: a trial ends when it has not become better for a while.

cd examples && tune-mixup sweep quickstart --name patient --set sweep.stopping.name=my_stopping_rule:Patience
"""

from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, Stopping, StoppingRule


class Patience(Stopping):
    """Settings of the rule; it compares a trial with itself only."""

    needs_every_epoch: ClassVar[bool] = True
    patience: int = Field(default=4, ge=1)
    """A trial ends after this many epochs without a new best."""

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        return PatienceRule(1 if objective.direction == "maximize" else -1, self.patience)


class PatienceRule(StoppingRule):
    """Its state follows from each trial's reports, in whatever order trials are told: so `resume` is exact."""

    def __init__(self, sign: int, patience: int) -> None:
        self.sign, self.patience = sign, patience
        self._latest: dict[int, int] = {}
        self._best: dict[int, tuple[float, int]] = {}
        """Trial -> its best value so far, times `sign`, and the epoch of it."""

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        if epoch <= self._latest.get(trial, 0):
            return None
        self._latest[trial] = epoch
        best, at = self._best.get(trial, (float("-inf"), 0))
        if self.sign * value > best:
            self._best[trial] = (self.sign * value, epoch)
            return None
        if seat.spared or epoch - at < self.patience:
            return None
        why = f"epoch {epoch}: no better than {self.sign * best:.4g} of epoch {at} for {epoch - at} epochs"
        return Decision(epoch=epoch, stop=True, why=why, by="patience", value=value)
