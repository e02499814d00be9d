"""Sweeps on a real Ray, started once for the whole session."""

import json
import os
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from ray import cloudpickle, tune

from tune_mixup import load_sweep, sweep
from tune_mixup.cluster import evaluation, trainable
from tune_mixup.cluster.messages import to_ray
from tune_mixup.cluster.race import race
from tune_mixup.cluster.sweep import resume
from tune_mixup.record import tables
from tune_mixup.record.facts import Ending, Report
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.racing import Rule
from tune_mixup.search.replay import replay
from tune_mixup.search_space import SearchSpace

SWEEP = sys.modules["tune_mixup.cluster.sweep"]  # its name is a function's too
pytestmark = pytest.mark.usefixtures("ray_session")
WAIT_S = 120

FIXED = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 400,
    "data.num_test": 80,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 4,
    "mixing.name": "generalized_mixup",
    "training.epochs": 9,
    "training.batch_size": 40,
}
SPACE = SearchSpace(
    fixed=FIXED,
    free={
        "mixing.gamma": FloatDistribution(0.0625, 2.0, log=True),
        "optimizer.lr": FloatDistribution(1e-5, 0.4, log=True),
    },
    baselines=({"mixing.gamma": 0.25, "optimizer.lr": 0.1},),
)


@pytest.mark.slow
def test_a_sweep_from_plan_to_frames(tmp_path):
    heard = []
    record = sweep(
        SPACE,
        name="gm",
        root=tmp_path,
        trials=8,
        stopping={"grace_epochs": 1},
        concurrent=2,
        metric="val_nll",
        listener=heard.append,
    ).record
    frame = load_sweep(record.path).trials()
    assert frame["trial"].tolist() == list(range(8))
    assert set(frame["state"]) == {"COMPLETE", "PRUNED"}
    assert (frame["epoch"] == 9).tolist() == (frame["state"] == "COMPLETE").tolist()
    assert frame.loc[0, ["mixing.gamma", "optimizer.lr"]].tolist() == [0.25, 0.1]
    epochs = tables.epochs(record)
    assert epochs.groupby("trial")["epoch"].max().tolist() == frame["epoch"].tolist()
    study = optuna.load_study(study_name="gm", storage=record.study.storage())
    for trial, row in zip(study.trials, frame.itertuples(), strict=True):
        assert trial.state.name == row.state and trial.value == row.val_nll
        by_file = epochs[epochs["trial"] == trial.number]
        assert trial.intermediate_values == dict(zip(by_file["epoch"], by_file["val_nll"], strict=True))
    assert (record.folder.trial(0).path / "snapshots" / f"{frame.loc[0, 'epoch']:04d}.npz").exists()
    assert not list(record.path.glob("tm-tune-*")), "Ray's own files are left behind"
    assert heard[-1].states == {"COMPLETE": study_count(study, "COMPLETE"), "PRUNED": study_count(study, "PRUNED"),
                                "FAIL": 0, "RUNNING": 0, "WAITING": 0}  # fmt: skip

    longer = resume(record.path, trials=10, concurrent=2)
    after = longer.trials()
    assert after.iloc[:8].equals(frame) and len(after) == 10 and set(after["state"]) <= {"COMPLETE", "PRUNED"}
    with pytest.raises(ValueError, match="10 were begun already"):
        resume(record.path, trials=9)

    warm = sweep(
        SPACE.fix({"optimizer.lr": 0.1}), name="warm", root=tmp_path, trials=2, concurrent=2, metric="val_nll",
        stopping={"grace_epochs": 1}, warm_start=record.path, outside="clip",
    )  # fmt: skip
    assert warm.record.study.imported() == 1, "only the trial at the rate that is fixed now means the same"
    assert warm.trials()["trial"].tolist() == [1, 2] and "1 trials" in warm.record.study.sweep_facts().warm_start
    assert warm.record.study.sweep_facts().seeds_before == 0
    with pytest.raises(ValueError, match="outside the space"):
        sweep(
            SPACE.replace(free={**SPACE.free, "mixing.gamma": FloatDistribution(4.0, 5.0)}, baselines=()),
            name="cold",
            root=tmp_path,
            trials=2,
            warm_start=record.path,
            outside="refuse",
            metric="val_nll",
        )
    assert not (tmp_path / "cold").exists()


