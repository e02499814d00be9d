"""Plans of sweeps: what a user says beside a space, and what is refused before anything starts."""

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_files import shipped_spaces
from tune_mixup.sweep_config import SweepConfig, plan


def space(**free):
    return SearchSpace(
        fixed={"data.name": "digits"}, free={key.replace("__", "."): value for key, value in free.items()}
    )


ALPHA = space(mixing__name=CategoricalDistribution(("mixup",)), mixing__alpha=FloatDistribution(0.1, 1.0))


def test_defaults_come_from_the_space_and_options_win():
    config = plan("quickstart")
    assert (config.name, config.trials, config.stopping.grace_epochs) == ("quickstart", 12, 4)
    config = plan(
        "quickstart", {"sweep.stopping.grace_epochs": 3, "mixing.mu": 0.25}, trials=5, max_epochs=7, name="mine"
    )
    assert (config.name, config.trials, config.stopping.grace_epochs) == ("mine", 5, 3)
    assert config.space.fixed["training.epochs"] == 7 and config.space.fixed["mixing.mu"] == 0.25
    assert "mixing.mu" not in config.space.free


def test_a_grid_promises_as_many_trials_as_it_has_points():
    config = plan("gamma_ablation")
    assert (config.sampler.name, config.stopping.name) == ("grid", "none")
    assert config.trials == 5 * (1 + 6 * 2)  # seeds x (gamma 0 once, six others with rows of either kind)


def test_plans_survive_their_file_format():
    config = plan("generalized_mixup", trials=3)
    assert SweepConfig.parse(config.model_dump(mode="json")) == config


