"""No early stopping."""

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Seat, StoppingRule


class Never(StoppingRule):
    """Every trial goes on to the end."""

    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """None."""
        return None
