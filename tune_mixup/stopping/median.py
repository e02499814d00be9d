"""Ray's median stopping rule, fed from the record: a trial whose best is below the median of the others' means ends.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2. The rule is Ray's own
`MedianStoppingRule`: it decides from what it was told and from nothing else, so telling it the record restores it.
"""

import math
from typing import Any, Literal, NamedTuple, cast

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.base import Seat, StoppingRule

MIN_OTHERS = 3
"""Trials that must have come as far as a trial before it can be stopped."""


class _Name(NamedTuple):
    """All that the rule wants of one of Ray's trials."""

    trial_id: str


class MedianRule(StoppingRule):
    """Decides after every epoch from `grace_epochs` on; knows neither rungs nor groups."""

    def __init__(self, direction: Literal["maximize", "minimize"], *, grace_epochs: int) -> None:
        from ray.tune.schedulers import MedianStoppingRule

        self._better = max if direction == "maximize" else min
        self._rule = MedianStoppingRule(
            time_attr="epoch",
            metric="value",
            mode="max" if direction == "maximize" else "min",
            grace_period=grace_epochs,
            min_samples_required=MIN_OTHERS,
            min_time_slice=cast(int, math.inf),  # it never pauses a trial, which takes Ray's controller
        )
        self._latest: dict[int, int] = {}
        self._best: dict[int, float] = {}

    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """Stop when the best value so far is worse than the median of the others' running means; else None."""
        if seat.spared:
            self.note(trial, epoch, value, seat)
        if not self._is_new(trial, epoch, value):
            return None
        if self._rule.on_trial_result(cast(Any, None), *_as_ray(trial, epoch, value)) != "STOP":
            return None
        why = f"epoch {epoch}: its best, {self._best[trial]:.4g}, is worse than the median of the others' running means"
        return Decision(epoch=epoch, stop=True, why=why, by="median", value=self._best[trial])

    def note(self, trial: int, epoch: int, value: float, seat: Seat) -> None:
        """Take in a report without a decision: Ray's rule decides differently when told in another order."""
        if self._is_new(trial, epoch, value):
            self._rule.on_trial_complete(cast(Any, None), *_as_ray(trial, epoch, value))

    def _is_new(self, trial: int, epoch: int, value: float) -> bool:
        if epoch <= self._latest.get(trial, 0):
            return False
        self._latest[trial] = epoch
        self._best[trial] = self._better(value, self._best.get(trial, value))
        return True


def _as_ray(trial: int, epoch: int, value: float) -> tuple[Any, dict[str, Any]]:
    return _Name(str(trial)), {"epoch": epoch, "value": value}
