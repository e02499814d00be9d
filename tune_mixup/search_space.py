"""What a sweep varies: fixed settings, free parameters with their ranges, first points, conditions and constraints.

A space is plain data, so a sweep's folder keeps it whole and resuming never reads the user's file again.
"""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from tune_mixup.bundles import Bundles, check_bundles, fixed_in, meant
from tune_mixup.conditions import (
    Alternative,
    Condition,
    alternatives,
    check_possible,
    holds,
    in_canonical_form,
    in_order,
    met,
    needed,
    parents,
)
from tune_mixup.constraints import AnyConstraint
from tune_mixup.distributions import Distribution, Range, canonical, choices, contains, ends, in_words, size, value_at
from tune_mixup.faults import cut, shown
from tune_mixup.plain_values import alike, plain, plain_by_key, several
from tune_mixup.schema import Schema, flatten, suggest

Params = dict[str, Any]
"""One point of a space: dotted key -> value, only the parameters that exist there."""
GRID = 100_000
"""No grid has more points: nobody trains them, and counting them would take minutes."""
CORNERS = 4096
"""No more combinations of ends are tried."""
BETWEEN = 20
"""Random points that stand for a space beside its corners."""
DRAWS = 10_000
"""Random points of which, where a space has constraints, one must be found that holds."""

Plain = Annotated[Any, BeforeValidator(plain)]


