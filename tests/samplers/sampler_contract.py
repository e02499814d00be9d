"""What every sampler promises: a draw depends on the record, the seed, the trial and the parameter, on nothing else."""

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from tune_mixup.samplers import TrialSampler

SPACE = {
    "lr": FloatDistribution(0.001, 1.0, log=True),
    "alpha": FloatDistribution(0.0, 4.0),
    "layers": IntDistribution(1, 5),
    "kind": CategoricalDistribution(("a", "b", "c")),
}
KNOWN = 14
"""Trials on record, more than a sampler needs to begin to learn."""


class SamplerContract:
    """Derive from it and give `settings`; the tests of the derived class are those of your sampler."""

    def settings(self):
        """The settings to try."""
        raise NotImplementedError

    def test_it_is_the_same_after_its_plain_form(self):
        settings = self.settings()
        assert type(settings).parse(settings.model_dump(mode="json")) == settings

    def test_draws_are_in_the_space(self):
        for seed in range(3):
            point = drawn(self.settings(), seed=seed)
            assert point.keys() == SPACE.keys()
            assert 0.001 <= point["lr"] <= 1 and 0 <= point["alpha"] <= 4
            assert point["layers"] in range(1, 6) and point["kind"] in ("a", "b", "c")

    def test_a_draw_does_not_depend_on_draws_before_it_or_on_global_generators(self):
        first = drawn(self.settings(), seed=3)
        drawn(self.settings(), seed=4)
        states = random.getstate(), np.random.get_state()
        try:
            random.seed(99)
            np.random.seed(99)
            assert drawn(self.settings(), seed=3) == first
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])

    def test_a_draw_does_not_depend_on_the_order_of_the_parameters(self):
        assert drawn(self.settings(), seed=3, keys=tuple(reversed(SPACE))) == drawn(self.settings(), seed=3)

    def test_another_process_draws_the_same(self):
        made = other_process().submit(drawn, self.settings(), seed=3).result()
        assert made == drawn(self.settings(), seed=3)

    def test_a_draw_that_was_broken_off_goes_on_the_same(self, tmp_path):
        whole = drawn(self.settings(), seed=3)
        for after in range(len(SPACE)):
            path = str(tmp_path / f"{after}.journal")
            begun = study_in(JournalStorage(JournalFileBackend(path)))
            begin(begun, self.settings(), seed=3, keys=tuple(SPACE)[:after])
            again = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(path)))
            assert go_on(again, self.settings(), seed=3) == whole, f"broken off after {after} parameters"


@cache
def other_process():
    """One process for all samplers; it begins anew, without anything of this one."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def study_in(storage):
    """A record of finished trials, some of them stopped, with values that make a learner prefer small rates."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    rng = random.Random(1)
    for number in range(KNOWN):
        lr = 10 ** rng.uniform(-3, 0)
        params = {"lr": lr, "alpha": rng.uniform(0, 4), "layers": rng.randint(1, 5), "kind": rng.choice("abc")}
        state = TrialState.PRUNED if number % 4 == 3 else TrialState.COMPLETE
        values = {"value": 1 - lr, "intermediate_values": {1: 1 - lr}}
        study.add_trial(create_trial(state=state, params=params, distributions=SPACE, **values))
    return study


def begin(study, settings, *, seed, keys):
    """Ask for the next trial and for its parameters `keys`."""
    study.sampler = TrialSampler(settings, seed=seed, number=KNOWN)
    return suggested(study.ask(), keys)


def go_on(study, settings, *, seed):
    """Ask for all parameters of the trial that was begun."""
    study.sampler = TrialSampler(settings, seed=seed, number=KNOWN)
    return suggested(optuna.trial.Trial(study, study.get_trials()[-1]._trial_id), tuple(SPACE))


def suggested(trial, keys):
    point = {}
    for key in keys:
        match SPACE[key]:
            case CategoricalDistribution(choices=choices):
                point[key] = trial.suggest_categorical(key, choices)
            case IntDistribution(low=low, high=high):
                point[key] = trial.suggest_int(key, low, high)
            case FloatDistribution(low=low, high=high, log=log):
                point[key] = trial.suggest_float(key, low, high, log=log)
    return {key: point[key] for key in SPACE if key in point}


def drawn(settings, *, seed, keys=tuple(SPACE)):
    """The next point, from a record made anew."""
    return begin(study_in(InMemoryStorage()), settings, seed=seed, keys=keys)