def study_count(study, state):
    return sum(trial.state.name == state for trial in study.trials)


class Meeting(tune.Trainable):
    """Waits until as many of its kind are here as the folder asks for; notes who was here at once."""

    def setup(self, config):
        self.room = Path(config["folder"]).parents[1] / "room"
        self.room.mkdir(exist_ok=True)
        self.me = Path(config["folder"]).name
        self.wanted = json.loads(config["config"])["training"]["epochs"]

    def step(self):
        (self.room / f"{self.me}.came").write_text(json.dumps([time.time(), os.environ.get("CUDA_VISIBLE_DEVICES")]))
        deadline = time.time() + WAIT_S
        while len(list(self.room.glob("*.came"))) < self.wanted and time.time() < deadline:
            time.sleep(0.02)
        (self.room / f"{self.me}.left").write_text(json.dumps(time.time()))
        row = {"epoch": self.wanted, "val_accuracy": 0.5, "diverged": 0}
        return to_ray(Report(row=row, ending=Ending(kind="completed")))

    def reset_config(self, new_config):
        self.setup(new_config)
        return True


def test_two_gpus_at_a_quarter_each_run_exactly_eight_trials_at_once(tmp_path, monkeypatch, caplog):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(trainable, "MixupTrainable", Meeting)
    space = SPACE.replace(fixed={**FIXED, "training.epochs": 8})  # eight must meet before anybody leaves
    record = sweep(
        space, name="eight", root=tmp_path, trials=12, metric="val_accuracy", gpus_per_trial=0.25, cpus_per_trial=0.5
    ).record
    came = {p.stem: json.loads(p.read_text()) for p in (record.path / "room").glob("*.came")}
    left = {p.stem: json.loads(p.read_text()) for p in (record.path / "room").glob("*.left")}
    assert len(came) == len(left) == 12
    assert (tables.trials(record)["state"] == "COMPLETE").all()
    assert "concurrent: 8 trials at the same time are more than a quarter of 12, so tpe" in caplog.text
    at_once = [sum(came[other][0] <= came[me][0] < left[other] for other in came) for me in came]
    assert max(at_once) == 8
    first = sorted(came, key=lambda me: came[me][0])[:8]
    assert sorted(came[me][1] for me in first) == ["0"] * 4 + ["1"] * 4  # four on each GPU


@pytest.mark.slow
def test_evaluate_retrains_on_fresh_seeds_and_notes_that_the_test_split_was_opened(tmp_path):
    record = sweep(SPACE, name="e", root=tmp_path, trials=3, max_epochs=3, scheduler="none", concurrent=2).record
    assert not (record.path / "evaluations").exists()
    frame = evaluation.evaluate(record.path, [0, 2], seeds=2)
    assert frame["trial"].tolist() == [0, 2] and frame["n"].tolist() == [2, 2] and frame["failed"].tolist() == [0, 0]
    retrained = load_sweep(next((record.path / "evaluations").glob("2-trials-*")))
    assert retrained.trials()["seed"].tolist() == [1, 2, 1, 2]
    gammas = tables.trials(record)["mixing.gamma"]
    assert retrained.trials()["mixing.gamma"].tolist() == [gammas[0], gammas[0], gammas[2], gammas[2]]
    accuracies = retrained.trials()["val_accuracy"]
    assert frame["val_accuracy_mean"].tolist() == pytest.approx([accuracies[:2].mean(), accuracies[2:].mean()])
    assert frame["val_accuracy_sd"].tolist() == pytest.approx([accuracies[:2].std(), accuracies[2:].std()])
    assert frame["search_val_accuracy_median"].tolist() == tables.trials(record)["val_accuracy_median"][[0, 2]].tolist()
    assert frame["test_accuracy_mean"].between(0, 1).all()
    openings = record.folder.openings()
    assert [opening["trial"] for opening in openings] == [0, 2]
    assert openings[0]["result"]["test_accuracy_mean"] == frame["test_accuracy_mean"][0]
    evaluation.evaluate(record.path, [0, 2], seeds=2)
    assert len(record.folder.openings()) == 4 and len(retrained.trials()) == 4  # opened again, trained no more
    with pytest.raises(ValueError, match="no trial 7"):
        evaluation.evaluate(record.path, [7])


