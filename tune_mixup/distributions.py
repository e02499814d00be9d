"""What can be said of one parameter's range without drawing from it: its values, its ends, what lies inside.

A range has one canonical form of each of its values, in which it is recorded: 0.1 + 2 * 0.1 is 0.3, for the number of
the step decides, and a choice is what stands among the choices.
"""

import json
from decimal import Decimal
from typing import Annotated, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from pydantic import BeforeValidator, PlainSerializer

from tune_mixup.faults import shown
from tune_mixup.log_steps import LogSteps
from tune_mixup.plain_values import alike, plain

FOR_EXAMPLE = "FloatDistribution(0.1, 1.0), IntDistribution(1, 8) or CategoricalDistribution(('a', 'b'))"

Range = BaseDistribution | LogSteps
"""What a free parameter is drawn from."""


def read_range(value: object) -> Range:
    """A range with plain numbers, or one from its JSON form. Raises ValueError for anything else."""
    if isinstance(value, (FloatDistribution, IntDistribution, LogSteps)):
        return value  # which turn NumPy's numbers into Python's themselves
    if isinstance(value, CategoricalDistribution):
        return CategoricalDistribution([plain(choice) for choice in value.choices])
    try:
        if isinstance(value, dict) and value.get("name") == "LogSteps":
            return LogSteps(**value["attributes"])
        return json_to_distribution(json.dumps(value))
    except (KeyError, TypeError, ValueError):
        came = f"an object of type {type(value).__name__}" if type(value).__repr__ is object.__repr__ else shown(value)
        raise ValueError(f"got {came}, must be a distribution of Optuna; {_instead(value)}") from None


def _instead(value: object) -> str:
    """What to write for what people write instead of a distribution: ends, choices, a number, a domain of Ray Tune."""
    match value:
        case bool() | str() | None:
            return f"write {FOR_EXAMPLE}"
        case int() | float():
            return "what is the same for all trials stands in `fixed`"
        case (int() | float() as low, int() | float() as high) if low < high:
            return f"write {_between(low, high)}, or {_among((low, high))} for these two alone"
        case list() | tuple():
            return f"write {_among(tuple(value))}"
        case object(categories=list() as choices):
            return f"write {_among(tuple(choices))}"
        case object(lower=int() as low, upper=int() as high, sampler=sampler) if type(value).__name__ == "Integer":
            # Ray Tune leaves out the upper end of these; `tune.uniform(0, 1)` has whole ends and is of another kind
            return f"write {_between(low, high - 1, log=_is_log(sampler))}"
        case object(lower=int() | float() as low, upper=int() | float() as high, sampler=sampler):
            return f"write {_between(float(low), float(high), log=_is_log(sampler))}"
    return f"write {FOR_EXAMPLE}"


def _between(low: float, high: float, *, log: bool = False) -> str:
    kind = "Int" if isinstance(low, int) and isinstance(high, int) else "Float"
    return f"{kind}Distribution({low!r}, {high!r}{', log=True' if log else ''})"


def _among(choices: tuple[object, ...]) -> str:
    return f"CategoricalDistribution({choices!r})" if choices and len(repr(choices)) < 80 else FOR_EXAMPLE


def _is_log(sampler: object) -> bool:
    """Whether a domain of Ray Tune is drawn from on a log scale."""
    return "log" in type(sampler).__name__.lower()


def plain_range(distribution: Range) -> dict[str, Any]:
    """The JSON form."""
    if isinstance(distribution, LogSteps):
        return {"name": "LogSteps", "attributes": distribution.model_dump(mode="json")}
    form: dict[str, Any] = json.loads(distribution_to_json(distribution))
    return form


Distribution = Annotated[Range, BeforeValidator(read_range), PlainSerializer(plain_range, return_type=dict[str, Any])]
"""A range as a field of settings."""


def in_words(distribution: Range) -> str:
    """The range for a person to read."""
    if isinstance(distribution, LogSteps):
        return ", ".join(format(value, "g") for value in distribution.values) + " (log scale)"
    if isinstance(distribution, CategoricalDistribution):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    scale = ", log scale" if distribution.log else ""
    whole = isinstance(distribution, IntDistribution)
    step = (
        "" if distribution.step is None or (whole and distribution.step == 1) else f" in steps of {distribution.step:g}"
    )
    return f"{distribution.low:g} to {distribution.high:g}{step}{scale}{', whole numbers' if whole else ''}"


