"""What can't run is refused before a Ray is started; with a cluster's Ray, before anything is written."""

import contextlib
import os
import shutil
import sys

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.cluster import evaluation
from tune_mixup.cluster.connection import private_nodes
from tune_mixup.cluster.sweep import resume, sweep
from tune_mixup.measuring.packing import Packed
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search import disk
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

SWEEP = sys.modules["tune_mixup.cluster.sweep"]  # its name is a function's too
NODE = {"CPU": 2.0, "memory": 2.0**34, "node:127.0.0.1": 1.0, "node:__internal_head__": 1.0}


SPACE = SearchSpace(
    fixed={
        "data.name": "synthetic",
        "data.num_classes": 4,
        "data.num_train": 400,
        "data.num_test": 80,
        "data.size": 8,
        "model.width": 4,
        "mixing.name": "mixup",
        "training.epochs": 2,
    },
    free={"mixing.alpha": FloatDistribution(0.1, 2.0)},
)


class Started(Exception):
    """Ray was started."""


@pytest.mark.parametrize(
    ("trials", "concurrent", "told"), [(2, 1, False), (3, 1, False), (2, 2, True), (8, 2, False), (8, 3, True)]
)
def test_too_many_at_once_is_said_only_where_fewer_are_possible(caplog, trials, concurrent, told):
    config = plan(SPACE, name="gm", trials=trials, concurrent=concurrent)
    assert SWEEP._concurrency(config, [{**NODE, "CPU": 4.0}], Packed()) == concurrent
    assert ("more than a quarter" in caplog.text) is told


@pytest.fixture(autouse=True)
def no_ray(monkeypatch):
    """Two CPUs without a GPU, and no Ray."""

    @contextlib.contextmanager
    def start(config, address):
        raise Started
        yield

    monkeypatch.setattr(SWEEP, "private_nodes", lambda address: [NODE])
    monkeypatch.setattr(SWEEP, "connected_for", start)


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({}, {"cpus_per_trial": 1000}, "a trial needs 1000 CPUs .* largest node has 2 .*lower --cpus-per-trial"),
        ({}, {"gpus_per_trial": 0.5}, "there is no GPU here; use --gpus-per-trial 0"),
        ({}, {"gpus_per_trial": "auto"}, "there is no GPU here"),
        ({"training.batch_size": 5000}, {}, "batch size 5000"),
        ({"model.num_classes": 3}, {}, "the data has 4 classes"),
        ({}, {"disk_budget": 10}, "disk_budget: got 10 B"),
    ],
)
def test_what_cannot_run(tmp_path, settings, options, words):
    with pytest.raises(ValueError, match=words):
        sweep(SPACE, settings, name="x", root=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_data_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="data.path: .*none"):
        sweep("mixup", {"data.name": "imagefolder", "data.path": str(tmp_path / "none")}, name="x", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room(tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: full)
    with pytest.raises(ValueError, match=r"has 1 kB free, but 2 trials at once keep 3 states"):
        sweep(SPACE, name="x", root=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("root", ["/proc/nope", "/proc/self/environ/x", "/proc/1/fdinfo"])
def test_a_root_that_takes_no_folders(root):
    with pytest.raises(ValueError, match=rf"{root} can't be (made|written).*give another path"):
        sweep(SPACE, name="x", root=root)


def test_what_can_run_starts_it_with_nothing_written_yet(tmp_path):
    with pytest.raises(Started):
        sweep(SPACE, name="x", root=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def begun(tmp_path):
    """A sweep that has begun no trial yet."""
    config = plan(SPACE, name="gm", trials=2)
    values = config.model_dump(mode="json")
    return SweepRecord.create(tmp_path / "sweeps", "gm", values, direction=config.direction)


def test_going_on(begun, monkeypatch):
    with pytest.raises(Started):
        resume(begun.path)
    monkeypatch.setattr(SWEEP, "private_nodes", lambda address: [{"CPU": 0.5}])
    with pytest.raises(ValueError, match="largest node has 0.5"):
        resume(begun.path)
    assert not begun.study.asked() and os.listdir(begun.folder.trials) == []


def test_a_sweep_at_its_end_needs_no_ray(begun):
    """What a kill has left unwritten is written; what is promised now is kept."""
    for number in range(2):
        begun.study.optuna.ask(plan(SPACE, name="gm").space.free)
        begun.study.finish(number, Outcome(TrialState.FAIL, "no reason"))
    heard = []
    resume(begun.path, listener=heard.append, trials=2, max_failures=7)
    assert heard[-1].states["FAIL"] == 2 and begun.folder.config()["max_failures"] == 7
    with pytest.raises(Started):
        resume(begun.path, trials=3)
    with pytest.raises(Started):
        resume(begun.path, then=lambda record: None)


def test_retraining(begun, monkeypatch):
    number = begun.study.optuna.ask(plan(SPACE, name="gm").space.free).number
    with pytest.raises(Started):
        evaluation.evaluate(begun.path, [number], seeds=1)
    monkeypatch.setattr(SWEEP, "private_nodes", lambda address: [{"CPU": 0.5}])
    with pytest.raises(ValueError, match="largest node has 0.5"):
        evaluation.evaluate(begun.path, [number], seeds=1)
    assert not begun.folder.evaluations.exists()


def test_a_ray_that_is_there_is_asked_itself(ray_session):
    assert private_nodes(None) is None and private_nodes("auto") is None
