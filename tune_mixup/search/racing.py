"""A race of settings on paired fresh seeds: who is beaten, who has won, what is as good as equal.

At each look the leader, which has the highest mean, is compared with each other setting by the paired t of their
scores, and a setting that is beaten is out. Of K settings each comparison may err with error / (K - 1), half of it on
either side. So a setting that is as good as the best is put out with a chance of at most error / 2, whoever leads,
however many are out already; and where two are the best, one of them must be put out before a winner can be called.
Hence a winner is called among equals with a chance of at most error.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from tune_mixup.record.names import trial_name
from tune_mixup.search.looks import POWER, boundaries, looks_up_to, seeds_to_resolve

Verdict = Literal["open", "won", "tied", "undecided", "alone", "none"]


@dataclass(frozen=True)
class Gap:
    """By how much the leader is better than another setting."""

    trial: int
    mean: float
    sd: float
    """Of the paired differences."""
    low: float
    """Of the interval that holds the true difference at all looks together; -inf where a look spends no error."""
    high: float


@dataclass(frozen=True)
class Standing:
    """The race after a look."""

    seeds: int
    """How many seeds those that are left were trained on."""
    verdict: Verdict
    """open: it goes on; won: by the leader; tied: none that is left differs from it by the margin; undecided: no seeds
    are left; alone: the trainings of the others failed; none: those of all."""
    left: tuple[int, ...]
    """The trials that are not beaten, the leader first."""
    gaps: tuple[Gap, ...]
    """The leader's to the others that are left, in their order."""


@dataclass(frozen=True)
class Rule:
    """When a race of `contenders` settings ends."""

    contenders: int
    most: int
    """Seeds for each setting."""
    error: float
    """The chance to call a winner where there is none."""
    margin: float
    """A smaller difference of the metric is none."""

    def __post_init__(self) -> None:
        if self.contenders < 2:
            raise ValueError(
                f"--until-sure: got {self.contenders} setting, but a race takes two or more; give a larger --top, or "
                "leave out --until-sure"
            )
        if self.most < 3:
            raise ValueError(f"--seeds: got {self.most}, must be at least 3 with --until-sure")
        if not 0 < self.error < 1:
            raise ValueError(f"--error: got {self.error}, must be above 0 and below 1; 0.05 is usual")
        if not (0 < self.margin and math.isfinite(self.margin)):
            raise ValueError(f"--margin: got {self.margin}, must be above 0, in points of the metric, such as 0.002")
        try:
            boundaries(self.looks, self.level)
        except ValueError as error:
            raise ValueError(f"--error: {error}") from None

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many seeds it is looked at."""
        return looks_up_to(self.most)

    @property
    def level(self) -> float:
        """The two-sided error of one comparison."""
        return self.error / (self.contenders - 1)

    def judge(self, scores: Mapping[int, Sequence[float]]) -> Standing:
        """The race after the look at which each trial that is left has these scores, of which more is better.

        The scores are paired by their place. Of equal means the first trial's leads.
        """
        if not scores:
            return Standing(0, "none", (), ())
        leader = max(scores, key=lambda trial: fmean(scores[trial]))
        seeds = len(scores[leader])
        bound = boundaries(self.looks, self.level)[self.looks.index(seeds)]
        gaps = [_gap(trial, scores[leader], scores[trial], bound) for trial in scores if trial != leader]
        near = tuple(sorted((gap for gap in gaps if not gap.low > 0), key=lambda gap: gap.mean))
        verdict: Verdict = "open"
        if not gaps:
            verdict = "alone"
        elif not near:
            verdict = "won"
        elif all(-self.margin < gap.low and gap.high < self.margin for gap in near):
            verdict = "tied"
        elif seeds == self.most:
            verdict = "undecided"
        return Standing(seeds, verdict, (leader, *(gap.trial for gap in near)), near)

    def words(self, standing: Standing, metric: str) -> str:
        """What came out, in one line for people."""
        if standing.verdict == "none":
            return "Nothing came out: a training of each setting failed."
        names = [trial_name(trial) for trial in standing.left]
        seeds = f"{standing.seeds} seed{'s' if standing.seeds > 1 else ''}"
        match standing.verdict:
            case "won":
                return (
                    f"{names[0]} won after {seeds}: its {metric} is better than that of each other setting, at an "
                    f"error of {self.error:g}."
                )
            case "tied":
                return (
                    f"{', '.join(names[1:])} and {names[0]}, which leads, tie after {seeds}: their {metric} differs "
                    f"from its by less than {self.margin:g}, at an error of {self.error:g}."
                )
            case "alone":
                return f"{names[0]} is left after {seeds}, since trainings of the others failed; nobody has won."
        closest = standing.gaps[0]
        needed, power = self.needed(closest), f"{self.margin:g} with a power of {100 * POWER:g} %"
        if needed > standing.seeds:
            more = f"about {needed} seeds each would resolve {power}"
        else:
            more = f"these seeds resolve {power}, so the difference is near that or below it"
        return (
            f"Undecided after {seeds}, {len(names)} settings left: the {metric} of {names[0]} is better than that of "
            f"{names[1]} by {closest.mean:.2g}, with an interval from {closest.low:.2g} to {closest.high:.2g}; {more}."
        )

    def needed(self, gap: Gap) -> int:
        """How many seeds for each would resolve the margin between these two settings, going by what was measured."""
        return seeds_to_resolve(self.margin, gap.sd, self.level)

    def plain(self, standing: Standing) -> dict[str, Any]:
        """What came out, as JSON can hold it."""
        gaps = [
            {"trial": gap.trial, "difference": gap.mean, "sd": gap.sd, "low": gap.low, "high": gap.high}
            for gap in standing.gaps
        ]
        undecided = standing.verdict == "undecided"
        return {
            "verdict": standing.verdict,
            "left": list(standing.left),
            "seeds": standing.seeds,
            "error": self.error,
            "margin": self.margin,
            "gaps": gaps,
            "seeds_to_resolve": self.needed(standing.gaps[0]) if undecided else None,
        }


def rule_for(contenders: int, *, most: int | None, error: float | None, margin: float | None) -> Rule:
    """The rule with what is said, and what is usual where nothing is."""
    return Rule(
        contenders,
        most=20 if most is None else most,
        error=0.05 if error is None else error,
        margin=0.002 if margin is None else margin,
    )


def _gap(trial: int, leading: Sequence[float], other: Sequence[float], bound: float) -> Gap:
    differences = [one - two for one, two in zip(leading, other, strict=True)]
    mean, sd = fmean(differences), stdev(differences)
    half = math.inf if math.isinf(bound) else bound * sd / math.sqrt(len(differences))
    return Gap(trial, mean, sd, mean - half, mean + half)
