"""Every sampler keeps the promises of `tune_mixup.testing`, and what else ours do."""

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor

import optuna
import pytest
from drawing import KNOWN, SPACE, drawn, study_in, suggested

from tune_mixup.samplers import SAMPLERS, AnySampler, TrialSampler
from tune_mixup.samplers.base import Draw
from tune_mixup.samplers.cmaes import CmaEs
from tune_mixup.samplers.gp import Gp
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.testing import SamplerContract
from tune_mixup.testing.parts import PartContract

SETTINGS = {name: sampler() for name, sampler in SAMPLERS.items()} | {
    "tpe of few candidates": Tpe(startup_trials=2, candidates=3),
    "gp from the second trial on": Gp(startup_trials=2),
    "cmaes from the fifth trial on": CmaEs(startup_trials=5),
}


EARLY = {name: sampler() for name, sampler in SAMPLERS.items()} | {
    "tpe": Tpe(startup_trials=3),
    "gp": Gp(startup_trials=2),
}
"""Those that learn, from the fourth trial on."""


class TestSamplers(SamplerContract):
    @pytest.fixture(autouse=True, params=EARLY)
    def settings(self, request):
        self.part = EARLY[request.param]


class TestSettings(PartContract):
    kind = AnySampler

    @pytest.fixture(autouse=True, params=SETTINGS)
    def settings(self, request):
        self.part = SETTINGS[request.param]


def test_another_process_draws_the_same():
    """One that begins anew, without anything of this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
        made = {name: other.submit(drawn, sampler, seed=3) for name, sampler in SETTINGS.items()}
        assert {name: one.result() for name, one in made.items()} == {
            name: drawn(sampler, seed=3) for name, sampler in SETTINGS.items()
        }


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_registry_names_what_it_holds(name):
    assert SAMPLERS[name]().name == name


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])  # which may be sure of one point
def test_trials_differ(name):
    """Another trial of the same record is another draw; for a quasi-random sequence it is another place in it."""
    points = []
    for number in range(KNOWN, KNOWN + 4):
        study = study_in(optuna.storages.InMemoryStorage())
        study.sampler = TrialSampler(SAMPLERS[name](), seed=3, number=number)
        points.append(suggested(study.ask(), tuple(SPACE)))
    assert len({point["alpha"] for point in points}) == 4


def test_a_seed_is_a_hash_of_sweep_trial_and_parameter():
    # printf '7/3/mixing.alpha' | b2sum -l 32, the bytes from the last to the first; likewise '0/12/'
    assert Draw(7, 3, "mixing.alpha").own_seed() == int.from_bytes(bytes.fromhex("88ad594c"), "little")
    assert Draw(0, 12).own_seed() == int.from_bytes(bytes.fromhex("a2bd6db9"), "little")


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_those_that_learn_prefer_what_was_good(name):
    """On record small rates are better, so a learner's rates are smaller than random ones, which nothing draws."""
    learnt = [drawn(SAMPLERS[name](), seed=seed)["lr"] for seed in range(12)]
    at_random = [drawn(SAMPLERS["random"](), seed=seed)["lr"] for seed in range(12)]
    assert SAMPLERS[name].learns and sorted(learnt)[6] < sorted(at_random)[6]


@pytest.mark.parametrize("name", ["random", "grid"])  # the quasi-random one takes the record's parameters
def test_those_that_do_not_learn_draw_the_same_from_any_record(name):
    assert not SAMPLERS[name].learns
    study = optuna.create_study(direction="maximize")
    study.sampler = TrialSampler(SAMPLERS[name](), seed=3, number=KNOWN)
    assert suggested(study.ask(), tuple(SPACE)) == drawn(SAMPLERS[name](), seed=3)


def test_random_draws_are_uniform_on_each_scale():
    rng = random.Random(0)
    rates = [drawn(SAMPLERS["random"](), seed=rng.randrange(10**6))["lr"] for _ in range(200)]
    below = [sum(rate < 10.0**power for rate in rates) / 200 for power in (-2, -1)]
    assert below == pytest.approx([1 / 3, 2 / 3], abs=0.1)


@pytest.mark.parametrize("name", EARLY)
def test_parameters_that_the_first_trial_lacks_differ_between_trials(name):
    """With qmc all trials of a sweep once had the same value of each parameter under a condition."""
    study, values = optuna.create_study(), []
    for number in range(6):
        study.sampler = TrialSampler(EARLY[name], seed=0, number=number)
        trial = study.ask()
        trial.suggest_float("rate", 0, 1)
        if number:
            values.append(trial.suggest_float("alpha", 0, 1))
        study.tell(trial, number % 3)
    assert len(set(values)) == 5
