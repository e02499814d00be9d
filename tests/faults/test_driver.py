"""A driver that is killed, interrupted or asked to go, as a process, and what `resume` makes of what it left."""

import os
import signal
import time

import pytest
from processes import Command, epochs_of, finished, lock_holder, uninterrupted, write_space
from spaces import space

from tune_mixup import sweep
from tune_mixup.cluster.sweep import resume
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord

pytestmark = pytest.mark.slow
EPOCHS = 60


@pytest.fixture
def root(tmp_path):
    return tmp_path / "sweeps"


@pytest.fixture
def words(tmp_path, root):
    file = write_space(tmp_path, epochs=EPOCHS)
    return ["sweep", file, "--name", "s", "--trials", 4, "--concurrent", 2, "--scheduler", "none", "--root", root]


def changed(words, **options):
    """The same command with other values for some of its options."""
    words = list(words)
    for name, value in options.items():
        words[words.index(f"--{name}") + 1] = value
    return words


def check_kept_promise(path, trials, *, compared):
    """Every promised trial has ended once, with every epoch once; one is compared with an unbroken training."""
    record = SweepRecord.open(path)
    asked = record.study.asked()
    assert [(trial.number, trial.state.name) for trial in asked] == [(n, "COMPLETE") for n in range(trials)]
    for number, rows in tables.epochs(record).groupby("trial"):
        assert rows["epoch"].tolist() == list(range(1, EPOCHS + 1))
        if number == compared:
            assert rows["val_nll"].tolist() == pytest.approx(uninterrupted(path, number), rel=1e-4)
        files = {file.name for file in record.folder.trial(number).path.iterdir()}
        assert files <= {"config.yaml", "epochs.jsonl", "checkpoint.pt", "lock", "notes.txt", "snapshots"}


def test_sigkill_of_the_driver_damaged_files_and_a_torn_journal(tmp_path, root, words):
    path = root / "s"
    with Command(*words, folder=tmp_path) as first:
        first.until(lambda: epochs_of(path, 0) >= 1)
        with pytest.raises(ValueError, match="another process is working on the sweep 's'"):
            resume(path)
        with pytest.raises(ValueError, match="a sweep named 's' exists"):
            sweep(space(), name="s", root=root)
        first.until(lambda: any(t.state.is_finished() for t in asked(path)) and epochs_of(path, 2) >= 15)
        done = finished(path)
        first.kill()
    orphan = lock_holder(SweepRecord.open(path).folder.trial(2).path / "lock")
    unfinished = [trial.number for trial in asked(path) if not trial.state.is_finished()]
    assert orphan is not None and 2 in unfinished

    # At once: the orphaned worker still trains trial 2, and the new one must wait for it.
    with open(path / "study.journal", "ab") as journal:
        journal.write(b'{"op_code":6,"worker_id":"')
    with Command("resume", path, folder=tmp_path) as again:
        again.until(lambda: lock_holder(SweepRecord.open(path).folder.trial(2).path / "lock") not in (None, orphan))
        again.until(lambda: epochs_of(path, 2) >= 25 and (path / "trials/t0003/checkpoint.previous.pt").exists())
        again.kill()
    wait_for_orphans(path)
    for number, spared in ((2, ("checkpoint.previous.pt",)), (3, ())):
        for file in SweepRecord.open(path).folder.trial(number).path.glob("checkpoint*"):
            if file.name not in spared:
                os.truncate(file, 1000)
    with Command("resume", path, folder=tmp_path) as last:
        code, line = last.ends()
    assert code == 0, last.text()
    for number, state in done.items():
        assert finished(path)[number] == state
    notes = {number: SweepRecord.open(path).folder.trial(number).notes.read_text() for number in (2, 3)}
    assert "checkpoint.pt was truncated or damaged; trained on from epoch" in notes[2]
    assert "previous" not in notes[2] and not notes[2].endswith("epoch 0\n")
    assert notes[3].count("trained on from epoch 0") == 2
    assert len(list(path.glob("study.journal.torn-*"))) == 1
    check_kept_promise(path, trials=4, compared=2)


def asked(path):
    return SweepRecord.open(path).study.asked() if (path / "sweep.yaml").exists() else []


def wait_for_orphans(path):
    deadline = time.monotonic() + 60
    while any(lock_holder(folder / "lock") is not None for folder in (path / "trials").iterdir()):
        assert time.monotonic() < deadline, "workers outlive their driver for more than a minute"
        time.sleep(0.05)


def test_signals_leave_a_sweep_that_goes_on(tmp_path, root, words):
    path, words = root / "s", changed(words, trials=3)
    go_on = "tune-mixup: interrupted; go on with `tune-mixup resume s`"
    with Command(*words, folder=tmp_path) as command:
        command.until(lambda: epochs_of(path, 1) >= 10)
        command.send(signal.SIGINT)
        assert command.ends() == (130, go_on)
    assert "each trial ends with its epoch and is saved" in command.text()
    reached = reached_epochs(path)
    states = {trial.number: trial.state.name for trial in asked(path)}
    assert states == {number: "COMPLETE" if epochs == EPOCHS else "RUNNING" for number, epochs in reached.items()}
    assert 10 <= reached[1] < EPOCHS and saved_epochs(path) == reached, "the last epochs were not saved"

    with Command("resume", path, folder=tmp_path) as command:
        command.until(lambda: epochs_of(path, 1) >= reached[1] + 10)
        began = time.monotonic()
        os.kill(command.process.pid, signal.SIGTERM)  # as systemd or a batch system sends it
        assert command.ends() == (130, go_on)
        assert time.monotonic() - began < 30, "a host that is taken away leaves 30 s"
    assert "SIGTERM: epochs that end within 20 s are saved" in command.text()
    reached = reached_epochs(path)
    assert reached[1] < EPOCHS and saved_epochs(path) == reached

    with Command("resume", path, folder=tmp_path) as command:
        command.until(lambda: epochs_of(path, 1) >= reached[1] + 5)
        worker = lock_holder(SweepRecord.open(path).folder.trial(1).path / "lock")
        os.kill(worker, signal.SIGSTOP)  # its epoch does not end
        command.send(signal.SIGINT)
        command.until(lambda: "press Ctrl-C again" in command.text())
        command.send(signal.SIGINT)
        assert command.ends() == (130, go_on)
    with Command("resume", path, folder=tmp_path) as command:
        assert command.ends()[0] == 0, command.text()
    check_kept_promise(path, trials=3, compared=1)


def reached_epochs(path):
    """Trial -> epochs in its folder: two trials, or more where one was done before the other had begun."""
    return {trial.number: epochs_of(path, trial.number) for trial in asked(path)}


def saved_epochs(path):
    """Trial -> epochs in its checkpoint, 0 where there is none yet."""
    import torch

    files = {trial.number: SweepRecord.open(path).folder.trial(trial.number).checkpoint for trial in asked(path)}
    return {number: torch.load(file)["epoch"] if file.exists() else 0 for number, file in files.items()}


def test_two_sweeps_side_by_side_on_one_root(tmp_path, root, words):
    names = ("a", "b")
    commands = [Command(*changed(words, name=name, trials=2, concurrent=1), folder=tmp_path) for name in names]
    with commands[0], commands[1]:
        for command in commands:
            assert command.ends()[0] == 0, command.text()
    for name in names:
        check_kept_promise(root / name, trials=2, compared=0)
    assert {path.name for path in root.iterdir()} == set(names)