def in_study(distribution: Range) -> BaseDistribution:
    """What Optuna's study holds for the parameter."""
    return distribution.in_study() if isinstance(distribution, LogSteps) else distribution


def contains(distribution: Range, value: Any) -> bool:
    """Whether `value` is in the range, on the step and of the right kind."""
    if isinstance(distribution, CategoricalDistribution):
        return any(alike(value, choice) for choice in distribution.choices)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(distribution, LogSteps):
        return value > 0 and abs(value / distribution.nearest(value) - 1) < 1e-9
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    if isinstance(distribution, IntDistribution):
        inside = distribution.low <= value <= distribution.high
        return inside and value == int(value) and (int(value) - distribution.low) % distribution.step == 0
    if distribution.step is None:
        return distribution.low <= value <= distribution.high
    steps = (value - distribution.low) / distribution.step
    near = abs(steps - round(steps)) < 1e-8 * max(1.0, abs(steps))
    return near and 0 <= round(steps) < _count(distribution)


def canonical(distribution: Range, value: Any) -> Any:
    """The value of the range that `value` is, as it is recorded; what lies outside is left as it is."""
    if not contains(distribution, value):
        return value
    match distribution:
        case CategoricalDistribution():
            return next(choice for choice in distribution.choices if alike(value, choice))
        case LogSteps():
            return distribution.nearest(value)
        case IntDistribution():
            return int(value)
        case FloatDistribution(step=float(step)):
            return _step(distribution, round((value - distribution.low) / step))
    return float(value)


def as_drawn(distribution: Range, value: Any) -> Any:
    """What a sampler's draw from `in_study(distribution)` stands for, in canonical form."""
    return distribution.nearest(value) if isinstance(distribution, LogSteps) else canonical(distribution, value)


def size(distribution: Range) -> int | None:
    """How many values a finite distribution has, None for a continuous one."""
    match distribution:
        case CategoricalDistribution():
            return len(distribution.choices)
        case LogSteps():
            return distribution.points
        case IntDistribution():
            return (distribution.high - distribution.low) // distribution.step + 1
        case FloatDistribution(step=float()):
            return _count(distribution)
    return None


def choices(distribution: Range) -> list[Any] | None:
    """All values of a finite distribution, None for a continuous one."""
    match distribution:
        case CategoricalDistribution():
            return list(distribution.choices)
        case LogSteps():
            return list(distribution.values)
        case IntDistribution():
            return list(range(distribution.low, distribution.high + 1, distribution.step))
        case FloatDistribution(step=float()):
            return [_step(distribution, index) for index in range(_count(distribution))]
    return None


def ends(distribution: Range) -> list[Any]:
    """The lowest and the highest value, or every choice."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, (IntDistribution, FloatDistribution, LogSteps))
    return [canonical(distribution, distribution.low), canonical(distribution, distribution.high)]


def value_at(distribution: Range, position: float) -> Any:
    """The value at `position`, in [0, 1), of the way through a distribution, on its own scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(position * len(distribution.choices))]
    if isinstance(distribution, LogSteps):
        return distribution.values[int(position * distribution.points)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    if distribution.log:
        wide = isinstance(distribution, IntDistribution)
        value = (low - wide / 2) * ((high + wide / 2) / (low - wide / 2)) ** position
        return min(high, max(low, round(value))) if wide else min(high, max(low, value))
    if isinstance(distribution, IntDistribution):
        count = (distribution.high - distribution.low) // distribution.step + 1
        return distribution.low + distribution.step * int(position * count)
    if distribution.step is not None:
        return _step(distribution, int(position * _count(distribution)))
    return low + (high - low) * position


def _count(distribution: FloatDistribution) -> int:
    low, high, step = (Decimal(repr(one)) for one in (distribution.low, distribution.high, distribution.step))
    return int((high - low) / step + Decimal("1e-9")) + 1


def _step(distribution: FloatDistribution, index: int) -> float:
    """The value of a step, as one would write it: in decimal numbers 0.1 + 2 * 0.1 is 0.3."""
    return float(Decimal(repr(distribution.low)) + index * Decimal(repr(distribution.step)))
