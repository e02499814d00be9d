"""No early stopping."""

from typing import Literal

from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Objective, Seat, Stopping, StoppingRule


class Never(Stopping):
    """It has no settings."""

    name: Literal["none"] = "none"
    stops = False

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        return NeverRule()


class NeverRule(StoppingRule):
    """Every trial goes on to the end."""

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        return None
