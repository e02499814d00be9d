"""Asynchronous Hyperband: ASHA with several grace periods at once, as a hedge against a wrong one.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018), arXiv:1603.06560,
algorithm 1; run asynchronously as in arXiv:1810.05934, section 3.2: each bracket is an ASHA that begins one rung later.
"""

import math
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from tune_mixup.record.facts import Decision
from tune_mixup.stopping.asha import AshaRule
from tune_mixup.stopping.base import Objective, Seat, StoppingRule
from tune_mixup.stopping.with_rungs import WithRungs


class Hyperband(WithRungs):
    """Settings of Hyperband: those of ASHA in its first bracket, which has all rungs."""

    name: Literal["hyperband"] = "hyperband"

    @override
    def rule(self, objective: Objective, *, epochs: int) -> StoppingRule:
        smoothing = self.reports_smoothed(objective)
        return HyperbandRule(AshaRule(objective.direction, self.reduction_factor, smoothing=smoothing))


@dataclass
class HyperbandRule(StoppingRule):
    """Each trial is in one bracket and compared within it; the last bracket has no rung at all."""

    asha: AshaRule

    @override
    def report(self, trial: int, epoch: int, value: float, seat: Seat) -> Decision | None:
        """What ASHA says in the trial's bracket."""
        bracket = bracket_of(trial, len(seat.rungs) + 1, reduction_factor=self.asha.reduction_factor)
        group = ", ".join(filter(None, (seat.group, f"bracket {bracket}")))
        return self.asha.report(trial, epoch, value, Seat(seat.rungs[bracket:], group, seat.spared))


def bracket_of(trial: int, num_brackets: int, *, reduction_factor: int) -> int:
    """The bracket of a trial, 0 (all rungs) to num_brackets - 1 (none), in Hyperband's proportions.

    Bracket b begins with ceil(num_brackets / (num_brackets - b) * eta ** (num_brackets - 1 - b)) trials. Trials are
    spread by the golden ratio, so that any run of consecutive ones is close to those proportions, also in a sweep that
    is extended.
    """
    last = num_brackets - 1
    sizes = [math.ceil(num_brackets / (num_brackets - b) * reduction_factor ** (last - b)) for b in range(num_brackets)]
    position = (trial * (math.sqrt(5) - 1) / 2) % 1 * sum(sizes)
    bracket = 0
    while bracket < last and position >= sizes[bracket]:
        position -= sizes[bracket]
        bracket += 1
    return bracket
