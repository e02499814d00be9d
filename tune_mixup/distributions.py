"""What can be said of one parameter's range without drawing from it: its values, its ends, what lies inside."""

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether `value` is in the range, on the step and of the right kind."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    if not distribution.low <= value <= distribution.high:
        return False
    if isinstance(distribution, IntDistribution):
        return value == int(value) and (value - distribution.low) % distribution.step == 0
    steps = (value - distribution.low) / distribution.step if distribution.step else 0
    return abs(steps - round(steps)) < 1e-8


def choices(distribution: BaseDistribution) -> list[Any] | None:
    """All values of a finite distribution, None for a continuous one."""
    match distribution:
        case CategoricalDistribution():
            return list(distribution.choices)
        case IntDistribution():
            return list(range(distribution.low, distribution.high + 1, distribution.step))
        case FloatDistribution(step=float(step)):
            count = int((distribution.high - distribution.low) / step + 1e-9)
            return [distribution.low + index * step for index in range(count + 1)]
    return None


def ends(distribution: BaseDistribution) -> list[Any]:
    """The lowest and the highest value, or every choice."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return [distribution.low, distribution.high]


def value_at(distribution: BaseDistribution, position: float) -> Any:
    """The value at `position`, in [0, 1), of the way through a distribution, on its own scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(position * len(distribution.choices))]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        wide = isinstance(distribution, IntDistribution)
        value = (low - wide / 2) * ((high + wide / 2) / (low - wide / 2)) ** position
        return min(high, max(low, round(value))) if wide else min(high, max(low, value))
    if step is not None:
        return low + step * int(position * (int((high - low) / step + 1e-9) + 1))
    return low + (high - low) * position
