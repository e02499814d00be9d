"""The parts of a sweep that are chosen by name, and the ways of writing them: by hand, as defaults, in old records."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Self, TypeVar

from typing_extensions import override

from tune_mixup.config import Training
from tune_mixup.faults import no_such_setting
from tune_mixup.finalists import Finalists
from tune_mixup.options import said
from tune_mixup.parts import Part
from tune_mixup.plain_values import plain_by_key
from tune_mixup.samplers import AnySampler
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.schema import Schema, flatten, merge, nest
from tune_mixup.stopping import WHY_NOT, AnyStopping
from tune_mixup.stopping.asha import Asha

Made = TypeVar("Made")

FLAT = {
    "scheduler": "stopping.name",
    "grace_epochs": "stopping.grace_epochs",
    "reduction_factor": "stopping.reduction_factor",
    "strata": "stopping.strata",
    "smoothing": "stopping.smoothing",
    "control_fraction": "stopping.control_fraction",
}
"""What the first records call the settings of the stopping rule, whichever it was -> what they are called now."""


class Parts(Schema):
    """The sections of a sweep's settings: its parts, which are chosen by name, and its finals."""

    sampler: AnySampler = Tpe()
    """Who suggests the next point."""
    stopping: AnyStopping = Asha()
    """Who stops trials early."""
    finalists: Finalists = Finalists()
    """Fresh seeds for the best settings, before one of them wins."""

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from sections: a text is a name, and a section without a name is for the default part.

        Raises ValueError with one line that names each bad key, `sweep.` in front.
        """
        named = {}
        for section, given in values.items():
            is_part = isinstance(cls.model_fields[section].default, Part)
            given = {"name": given} if is_part and isinstance(given, str) else given
            if is_part and isinstance(given, Mapping):
                given = {"name": cls.model_fields[section].default.name, **given}
                if (why := WHY_NOT.get(given["name"])) is not None:
                    raise ValueError(f"sweep.{section}.name: got {given['name']!r}, {why}")
            named[section] = given
        return cls.model_validate(dict(_Sections.parse({"sweep": named}).sweep))


class _Sections(Schema):
    """Where the parts stand in what a person writes, so that the keys in messages are those that were written."""

    sweep: Parts


def dotted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by dotted key, with the short forms written out: `scheduler` is the name of the stopping rule.

    Raises ValueError for one that is given in two forms.
    """
    written_out: dict[str, Any] = {}
    for written, value in flatten(options).items():
        section = "stopping" if written == "scheduler" else written
        key = f"{section}.name" if section in Parts.model_fields and isinstance(value, str) else section
        if key in written_out:
            raise ValueError(f"sweep.{key} stands twice, in two forms; keep one of the two")
        written_out[key] = value
    return written_out


def together(options: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What options and dotted settings say of a sweep, by dotted key, and what settings say of its trials.

    A setting `sweep.KEY` is of the sweep, and the option `max_epochs` the trials' `training.epochs`. Raises ValueError
    for what is said twice.
    """
    fixed = flatten(settings)
    asked = dotted({key.removeprefix("sweep."): fixed.pop(key) for key in list(fixed) if key.startswith("sweep.")})
    said = dotted(options)
    for key in said:
        if key in asked:
            raise ValueError(_both(key, f"sweep.{key}"))
    given = {**said, **asked}
    if (max_epochs := given.pop("max_epochs", None)) is not None:
        if "training.epochs" in fixed:
            raise ValueError(_both("max_epochs", "training.epochs"))
        fixed["training.epochs"] = max_epochs
    if "seed" in said and "seed" in fixed:
        raise ValueError(f"{_both('seed', 'seed')}; the setting sweep.seed leaves that of the trials to the other")
    return given, fixed


def _both(option: str, setting: str) -> str:
    name = {"stopping.name": "scheduler", "sampler.name": "sampler"}.get(option, option)
    return f"{name} is given twice, as an option and as the setting {setting}; keep one of the two"


def checked_defaults(defaults: Mapping[str, Any], known: Iterable[str], file: str) -> dict[str, Any]:
    """A space's defaults by dotted key. Raises ValueError that begins with `file` for a key that no sweep has."""
    try:
        written_out = dotted(defaults)
        usual, options = nest(written_out), [*known, "max_epochs"]
        for key, value in usual.items():
            if key in FLAT:
                raise ValueError(f"{key}: is {FLAT[key]} now; set that")
            if key not in options:
                raise ValueError(no_such_setting(key, value, options))
        Parts.parse({key: usual[key] for key in Parts.model_fields if key in usual})
        if "max_epochs" in usual:
            _check_epochs(usual["max_epochs"])
    except ValueError as error:
        raise ValueError(f"{file}defaults: {error}") from None
    return written_out


def _check_epochs(epochs: object) -> None:
    """Raise ValueError that begins with the short name of the setting that this is."""
    try:
        Training.parse({"epochs": epochs})
    except ValueError as error:
        raise ValueError(f"max_{error}") from None


def naming_defaults(
    make: Callable[[Mapping[str, Any]], Made], given: Mapping[str, Any], assumed: Container[str], file: str
) -> Made:
    """What `make` makes of a sweep's options, of which a space's file has `assumed` some.

    A ValueError begins with `file` where what the file assumes is part of the fault: without it there is another one,
    or none.
    """
    try:
        return make(given)
    except ValueError as error:
        said = {"name": "any", **{key: value for key, value in given.items() if key not in assumed}}
        try:
            make(said)
        except ValueError as alone:
            if str(alone) == str(error):
                raise
        raise ValueError(f"{file}defaults: {error}") from None


def over_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Nested options: those given, else the space's.

    A space's settings for one part do not hold for another that has no such setting.
    """
    own, usual = nest(given), nest(defaults)
    merged = merge(usual, own)
    for section, field in Parts.model_fields.items():
        if not isinstance(field.default, Part):
            continue
        chosen, offered = own.get(section, {}), usual.get(section, {})
        if not isinstance(chosen, Mapping):
            continue  # an object has all its settings
        if not isinstance(offered, Mapping):
            merged[section] = chosen or offered
            continue
        chosen = {"name": offered.get("name", field.default.name), **chosen}
        known = type(getattr(Parts.parse({section: chosen}), section)).model_fields
        merged[section] = merge({key: value for key, value in offered.items() if key in known}, chosen)
    return merged


def grouped(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a first record with the settings of its stopping rule, and of no other, in a section."""
    given = dict(flat)
    own = {new.removeprefix("stopping."): given.pop(old) for old, new in FLAT.items() if old in given}
    if own:
        known = type(Parts.parse({"stopping": {key: own[key] for key in own if key == "name"}}).stopping).model_fields
        given["stopping"] = {key: value for key, value in own.items() if key in known}
    space = given.get("space")
    if isinstance(space, Mapping) and "defaults" in space:
        defaults = {FLAT.get(key, key): value for key, value in space["defaults"].items()}
        given["space"] = {**space, "defaults": defaults}
    return given


def plain_numbers(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options say, NumPy's numbers as Python's; objects for parts stay what they are."""
    given = said(options)
    objects = {key: value for key, value in given.items() if isinstance(value, Schema)}
    return {**plain_by_key({key: value for key, value in given.items() if key not in objects}), **objects}
