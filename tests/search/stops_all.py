"""A stopping rule from outside that stops every trial after its second epoch."""

from dataclasses import dataclass

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, Stopping, StoppingRule


class StopsAll(Stopping):
    """It has no settings."""

    needs_every_epoch = True

    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        return StopsAllRule()


@dataclass
class StopsAllRule(StoppingRule):
    """Every report of epoch 2 or later is a reason to stop."""

    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        return Decision(epoch=epoch, stop=True, by="whim", why=f"epoch {epoch}: enough") if epoch >= 2 else None
