"""From a trial of the study to the configuration that it trains: its point of the space, and its seed."""

from collections.abc import Iterable
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tune_mixup.config import TrialConfig
from tune_mixup.distributions import Range, in_study
from tune_mixup.optuna_internals import reopened
from tune_mixup.record.facts import TrialFacts
from tune_mixup.record.study import Outcome, facts_of, is_invalid, replicate_seed
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers import TrialSampler
from tune_mixup.search.configurations import Configurations
from tune_mixup.search.repeats import Asked, Repeats
from tune_mixup.search.stand_ins import shown_instead
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig


class Asking:
    """The configurations of a sweep's trials. A setting that was asked before is not trained on the same seed again."""

    def __init__(self, record: SweepRecord, config: SweepConfig) -> None:
        self.record = record
        self.config = config
        self._made = Configurations(config)
        self._configs: dict[int, TrialConfig] = {}
        self._repeats = Repeats()
        self._stand_ins: dict[int, FrozenTrial | None] = {}
        for trial in record.study.asked():
            self.show(trial)
            if trial.state.is_finished() and not is_invalid(trial):
                self._configs[trial.number] = self._of(trial)
                self._repeats.note(trial.number, Asked.of(self._configs[trial.number]))

    def enqueue_first_points(self) -> None:
        """Queue the baselines, or all points of a grid, in the study itself, so that a restart finds them."""
        study = self.record.study.optuna
        points = self.config.space.grid() if self.config.sampler.finite else iter(self.config.space.baselines)
        known = len(study.get_trials(deepcopy=False)) - self.record.study.imported()
        for index, point in enumerate(points):
            if known <= index < self.config.trials:
                study.enqueue_trial(point)

    def ask(self, number: int) -> bool:
        """Begin trial `number`, the next one, at the point that the sampler suggests.

        False where that is no valid configuration: the trial has failed and is not to be trained.
        """
        self.record.study.optuna.sampler = self._sampler(number)
        return self._suggest_all(self.record.study.ask(number))

    def go_on(self, number: int) -> bool:
        """Ask for what is missing of a trial that was begun, perhaps by a process that was killed while it asked.

        False as for `ask`.
        """
        known = self.record.study.trial(number)
        # it has trained at this point, whatever an earlier release took for all of it; or it was begun there as a whole
        if known.intermediate_values or facts_of(known).finalist is not None:
            self._accept(number, self._made.at(known.params))
            return True
        self.record.study.optuna.sampler = self._sampler(number)
        return self._suggest_all(reopened(self.record.study.optuna, known))

    def again(self, trial: int, seeds: Iterable[int]) -> int:
        """Begin another trial with the setting of `trial`, on the first of `seeds` that it was not trained on."""
        config = self.of(trial)
        asked = Asked.of(config)
        seed = next(seed for seed in seeds if not self._repeats.is_known(asked._replace(seed=seed)))
        setting = self._repeats.setting(trial, asked)
        number = self.record.study.begin_again(trial, TrialFacts(finalist=trial, setting=setting, replicate_seed=seed))
        self._accept(number, config)
        self.show(self.record.study.trial(number))
        return number

    def show(self, trial: FrozenTrial) -> None:
        """Decide on what the sampler is shown of a trial that has ended, or was begun as a finalist's."""
        self._stand_ins |= shown_instead(trial, self.config)

    def _sampler(self, number: int) -> TrialSampler:
        return TrialSampler(
            self.config.sampler,
            seed=self.config.seed,
            number=number,
            space=self.config.space,
            stand_ins=self._stand_ins,
        )

    def of(self, number: int) -> TrialConfig:
        """The configuration of a trial that was begun. Raises ValueError for one whose point is none."""
        if number not in self._configs:
            self._configs[number] = self._of(self.record.study.trial(number))
        return self._configs[number]

    def _of(self, trial: FrozenTrial) -> TrialConfig:
        config, seed = self._made.at(trial.params), replicate_seed(trial)
        return config if seed is None else config.replace(seed=seed)

    def full_epochs(self, trial: FrozenTrial) -> int:
        """Epochs of a trial that is not stopped; 0 for one that has no valid configuration."""
        return 0 if is_invalid(trial) else self.of(trial.number).training.epochs

    def _suggest_all(self, trial: optuna.Trial) -> bool:
        point = self.config.space.point(lambda key, distribution: _suggest(trial, key, distribution))
        try:
            config = self._config_at(point)
        except ValueError as error:
            self._end_invalid(trial.number, " ".join(str(error).split()))
            return False
        self._accept(trial.number, config)
        return True

    def _accept(self, number: int, config: TrialConfig) -> None:
        asked = Asked.of(config)
        setting = self._repeats.setting(number, asked)
        if setting != number:
            self.record.study.note(number, TrialFacts(setting=setting))
        asked = asked._replace(seed=self._distinct(number, asked))
        self._configs[number] = config if asked.seed == config.seed else config.replace(seed=asked.seed)
        self._repeats.note(number, asked)

    def _config_at(self, point: Params) -> TrialConfig:
        """The configuration at a point. Raises ValueError where there is none, or a constraint rules it out."""
        if (broken := self.config.space.broken(point)) is not None:
            raise ValueError(f"no point was found for which {broken} holds; widen the ranges or the constraint")
        return self._made.at(point)

    def _end_invalid(self, number: int, why: str) -> None:
        """A trial without a configuration fails, and the sampler and the record hear of it.

        Raises ValueError where the space has no valid point at all any more: then the fault is not the trial's.
        """
        next(self.config.examples())
        self.record.study.note(number, TrialFacts(invalid=why))
        self.record.study.finish(number, Outcome(TrialState.FAIL, f"no valid configuration: {why}"))

    def _distinct(self, number: int, asked: Asked) -> int:
        """The seed asked for, the first time; again, a fresh one, or it is noted as to be served from the record."""
        facts = self.record.study.facts(number)
        if facts.replicate_seed is not None:
            return facts.replicate_seed
        earlier = self._repeats.earlier(number, asked) if self.config.repeats != "train" else None
        if earlier is None or facts.served is not None:
            return asked.seed
        if self.config.repeats == "serve" and self.record.study.trial(earlier).state.is_finished():
            self.record.study.note(number, TrialFacts(served=earlier))
            return asked.seed
        seed = self._repeats.fresh_seed(asked)
        self.record.study.note(number, TrialFacts(replicate_seed=seed))
        return seed


def _suggest(trial: optuna.Trial, key: str, distribution: Range) -> Any:
    match in_study(distribution):
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(key, choices)
        case IntDistribution() as whole:
            return trial.suggest_int(key, whole.low, whole.high, step=whole.step, log=whole.log)
        case FloatDistribution() as real:
            return trial.suggest_float(key, real.low, real.high, step=real.step, log=real.log)
    raise ValueError(f"{key}: {distribution} is none of Optuna's float, int and categorical distributions")
