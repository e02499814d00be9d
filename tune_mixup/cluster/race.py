"""`evaluate --until-sure`: the best settings race on fresh seeds until one has won, they tie, or the seeds are out.

Each look of the race is a retraining of those that are left, on the seeds since the look before. What a look decided
follows from these sweeps alone: the race is run again from its start, and what is trained is not trained again.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from optuna.trial import TrialState

from tune_mixup.cluster.connection import connected_for
from tune_mixup.cluster.evaluation import Retraining, fresh_seeds, measure, open_test_split, params_of, plan
from tune_mixup.display import showing
from tune_mixup.record.names import retraining_name, trial_name
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.racing import Rule, Standing
from tune_mixup.search.standing import Listener
from tune_mixup.sweep_config import SweepConfig

if TYPE_CHECKING:
    import pandas as pd


class Raced(NamedTuple):
    """What came out of a race."""

    rows: "pd.DataFrame"
    """As those of `evaluate`, over the seeds that each setting was trained on."""
    rule: Rule
    standing: Standing

    def words(self, metric: str) -> str:
        """What came out, in one line for people."""
        out = " Settings of which a training failed are out." if self.rows["failed"].any() else ""
        return self.rule.words(self.standing, metric) + out

    def plain(self) -> dict[str, Any]:
        """What came out, as JSON can hold it."""
        return self.rule.plain(self.standing)


def race(
    path: Path | str,
    trials: Sequence[int],
    rule: Rule,
    *,
    address: str | None = None,
    listener: Listener | None = None,
) -> Raced:
    """Retrain the settings of `trials` on fresh seeds until the rule has come to an end, and open the test split.

    They race by the sweep's metric on validation. A setting of which a training failed is out. Trials with the setting
    of an earlier one do not race. The test split is opened for all that raced, once the race has ended.
    Raises ValueError as `evaluate` and `Rule` do.
    """
    record = SweepRecord.open(path)
    config = SweepConfig.from_record(record.folder.config())
    contenders = _contenders(record, config, trials)
    rule = replace(rule, contenders=len(contenders))
    name = partial(retraining_name, len(trials), rule.most, race=(rule.error, rule.margin))
    fresh = fresh_seeds(record, rule.most)
    run: list[Retraining] = []
    left, before = contenders, 0
    measured: dict[Path, dict[str, float]] = {}
    with showing(listener) as shown, connected_for(config, address):  # one Ray for all looks
        for look in rule.looks:
            run.append(plan(record, config, left, fresh[before:look], name))
            run[-1].run(address, shown)
            run[-1].warn_of_failures()
            standing = rule.judge(_scores(config, left, run))
            if standing.verdict != "open":
                break
            left, before = tuple(trial for trial in left if trial in standing.left), look
        run[-1].run(address, shown, then=lambda: measured.update(measure(run)))
    return Raced(open_test_split(record, config, contenders, run, measured), rule, standing)


def _contenders(record: SweepRecord, config: SweepConfig, trials: Sequence[int]) -> tuple[int, ...]:
    """The first trial of each setting."""
    first: dict[str, int] = {}
    for trial in trials:
        earlier = first.setdefault(config.trial(params_of(record, trial)).identity(), trial)
        if earlier != trial:
            logging.getLogger(__name__).warning(
                f"{trial_name(trial)} does not race, since it has the setting of {trial_name(earlier)}"
            )
    return tuple(first.values())


def _scores(config: SweepConfig, left: Sequence[int], run: Sequence[Retraining]) -> dict[int, list[float]]:
    """Trial -> its metric on each seed so far, more being better; those of which a training failed are left out."""
    sign = 1.0 if config.direction == "maximize" else -1.0
    ended = [{one.number: one for one in part.record.study.asked()} for part in run]
    scores = {}
    for trial in left:
        trained = [found[number] for part, found in zip(run, ended, strict=True) for number in part.numbers(trial)]
        values = [one.value for one in trained if one.state == TrialState.COMPLETE and one.value is not None]
        if len(values) == len(trained):
            scores[trial] = [sign * value for value in values]
    return scores
