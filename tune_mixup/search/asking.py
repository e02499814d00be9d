"""From a trial of the study to the configuration that it trains: its point of the space, and its seed."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.optuna_internals import reopened
from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.repeats import Repeats
from tune_mixup.sweep_config import SweepConfig


class Asking:
    """The configurations of a sweep's trials. A setting that was asked before is not trained on the same seed again."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.record = record
        self.config = config
        self._configs: dict[int, TrialConfig] = {}
        self._repeats = Repeats()
        for trial in record.study.asked():
            if trial.state.is_finished():
                self._repeats.note(trial.number, self.of(trial.number))

    def enqueue_first_points(self) -> None:
        """Queue the baselines, or all points of a grid, in the study itself, so that a restart finds them."""
        study = self.record.study.optuna
        points = self.config.space.grid() if self.config.sampler.finite else iter(self.config.space.baselines)
        known = len(study.get_trials(deepcopy=False)) - self.record.study.imported()
        for index, point in enumerate(points):
            if known <= index < self.config.trials:
                study.enqueue_trial(point)

    def ask(self, number: int) -> int:
        """Begin trial `number`, the next one, at the point that the sampler suggests."""
        self.record.study.optuna.sampler = self._sampler(number)
        return self._suggest_all(self.record.study.optuna.ask())

    def go_on(self, number: int) -> None:
        """Ask for what is missing of a trial that was begun, perhaps by a process that was killed while it asked."""
        self.record.study.optuna.sampler = self._sampler(number)
        self._suggest_all(reopened(self.record.study.optuna, self.record.study.trial(number)))

    def _sampler(self, number: int) -> TrialSampler:
        return TrialSampler(self.config.sampler, seed=self.config.seed, number=number)

    def of(self, number: int) -> TrialConfig:
        """The configuration of a trial that was begun."""
        if number not in self._configs:
            config = self.config.trial(self.record.study.trial(number).params)
            seed = self.record.study.facts(number).replicate_seed
            self._configs[number] = config if seed is None else config.replace(seed=seed)
        return self._configs[number]

    def _suggest_all(self, trial: optuna.Trial) -> int:
        point = self.config.space.point(lambda key, distribution: _suggest(trial, key, distribution))
        config = self._configs[trial.number] = self._distinct(trial.number, self.config.trial(point))
        self._repeats.note(trial.number, config)
        return trial.number

    def _distinct(self, number: int, config: TrialConfig) -> TrialConfig:
        """The setting itself the first time; asked again, on a fresh seed, or noted as to be served from the record."""
        facts = self.record.study.facts(number)
        if facts.replicate_seed is not None:
            return config.replace(seed=facts.replicate_seed)
        earlier = self._repeats.earlier(number, config) if self.config.repeats != "train" else None
        if earlier is None or facts.served is not None:
            return config
        if self.config.repeats == "serve" and self.record.study.trial(earlier).state.is_finished():
            self.record.study.note(number, TrialFacts(served=earlier))
            return config
        seed = self._repeats.fresh_seed(config)
        self.record.study.note(number, TrialFacts(replicate_seed=seed))
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
