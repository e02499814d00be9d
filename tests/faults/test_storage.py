"""A disk that is full, read-only or gone while a sweep runs, as the system shows it; small mounts need root."""

import os
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
from processes import Command, epochs_of, finished, write_space
from spaces import space

from tune_mixup import sweep
from tune_mixup.cluster.sweep import resume
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord

pytestmark = pytest.mark.slow
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


def run(*words):
    return subprocess.run([*AS_ROOT, *words], check=True, capture_output=True)


@contextmanager
def mounted(*options, at):
    try:
        run("mount", *options, str(at))
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"mounting a file system needs root: {error}")
    try:
        yield
    finally:
        run("umount", "--lazy", str(at))


@pytest.fixture
def small_disk(tmp_path):
    """An empty file system of 12 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=12m,mode=777", "tmpfs", at=disk):
        yield disk


def check_all_there(path, trials, before):
    record = SweepRecord.open(path)
    asked = record.study.asked()
    assert [(trial.number, trial.state.name) for trial in asked] == [(n, "COMPLETE") for n in range(trials)]
    epochs = len(record.folder.trial(0).read_epochs())
    by_trial = tables.epochs(record).groupby("trial")["epoch"]
    assert all(rows.tolist() == list(range(1, epochs + 1)) for _, rows in by_trial)
    after = finished(path)
    assert all(after[number] == state for number, state in before.items())
    assert not list(path.rglob("*.tmp"))


@pytest.mark.usefixtures("ray_session")
def test_a_disk_that_fills_up_stops_the_sweep_and_making_room_lets_it_go_on(tmp_path, small_disk):
    with pytest.raises(ValueError, match="MB free, but 2 trials at once keep 3 states of up to 9.9 MB each"):
        sweep(space(model_width=64), name="s", root=small_disk, concurrent=2)
    assert not list(small_disk.iterdir())

    file, path = write_space(tmp_path, epochs=40), small_disk / "s"
    words = [
        "sweep",
        file,
        "--name",
        "s",
        "--trials",
        3,
        "--concurrent",
        2,
        "--scheduler",
        "none",
        "--root",
        small_disk,
    ]
    with Command(*words, folder=tmp_path) as command:
        command.until(lambda: epochs_of(path, 0) >= 5)
        fill(small_disk)
        code, line = command.ends()
    assert code == 1 and len(command.text().strip().splitlines()[-1:]) == 1
    assert line.startswith("tune-mixup: stopped: ") and "No space left on device" in line and str(path) in line
    assert {trial.state.name for trial in SweepRecord.open(path).study.asked()} <= {"RUNNING", "COMPLETE"}
    before = finished(path)

    with pytest.raises(ValueError, match="0 B free, but"):
        resume(path)
    (small_disk / "filler").unlink()
    resume(path)
    check_all_there(path, 3, before)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


@pytest.mark.usefixtures("ray_session")
def test_a_storage_that_turns_read_only_or_goes_away_stops_the_sweep_until_it_is_back(tmp_path):
    path = tmp_path / "s"
    kinds = {"epochs": 25, "trials": 4, "scheduler": "none", "concurrent": 2}
    listener = At(path, epochs=5)
    with pytest.raises(RuntimeError, match=r"stopped: .*No such file or directory.*resume"):
        sweep(space(training_epochs=kinds.pop("epochs")), name="s", root=tmp_path, listener=listener, **kinds)
    assert not path.exists() or not list(path.iterdir()), "a folder that went away was made again"
    listener.away.rename(path)
    before = finished(path)
    assert {trial.state.name for trial in SweepRecord.open(path).study.asked()} <= {"RUNNING", "COMPLETE"}

    with mounted_read_only(path) as listener, pytest.raises(RuntimeError, match=r"stopped: .*Read-only file system"):
        resume(path, listener=listener)
    check_after = finished(path)
    assert all(check_after[number] == state for number, state in before.items())
    resume(path)
    check_all_there(path, 4, before)


class At:
    """Moves the sweep's folder away once it has so many reported epochs."""

    def __init__(self, path, *, epochs):
        self.path, self.epochs, self.away = path, epochs, path.with_name("away")

    def __call__(self, progress):
        if progress.epochs >= self.epochs and not self.away.exists():
            self.path.rename(self.away)


@contextmanager
def mounted_read_only(path):
    """A listener that lays a read-only view of the folder over it at the first report."""
    heard, view = [], path.with_name("view")

    def listen(progress):
        heard.append(progress)
        if len(heard) == 6:
            run("mount", "--bind", str(view), str(path))

    view.mkdir()
    with mounted("--bind", str(path), at=view):
        run("mount", "-o", "remount,bind,ro", str(view))  # beforehand: one that is written to can't become read-only
        try:
            yield listen
        finally:
            run("umount", "--lazy", str(path))


@pytest.mark.usefixtures("ray_session")
def test_a_disk_budget_is_never_exceeded(tmp_path):
    with Watcher(tmp_path / "b") as watcher:
        record = sweep(
            space(training_epochs=3, model_width=24), name="b", root=tmp_path, trials=10, scheduler="none",
            concurrent=2, disk_budget=BUDGET,
        ).record  # fmt: skip
    assert tables.trials(record)["state"].eq("COMPLETE").all() and len(tables.trials(record)) == 10
    assert 0.4 * BUDGET < watcher.most <= BUDGET
    kept = [number for number in range(10) if record.folder.trial(number).checkpoints()]
    assert 3 <= len(kept) < 10
    best = tables.trials(record).sort_values("val_accuracy_median", ascending=False)["trial"].tolist()[:3]
    assert set(best) <= set(kept)
    assert all(len(record.folder.trial(number).read_epochs()) == 3 for number in range(10))


BUDGET = 19_000_000


class Watcher(threading.Thread):
    """Measures a folder's size on the disk over and over while the block runs."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.most, self.stop = path, 0, threading.Event()

    def run(self):
        while not self.stop.wait(0.002):
            self.most = max(self.most, size_on_disk(self.path))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.join()


def size_on_disk(path):
    size = 0
    for folder, _, names in os.walk(path):
        for name in (*names, "."):
            with suppress(FileNotFoundError):
                size += 512 * os.lstat(os.path.join(folder, name)).st_blocks
    return size
