"""Data that are gone or have changed: a sweep does not go on with other data, and no trial fails by it."""

import shutil

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from PIL import Image

from tune_mixup import sweep
from tune_mixup.cluster.sweep import resume
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


def draw_images(folder, names, seed=0):
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{name}.png")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for seed, part in enumerate(("train/ant", "train/bee", "test/ant", "test/bee")):
        draw_images(folder / part, range(30), seed)
    return folder


@pytest.fixture
def space(images):
    return SearchSpace(
        fixed={
            "data.name": "imagefolder",
            "data.path": str(images),
            "model.width": 2,
            "training.epochs": 2,
            "training.batch_size": 10,
        },
        free={"optimizer.lr": FloatDistribution(0.01, 0.2, log=True)},
    )


def run(space, root, **options):
    return sweep(space, root=root, name="s", concurrent=1, scheduler="none", **options, **QUIET)


QUIET = {"listener": lambda progress: None}


def states(path):
    return [trial.state.name for trial in SweepRecord.open(path).study.asked()]


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_sweep_goes_on_only_with_the_data_that_it_began_with(tmp_path, images, space):
    path = run(space, tmp_path / "sweeps", trials=2).path
    away, before = tmp_path / "unmounted", contents(path)

    images.rename(away)  # as after a reboot without the disk
    with pytest.raises(ValueError, match="data.path: .*images does not exist"):
        resume(path, trials=3, **QUIET)
    assert contents(path) == before and states(path) == ["COMPLETE"] * 2
    assert resume(path, **QUIET).name == "s", "nothing is left to train, so that nothing is needed"

    before = contents(path)
    shutil.copytree(away, images)
    draw_images(images / "train/ant", [f"more{number}" for number in range(20)], seed=9)
    with pytest.raises(ValueError, match="data.fingerprint: the data that .*images.* have changed: got"):
        resume(path, trials=3, **QUIET)
    assert contents(path) == before

    with pytest.raises(ValueError, match="s was trained on data with the fingerprint .*, but those of this sweep have"):
        sweep(space, root=tmp_path / "sweeps", name="later", trials=2, warm_start=path, **QUIET)
    assert not (tmp_path / "sweeps" / "later").exists()

    moved = tmp_path / "moved"
    away.rename(moved)
    elsewhere = space.fix({"data.path": str(moved)})
    later = sweep(elsewhere, root=tmp_path / "sweeps", name="later", trials=2, warm_start=path, **QUIET)
    assert later.record.study.imported() == 2, "the same content under another path is the same data"

    shutil.rmtree(images)
    moved.rename(images)
    resume(path, trials=3, **QUIET)
    assert states(path) == ["COMPLETE"] * 3


def test_data_that_vanish_under_a_sweep_stop_it_and_no_trial_fails(tmp_path, images, space):
    away = tmp_path / "unmounted"

    def unmount(progress):
        if images.exists():
            images.rename(away)

    with pytest.raises(RuntimeError, match="stopped: on host .*does not exist.*no trial has failed by it.*resume"):
        sweep(space, root=tmp_path, name="s", trials=2, concurrent=1, listener=unmount)
    assert states(tmp_path / "s") == ["RUNNING"]
    away.rename(images)
    resume(tmp_path / "s", **QUIET)
    assert states(tmp_path / "s") == ["COMPLETE"] * 2
