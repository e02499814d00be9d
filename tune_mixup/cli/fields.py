"""What a dotted key of a `TrialConfig` means, in the words of the settings class that declares it."""

from collections.abc import Collection, Iterator
from typing import Any, get_origin

from optuna.distributions import CategoricalDistribution
from pydantic.fields import FieldInfo

from tune_mixup.config import TrialConfig
from tune_mixup.parts import parts_of
from tune_mixup.schema import Schema, flatten
from tune_mixup.search_space import SearchSpace


def explain_key(key: str, space: SearchSpace) -> str:
    """The docstring of the setting `key`: what it counts, its unit and range.

    Where several components that the space can choose declare it, their different words are joined by ` / `.
    """
    words = [" ".join((field.description or "").split()) for field in _declared(key, space)]
    return " / ".join(word for word in dict.fromkeys(words) if word)


def _declared(key: str, space: SearchSpace) -> Iterator[FieldInfo]:
    """The fields that `key` can be: one, or one for each component that its section may hold.

    Below a field that maps labels to components, or to numbers, the next part of the key is the label; a component
    that says no name is the one that its label names.
    """
    *sections, last = key.split(".")
    owners: list[type[Schema]] = [TrialConfig]
    labelled: list[FieldInfo] = []
    for depth, section in enumerate(sections, start=1):
        fields = labelled or [owner.model_fields[section] for owner in owners if section in owner.model_fields]
        if not labelled and fields and all(get_origin(field.annotation) is dict for field in fields):
            labelled = fields
            continue
        names = _possible_names(".".join([*sections[:depth], "name"]), key, space)
        if labelled and not names:
            names = [section]
        owners = [schema for field in fields for schema in _schemas(field, names)]
        labelled = []
    return iter(labelled or [owner.model_fields[last] for owner in owners if last in owner.model_fields])


def _schemas(field: FieldInfo, names: Collection[Any]) -> Iterator[type[Schema]]:
    """The settings classes that a field holds: the parts called `names`, or the one class that it always has."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Schema) and not list(parts_of(field)):
        yield field.annotation
    for kind, base in parts_of(field):
        for name in names:
            try:
                yield kind.find(name, base)
            except ValueError:  # such as the label of a member that says no name; settings are checked elsewhere
                continue


def _possible_names(name_key: str, key: str, space: SearchSpace) -> list[Any]:
    """The components that the section of `key` may hold where `key` exists."""
    if needed := space.needed(key, name_key):
        return needed
    searched = space.free.get(name_key)
    if isinstance(searched, CategoricalDistribution):
        return list(searched.choices)
    chosen = {**flatten(TrialConfig().plain()), **flatten(space.fixed)}
    return [chosen[name_key]] if name_key in chosen else []
