"""The best arm of an ablation is retrained on fresh seeds as any setting is: as a sweep that is none itself."""

from optuna.distributions import CategoricalDistribution

from tune_mixup.ablation import Ablation
from tune_mixup.cluster.evaluation import plan as retraining
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan
from tune_mixup.testing.kills import create
from tune_mixup.testing.made_up_sweep import work

ARMS = {"full": {"mixing.name": "mixup", "mixing.alpha": 1.0}, "erm": {"mixing.name": "erm"}}
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "training.epochs": 1},
    free={"seed": CategoricalDistribution(range(4)), "arm": CategoricalDistribution(tuple(ARMS))},
    bundles={"arm": ARMS},
)


def ablated(tmp_path):
    config = plan(SPACE, name="a", sampler="grid", scheduler="none", repeats="train", metric="val_accuracy")
    config = config.replace(ablation=Ablation(reference="full", looks=(2, 4), futility=0.9))
    record = create(tmp_path, config)
    work(Session.open(record, config))
    return record, config


def test_an_arm_is_retrained_with_its_settings_on_fresh_seeds(tmp_path):
    record, config = ablated(tmp_path)
    for whole, validation in ((False, 0.1), (True, 0.0)):
        made = retraining(record, config, (1,), range(7, 9), lambda mark: f"again-{mark}", whole=whole).plan
        assert made.ablation is None and made.trials == 2
        trials = [made.trial(point) for point in made.space.baselines]
        assert [trial.seed for trial in trials] == [7, 8] and {trial.mixing.name for trial in trials} == {"erm"}
        assert {trial.data.validation_fraction for trial in trials} == {validation}


def test_what_was_asked_and_decided_is_made_again(tmp_path):
    record, _ = ablated(tmp_path)
    assert {trial.state.name for trial in record.study.asked()} == {"COMPLETE", "PRUNED"}
    events = list(replay(record))
    assert [event.trial for event in events if event.kind == "tell"] == list(range(8))
    assert {event.again for event in events if event.kind == "ask"} == {True}
