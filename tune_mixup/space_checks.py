"""What is looked at before a sweep begins, in its space: that it can be drawn from, and what of it can't be trained."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from optuna.distributions import CategoricalDistribution, IntDistribution

from tune_mixup.bundles import given
from tune_mixup.config import TrialConfig
from tune_mixup.distributions import in_study, in_words, size
from tune_mixup.metrics import Direction, directions, read_paths, with_outside
from tune_mixup.plain_values import alike
from tune_mixup.schema import flatten, suggest
from tune_mixup.search_space import GRID, Params, SearchSpace

LOOKED_AT = 1000
"""Random points from which the share of those without a valid configuration is taken."""
WHOLE = 2**53
"""Optuna keeps parameters as floats, which hold whole numbers up to here."""


class Invalid(NamedTuple):
    """How many of some random points are no valid configuration, and why the first of them is none."""

    points: int
    of: int
    why: str

    def words(self) -> str:
        """One line; empty where all are valid."""
        if not self.points:
            return ""
        return (
            f"about {100 * self.points / self.of:.3g} % of random points are no valid configuration ({self.why}); each "
            "such trial fails without being trained; state a constraint, or narrow the ranges"
        )


def trial_at(space: SearchSpace, point: Params, *, seed: int = 0) -> TrialConfig:
    """The configuration at a point of the space. Raises ValueError naming each bad key."""
    return TrialConfig.from_dotted({"seed": seed}, space.fixed, space.meant(point))


def invalid_points(space: SearchSpace, *, seed: int = 0) -> Invalid:
    """What part of the space has no valid configuration; constraints are kept to. The same for the same seed."""
    points = space.sample(LOOKED_AT, seed=seed)
    if not points:
        return Invalid(1, 1, f"for none that was drawn holds {' and '.join(map(str, space.constraints))}")
    faults = [fault for point in points if (fault := _fault(space, point)) is not None]
    return Invalid(len(faults), len(points), faults[0] if faults else "")


def examples(space: SearchSpace, *, seed: int = 0) -> Iterator[TrialConfig]:
    """Trials that stand for the whole space: those of its probes that are valid, else of the first such random point.

    Raises ValueError as the first probe does where none is valid.
    """
    faults: list[ValueError] = []
    valid = _valid(space, space.probes(), seed, faults)
    some = next(valid, None) or next(_valid(space, space.sample(LOOKED_AT, seed=seed), seed, faults), None)
    if some is None:
        raise faults[0] if faults else ValueError(_nothing_holds(space))
    yield some
    yield from valid


def _valid(space: SearchSpace, points: Iterable[Params], seed: int, faults: list[ValueError]) -> Iterator[TrialConfig]:
    for point in points:
        try:
            yield trial_at(space, point, seed=seed)
        except ValueError as error:
            faults.append(error)


def most_epochs(space: SearchSpace) -> int:
    """The epochs of the space's longest training; 1 where no point is valid, so that none is ever trained."""
    try:
        return max(trial.training.epochs for trial in examples(space))
    except ValueError:
        return 1


def objectives(space: SearchSpace) -> dict[str, Direction]:
    """What trials report -> its direction; the metrics are ours and those of the fixed `training.metrics`.

    A space that holds nothing out, which only a retraining may have, reports them of the test split. Raises ValueError
    for a metric that can't be imported.
    """
    try:
        metrics = with_outside(added_metrics(space))
    except ValueError as error:
        raise ValueError(f"training.metrics: {error}") from None
    held_out = flatten(space.fixed).get("data.validation_fraction")
    return directions(metrics) | (directions(metrics, "test") if held_out == 0 else {})


def added_metrics(space: SearchSpace) -> tuple[str, ...]:
    """The import paths of the metrics that the space adds."""
    added = read_paths(flatten(space.fixed).get("training.metrics", ()))
    return added if isinstance(added, tuple) else ()


