"""What another sweep has learnt, as trials of this one's study: the sampler begins with them, none is run again."""

from collections import Counter
from typing import Any, NamedTuple

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from tune_mixup.config import TrialConfig
from tune_mixup.distributions import Range, canonical, contains, in_study
from tune_mixup.log_steps import LogSteps
from tune_mixup.record.facts import SweepFacts, TrialFacts
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import is_finalist
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.tables import known_rows
from tune_mixup.schema import flatten
from tune_mixup.search.seeds import last_used
from tune_mixup.search.settings import settings_of
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig

FREE_TO_DIFFER = ("seed", "data.root", "data.path", "data.fingerprint")


class Imported(NamedTuple):
    """How many of the other sweep's finished trials were used as they were, moved to the edge, or left out and why."""

    used: int
    clipped: int
    dropped: dict[str, int]

    def words(self, source: str) -> str:
        """One line for people."""
        left_out = "".join(f"; left out {count}: {why}" for why, count in self.dropped.items())
        return f"from {source}: {self.used} trials, {self.clipped} of them moved to the edge of the space{left_out}"


def import_trials(record: SweepRecord, config: SweepConfig, other: SweepRecord) -> Imported:
    """Add the COMPLETE and PRUNED trials of `other` to the study of `record`, which has no trials of its own yet.

    What was imported is noted there, and the largest seed that `other` has used.

    A trial is used when everything that the new space fixes is equal (seed and paths apart), so that its values mean
    the same. `config.outside` says what to do with parameters out of range: leave the trial out, move it to the nearest
    point of the space, or raise ValueError. Raises ValueError for a trial of data with another content.
    """
    used, clipped, dropped = 0, 0, Counter[str]()
    for trial in other.study.asked():
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            continue
        if is_finalist(trial):
            dropped["a setting again, on a fresh seed"] += 1
            continue
        before = _read_today(settings_of(other, trial.number))
        settings = flatten(before.plain() if isinstance(before, TrialConfig) else before)
        rows = known_rows(other, trial, metric=str(other.folder.config()["metric"]))
        values = {int(row["epoch"]): row[config.metric] for row in rows if config.metric in row}
        if not rows or len(values) < len(rows):
            dropped[f"{config.metric} was not measured"] += 1
            continue
        point, moved = _point(config, settings)
        if point is None or (moved and config.outside == "drop"):
            dropped["parameters outside the space"] += 1
            continue
        if moved and config.outside == "refuse":
            raise ValueError(
                f"trial {trial.number} of {other.name} is outside the space: {', '.join(moved)}; drop or clip it"
            )
        try:
            trained = config.trial(point)
        except ValueError:
            dropped["no valid configuration in this space"] += 1
            continue
        if not config.space.allows(point):
            dropped["a constraint of the space does not hold"] += 1
            continue
        if (different := _difference(trained, before, point)) is not None:
            dropped[f"{different} differs"] += 1
            continue
        _check_content(trained, settings, f"trial {trial.number} of {other.name}")
        last = values[max(values)]
        record.study.optuna.add_trial(
            create_trial(
                state=trial.state,
                value=last,
                params=point,
                distributions={key: in_study(config.space.free[key]) for key in point},
                intermediate_values=values,
                user_attrs=TrialFacts(imported=f"{other.name}/{trial_name(trial.number)}").plain(),
            )
        )
        used, clipped = used + 1, clipped + bool(moved)
    imported = Imported(used, clipped, dict(dropped))
    record.study.note_sweep(SweepFacts(warm_start=imported.words(other.name), seeds_before=last_used(other)))
    return imported


def _check_content(trial: TrialConfig, settings: dict[str, Any], name: str) -> None:
    """Raise ValueError for a trial of data with another content; trials of before they noted it may be of any."""
    found, expected = settings.get("data.fingerprint"), trial.data.fingerprint
    if None not in (found, expected) and found != expected:
        raise ValueError(
            f"{name} was trained on data with the fingerprint {found}, but those of this sweep have {expected}, so its "
            "values mean something else; leave out --from, or bring those data back"
        )


def _point(config: SweepConfig, settings: dict[str, Any]) -> tuple[Params | None, list[str]]:
    """The trial as a point of the space, and what had to be moved; no point where that is impossible."""
    moved = []

    def choose(key: str, distribution: Range) -> Any:
        value = settings.get(key)
        if contains(distribution, value):
            return canonical(distribution, value)
        moved.append(f"{key}={value!r}")
        return _nearest(distribution, value)

    try:
        return config.space.point(choose), moved
    except _Elsewhere:
        return None, moved


class _Elsewhere(Exception):
    """A value that has no nearest one in its range."""


def _nearest(distribution: Range, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Elsewhere
    if isinstance(distribution, LogSteps):
        return distribution.nearest(value)
    if not isinstance(distribution, (IntDistribution, FloatDistribution)):
        raise _Elsewhere
    inside = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None:
        inside = distribution.low + round((inside - distribution.low) / distribution.step) * distribution.step
    nearest: int | float = canonical(distribution, inside)
    return nearest


def _read_today(settings: dict[str, Any]) -> TrialConfig | dict[str, Any]:
    """The trial as this version reads it: by the names of today, and with settings that it did not know, at defaults.

    The settings themselves where they are refused today, as for a class of one's own that is gone.
    """
    try:
        return TrialConfig.parse(settings)
    except ValueError:
        return settings


def _difference(trained: TrialConfig, before: TrialConfig | dict[str, Any], point: Params) -> str | None:
    """The first setting in which the trial differs from the one that this sweep would train at the point.

    One that is left empty does not differ from what it then stands for.
    """
    ours, theirs = (_settings_with_meaning(config) for config in (trained, before))
    for key, pair in ours.items():
        if key not in point and key not in FREE_TO_DIFFER and not _meet(pair, theirs.get(key, (None, None))):
            return key
    return None


def _meet(ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> bool:
    return any(one == other for one, other in zip(ours, theirs, strict=True))


def _settings_with_meaning(config: TrialConfig | dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> the setting as it was given, and as it is in the simplest mixer that trains alike."""
    if not isinstance(config, TrialConfig):
        return {key: (value, value) for key, value in flatten(config).items()}
    simple = flatten(config.replace(mixing=config.mixing.simplest()).plain())
    return {key: (value, simple.get(key, value)) for key, value in flatten(config.plain()).items()}