SHIPPED = sorted(path.stem for path in shipped_spaces().glob("[a-z]*.py"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_space_holds_together(name):
    plan(name)


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"mixing.alhpa": 1.0}, {}, ["mixing.alhpa", "no such setting"]),
        ({"mixin.alpha": 1.0}, {}, ["mixin", "no such setting"]),
        ({"training.epochs": 0}, {}, ["training.epochs", "got 0"]),
        ({"training.epochs": "ten"}, {}, ["training.epochs", "'ten'"]),
        ({"optimizer.lr": math.nan}, {}, ["optimizer.lr", "nan", "finite"]),
        ({"optimizer.lr": math.inf}, {}, ["optimizer.lr", "inf", "finite"]),
        ({"mixing.alpha": -0.5}, {}, ["mixing.alpha", "-0.5"]),
        ({"model.name": "resnet19"}, {}, ["model.name", "resnet19", "did you mean resnet18"]),
        ({"data.batches": "shuffled"}, {}, ["data.batches", "stratified", "pairing=independent"]),
        ({"sweep.grace": 3}, {}, ["grace", "no such setting"]),
        ({"schedule.warmup_epochs": 99.0}, {}, ["warmup_epochs", "99"]),
        ({}, {"metric": "accuracy"}, ["metric", "'accuracy'", "val_accuracy"]),
        ({}, {"trials": 0}, ["trials", "got 0"]),
        ({}, {"name": "a/b"}, ["name", "'a/b'", "path separators"]),
        ({}, {"name": ".."}, ["name", "'..'"]),
        ({}, {"gpus_per_trial": 1.5}, ["gpus_per_trial: got 1.5", "trains on one GPU", "use 1, a share"]),
        ({}, {"gpus_per_trial": 2}, ["gpus_per_trial: got 2, must be at most 1", "trains on one GPU"]),
        ({}, {"cpus_per_trial": 2.5}, ["cpus_per_trial", "2.5", "whole number"]),
        ({}, {"gpus_per_trial": -0.25}, ["gpus_per_trial", "-0.25"]),
        ({}, {"gpus_per_trial": "many"}, ["gpus_per_trial: got 'many'", "number", "auto"]),
        ({}, {"gpus_per_trial": True}, ["gpus_per_trial: got True"]),
        ({}, {"cpus_per_trial": 10**400}, ["cpus_per_trial: got 1000", "must be a number, or auto"]),
        ({}, {"cpus_per_trial": 0.0}, ["cpus_per_trial: got 0, must be greater than 0"]),
        ({}, {"cpus_per_trial": "auto", "gpus_per_trial": "auto"}, ["cpus_per_trial: got auto", "trials use a GPU"]),
        ({}, {"sampler": "bohb"}, ["sampler", "'bohb'", "tpe"]),
        ({}, {"time_budget_s": 0.0}, ["time_budget_s", "got 0"]),
        ({}, {"sampler": "grid"}, ["continuous", "grid"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(settings, options, words):
    with pytest.raises(ValueError) as caught:
        plan("quickstart", settings, **options)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.mark.parametrize(
    ("free", "words"),
    [
        ({"mixing__alpha": FloatDistribution(-1.0, 1.0)}, ["mixing.alpha", "-1"]),
        ({"mixing__name": CategoricalDistribution(("mixup", "fmixx"))}, ["mixing.name", "fmixx"]),
        ({"mixing__gamma": FloatDistribution(0, 1)}, ["mixing.gamma", "no such setting"]),  # erm has no gamma
        ({"training__batch_size": FloatDistribution(10, 100)}, ["training.batch_size", "whole number"]),
        ({"training__epochs": IntDistribution(0, 3)}, ["training.epochs", "got 0"]),
    ],
)
def test_a_space_is_tried_at_both_ends_and_every_choice(free, words):
    with pytest.raises(ValueError) as caught:
        plan(space(**free), name="s")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_space_of_ones_own_needs_a_name():
    with pytest.raises(ValueError, match="name: is missing"):
        plan(ALPHA)


def test_identity_is_the_setting_without_seed_and_paths():
    base = TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.alpha": 0.5})
    same = TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.alpha": 0.5, "seed": 9, "data.root": "/elsewhere"})
    assert base.identity() == same.identity()
    assert base.identity() != TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.alpha": 0.6}).identity()
    none = TrialConfig.from_dotted({"mixing.name": "mixup", "mixing.alpha": 0.0})
    assert none.identity() == TrialConfig.from_dotted({"mixing.name": "erm"}).identity()


def test_a_section_without_a_name_is_for_the_default_component():
    config = TrialConfig.from_dotted({"optimizer.lr": 0.3, "schedule.warmup_epochs": 2.0})
    assert (config.optimizer.name, config.optimizer.lr, config.schedule.name) == ("sgd", 0.3, "cosine")
    with pytest.raises(ValueError, match="^optimizer.lr: got nan, must be a finite number$"):
        TrialConfig.from_dotted({"optimizer.lr": math.nan})


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"training.compile": "graph"}, {}, "training.compile: got 'graph'.*trials use no GPU"),
        ({"training.eval": "rungs"}, {"scheduler": "median"}, "training.eval: got 'rungs', but the median rule"),
        (
            {"training.eval": "rungs"},
            {"metric": "val_nll", "stopping": {"smoothing": 7}},
            "5 epochs up to each rung.* 7 reports",
        ),
    ],
)
def test_how_to_train_must_go_with_the_sweep(settings, options, message):
    with pytest.raises(ValueError, match=message):
        plan("quickstart", settings, **options)
    (
        plan("quickstart", {"training.eval": "rungs"}),
        plan("quickstart", {"training.compile": "graph"}, gpus_per_trial=0.5),
    )


def test_a_record_of_more_than_one_gpu_per_trial_means_one():
    """It was once accepted, trained on one and counted as more; a record must go on being read."""
    recorded = plan("quickstart", gpus_per_trial=1.0).model_dump(mode="json") | {"format": 1, "gpus_per_trial": 2.0}
    assert SweepConfig.from_record(recorded).gpus_per_trial == 1.0
    with pytest.raises(ValueError, match="gpus_per_trial: got 2, must be at most 1"):
        SweepConfig.parse({key: value for key, value in recorded.items() if key != "format"})


@pytest.mark.parametrize(("given", "seconds"), [("1d", 86400), ("1h30m", 5400), (90, 90.0), (2.5, 2.5)])
def test_times_are_seconds_or_durations(given, seconds):
    for key in ("time_budget_s", "trial_timeout_s"):
        config = plan("quickstart", {f"sweep.{key}": given})
        assert getattr(config, key) == seconds and config.model_dump(mode="json")[key] == seconds
        with pytest.raises(ValueError, match=f"{key}: .*got 'soon', must be a duration above zero"):
            plan("quickstart", {f"sweep.{key}": "soon"})


def test_a_records_file_is_named_where_its_values_are_refused():
    with pytest.raises(ValueError, match=r"^sweep\.yaml of the sweep 'gm' holds what is refused \(.*restore it"):
        SweepConfig.from_record({"format": 2, "name": "gm", "trials": "many"})
