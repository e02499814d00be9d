import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from tune_mixup.record.facts import SweepFacts, TrialFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.seeds import first_fresh, unknown_sources
from tune_mixup.search.session import Session
from tune_mixup.search.warm_start import import_trials
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan
from tune_mixup.testing.kills import create
from tune_mixup.testing.made_up_sweep import work

FREE = {"optimizer.lr": FloatDistribution(0.01, 0.1)}
FIXED = {"data.name": "synthetic", "mixing.name": "erm", "training.epochs": 2}


def make(root, name="s", *, seed=0, free=FREE, fixed=FIXED, baselines=(), trials=4):
    config = plan(
        SearchSpace(fixed=fixed, free=free), {"sweep.seed": seed},
        name=name, trials=trials, scheduler="none", metric="val_accuracy", sampler="random",
    )  # fmt: skip
    config = config.replace(space=config.space.replace(baselines=baselines))  # planning leaves out what is there twice
    return create(root, config), config


def imported(record, name, params):
    """A trial of another sweep in this one's study."""
    record.study.optuna.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            value=0.5,
            params=params,
            distributions={**FREE, "seed": CategoricalDistribution((0, 41, 90))} if "seed" in params else FREE,
            user_attrs=TrialFacts(imported=name).plain(),
        )
    )


def test_the_sweeps_seed_and_those_that_trials_were_given(tmp_path):
    assert first_fresh(make(tmp_path, "own", seed=5)[0]) == 6
    assert first_fresh(make(tmp_path, "fixed", seed=5, fixed={**FIXED, "seed": 9})[0]) == 10


def test_seeds_that_are_searched(tmp_path):
    free = {**FREE, "seed": CategoricalDistribution((3, 17, 40))}
    points = ({"optimizer.lr": 0.05, "seed": 17}, {"optimizer.lr": 0.05, "seed": 3})
    record, config = make(tmp_path, free=free, baselines=points, trials=2)
    work(Session.open(record, config))
    assert first_fresh(record) == 18


def test_replicates_were_selected_on_too(tmp_path):
    """The same point three times: seeds 7, 8 and 9."""
    record, config = make(tmp_path, seed=7, baselines=({"optimizer.lr": 0.05},) * 3, trials=3)
    work(Session.open(record, config))
    assert first_fresh(record) == 10
    assert first_fresh(SweepRecord.open(record.path)) == 10, "from the files alone"


def test_what_the_sweep_was_warm_started_from_and_its_source(tmp_path):
    first, _ = make(tmp_path, "first", seed=90)
    second, config = make(tmp_path, "second", seed=4)
    assert import_trials(second, config, first).used == 0
    third, _ = make(tmp_path, "third", seed=1)
    import_trials(third, config, second)
    imported(third, "second/t0003", {"optimizer.lr": 0.05})
    assert first_fresh(third) == 91 and unknown_sources(third) == ()


def test_a_record_of_before_says_what_its_imported_trials_say(tmp_path):
    record, _ = make(tmp_path)
    imported(record, "known/t0003", {"optimizer.lr": 0.05, "seed": 41})
    assert first_fresh(record) == 42 and unknown_sources(record) == ()
    imported(record, "silent/t0000", {"optimizer.lr": 0.06})
    imported(record, "silent/t0002", {"optimizer.lr": 0.07})
    assert first_fresh(record) == 42 and unknown_sources(record) == ("silent",)


@pytest.mark.parametrize("seed", [2**63, 10**30])
def test_a_huge_seed(tmp_path, seed):
    record, _ = make(tmp_path, seed=seed)
    record.study.note_sweep(SweepFacts(seeds_before=seed + 3))
    assert first_fresh(SweepRecord.open(record.path)) == seed + 4