@pytest.mark.slow
def test_a_race_until_sure(tmp_path):
    record = sweep(
        SPACE, name="e", root=tmp_path, trials=3, max_epochs=3, scheduler="none", concurrent=2, seed=4
    ).record
    raced = race(record.path, [0, 2], Rule(2, most=5, error=0.05, margin=0.002))
    assert raced.rows["trial"].tolist() == [0, 2] and raced.rows["test_accuracy_mean"].between(0, 1).all()
    looks = [load_sweep(one).trials() for one in sorted((record.path / "evaluations").glob("2-trials-*"))]
    assert sorted(look["seed"].tolist() for look in looks) == [[5, 6, 7] * 2, [8, 9] * 2][: len(looks)]
    first = next(look for look in looks if len(look) == 6)
    accuracies = pd.concat([look[look["mixing.gamma"] == first["mixing.gamma"][0]] for look in looks])["val_accuracy"]
    assert raced.rows["val_accuracy_mean"][0] == pytest.approx(accuracies.mean())
    assert raced.rows["n"].tolist() == [raced.standing.seeds] * 2 == [len(accuracies)] * 2
    assert [opening["trial"] for opening in record.folder.openings()] == [0, 2]


def test_what_cannot_start_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="largest node"):
        sweep(SPACE, name="x", root=tmp_path, cpus_per_trial=64)
    for settings, message in (
        ({"mixing.gama": 1.0}, "mixing.gama: there is no such setting"),
        ({"training.batch_size": 41}, "41 .*4 classes"),
        ({"training.batch_size": 4000}, "4000"),
        ({"model.num_classes": 3}, "the data has 4 classes"),
        ({"model.name": "vgg11", "model.width": None}, "model.width"),
    ):
        with pytest.raises(ValueError, match=message):
            sweep(SPACE, settings, name="x", root=tmp_path)
    with pytest.raises(ValueError, match="data.path: .*none"):
        sweep("mixup", {"data.name": "imagefolder", "data.path": str(tmp_path / "none")}, name="x", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sweep_is_never_there_without_what_it_begins_with(tmp_path, monkeypatch):
    """Else `resume` would go on with fewer trials of the other sweep than were asked for, or with none."""
    plan = SWEEP.plan(SPACE, name="old", trials=1)
    SweepRecord.create(tmp_path / "other", "old", plan.model_dump(mode="json"), direction=plan.direction)

    def killed(record, config, other):
        assert not (tmp_path / "sweeps/new").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(SWEEP, "import_trials", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep(SPACE, name="new", root=tmp_path / "sweeps", trials=1, warm_start=tmp_path / "other/old")
    assert not list((tmp_path / "sweeps").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["val_nll", "val_accuracy_median"])
def test_validating_at_rungs_only_decides_alike(tmp_path, metric):
    """One trial at a time and random points, so that both sweeps do the same; only what is known between differs."""
    settings = {"training.median_epochs": 2, "training.epochs": 12}
    smoothing = {"sweep.stopping.smoothing": 2} if metric == "val_nll" else {}
    often, rarely = (
        sweep(
            SPACE, {**settings, **smoothing, "training.eval": when}, name=when, root=tmp_path, trials=8, concurrent=1,
            metric=metric, sampler="random", stopping={"grace_epochs": 1, "strata": "none"},
        )
        for when in ("epochs", "rungs")
    )  # fmt: skip
    for key in ("state", "epoch", "mixing.gamma", "optimizer.lr", metric):
        assert often.trials()[key].tolist() == rarely.trials()[key].tolist()
    assert {"COMPLETE", "PRUNED"} == set(rarely.trials()["state"])
    decided, as_decided = ([one.record.study.facts(n).decisions for n in range(8)] for one in (often, rarely))
    assert decided == as_decided
    epochs = rarely.epochs()
    complete = epochs[epochs["trial"] == rarely.trials().query("state == 'COMPLETE'")["trial"].iloc[0]]
    assert complete["epoch"].tolist() == list(range(1, 13))
    assert complete.loc[complete["val_nll"].notna(), "epoch"].tolist() == [1, 2, 3, 8, 9, 11, 12]
    assert all(event.again for event in replay(rarely.record) if event.again is not None)


def test_an_empty_root_does_not_mean_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^got '', must be a path; give . for the current folder$"):
        sweep("quickstart", root="")
    assert not list(tmp_path.iterdir())
