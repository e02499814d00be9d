"""Why each trial went on or was stopped, and how well stopping works, as plain values read from the record."""

from statistics import fmean
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tune_mixup.config import TrialConfig
from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.merit import Merits
from tune_mixup.record.names import command_for, trial_name
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.configurations import Configurations
from tune_mixup.search.control import Evidence, chance_of_any, telling
from tune_mixup.search.control_group import ControlGroup
from tune_mixup.search.rise import rise
from tune_mixup.search.seats import Seats
from tune_mixup.search.strata import NAMES
from tune_mixup.sweep_config import SweepConfig


def explain_sweep(record: SweepRecord) -> dict[str, Any]:
    """How trials are compared, why each one ended as it did, and what the control group says about the rungs.

    `control` has a row per rung from the trials that nothing stops, `complete` one from all that were trained to the
    end: in these, correlations come out too low, since rungs let only the better ones through. `strata_checked` says
    whether those of stronger mixing rise later. Where there are too few trials for a correlation that is worth a word,
    it is None.
    """
    config = SweepConfig.from_record(record.folder.config())
    seats = Seats(config, first=record.study.imported())
    group = ControlGroup(config, seats)
    configurations = Configurations(config)
    trials, curves = [], []
    for trial in record.study.asked():
        facts = facts_of(trial)
        settings = None if facts.invalid is not None else configurations.at(trial.params)
        trials.append(about := _about(trial, facts, settings, seats))
        if facts.finalist is not None:
            continue
        if trial.state.is_finished() and settings is not None:
            group.note(trial, settings)
        if trial.state == TrialState.COMPLETE and about["strength"] is not None:
            curves.append((about["strength"], trial.intermediate_values))
    control = group.table(group.spared)
    cuts = (*seats.strata.cuts, None)
    return {
        "name": record.name,
        "scheduler": config.stopping.name,
        "metric": config.metric,
        "direction": config.direction,
        "reports_smoothed": config.reports_smoothed,
        "strata": []
        if seats.strata.whole
        else [{"name": name, "up_to": cut} for name, cut in zip(NAMES[len(cuts)], cuts, strict=True)],
        "strata_checked": None if seats.strata.whole else rise(curves)._asdict(),
        "warm_start": record.study.sweep_facts().warm_start or "",
        "looks": [one.plain() for one in record.study.sweep_facts().looks],
        "longer_grace": [one.plain() for one in record.study.sweep_facts().grace],
        "trials": trials,
        "share_spared": config.stopping.share_spared,
        "control": [_row(about) for about in control],
        "complete": [_row(about) for about in group.table(group.complete)],
        "chance_best_stopped": chance_of_any(control),
    }


def explain_trial(record: SweepRecord, number: int) -> dict[str, Any]:
    """Whom a trial was compared with, at which rungs, and every decision on it. Raises ValueError if there is none."""
    found = [trial for trial in record.study.asked() if trial.number == number]
    if not found:
        raise ValueError(f"trial: got {number}, but the sweep {record.name!r} has begun no such trial")
    config = SweepConfig.from_record(record.folder.config())
    seats = Seats(config, first=record.study.imported())
    facts = record.study.facts(number)
    settings = None if facts.invalid is not None else config.trial(found[0].params)
    rungs: tuple[int, ...] = ()
    if settings is not None and facts.finalist is None:
        rungs = seats.of(number, settings, record.study.sweep_facts().grace).rungs
    return {
        "name": record.name,
        "scheduler": config.stopping.name,
        "metric": config.metric,
        **_about(found[0], facts, settings, seats),
        "rungs": list(rungs),
        "decisions": [decision.plain() for decision in facts.decisions],
    }


def explain_finals(record: SweepRecord) -> dict[str, Any]:
    """Whether the search is over, and what each finalist came to on its fresh seeds, the best first.

    `rounds` says when the search was over and why; `settings` has a row for each setting that was begun again: the
    trial that stands for it, what the search saw, the fresh seeds and their values (None where it has none, as for one
    that runs or failed), mean and standard error over all of them, and whether it is the one that is handed on.
    `searched_since` counts the trials of the search that were begun after the last of them, and `missing` says what
    the finals lack, if anything.
    """
    config = SweepConfig.from_record(record.folder.config())
    runs: dict[int, list[FrozenTrial]] = {}
    searched_since = 0
    for trial in record.study.asked():
        searched_since += 1
        if (first := facts_of(trial).finalist) is not None:
            runs.setdefault(first, []).append(trial)
            searched_since = 0
    merits = Merits.of(record)
    best = merits.best()
    settings = []
    for setting in merits.ranked():
        fresh = runs.pop(setting.trial, [])
        if fresh:
            settings.append(
                {
                    "trial": setting.trial,
                    "search": fmean(setting.searched),
                    "seeds": [facts_of(trial).replicate_seed for trial in fresh],
                    "values": [trial.value if trial.state == TrialState.COMPLETE else None for trial in fresh],
                    "states": [trial.state.name for trial in fresh],
                    "mean": setting.mean,
                    "error": setting.error,
                    "handed_on": setting == best,
                }
            )
    return {
        "name": record.name,
        "metric": config.metric,
        "share": config.finalists.share_of(finite=config.sampler.finite),
        "finite": config.sampler.finite,
        "min_search": config.finalists.min_search,
        "rounds": [one.plain() for one in record.study.sweep_facts().finals],
        "settings": settings,
        "searched_since": searched_since if settings else 0,
        "missing": missing_of_finals(record, merits),
    }


def missing_of_finals(record: SweepRecord, merits: Merits | None = None) -> str:
    """What the finals lack to compare the search's best settings, in one line; empty where they lack nothing.

    Finals that were cut short, or have not begun again, leave settings with fewer fresh seeds than the others, or none.
    """
    rounds = record.study.sweep_facts().finals
    if not rounds:
        return ""
    best = [setting for _, setting in (merits or Merits.of(record)).as_searched()[: rounds[-1].number]]
    fresh = {one.trial: sum(run.fresh and run.value is not None for run in one.runs) for one in best if not one.failed}
    few, many = min(fresh.values(), default=0), max(fresh.values(), default=0)
    if not fresh or (few > 0 and many - few <= 1):
        return ""
    scores = ", ".join(f"{trial_name(trial)} has {count or 'none'}" for trial, count in fresh.items())
    return (
        f"The finals are not over, and the order may change: of scores on fresh seeds {scores}. "
        f"`{command_for('resume', record.path)}` goes on, with more --trials or time if these are used up."
    )


def _about(trial: FrozenTrial, facts: TrialFacts, settings: TrialConfig | None, seats: Seats) -> dict[str, Any]:
    """A trial whose point is no valid configuration has no strength; such and finalists are compared with none."""
    seat = None if settings is None or facts.finalist is not None else seats.of(trial.number, settings)
    return {
        "trial": trial.number,
        "state": trial.state.name,
        "epoch": trial.last_step or 0,
        "strength": None if settings is None else seats.strata.strength(settings),
        "group": "" if seat is None else seat.group,
        "control": seat is not None and seat.spared,
        "finalist": facts.finalist,
        "reason": facts.reason or facts.stopped or "",
    }


def _row(about: Evidence) -> dict[str, Any]:
    known = telling(about)
    return {
        "rung": about.rung,
        "trials": about.num,
        "correlation": about.correlation if known else None,
        "low": about.low if known else None,
        "high": about.high if known else None,
        "chance_best_stopped": about.best_stopped if known else None,
    }
