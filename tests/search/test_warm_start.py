import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tune_mixup.constraints import AtMost
from tune_mixup.record import tables
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session
from tune_mixup.search.warm_start import Imported, import_trials
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig

FIXED = {"data.name": "synthetic", "mixing.name": "mixup", "training.epochs": 3}
FREE = {
    "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
    "training.batch_size": IntDistribution(10, 100, step=10),
}


def make(root, name, *, fixed=FIXED, free=FREE, constraints=(), **changes):
    config = SweepConfig.parse(
        {
            "name": name,
            "space": SearchSpace(fixed=fixed, free=free, constraints=constraints),
            "metric": "val_nll",
            "trials": 6,
            **changes,
        }
    )
    return SweepRecord.create(root, name, config.model_dump(mode="json"), direction=config.direction), config


@pytest.fixture
def old(tmp_path):
    """Three finished trials, alpha 0.2, 1 and 3, batch 40: complete, stopped, failed."""
    record, config = make(tmp_path, "old")
    for alpha, batch, nlls, state in (
        (0.2, 40, (1.0, 0.8, 0.6), TrialState.COMPLETE),
        (1.0, 20, (1.2,), TrialState.PRUNED),
        (3.0, 40, (), TrialState.FAIL),
    ):
        record.study.optuna.enqueue_trial({"mixing.alpha": alpha, "training.batch_size": batch})
        number = record.study.optuna.ask(FREE).number
        folder = record.folder.trial(number)
        folder.path.mkdir(parents=True)
        folder.write_config(config.trial({"mixing.alpha": alpha, "training.batch_size": batch}).plain())
        for epoch, nll in enumerate(nlls, start=1):
            folder.append_epoch({"epoch": epoch, "val_nll": nll})
            record.study.report(number, epoch, nll)
        record.study.finish(number, Outcome(state, "why"))
    return record


def known(record):
    return [
        (t.user_attrs["imported"], t.state.name, t.params["mixing.alpha"], t.intermediate_values)
        for t in record.study.optuna.get_trials()
    ]


def test_finished_trials_become_part_of_the_study_and_are_not_run_again(old, tmp_path):
    new, config = make(tmp_path, "new", trials=4)
    assert import_trials(new, config.replace(outside="drop"), old) == Imported(2, 0, {})
    assert known(new) == [
        ("old/t0000", "COMPLETE", 0.2, {1: 1.0, 2: 0.8, 3: 0.6}),
        ("old/t0001", "PRUNED", 1.0, {1: 1.2}),
    ]
    assert new.study.asked() == [] and tables.trials(new).empty  # they are no trials of this sweep
    facts = new.study.sweep_facts()
    assert (facts.warm_start, facts.seeds_before) == (Imported(2, 0, {}).words("old"), 0)
    session = Session.open(new, config)
    numbers = []
    while (begin := session.next()) is not None:
        numbers.append(begin.number)
        for epoch in (1, 2, 3):
            session.report(begin.number, {"epoch": epoch, "val_nll": 1.0 / epoch})
        session.complete(begin.number, {"epoch": 3, "val_nll": 1 / 3})
    assert numbers == [2, 3, 4, 5]
    assert Session.open(new, config).next() is None


@pytest.mark.parametrize(
    ("outside", "expected", "alphas"),
    [
        ("drop", Imported(1, 0, {"parameters outside the space": 1}), [1.0]),
        ("clip", Imported(2, 1, {}), [0.5, 1.0]),
    ],
)
def test_points_outside_the_space(old, tmp_path, outside, expected, alphas):
    new, config = make(tmp_path, "new", free={**FREE, "mixing.alpha": FloatDistribution(0.5, 4.0)})
    assert import_trials(new, config.replace(outside=outside), old) == expected
    assert [t.params["mixing.alpha"] for t in new.study.optuna.get_trials()] == alphas


def test_points_outside_the_space_can_be_refused(old, tmp_path):
    new, config = make(tmp_path, "new", free={**FREE, "mixing.alpha": FloatDistribution(0.5, 4.0)})
    with pytest.raises(ValueError, match="trial 0 of old is outside the space: mixing.alpha=0.2"):
        import_trials(new, config.replace(outside="refuse"), old)


def test_a_choice_that_is_gone_cannot_be_clipped(old, tmp_path):
    new, config = make(tmp_path, "new", free={**FREE, "training.batch_size": CategoricalDistribution((40, 80))})
    assert import_trials(new, config.replace(outside="clip"), old) == Imported(
        1, 0, {"parameters outside the space": 1}
    )


def test_trials_of_another_protocol_are_left_out_with_the_setting_that_differs(old, tmp_path):
    new, config = make(tmp_path, "new", fixed={**FIXED, "training.epochs": 5})
    found = import_trials(new, config.replace(outside="drop"), old)
    assert found == Imported(0, 0, {"training.epochs differs": 2})
    assert found.words("old") == (
        "from old: 0 trials, 0 of them moved to the edge of the space; left out 2: training.epochs differs"
    )


