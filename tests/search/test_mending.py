"""What is mended of a record when a session opens: each fault is made by hand in a sweep that has ended, or nearly."""

import json
import shutil

import pytest
import torch
from fake_worker import create, decisions, plan, row_of, step, work
from optuna.trial import TrialState

from tune_mixup.config import TrialConfig
from tune_mixup.optuna_internals import JournalOperation
from tune_mixup.record import tables
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.mending import unbroken
from tune_mixup.search.session import Session
from tune_mixup.search.settings import settings_of
from tune_mixup.training import checkpoint

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def config():
    return plan(trials=6)


@pytest.fixture
def record(tmp_path, config):
    """A sweep that has ended, with the configurations that its workers would have written."""
    record = create(tmp_path, config)
    session = Session.open(record, config)
    work(session)
    for trial in record.study.asked():
        record.folder.trial(trial.number).write_config(session._config(trial.number).plain())
    return SweepRecord.open(record.path)


def of_state(record, state):
    return next(trial for trial in record.study.asked() if trial.state.name == state)


def cut(path):
    path.write_bytes(path.read_bytes()[: -len(path.read_bytes()) // 2])


def flip(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.", b"1.", 1))


def state_of(settings, rows):
    config = TrialConfig.parse(settings)
    return {
        "identity": config.identity(),
        "seed": config.seed,
        "epoch": len(rows),
        "history": rows,
        "model": {"weights": torch.ones(3)},
        "mixer": {},
    }


def without_its_settings(path):
    """Whole lines, and no checksum: what is left could be read, with defaults for the rest."""
    path.write_text(path.read_text().partition("  batch_size:")[0])


def drop_the_first(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


@pytest.mark.parametrize("damage", [cut, flip, drop_the_first, lambda path: path.unlink()])
@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
def test_rows_come_back_from_the_study_and_no_rank_ever_changes(record, config, damage, state):
    trial = of_state(record, state)
    folder = record.folder.trial(trial.number)
    board, rows, before = tables.trials(record), folder.read_epochs(), decisions(record)
    damage(folder.epochs)
    assert folder.read_epochs() != rows
    shown = ["trial", "state", "epoch", "reason", "val_accuracy"]
    assert tables.trials(record)[shown].equals(board[shown])  # before anything is mended
    assert tables.epochs(record)["val_accuracy"].tolist() == [
        value for one in record.study.asked() for value in one.intermediate_values.values()
    ]
    Session.open(SweepRecord.open(record.path), config)
    assert [(row["epoch"], row["val_accuracy"]) for row in folder.read_epochs()] == [
        (row["epoch"], row["val_accuracy"]) for row in rows
    ]
    assert "missing or damaged; written again from the study" in folder.notes.read_text()
    assert decisions(SweepRecord.open(record.path)) == before


def test_rows_come_back_whole_where_a_state_has_them(record, config):
    trial = of_state(record, "COMPLETE")
    folder = record.folder.trial(trial.number)
    rows = folder.read_epochs()
    checkpoint.save(state_of(settings_of(record, trial.number), rows), folder.checkpoint)
    cut(folder.epochs)
    Session.open(SweepRecord.open(record.path), config)
    assert folder.read_epochs() == rows and "again from its checkpoint" in folder.notes.read_text()


def test_rows_never_come_from_the_state_of_another_trial(record, config):
    trial, other = record.study.asked()[:2]
    folder = record.folder.trial(trial.number)
    rows = [{**row, "val_accuracy": 0.0, "val_nll": 9.0} for row in folder.read_epochs()]
    checkpoint.save(state_of(settings_of(record, other.number), rows), folder.checkpoint)
    cut(folder.epochs)
    Session.open(SweepRecord.open(record.path), config)
    assert not any("val_nll" in row or row["val_accuracy"] == 0 for row in folder.read_epochs())
    assert "again from the study" in folder.notes.read_text()


def test_rows_that_only_a_state_has_come_back_too(tmp_path):
    """With `training.eval` of rungs the study does not know all epochs."""
    config = plan(trials=1, scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    begin = session.next()
    folder = record.folder.trial(begin.number)
    rows = [row_of(begin.config, epoch) if epoch > 7 else {"epoch": epoch, "diverged": 0} for epoch in range(1, 10)]
    folder.path.mkdir()
    folder.write_config(begin.config.plain())
    folder.rewrite_epochs(rows)
    for row in rows[:-1]:
        session.report(begin.number, row)
    session.complete(begin.number, rows[-1])
    drop_the_first(folder.epochs)
    before = folder.epochs.read_bytes()
    Session.open(SweepRecord.open(record.path), config)
    assert folder.epochs.read_bytes() == before and not folder.notes.exists()  # nobody knows it any more
    checkpoint.save(state_of(begin.config.plain(), rows), folder.checkpoint)
    Session.open(SweepRecord.open(record.path), config)
    assert folder.read_epochs() == rows and "the rows of 1 epochs" in folder.notes.read_text()


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.unlink(), without_its_settings])
def test_a_configuration_comes_back_from_the_study(record, config, damage):
    trial = of_state(record, "COMPLETE")
    folder = record.folder.trial(trial.number)
    whole = folder.read_config()
    damage(folder.config)
    assert settings_of(record, trial.number) == whole  # who only reads gets it too, and writes nothing
    Session.open(SweepRecord.open(record.path), config)
    assert folder.read_config() == whole
    assert "config.yaml was missing or damaged; written again from the study" in folder.notes.read_text()


def test_a_whole_record_is_left_as_it_is(record, config):
    before = {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()}
    Session.open(SweepRecord.open(record.path), config)
    after = {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()}
    assert {p.name for p in before.keys() ^ after.keys()} <= {"runs.jsonl", "lock"}
    assert all(after[path] == content for path, content in before.items() if path.name != "runs.jsonl")


def test_a_study_that_is_older_than_its_folders_sets_these_aside(tmp_path, caplog):
    config = plan(trials=6, scheduler="none", sampler="random")
    whole = create(tmp_path / "whole", config)
    work(Session.open(whole, config))
    record = create(tmp_path / "copied", config)
    session = Session.open(record, config)
    for _ in range(2):
        begin = session.next()
        for epoch in range(1, 10):
            step(session, begin, epoch)
    journal = (record.path / "study.journal").read_bytes()
    work(session)  # goes on while the folder is copied: the journal first, the trials later
    (record.path / "study.journal").write_bytes(journal)
    stray = record.folder.trial(4).path
    kept = (stray / "epochs.jsonl").read_bytes()
    again = SweepRecord.open(record.path)
    work(Session.open(again, config))
    assert decisions(again) == decisions(whole)
    assert sorted(path.name for path in (record.path / "strays").iterdir()) == ["t0002", "t0003", "t0004", "t0005"]
    assert (record.path / "strays" / "t0004" / "epochs.jsonl").read_bytes() == kept
    assert "the study is older than it" in caplog.text
    shutil.copytree(record.path / "strays" / "t0004", record.folder.trials / "t0009")
    shutil.copytree(record.path / "strays" / "t0004", record.folder.trials / "t0004.mine")  # none of ours
    Session.open(again, config)
    assert (record.path / "strays" / "t0009").is_dir() and (record.folder.trials / "t0004.mine").is_dir()


@pytest.mark.parametrize("line", ["null", "3", "[1, 2]", "NaN", '{"epoch": NaN}', "{}", "\0\0\0"])
@pytest.mark.parametrize(
    "name", ["runs.jsonl", "metered.jsonl", "evaluations/test_split.jsonl", "trials/t0001/epochs.jsonl"]
)
def test_a_foreign_line_costs_itself_and_not_the_sweep(tmp_path, name, line):
    config = plan(trials=4, gpus_per_trial=0.5)
    whole = create(tmp_path / "whole", config)
    work(Session.open(whole, config))
    record = create(tmp_path / "broken", config)
    session = Session.open(record, config)
    record.folder.note_opening({"trial": 0})
    work(session, kill_after=14)
    session.ledger.keep()
    with open(record.path / name, "ab") as file:
        file.write(line.encode() + b"\n")
    again = SweepRecord.open(record.path)
    with again.folder.working():
        work(Session.open(again, config))
    assert decisions(again) == decisions(whole)
    assert again.folder.openings() == [{"trial": 0}]
    assert len(tables.epochs(again)) == len(tables.epochs(whole))


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_text("- 1\n"), lambda path: path.write_text("")])
def test_a_damaged_configuration_of_the_sweep_is_refused_by_name_and_nothing_is_changed(record, damage):
    path = record.path / "sweep.yaml"
    damage(path)
    lock = record.path / "lock"
    before = {p: p.read_bytes() for p in record.path.rglob("*") if p.is_file() and p != lock}
    with pytest.raises(ValueError, match="sweep.yaml can't be read as a sweep's configuration") as caught:
        with SweepRecord.open(record.path).folder.working():
            pass
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in record.path.rglob("*") if p.is_file() and p != lock} == before


