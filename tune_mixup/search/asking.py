"""From a trial of the study to the configuration that it trains: its point of the space, and its seed."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.optuna_internals import reopened
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.repeats import Repeats
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig


class Asking:
    """The configurations of a sweep's trials. A setting that was asked before is not trained on the same seed again."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.record = record
        self.config = config
        self._configs: dict[int, TrialConfig] = {}
        self._repeats = Repeats()
        for trial in record.asked():
            if trial.state.is_finished():
                self._repeats.note(trial.number, self.of(trial.number))

    def enqueue_first_points(self) -> None:
        """Queue the baselines, or all points of a grid, in the study itself, so that a restart finds them."""
        study = self.record.study
        points = self.config.space.grid() if self.config.sampler == "grid" else iter(self.config.space.baselines)
        known = len(study.get_trials(deepcopy=False)) - self.record.imported()
        for index, point in enumerate(points):
            if known <= index < self.config.trials:
                study.enqueue_trial(point)

    def ask(self, number: int) -> int:
        """Begin trial `number`, the next one, at the point that the sampler suggests."""
        self.record.study.sampler = TrialSampler(self.config, number)
        return self._suggest_all(self.record.study.ask())

    def go_on(self, number: int) -> None:
        """Ask for what is missing of a trial that was begun, perhaps by a process that was killed while it asked."""
        self.record.study.sampler = TrialSampler(self.config, number)
        self._suggest_all(reopened(self.record.study, self.record.trial(number)))

    def of(self, number: int) -> TrialConfig:
        """The configuration of a trial that was begun."""
        if number not in self._configs:
            trial = self.record.trial(number)
            config = self.config.trial(trial.params)
            self._configs[number] = config.replace(seed=trial.user_attrs.get("replicate_seed", config.seed))
        return self._configs[number]

    def _suggest_all(self, trial: optuna.Trial) -> int:
        point: Params = {}
        for key in self.config.space.order():
            if self.config.space.exists(key, point):
                point[key] = _suggest(trial, key, self.config.space.free[key])
        config = self._configs[trial.number] = self._distinct(trial.number, self.config.trial(point))
        self._repeats.note(trial.number, config)
        return trial.number

    def _distinct(self, number: int, config: TrialConfig) -> TrialConfig:
        """The setting itself the first time; asked again, on a fresh seed, or noted as to be served from the record."""
        facts = self.record.trial(number).user_attrs
        if "replicate_seed" in facts:
            return config.replace(seed=facts["replicate_seed"])
        earlier = self._repeats.earlier(number, config) if self.config.repeats != "train" else None
        if earlier is None or "served" in facts:
            return config
        if self.config.repeats == "serve" and self.record.trial(earlier).state.is_finished():
            self.record.annotate(number, "served", earlier)
            return config
        seed = self._repeats.fresh_seed(config)
        self.record.annotate(number, "replicate_seed", seed)
        return config.replace(seed=seed)


def _suggest(trial: optuna.Trial, key: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(key, distribution.choices)
        case IntDistribution():
            return trial.suggest_int(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        case FloatDistribution():
            return trial.suggest_float(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
    raise ValueError(f"{key}: {distribution} is none of Optuna's float, int and categorical distributions")
