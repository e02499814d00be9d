"""What makes a sweep an ablation: arms side by side on the same seeds, one of which the others are compared with."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from tune_mixup.faults import shown, suggest
from tune_mixup.schema import Schema

ARM = "arm"
"""The free parameter of an ablation's space; each of its choices stands for the settings of an arm."""


class Gate(Schema):
    """A baseline that shows by its value that the trainings are sound."""

    arm: str
    """The baseline among the arms."""
    low: float
    """The least that its mean may be, in points of the metric."""
    high: float
    """The most that it may be."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"got low {self.low:g} and high {self.high:g}, low must be below high; swap them")
        return self


class Ablation(Schema):
    """How the arms of a sweep are compared, and when one is asked no more."""

    reference: str
    """The arm that each other one is compared with."""
    looks: Annotated[tuple[int, ...], Field(strict=False)]
    """Numbers of seeds, rising, after which the arms are looked at; the last one is all seeds."""
    error: float = Field(default=0.05, gt=0, lt=1)
    """The chance to call any difference where there is none, over all arms and looks together."""
    futility: float = Field(default=0.1, ge=0, lt=1)
    """An arm is given up where, going on as so far, all seeds would show a difference with less than this chance; 0:
    never."""
    margin: float = Field(default=0.005, gt=0)
    """The difference that is worth finding, in points of the metric."""
    gate: Gate | None = None
    """Nothing is reported unless a baseline's mean is where it must be; empty: no such condition."""

    def check(self, arms: Sequence[str], *, seeds: int, trials: int) -> None:
        """Raise ValueError, beginning with a key, for what the arms, the seeds or the trials of the sweep rule out."""
        for key, arm in (("reference", self.reference), ("gate.arm", self.gate.arm if self.gate else None)):
            if arm is not None and arm not in arms:
                raise ValueError(f"{key}: got {shown(arm)}, which is no arm{suggest(arm, list(arms))}")
        rising = all(one < other for one, other in zip(self.looks, self.looks[1:], strict=False))
        if not self.looks or self.looks[0] < 2 or self.looks[-1] != seeds or not rising:
            raise ValueError(
                f"looks: got {shown(list(self.looks))}, must be numbers of seeds that rise from at least 2 to "
                f"all {seeds}"
            )
        if trials != len(arms) * seeds:
            raise ValueError(
                f"trials: got {trials}, but {len(arms)} arms on {seeds} seeds are {len(arms) * seeds}, and an ablation "
                "ends with its seeds; leave it out, or plan one with more seeds under another name"
            )
