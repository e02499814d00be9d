"""What a sweep varies: fixed settings, free parameters with their ranges, first points, and conditions.

A space is plain data, so a sweep's folder keeps it whole and resuming never reads the user's file again.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from tune_mixup.optuna_internals import in_range
from tune_mixup.schema import Schema, describe, flatten, suggest

Params = dict[str, Any]
"""One point of a space: dotted key -> value, only the parameters that exist there."""


def _read_distribution(value: object) -> object:
    return json_to_distribution(json.dumps(value)) if isinstance(value, dict) else value


Distribution = Annotated[
    BaseDistribution,
    BeforeValidator(_read_distribution),
    PlainSerializer(lambda distribution: json.loads(distribution_to_json(distribution)), return_type=dict[str, Any]),
]
Choices = Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]


class SearchSpace(Schema):
    """A search space over dotted keys of a `TrialConfig`.

    Raises ValueError for a key that is both fixed and free, a condition whose parameter or parent is not in the
    space, a parent that cannot take the required value, and a baseline outside the space.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fixed: dict[str, Any] = {}
    """The same for every trial: dotted key -> value."""
    free: dict[str, Distribution]
    """Searched: dotted key -> Optuna distribution."""
    baselines: Annotated[tuple[Params, ...], Field(strict=False)] = ()
    """Points that run first, so that every sweep holds its own reference."""
    conditions: dict[str, dict[str, Choices]] = {}
    """Parameter -> {parent: values}: the parameter exists only where every parent has one of those values."""
    defaults: dict[str, Any] = {}
    """Options of the sweep (`trials`, `sampler`, `scheduler`, ...) where nobody says otherwise."""

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
                possible = _choices(self.free[parent]) if parent in self.free else [fixed[parent]]
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
        choices = {}
        for key in self.order():
            finite = _choices(self.free[key])
            if finite is None:
                raise ValueError(f"{key}: {self.free[key]} is continuous; a grid needs choices or a step")
            choices[key] = finite
        seen: set[str] = set()
        for values in product(*choices.values()):
            point: Params = {}
            for key, value in zip(choices, values, strict=True):
                if self.exists(key, point):
                    point[key] = value
            if (mark := json.dumps(point, sort_keys=True)) not in seen:
                seen.add(mark)
                yield point

    def corners(self) -> Iterator[Params]:
        """Points that between them hold both ends, or every choice, of each parameter: what a check must try."""
        ends = {key: _ends(self.free[key]) for key in self.order()}
        branching = [key for key in ends if any(key in parents for parents in self.conditions.values())]
        for combination in product(*(ends[key] for key in branching)):
            chosen = dict(zip(branching, combination, strict=True))
            for index in range(max((len(values) for values in ends.values()), default=1)):
                point: Params = {}
                for key, values in ends.items():
                    if self.exists(key, point):
                        point[key] = chosen.get(key, values[index % len(values)])
                yield point


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether `value` is in the range, on the step and of the right kind."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(distribution, IntDistribution) and value != int(value):
        return False
    return in_range(distribution, distribution.to_internal_repr(value))


def _choices(distribution: BaseDistribution) -> list[Any] | None:
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


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    return [distribution.low, distribution.high]


def load_space(name: str | Path) -> SearchSpace:
    """The space that ships as `search_spaces/<name>.py`, or the one that a user's own `.py` file defines as SPACE.

    Raises ValueError when there is no such space, when its file fails, or when it has no SPACE.
    """
    path = Path(name)
    if path.suffix == ".py":
        if not path.exists():
            raise ValueError(f"there is no file {path}; give the path of a .py file that defines SPACE")
    else:
        shipped = Path(str(files("search_spaces")))
        known = sorted(file.stem for file in shipped.glob("*.py") if file.stem != "__init__")
        if str(name) not in known:
            raise ValueError(
                f"there is no search space {str(name)!r}{suggest(str(name), known)}, or give a path to a .py"
            )
        path = shipped / f"{name}.py"
    spec = spec_from_file_location(f"search_space_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error, {})}") from None
    except Exception as error:
        raise ValueError(f"{path} fails when imported: {type(error).__name__}: {error}; mend the file") from None
    space = getattr(module, "SPACE", None)
    if not isinstance(space, SearchSpace):
        raise ValueError(f"{path} must define SPACE = SearchSpace(...), got {type(space).__name__}")
    return space
