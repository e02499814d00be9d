"""Draws of the next point from a record of finished trials, for what our own samplers promise beside the contract."""

import random

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
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