def check_ranges(space: SearchSpace) -> None:
    """Raise ValueError for what can't be told apart in a record: choices such as 1 and 1.0, and huge whole numbers."""
    for key, distribution in space.free.items():
        held = in_study(distribution)
        if isinstance(held, IntDistribution) and max(-held.low, held.high) > WHOLE:
            raise ValueError(
                f"{key}: {in_words(distribution)} goes beyond {WHOLE}, which no study holds exactly; list choices"
            )
        if isinstance(distribution, CategoricalDistribution):
            found = list(distribution.choices)
            for place, choice in enumerate(found):
                if choice in found[:place]:
                    other = found[found.index(choice)]
                    raise ValueError(f"{key}: the choices {other!r} and {choice!r} are equal; drop one of the two")


def check_data_named(space: SearchSpace) -> None:
    """Raise ValueError for a space that leaves open what is trained on; nobody means to search on the default."""
    known = {*flatten(space.fixed), *space.free, *given(space.bundles)}
    if not known & {"data", "data.name"}:
        raise ValueError(
            "data.name: the space names no data; add it to the space, or give --set data.name=NAME (digits is small)"
        )


def with_assumed(space: SearchSpace) -> SearchSpace:
    """The space with the defaults noted that its constraints may take settings from.

    They are all settings that the space neither fixes nor searches, and those that it searches where they do not exist,
    as far as they are the same for all trials. Raises ValueError for a constraint about a key that is none of these,
    and for constraints that nothing satisfies.
    """
    if not space.constraints:
        return space
    found: dict[str, Any] = {}
    differing, known = {"seed"} - flatten(space.fixed).keys() - space.free.keys(), {*space.free, *flatten(space.fixed)}
    for point in _some_points(space):
        try:
            settings = flatten(trial_at(space, point).plain())
        except ValueError:
            continue
        known |= settings.keys()
        for key, value in settings.items():
            if key in point or key in flatten(space.fixed):
                continue
            if key in found and not alike(found[key], value):
                differing.add(key)
            found.setdefault(key, value)
    for constraint in space.constraints:
        for key in constraint.keys:
            if key not in known:
                near = suggest(key, sorted(known))
                raise ValueError(f"constraints: {constraint} names {key}, a setting of no trial{near}")
            if key in differing:
                raise ValueError(
                    f"constraints: {constraint} names {key}, whose default differs between trials; fix it or free it"
                )
    made = space.replace(assumed={key: value for key, value in found.items() if key not in differing})
    for point in _some_points(space):
        made.broken(point)  # raises for a constraint that can't be looked at
    if not made.baselines and next(_holding(made), None) is None:
        raise ValueError(_nothing_holds(made))
    return made


def _some_points(space: SearchSpace) -> Iterator[Params]:
    """Points of every branch, whether constraints hold or not: they can't be looked at yet."""
    free = space.replace(constraints=())
    return chain(free.probes(), free.sample(100, seed=0))


def _holding(space: SearchSpace) -> Iterator[Params]:
    """All points for which the constraints hold where these are few, else as far as corners and random points show."""
    sizes = [size(distribution) for distribution in space.free.values()]
    if all(sizes) and math.prod(each or 0 for each in sizes) <= GRID:
        return space.grid()
    return chain(space.probes(), space.sample(1, seed=0))


def _nothing_holds(space: SearchSpace) -> str:
    words = " and ".join(map(str, space.constraints))
    return f"constraints: no point was found for which {words} holds; widen the ranges or the constraints"


def _fault(space: SearchSpace, point: Mapping[str, Any]) -> str | None:
    try:
        trial_at(space, dict(point))
    except ValueError as error:
        return " ".join(str(error).split())
    return None


def without_max_epochs(space: SearchSpace, max_epochs: int, file: str) -> SearchSpace:
    """The space without `max_epochs` among its defaults, for the trials' epochs are to be fixed at that.

    Raises ValueError where the space gives other epochs itself; `file` begins the line.
    """
    if {"training.epochs": max_epochs, **flatten(space.fixed), **space.free}["training.epochs"] != max_epochs:
        raise ValueError(
            f"{file}the space gives training.epochs, and max_epochs among its defaults; keep one of the two"
        )
    return space.replace(defaults={key: value for key, value in space.defaults.items() if key != "max_epochs"})
