"""Settings that a space varies together: a choice of one free parameter stands for several of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from optuna.distributions import CategoricalDistribution
from pydantic import BeforeValidator

from tune_mixup.distributions import Range
from tune_mixup.faults import shown
from tune_mixup.plain_values import plain_by_key
from tune_mixup.schema import flatten, suggest

Bundle = Annotated[dict[str, Any], BeforeValidator(lambda settings: plain_by_key(flatten(settings)))]
"""Settings of a trial by dotted key."""
Bundles = dict[str, dict[str, Bundle]]
"""Free parameter -> its choice -> what the choice stands for."""


def check_bundles(bundles: Bundles, free: Mapping[str, Range], fixed: Mapping[str, Any]) -> None:
    """Raise ValueError for bundles that do not fit the rest of a space."""
    for key, bundle in bundles.items():
        if key not in free:
            raise ValueError(f"bundles name {key}, which is not free{suggest(key, list(free))}")
        if not isinstance(choices := free[key], CategoricalDistribution) or {*choices.choices} != {*bundle}:
            raise ValueError(f"bundles.{key}: got {shown([*bundle])}, must be the choices of {key}, one for each")
    for key in given(bundles):
        if key in free or key in fixed:
            raise ValueError(f"{key} is in a bundle and {'free' if key in free else 'fixed'} too; keep one of the two")


def given(bundles: Bundles) -> list[str]:
    """All keys that some bundle gives, each once."""
    return [*dict.fromkeys(key for bundle in bundles.values() for settings in bundle.values() for key in settings)]


def meant(bundles: Bundles, point: Mapping[str, Any]) -> dict[str, Any]:
    """A point with the settings of bundles in place of their names."""
    settings: dict[str, Any] = {}
    for key, value in point.items():
        settings |= bundles[key][value] if key in bundles else {key: value}
    return settings


def fixed_in(bundles: Bundles, settings: Mapping[str, Any]) -> tuple[dict[str, Any], Bundles]:
    """What `settings` fix, where they may name a choice of a bundle, and the bundles without all this."""
    fixed = meant(bundles, settings)
    left = {
        key: {
            choice: {one: value for one, value in given.items() if one not in fixed} for choice, given in bundle.items()
        }
        for key, bundle in bundles.items()
        if key not in settings
    }
    return fixed, left
