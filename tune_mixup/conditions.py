"""When a parameter of a space exists: what its parents must be, for one or for any of several alternatives.

conditions={
    "mixing.alpha": {"mixing.name": ("mixup", "cutmix")},          # one of these values
    "mixing.mu": {"mixing.gamma": Within(above=0.0)},              # a threshold
    "optimizer.nesterov": (                                        # any of these
        {"optimizer.name": ("sgd",), "optimizer.momentum": Within(at_least=0.5)},
        {"optimizer.name": ("nadam",)},
    ),
}
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from optuna.distributions import CategoricalDistribution
from pydantic import BeforeValidator, Field, model_serializer, model_validator
from typing_extensions import override

from tune_mixup.distributions import Range, canonical, choices, contains, ends, size
from tune_mixup.distributions import in_words as range_in_words
from tune_mixup.faults import cut, shown
from tune_mixup.plain_values import alike, plain
from tune_mixup.schema import Schema

LISTED = 20
"""A range of more values than this is named, not listed."""


class Within(Schema):
    """The parent is a number within these limits; at least one is given."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if all(limit is None for limit in (self.at_least, self.above, self.at_most, self.below)):
            raise ValueError("Within: got no limit; give at_least, above, at_most or below")
        return self

    @model_serializer
    def _given(self) -> dict[str, float]:
        return {name: limit for name, limit in self if limit is not None}

    def met_by(self, value: Any) -> bool:
        """Whether `value` is a number within the limits."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return self.overlaps(value, value)

    def overlaps(self, low: float, high: float) -> bool:
        """Whether some number from `low` to `high` may be within the limits."""
        return (
            (self.at_least is None or high >= self.at_least)
            and (self.above is None or high > self.above)
            and (self.at_most is None or low <= self.at_most)
            and (self.below is None or low < self.below)
        )

    @override
    def __str__(self) -> str:
        limits = {"at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below}
        return " and ".join(f"{words} {limit:g}" for words, limit in limits.items() if limit is not None)


def _read_requirement(value: Any) -> Any:
    if isinstance(value, Within):
        return value
    if isinstance(value, Mapping):
        return Within.parse(value)
    values = plain(value)
    if not isinstance(values, list) or not values:
        raise ValueError(f"got {values!r}, must be a list of values, or limits such as Within(at_least=0.5)")
    return values


Requirement = Within | Annotated[tuple[Any, ...], Field(strict=False)]
"""What one parent must be: one of some values, or within limits."""
Alternative = Mapping[str, Requirement]
"""Parent -> what it must be; all of them at once."""


def _read_alternative(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"got {value!r}, must be a mapping of parents to their values, or a list of such mappings")
    read = {}
    for parent, requirement in value.items():
        try:
            read[parent] = _read_requirement(requirement)
        except ValueError as error:
            raise ValueError(f"{parent}: {error}") from None
    return read


def _read_condition(value: Any) -> Any:
    """All of it at once: of a union, pydantic would tell what each member has against the value."""
    several = isinstance(value, (list, tuple)) and len(value) > 0
    return tuple(map(_read_alternative, value)) if several else _read_alternative(value)


Condition = Annotated[Alternative | tuple[Alternative, ...], BeforeValidator(_read_condition)]
"""When a parameter exists: one alternative, or several of which any will do."""


def alternatives(condition: Condition | None) -> tuple[Alternative, ...]:
    """The alternatives, of which there is one without parents where a parameter always exists."""
    if condition is None:
        return ({},)
    return condition if isinstance(condition, tuple) else (condition,)


def parents(condition: Condition | None) -> set[str]:
    """All keys that the condition asks about."""
    return {parent for one in alternatives(condition) for parent in one}


def in_order(keys: Sequence[str], conditions: Mapping[str, Condition]) -> tuple[str, ...]:
    """The keys, parents before those that depend on them. Raises ValueError on a circle."""
    ordered: list[str] = []
    waiting = list(keys)
    while waiting:
        ready = [key for key in waiting if parents(conditions.get(key)).isdisjoint(waiting)]
        if not ready:
            raise ValueError(f"the conditions of {', '.join(waiting)} go round in a circle")
        ordered += ready
        waiting = [key for key in waiting if key not in ready]
    return tuple(ordered)


def needed(condition: Condition | None, parent: str) -> list[Any]:
    """The values of `parent` that the condition lists in each alternative; empty where some alternative lists none."""
    listed = [one.get(parent) for one in alternatives(condition)]
    found = [value for requirement in listed if isinstance(requirement, tuple) for value in requirement]
    return found if all(isinstance(requirement, tuple) for requirement in listed) else []


def met(requirement: Requirement, value: Any) -> bool:
    """Whether a parent that is `value` meets the requirement."""
    return requirement.met_by(value) if isinstance(requirement, Within) else _among(value, requirement)


def holds(condition: Condition | None, known: Mapping[str, Any]) -> bool:
    """Whether the parameter exists, given what is known of its parents; a parent that does not exist meets nothing."""
    return any(
        all(parent in known and met(requirement, known[parent]) for parent, requirement in one.items())
        for one in alternatives(condition)
    )


def in_canonical_form(requirement: Requirement, distribution: Range) -> Requirement:
    """The requirement with its values as the parent's range has them."""
    if isinstance(requirement, Within):
        limits = dict(requirement)
        return Within(
            **{name: None if limit is None else canonical(distribution, limit) for name, limit in limits.items()}
        )
    return tuple(canonical(distribution, value) for value in requirement)


def check_possible(key: str, parent: str, requirement: Requirement, distribution: Range | None, fixed: Any) -> None:
    """Raise ValueError when the parent, with this range or else `fixed`, can never be what `key` needs."""
    if distribution is None:
        possible, there = met(requirement, fixed), shown(fixed)
    else:
        possible, there = _can_be(distribution, requirement), cut(range_in_words(distribution))
    if possible:
        return
    if isinstance(requirement, Within):
        raise ValueError(f"{key} depends on {parent} being {requirement}, but it can only be {there}")
    raise ValueError(f"{key} depends on {parent} being one of {list(requirement)}, but it can only be {there}")


def in_words(condition: Condition | None) -> str:
    """The condition for a person to read; empty where the parameter always exists."""
    return ", or ".join(
        " and ".join(f"{parent} is {_requirement_in_words(requirement)}" for parent, requirement in one.items())
        for one in alternatives(condition)
    )


def _requirement_in_words(requirement: Requirement) -> str:
    return str(requirement) if isinstance(requirement, Within) else " or ".join(str(value) for value in requirement)


def _among(value: Any, values: tuple[Any, ...]) -> bool:
    return any(alike(value, one) for one in values)


def _can_be(distribution: Range, requirement: Requirement) -> bool:
    if not isinstance(requirement, Within):
        continuous = size(distribution) is None  # a baseline, or a limit, may be any of its values
        return continuous or any(contains(distribution, value) for value in requirement)
    if isinstance(distribution, CategoricalDistribution) or (size(distribution) or LISTED) < LISTED:
        return any(map(requirement.met_by, choices(distribution) or ()))
    low, high = ends(distribution)
    return requirement.overlaps(low, high)
