"""Every sampler keeps the promises of `tune_mixup.testing`."""

import optuna
import pytest

from tune_mixup.samplers import SAMPLERS, AnySampler, TrialSampler
from tune_mixup.samplers.cmaes import CmaEs
from tune_mixup.samplers.gp import Gp
from tune_mixup.samplers.grid import Grid
from tune_mixup.samplers.qmc import Qmc
from tune_mixup.samplers.random_search import RandomSearch
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.testing import SamplerContract
from tune_mixup.testing.parts import PartContract

SETTINGS = {
    "tpe": Tpe(startup_trials=3),
    "random": RandomSearch(),
    "qmc": Qmc(),
    "gp": Gp(startup_trials=2),
    "cmaes": CmaEs(),
    "grid": Grid(),
}


class TestSamplers(SamplerContract):
    @pytest.fixture(autouse=True, params=SETTINGS)
    def settings(self, request):
        self.part = SETTINGS[request.param]


class TestDefaults(PartContract):
    kind = AnySampler

    @pytest.fixture(autouse=True, params=SAMPLERS)
    def settings(self, request):
        self.part = SAMPLERS[request.param]()


def test_the_suite_is_over_the_whole_registry():
    assert {name: type(sampler) for name, sampler in SETTINGS.items()} == SAMPLERS
    assert {name: sampler().name for name, sampler in SAMPLERS.items()} == {name: name for name in SAMPLERS}


@pytest.mark.parametrize("name", SETTINGS)
def test_parameters_that_the_first_trial_lacks_differ_between_trials(name):
    """With qmc all trials of a sweep once had the same value of each parameter under a condition."""
    study, values = optuna.create_study(), []
    for number in range(6):
        study.sampler = TrialSampler(SETTINGS[name], seed=0, number=number)
        trial = study.ask()
        trial.suggest_float("rate", 0, 1)
        if number:
            values.append(trial.suggest_float("alpha", 0, 1))
        study.tell(trial, number % 3)
    assert len(set(values)) == 5