def test_what_is_said_of_a_configuration_that_was_changed_by_hand_is_a_way_out(record):
    path = record.path / "sweep.yaml"
    path.write_text(path.read_text().replace("\nseed: 0", "\nseed: 1"))
    with pytest.raises(ValueError, match="drop its last line and write `format: 1`"):
        record.folder.config()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]).replace("format: 2", "format: 1"))
    assert record.folder.config()["seed"] == 1


def test_what_is_settled_before_a_stop_or_an_end_is_on_the_disk(tmp_path, config, monkeypatch):
    """The order is what counts: the rows first, then the record of what builds on them."""
    record = create(tmp_path, config)
    events = []
    settle, append = SweepFolder.settle, type(record.study.storage()._backend).append_logs
    monkeypatch.setattr(
        SweepFolder, "settle", lambda self, number: (events.append(("rows", number)), settle(self, number))
    )

    def noted(journal, logs):
        for log in logs:
            sets_state = log["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES
            ends = sets_state and TrialState(log["state"]).is_finished()
            stops = any(one["stop"] for one in log.get("user_attr", {}).get("decisions", ()))
            if ends or stops:
                events.append(("record", log["trial_id"]))
        append(journal, logs)

    monkeypatch.setattr(type(record.study.storage()._backend), "append_logs", noted)
    work(Session.open(record, config))
    recorded = [index for index, (kind, _) in enumerate(events) if kind == "record"]
    assert len(recorded) > len(record.study.asked())
    assert all(events[index - 1] == ("rows", events[index][1]) for index in recorded)


def test_a_row_behind_a_gap_is_told_by_the_worker_and_not_before():
    rows = [{"epoch": epoch} for epoch in (1, 2, 4, 5)]
    assert unbroken(rows, after=0) == rows[:2] and unbroken(rows, after=3) == rows
    assert unbroken(rows, after=6) == rows and unbroken([], after=2) == []


def test_a_trial_begins_with_what_the_record_has_heard(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    begin = session.next()
    assert begin.heard == 0
    for epoch in (1, 2):
        assert step(session, begin, epoch)
    record.folder.trial(begin.number).append_epoch(row_of(begin.config, 3))
    assert Session.open(SweepRecord.open(record.path), config).next().heard == 3
    assert isinstance(begin.config, TrialConfig) and json.dumps(begin.config.plain())
