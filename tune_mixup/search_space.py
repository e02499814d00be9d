"""What a sweep varies: fixed settings, free parameters with their ranges, first points, and conditions.

A space is plain data, so a sweep's folder keeps it whole and resuming never reads the user's file again.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Self

from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json, json_to_distribution
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from tune_mixup.distributions import choices, contains, ends, value_at
from tune_mixup.schema import Schema, flatten, suggest

Params = dict[str, Any]
"""One point of a space: dotted key -> value, only the parameters that exist there."""


def _plain(value: Any) -> Any:
    """Lists in place of tuples, as the record gives them back: a tuple is not among choices that are lists."""
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, (list, tuple)) else value


def _read_distribution(value: object) -> BaseDistribution:
    if isinstance(value, CategoricalDistribution) and any(
        isinstance(choice, (list, tuple)) for choice in value.choices
    ):
        return CategoricalDistribution([_plain(choice) for choice in value.choices])
    if isinstance(value, BaseDistribution):
        return value
    try:
        return json_to_distribution(json.dumps(value))
    except (KeyError, TypeError, ValueError):
        got = " ".join(repr(value).split())
        raise ValueError(
            f"got {got[:80]}, must be a distribution of Optuna, such as FloatDistribution(0.1, 1.0)"
        ) from None


Plain = Annotated[Any, BeforeValidator(_plain)]

Distribution = Annotated[
    BaseDistribution,
    BeforeValidator(_read_distribution),
    PlainSerializer(lambda distribution: json.loads(distribution_to_json(distribution)), return_type=dict[str, Any]),
]
Choices = Annotated[tuple[Plain, ...], Field(strict=False, min_length=1)]


class SearchSpace(Schema):
    """A search space over dotted keys of a `TrialConfig`.

    Raises ValueError for a key that is both fixed and free, a condition whose parameter or parent is not in the
    space, a parent that cannot take the required value, and a baseline outside the space.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fixed: dict[str, Plain] = {}
    """The same for every trial: dotted key -> value."""
    free: dict[str, Distribution]
    """Searched: dotted key -> Optuna distribution."""
    baselines: Annotated[tuple[dict[str, Plain], ...], Field(strict=False)] = ()
    """Points that run first, so that every sweep holds its own reference."""
    conditions: dict[str, dict[str, Choices]] = {}
    """Parameter -> {parent: values}: the parameter exists only where every parent has one of those values."""
    defaults: dict[str, Any] = {}
    """Options of the sweep (`trials`, `sampler.name`, `stopping.grace_epochs`, ...) where nobody says otherwise."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        fixed = flatten(self.fixed)
        for key in self.free:
            if key in fixed:
                raise ValueError(f"{key} is both fixed and free; keep one of the two")
        for key, parents in self.conditions.items():
            if key not in self.free:
                raise ValueError(f"conditions name {key}, which is not free{suggest(key, list(self.free))}")
            for parent, values in parents.items():
                if parent not in self.free and parent not in fixed:
                    raise ValueError(f"{key} depends on {parent}, which the space neither fixes nor frees; add it")
                possible = choices(self.free[parent]) if parent in self.free else [fixed[parent]]
                if possible is not None and not any(value in possible for value in values):
                    raise ValueError(
                        f"{key} depends on {parent} being one of {list(values)}, but it can only be one of {possible}"
                    )
        self.order()
        for index, point in enumerate(self.baselines):
            self._check_baseline(index, point)
        return self

    def _check_baseline(self, index: int, point: Params) -> None:
        for key, value in point.items():
            if key not in self.free:
                raise ValueError(f"baseline {index}: {key} is not free{suggest(key, list(self.free))}")
            if not contains(self.free[key], value):
                raise ValueError(f"baseline {index}: {key} is {value!r}, outside {self.free[key]}")
        for key in self.free:
            if self.exists(key, point) and key not in point:
                raise ValueError(f"baseline {index}: {key} is missing; a baseline gives every parameter that exists")
            if not self.exists(key, point) and key in point:
                raise ValueError(f"baseline {index}: {key} does not exist there ({self.conditions[key]}); drop it")

    def order(self) -> tuple[str, ...]:
        """The free keys, parents before those that depend on them. Raises ValueError on a circle."""
        ordered: list[str] = []
        waiting = list(self.free)
        while waiting:
            ready = [key for key in waiting if not any(p in waiting for p in self.conditions.get(key, {}))]
            if not ready:
                raise ValueError(f"the conditions of {', '.join(waiting)} go round in a circle")
            ordered += ready
            waiting = [key for key in waiting if key not in ready]
        return tuple(ordered)

    def exists(self, key: str, point: Mapping[str, Any]) -> bool:
        """Whether the free parameter `key` exists, given the values of its parents in `point`."""
        known = {**flatten(self.fixed), **point}
        return all(
            parent in known and known[parent] in values for parent, values in self.conditions.get(key, {}).items()
        )

    def point(self, choose: Callable[[str, BaseDistribution], Any]) -> Params:
        """The point whose parameters are what `choose(key, distribution)` gives, asked only for those that exist.

        Parents come before what depends on them.
        """
        point: Params = {}
        for key in self.order():
            if self.exists(key, point):
                point[key] = choose(key, self.free[key])
        return point

    def sample(self, num_points: int, *, seed: int) -> list[Params]:
        """Random points, each parameter uniform on its own scale; the same ones for the same seed."""
        uniform = random.Random(seed).random  # Python keeps this sequence the same from version to version
        draws = ({key: uniform() for key in self.order()} for _ in range(num_points))  # also for those not there
        return [self._of({key: value_at(self.free[key], draw[key]) for key in draw}) for draw in draws]

    def probes(self) -> Iterator[Params]:
        """What a check must try: the baselines, then the corners."""
        yield from self.baselines
        yield from self.corners()

    def fix(self, settings: Mapping[str, Any]) -> "SearchSpace":
        """The space with more keys fixed, as `--set` does: a free key that is set is no longer searched.

        Baselines lose the key; those that the setting contradicts are left out.
        """
        settings = flatten(settings)
        free = {key: distribution for key, distribution in self.free.items() if key not in settings}
        fixed = {**flatten(self.fixed), **settings}
        conditions = {}
        for key, parents in self.conditions.items():
            if key not in free:
                continue
            if any(parent in fixed and fixed[parent] not in values for parent, values in parents.items()):
                del free[key]
                continue
            conditions[key] = parents
        kept = [
            {key: value for key, value in point.items() if key in free}
            for point in self.baselines
            if all(settings.get(key, value) == value for key, value in point.items())
        ]
        baselines = [point for index, point in enumerate(kept) if point and point not in kept[:index]]
        conditions = {key: parents for key, parents in conditions.items() if key in free}
        return self.replace(fixed=fixed, free=free, baselines=tuple(baselines), conditions=conditions)

    def grid(self) -> Iterator[Params]:
        """Every point of a space whose parameters are all finite, in order. Raises ValueError for a continuous one."""
        values = {}
        for key in self.order():
            finite = choices(self.free[key])
            if finite is None:
                raise ValueError(f"{key}: {self.free[key]} is continuous; a grid needs choices or a step")
            values[key] = finite
        seen: set[str] = set()
        for combination in product(*values.values()):
            point = self._of(dict(zip(values, combination, strict=True)))
            if (mark := json.dumps(point, sort_keys=True)) not in seen:
                seen.add(mark)
                yield point

    def corners(self) -> Iterator[Params]:
        """Points that between them hold both ends, or every choice, of each parameter."""
        values = {key: ends(self.free[key]) for key in self.order()}
        branching = [key for key in values if any(key in parents for parents in self.conditions.values())]
        for combination in product(*(values[key] for key in branching)):
            for index in range(max((len(some) for some in values.values()), default=1)):
                chosen = {key: some[index % len(some)] for key, some in values.items()}
                yield self._of({**chosen, **dict(zip(branching, combination, strict=True))})

    def _of(self, values: Mapping[str, Any]) -> Params:
        """The point with those of the values whose parameters exist."""
        return self.point(lambda key, _: values[key])
