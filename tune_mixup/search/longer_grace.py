"""A longer grace: when the control group's word against a rung is taken, so that looking often makes no rung look bad.

The group is looked at when it is 8, 16, 32, ... trials, always the first ones by number, and each look has a part of
5 % to err with (alpha spending; Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70,
1983). So a rung that foretells the end well enough is dropped in at most one sweep of twenty, however long it is.
"""

from collections.abc import Callable, Sequence

from tune_mixup.record.facts import LongerGrace
from tune_mixup.search.control import Course, Evidence, interval

FIRST_LOOK = 8
"""Control trials at the first look; twice as many at each one after it."""
ERROR = 0.05
"""Chance that any look drops a rung whose correlation is `GOOD`."""
GOOD = 0.5
"""Rank correlation with the end from which on a rung is worth its decisions."""


def spent(look: int) -> float:
    """The chance to err that look 1, 2, ... may spend: half of what those before it have left."""
    return ERROR * 0.5**look


def looked_at(num: int) -> int:
    """How many of `num` control trials the last look so far has seen; 0 before the first one."""
    return FIRST_LOOK << (num // FIRST_LOOK).bit_length() - 1 if num >= FIRST_LOOK else 0


def longer_grace(
    courses: Sequence[Course], table: Callable[[Sequence[Course]], Sequence[Evidence]], *, from_trial: int
) -> LongerGrace | None:
    """For the trials from number `from_trial` on, the grace behind the last rung that some look has spoken against.

    `courses` are those of the control group by number, none left out behind which others stand; `table` says of some
    courses what they say about each rung. None when every rung may stay.
    """
    found: list[Evidence] = []
    look, num = 1, FIRST_LOOK
    while num <= len(courses):
        rungs = table(courses[:num])
        for about in rungs:
            _, high = interval(about.correlation, about.freedom, level=1 - 2 * spent(look) / len(rungs))
            if high < GOOD:
                found.append(about)
        look, num = look + 1, 2 * num
    if not found:
        return None
    last = max(found, key=lambda about: about.rung)
    why = (
        f"no trial is compared before epoch {last.rung + 1}: in the first {last.num} trials of the control group the "
        f"rank correlation of epoch {last.rung} with the end is {last.correlation:.2f}, below {GOOD:g} by a test that "
        f"errs in at most {ERROR:.0%} of sweeps"
    )
    return LongerGrace(from_trial=from_trial, epochs=last.rung + 1, why=why)
