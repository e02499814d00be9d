"""`load_sweep`: what a user finds in a sweep."""

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup import load_sweep
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

SPACE = SearchSpace(
    fixed={"data.name": "digits", "training.epochs": 2}, free={"optimizer.lr": FloatDistribution(0.01, 1)}
)


def make(root, metric, trials):
    config = plan(SPACE, name="gm", metric=metric, trials=9)
    record = SweepRecord.create(root, "gm", config.model_dump(mode="json"), direction=config.direction)
    for place, (state, values) in enumerate(trials):
        point = {"optimizer.lr": place / 10 + 0.1}
        record.study.optuna.enqueue_trial(point)
        number = record.study.optuna.ask(dict(SPACE.free)).number
        folder = record.folder.trial(number)
        folder.path.mkdir()
        folder.write_config(config.trial(point).plain())
        for epoch, value in enumerate(values, start=1):
            folder.append_epoch({"epoch": epoch, metric: value})
            record.study.report(number, epoch, value)
        if state != "RUNNING":
            record.study.finish(number, Outcome(TrialState[state], "so"))
    return record


@pytest.mark.parametrize(("metric", "best"), [("val_accuracy", 2), ("val_nll", 0)])
def test_the_best_trial_is_complete_and_the_best_by_the_metrics_direction(tmp_path, metric, best):
    trials = [("COMPLETE", [0.9, 0.25]), ("PRUNED", [0.99]), ("COMPLETE", [0.1, 0.5]), ("RUNNING", [0.01])]
    make(tmp_path, metric, trials)
    sweep = load_sweep(tmp_path / "gm")
    assert sweep.best.trial == best and sweep.best.value == trials[best][1][-1] and sweep.best.epoch == 2
    assert sweep.best_config.optimizer.lr == sweep.best.params["optimizer.lr"] == best / 10 + 0.1
    assert sweep.leaderboard().loc[0, "trial"] == best and sweep.leaderboard(1).shape[0] == 1
    assert sweep.trials()["state"].tolist() == [state for state, _ in trials] and len(sweep.epochs()) == 6
    text = repr(sweep)
    assert "'gm'" in text and "9 trials (2 COMPLETE, 1 PRUNED, 1 RUNNING)" in text and f"best t000{best}" in text
    assert str(tmp_path / "gm") in text and f"{metric} {sweep.best.value:.4g}" in text


def test_without_a_complete_trial_there_is_no_best_and_it_says_how_to_get_one(tmp_path):
    make(tmp_path, "val_accuracy", [("PRUNED", [0.5])])
    sweep = load_sweep(tmp_path / "gm")
    with pytest.raises(ValueError, match="no trial of the sweep 'gm' is COMPLETE yet; go on with .*resume gm"):
        sweep.best_config  # noqa: B018 - reading it is what is tried
    assert "1 PRUNED" in repr(sweep) and "best" not in repr(sweep)


def test_a_name_is_looked_for_here_and_under_sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "sweeps", "val_accuracy", [])
    assert load_sweep("gm").path == tmp_path / "sweeps" / "gm"
    make(tmp_path, "val_nll", [])
    assert load_sweep("gm").metric == "val_nll", "a folder of that name comes first"
    with pytest.raises(ValueError, match="there is no sweep named 'mg'"):
        load_sweep("mg")


def test_reading_writes_nothing(tmp_path):
    make(tmp_path, "val_accuracy", [("COMPLETE", [0.5, 0.5])])
    before = sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    sweep = load_sweep(tmp_path / "gm")
    repr(sweep), sweep.trials(), sweep.epochs(), sweep.best_config, sweep.leaderboard()
    assert sorted((str(path), path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