class SearchSpace(Schema):
    """A search space over dotted keys of a `TrialConfig`.

    Raises ValueError for a key that is both fixed and free, a condition whose parameter or parent is not in the
    space, a parent that cannot take the required value, bundles that fit no free parameter's choices, and a baseline
    outside the space or against a constraint.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fixed: dict[str, Plain] = {}
    """The same for every trial: dotted key -> value."""
    free: dict[str, Distribution]
    """Searched: dotted key -> Optuna distribution, or `LogSteps`."""
    bundles: Bundles = {}
    """Free parameter, itself no setting -> its choice -> the settings, by dotted key, that the choice stands for."""
    baselines: Annotated[tuple[dict[str, Plain], ...], Field(strict=False), BeforeValidator(several)] = ()
    """Points that run first, so that every sweep holds its own reference."""
    conditions: dict[str, Condition] = {}
    """Parameter -> {parent: values}: the parameter exists only where every parent has one of those values, or is
    `Within` limits; a list of such mappings: where any of them holds."""
    constraints: Annotated[tuple[AnyConstraint, ...], Field(strict=False), BeforeValidator(several)] = ()
    """What the settings of every trial satisfy together; samplers draw no other points."""
    assumed: dict[str, Plain] = {}
    """What constraints take settings for that are neither fixed nor searched: the defaults, noted when a sweep is
    planned."""
    defaults: dict[str, Plain] = {}
    """Options of the sweep (`trials`, `sampler.name`, `stopping.grace_epochs`, ...) where nobody says otherwise."""

    @field_validator("baselines")
    @classmethod
    def _baselines_as_recorded(cls, baselines: tuple[Params, ...], info: ValidationInfo) -> tuple[Params, ...]:
        free: dict[str, Range] = info.data.get("free", {})
        return tuple(_as_recorded(point, free) for point in baselines)

    @field_validator("conditions")
    @classmethod
    def _conditions_as_recorded(cls, conditions: dict[str, Condition], info: ValidationInfo) -> dict[str, Condition]:
        free: dict[str, Range] = info.data.get("free", {})

        def as_recorded(one: Alternative) -> Alternative:
            return {
                parent: in_canonical_form(requirement, free[parent]) if parent in free else requirement
                for parent, requirement in one.items()
            }

        return {
            key: tuple(map(as_recorded, condition)) if isinstance(condition, tuple) else as_recorded(condition)
            for key, condition in conditions.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        fixed = flatten(self.fixed)
        for key in self.free:
            if key in fixed:
                raise ValueError(f"{key} is both fixed and free; keep one of the two")
        check_bundles(self.bundles, self.free, fixed)
        for key, condition in self.conditions.items():
            if key not in self.free:
                raise ValueError(f"conditions name {key}, which is not free{suggest(key, list(self.free))}")
            for parent, requirement in itertools.chain.from_iterable(one.items() for one in alternatives(condition)):
                if parent not in self.free and parent not in fixed:
                    raise ValueError(f"{key} depends on {parent}, which the space neither fixes nor frees; add it")
                check_possible(key, parent, requirement, self.free.get(parent), fixed.get(parent))
        self.order()
        for index, point in enumerate(self.baselines):
            self._check_baseline(index, point)
        return self

    def _check_baseline(self, index: int, point: Params) -> None:
        for key, value in point.items():
            if key not in self.free:
                raise ValueError(f"baseline {index}: {key} is not free{suggest(key, list(self.free))}")
            if not contains(self.free[key], value):
                words = cut(in_words(self.free[key]))
                raise ValueError(f"baseline {index}: {key} is {shown(value)}, must be {words}")
        for key in self.free:
            if self.exists(key, point) and key not in point:
                raise ValueError(f"baseline {index}: {key} is missing; a baseline gives every parameter that exists")
            if not self.exists(key, point) and key in point:
                raise ValueError(f"baseline {index}: {key} does not exist there ({self.conditions[key]}); drop it")
        if (broken := self.broken(point)) is not None:
            raise ValueError(f"baseline {index}: {point} is against the constraint {broken}; change one of the two")

    def order(self) -> tuple[str, ...]:
        """The free keys, parents before those that depend on them. Raises ValueError on a circle."""
        return in_order(list(self.free), self.conditions)

    def parents(self, key: str | None = None) -> set[str]:
        """The keys that decide whether `key` exists, or those that decide on any."""
        asked = self.conditions if key is None else [key]
        return {parent for one in asked for parent in parents(self.conditions.get(one))}

    def needed(self, key: str, parent: str) -> list[Any]:
        """The values of `parent` with which `key` exists, where its condition lists them; else an empty list."""
        return needed(self.conditions.get(key), parent)

    def exists(self, key: str, point: Mapping[str, Any]) -> bool:
        """Whether the free parameter `key` exists, given the values of its parents in `point`."""
        condition = self.conditions.get(key)
        if condition is None:
            return True
        asked = {parent: point[parent] for parent in parents(condition) if parent in point}
        return holds(condition, {**flatten(self.fixed), **_as_recorded(asked, self.free)})

    def broken(self, point: Mapping[str, Any]) -> str | None:
        """The first constraint that a point breaks, or None. Raises ValueError where one can't be looked at."""
        if not self.constraints:
            return None
        settings = {**self.assumed, **flatten(self.fixed), **self.meant(point)}
        return next((str(one) for one in self.constraints if not one.holds(settings)), None)

    def allows(self, point: Mapping[str, Any]) -> bool:
        """Whether all constraints hold; one that can't be looked at does not."""
        try:
            return self.broken(point) is None
        except ValueError:
            return False

    def point(self, choose: Callable[[str, Range], Any]) -> Params:
        """The point whose parameters are what `choose(key, distribution)` gives, asked only for those that exist.

        Parents come before what depends on them. The constraints are not looked at.
        """
        point: Params = {}
        for key in self.order():
            if self.exists(key, point):
                point[key] = choose(key, self.free[key])
        return point

    def meant(self, point: Mapping[str, Any]) -> Params:
        """The point with what its choices of bundles stand for in their place."""
        return meant(self.bundles, point)

    def as_recorded(self, point: Mapping[str, Any]) -> Params:
        """The point with each value as its range has it; what is outside of the space stays as it is."""
        return _as_recorded(point, self.free)

    def sample(self, num_points: int, *, seed: int) -> list[Params]:
        """Random points, each parameter uniform on its own scale; the same ones for the same seed.

        Points that a constraint rules out are left out; fewer than asked for come where hardly any other is found.
        """
        most = num_points + DRAWS if self.constraints else num_points
        return list(itertools.islice(filter(self.allows, itertools.islice(self.uniform(seed), most)), num_points))

    def uniform(self, seed: int) -> Iterator[Params]:
        """Random points without end, whether the constraints hold or not."""
        uniform, order = random.Random(seed).random, self.order()  # Python keeps this sequence from version to version
        while True:
            draw = {key: uniform() for key in order}  # also for those that are not there
            yield self._of({key: value_at(self.free[key], draw[key]) for key in draw})

    def probes(self) -> Iterator[Params]:
        """What stands for the whole space: the baselines, then the corners; where constraints may rule all these out,
        random points too."""
        yield from self.baselines
        yield from self.corners()
        if self.constraints:
            yield from self.sample(BETWEEN, seed=0)

    def fix(self, settings: Mapping[str, Any]) -> "SearchSpace":
        """The space with more keys fixed, as `--set` does: a free key that is set is no longer searched.

        Baselines lose the key; those that the setting contradicts, or a constraint with it, are left out.
        """
        settings = _as_recorded(plain_by_key(flatten(settings)), self.free)
        bundled, bundles = fixed_in(self.bundles, settings)
        fixed = {**flatten(self.fixed), **bundled}
        free, conditions = {}, {}
        for key in self.order():
            if key in settings:
                continue
            left = tuple(
                one
                for one in alternatives(self.conditions.get(key))
                if all(parent in free or (parent in fixed and met(need, fixed[parent])) for parent, need in one.items())
            )
            if left:
                free[key] = self.free[key]
            if left and key in self.conditions:
                conditions[key] = left if isinstance(self.conditions[key], tuple) else left[0]
        kept = [
            {key: value for key, value in point.items() if key in free}
            for point in self.baselines
            if all(alike(settings.get(key, value), value) for key, value in point.items())
        ]
        changed = self.replace(
            fixed=fixed,
            free={key: distribution for key, distribution in self.free.items() if key in free},
            baselines=(),
            bundles=bundles,
            conditions={key: conditions[key] for key in self.conditions if key in conditions},
        )
        baselines = [
            point for index, point in enumerate(kept) if point and point not in kept[:index] and changed.allows(point)
        ]
        return changed.replace(baselines=tuple(baselines))

    def grid(self) -> Iterator[Params]:
        """Every point of a space whose parameters are all finite, in order, as far as the constraints hold.

        Raises ValueError for a continuous parameter and for more than `GRID` points.
        """
        for key in self.order():
            if (count := size(self.free[key])) is None:
                raise ValueError(f"{key}: {in_words(self.free[key])} is continuous; a grid needs choices or a step")
            if count > GRID:
                words = cut(in_words(self.free[key]))
                raise ValueError(f"{key}: {words} has {count:.3g} values; a grid has at most {GRID} points")
        for place, point in enumerate(self._branches({}, self.order())):
            if place >= GRID:
                raise ValueError(f"the grid has more than {GRID} points; search fewer values, or take another sampler")
            if self.allows(point):
                yield point

    def _branches(self, point: Params, rest: tuple[str, ...]) -> Iterator[Params]:
        """All ways to go on from the first parameters of a point with the `rest`."""
        if not rest:
            yield point
        elif not self.exists(rest[0], point):
            yield from self._branches(point, rest[1:])
        else:
            written = {json.dumps(value, sort_keys=True): value for value in choices(self.free[rest[0]]) or ()}
            for value in written.values():
                yield from self._branches({**point, rest[0]: value}, rest[1:])

    def corners(self) -> Iterator[Params]:
        """Points that between them hold both ends, or every choice, of each parameter, as far as the constraints hold.

        What constraints name is tried in all combinations of its ends, since they may rule out the outermost ones.
        """
        values = {key: ends(self.free[key]) for key in self.order()}
        named = {key for one in self.constraints for key in one.keys}
        branching = [key for key in values if key in self.parents()]
        wider = [key for key in values if key in branching or key in named]
        if math.prod(len(values[key]) for key in wider) <= CORNERS:
            branching = wider
        for combination in itertools.product(*(values[key] for key in branching)):
            for index in range(max((len(some) for some in values.values()), default=1)):
                chosen = {key: some[index % len(some)] for key, some in values.items()}
                point = self._of({**chosen, **dict(zip(branching, combination, strict=True))})
                if self.allows(point):
                    yield point

    def _of(self, values: Mapping[str, Any]) -> Params:
        """The point with those of the values whose parameters exist."""
        return self.point(lambda key, _: values[key])


def _as_recorded(point: Mapping[str, Any], free: Mapping[str, Range]) -> Params:
    return {key: canonical(free[key], value) if key in free else value for key, value in point.items()}