def test_another_metric_needs_to_have_been_measured(old, tmp_path):
    new, config = make(tmp_path, "new", metric="val_accuracy")
    assert import_trials(new, config.replace(outside="drop"), old).dropped == {"val_accuracy was not measured": 2}


def test_a_trial_that_breaks_a_constraint_or_is_no_configuration_here_is_left_out(old, tmp_path):
    new, config = make(tmp_path, "constrained", constraints=(AtMost("mixing.alpha", 0.5),))
    found = import_trials(new, config, old)
    assert found == Imported(1, 0, {"a constraint of the space does not hold": 1})
    assert [one[0] for one in known(new)] == ["old/t0000"]

    new, config = make(tmp_path, "shorter", fixed={**FIXED, "training.epochs": 1, "schedule.warmup_epochs": 2})
    assert import_trials(new, config, old) == Imported(0, 0, {"no valid configuration in this space": 2})


def test_a_trial_of_data_with_another_content_is_refused_and_one_of_before_is_not(old, tmp_path):
    new, config = make(tmp_path, "new")
    source = config.trial({"mixing.alpha": 1.0, "training.batch_size": 20}).data.source()
    config = config.replace(data={source: "0" * 16})
    assert import_trials(new, config, old).used == 2, "of before they noted it"
    folder = old.folder.trial(0)
    folder.write_config({**folder.read_config(), "data": {**folder.read_config()["data"], "fingerprint": "1" * 16}})
    with pytest.raises(ValueError, match="trial 0 of old was trained on data with the fingerprint 1+, but .* have 0+"):
        import_trials(make(tmp_path, "newer")[0], config, old)


def recorded_before(root, name, fixed, free, point, changes):
    """A finished sweep of one trial, whose file has the settings that an older version wrote: `changes` are its own.

    What that version did not know is `...` among the changes.
    """
    record, config = make(root, name, fixed=fixed, free=free)
    record.study.optuna.enqueue_trial(point)
    number = record.study.optuna.ask(free).number
    folder = record.folder.trial(number)
    folder.path.mkdir(parents=True)
    written = config.trial(point).plain()
    mixing = {**written["mixing"], "warmup_epochs": ..., "cooldown_epochs": ..., **changes}
    mixing = {key: value for key, value in mixing.items() if value is not ...}
    folder.write_config({**written, "mixing": mixing})
    folder.append_epoch({"epoch": 1, "val_nll": 0.5})
    record.study.report(number, 1, 0.5)
    record.study.finish(number, Outcome(TrialState.COMPLETE, "why"))
    return record


@pytest.mark.parametrize("name", ["cutmix", "saliencymix"])
def test_a_sweep_by_the_old_name_of_a_setting_is_learnt_from(name, tmp_path):
    """`probability` is `applied` now, and the epochs without mixing came later."""
    fixed = {**FIXED, "mixing.name": name}
    free = {"mixing.applied": FloatDistribution(0.1, 1.0)}
    changes = {"applied": ..., "probability": 0.4, **({"saliency": "spectral_residual"} if name != "cutmix" else {})}
    old = recorded_before(tmp_path, "old", fixed, free, {"mixing.applied": 0.4}, changes)
    assert "probability" in (old.folder.trial(0).path / "config.yaml").read_text()
    record, config = make(tmp_path, "new", fixed=fixed, free=free)
    assert import_trials(record, config, old) == Imported(1, 0, {})
    (known,) = record.study.optuna.get_trials()
    assert known.params == {"mixing.applied": 0.4} and known.intermediate_values == {1: 0.5}
    # Of another share of batches it is left out, or moved, as any trial outside the space is.
    narrow = {"mixing.applied": FloatDistribution(0.6, 1.0)}
    record, config = make(tmp_path, "narrow", fixed=fixed, free=narrow)
    assert import_trials(record, config, old) == Imported(0, 0, {"parameters outside the space": 1})


@pytest.mark.parametrize(("variant", "differs"), [("paper", None), ("official", "mixing.saliency")])
def test_a_setting_that_is_empty_now_is_what_it_then_stands_for(variant, differs, tmp_path):
    """Both variants looked at the spectral residual, which is what `paper` still does where nothing is said."""
    fixed = {**FIXED, "mixing.name": "saliencymix", "mixing.variant": variant}
    free = {"mixing.alpha": FREE["mixing.alpha"]}
    old = recorded_before(tmp_path, "old", fixed, free, {"mixing.alpha": 1.0}, {"saliency": "spectral_residual"})
    record, config = make(tmp_path, "new", fixed=fixed, free=free)
    dropped = {f"{differs} differs": 1} if differs else {}
    assert import_trials(record, config, old) == Imported(0 if differs else 1, 0, dropped)


def test_a_trial_of_other_epochs_without_mixing_is_left_out(tmp_path):
    free = {"mixing.alpha": FREE["mixing.alpha"]}
    old = recorded_before(tmp_path, "old", FIXED, free, {"mixing.alpha": 1.0}, {})
    record, config = make(tmp_path, "new", fixed={**FIXED, "mixing.warmup_epochs": 1}, free=free)
    assert import_trials(record, config, old) == Imported(0, 0, {"mixing.warmup_epochs differs": 1})
