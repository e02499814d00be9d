"""A parameter on a log scale that takes few values: 0.01, 0.1, 1, 10, or 32, 64, 128.

Optuna refuses a step on a log scale, and choices would lose their order, which TPE, GP and CMA-ES learn from. So the
study holds a continuous range on a log scale, and each draw is moved to the nearest of the values. That range is wider
by half a step at both ends, as Optuna itself does for whole numbers: else the first and the last value would be drawn
half as often as the others.
"""

import math
from bisect import bisect_left

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel, Field, model_validator
from typing_extensions import override

from tune_mixup.plain_values import plain
from tune_mixup.schema import Schema

DIGITS = 12
"""Significant digits of a value, so that a power of ten looks like one."""


class LogSteps(Schema):
    """`LogSteps(0.001, 1.0, points=4)` is 0.001, 0.01, 0.1 and 1; `LogSteps(32, 256, factor=2)` is 32, 64, 128, 256.

    They are whole numbers where both ends are given as such and all values are whole.
    """

    low: int | float = Field(gt=0)
    high: int | float = Field(gt=0)
    points: int = Field(ge=2, le=1000)
    """How many values, the two ends included, each the same multiple of the one before."""

    def __init__(self, low: float, high: float, *, points: int | None = None, factor: float | None = None) -> None:
        """Give one of `points` and `factor`, which is from each value to the next."""
        low, high, points, factor = plain(low), plain(high), plain(points), plain(factor)
        if (points is None) == (factor is None):
            raise ValueError("LogSteps: got " + ("both" if points else "neither") + " of points and factor; give one")
        if factor is not None:
            points = _points(low, high, factor)
        BaseModel.__init__(self, low=low, high=high, points=points)

    @model_validator(mode="after")
    def _rises(self) -> "LogSteps":
        if self.low >= self.high:
            raise ValueError(f"LogSteps: got low {self.low:g} and high {self.high:g}; low must be below high")
        if len(set(self.values)) < self.points:
            raise ValueError(f"LogSteps: {self.points} points between {self.low:g} and {self.high:g} are the same")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return isinstance(self.values[0], int)

    @property
    def values(self) -> list[int] | list[float]:
        """All values, the lowest first."""
        spread = math.log(self.high / self.low)
        inner = [self.low * math.exp(spread * place / (self.points - 1)) for place in range(1, self.points - 1)]
        if isinstance(self.low, int) and isinstance(self.high, int) and all(map(_is_whole, inner)):
            return [self.low, *map(round, inner), self.high]
        return [float(self.low), *(float(f"{value:.{DIGITS}g}") for value in inner), float(self.high)]

    def nearest(self, value: float) -> int | float:
        """The value that is nearest on the log scale; the lower one of two."""
        values = self.values
        place = min(bisect_left(values, value), self.points - 1)
        below, above = values[max(place - 1, 0)], values[place]
        return below if value / below <= above / value else above  # whose product may be beyond the range of floats

    def in_study(self) -> BaseDistribution:
        """What the study holds: the range that the draws come from."""
        half = math.sqrt(self.values[1] / self.values[0])
        low, high = self.low / half, self.high * half
        if self.whole:
            return IntDistribution(max(1, math.ceil(low)), math.floor(high), log=True)
        return FloatDistribution(low, high, log=True)

    @override
    def __str__(self) -> str:
        return f"LogSteps({self.low:g}, {self.high:g}, points={self.points})"


def _is_whole(value: float) -> bool:
    """Whether it is a whole number but for the rounding of floats."""
    return abs(value - round(value)) <= value * 10.0 ** (1 - DIGITS)


def _points(low: float, high: float, factor: float) -> int:
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (low, high, factor))
    if not numbers or low <= 0 or high <= low or factor <= 1:
        raise ValueError(f"LogSteps: got {low!r} to {high!r} by {factor!r}; must be 0 < low < high and factor above 1")
    steps = math.log(high / low) / math.log(factor)
    if abs(steps - round(steps)) > 1e-6:
        nearest = low * factor ** round(steps)
        raise ValueError(f"LogSteps: {high:g} is no power of {factor:g} times {low:g}; the nearest is {nearest:g}")
    return round(steps) + 1
