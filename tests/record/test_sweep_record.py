import multiprocessing
import os
import shutil

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.record import making, tables
from tune_mixup.record.facts import SweepFacts
from tune_mixup.record.files import StorageFault
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord

CONFIG = {"name": "gm", "metric": "val_accuracy", "space": {"fixed": {}, "free": {"mixing.alpha": {}}}}


@pytest.fixture
def record(tmp_path):
    return SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")


def ask(record, alpha):
    record.study.optuna.enqueue_trial({"mixing.alpha": alpha})
    return record.study.optuna.ask({"mixing.alpha": FloatDistribution(0, 2)}).number


def train(record, number, accuracies):
    for epoch, accuracy in enumerate(accuracies, start=1):
        record.folder.trial(number).path.mkdir(parents=True, exist_ok=True)
        record.folder.trial(number).append_epoch({"epoch": epoch, "val_accuracy": accuracy})
        record.study.report(number, epoch, accuracy)


def test_frames_say_what_happened(record):
    numbers = [ask(record, alpha) for alpha in (0.5, 1.0, 1.5, 2.0)]
    train(record, numbers[0], [0.5, 0.75])
    record.study.finish(numbers[0], Outcome(TrialState.COMPLETE, "trained to the full budget"))
    train(record, numbers[1], [0.25])
    record.study.finish(numbers[1], Outcome(TrialState.PRUNED, "epoch 1: last of 2"))
    record.study.finish(numbers[2], Outcome(TrialState.FAIL, "ValueError: no"))
    train(record, numbers[3], [0.5])
    record.study.optuna.enqueue_trial({"mixing.alpha": 0.1})  # promised, not begun: no trial yet

    frame = tables.trials(SweepRecord.open(record.path))
    assert frame["trial"].tolist() == [0, 1, 2, 3]
    assert frame["state"].tolist() == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert frame["epoch"].tolist() == [2, 1, 0, 1]
    assert frame["mixing.alpha"].tolist() == [0.5, 1.0, 1.5, 2.0]
    assert frame["val_accuracy"].tolist()[:2] == [0.75, 0.25] and frame["val_accuracy"].isna()[2]
    assert frame["reason"].tolist()[1:3] == ["epoch 1: last of 2", "ValueError: no"]
    epochs = tables.epochs(SweepRecord.open(record.path))
    assert epochs[["trial", "epoch", "val_accuracy"]].values.tolist() == [
        [0, 1, 0.5], [0, 2, 0.75], [1, 1, 0.25], [3, 1, 0.5]
    ]  # fmt: skip


def test_the_study_is_plain_optuna_and_named_after_the_sweep(record):
    number = ask(record, 1.0)
    train(record, number, [0.25, 0.5])
    record.study.finish(number, Outcome(TrialState.PRUNED, "stopped"))
    study = optuna.load_study(study_name="gm", storage=record.study.storage())
    assert [(t.state, t.value, t.intermediate_values) for t in study.trials] == [
        (TrialState.PRUNED, 0.5, {1: 0.25, 2: 0.5})
    ]


def test_what_was_reported_or_ended_stays(record):
    number = ask(record, 1.0)
    train(record, number, [0.25])
    record.study.report(number, 1, 0.9)
    record.study.finish(number, Outcome(TrialState.COMPLETE, "trained"))
    record.study.finish(number, Outcome(TrialState.FAIL, "too late"))
    record.study.report(number, 2, 0.9)
    trial = record.study.asked()[0]
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.COMPLETE, 0.25, {1: 0.25})


def test_an_empty_sweep_has_empty_frames_with_columns(record):
    assert list(tables.trials(record).columns) == ["trial", "state", "epoch", "reason"] and tables.trials(record).empty
    assert list(tables.epochs(record).columns) == ["trial", "epoch"] and tables.epochs(record).empty


def test_a_taken_name_is_refused_and_offers_resume(record, tmp_path):
    with pytest.raises(ValueError, match=f"tune-mixup resume gm --root {tmp_path}"):
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="is no sweep"):
        SweepRecord.create(tmp_path, "other", CONFIG, direction="maximize")


def test_a_sweep_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(SweepFolder, "write_config", killed)
    with pytest.raises(KeyboardInterrupt):
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    (left := tmp_path / ".gm.0123456789abcdef.making").mkdir()  # as SIGKILL would have left it, an hour ago
    (left / "trials").mkdir()
    os.utime(left, (0, 0))
    (tmp_path / "gm").mkdir()
    assert SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize").study.asked() == []
    assert [path.name for path in tmp_path.iterdir()] == ["gm"]


def test_a_sweep_is_never_there_without_what_it_is_filled_with(tmp_path):
    def half(record):
        record.study.note_sweep(SweepFacts(warm_start="from other: 3 trials"))
        assert not (tmp_path / "gm").exists()

    def failing(record):
        half(record)
        raise StorageFault(5, "Input/output error", "other")

    with pytest.raises(StorageFault):
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize", fill=failing)
    assert not list(tmp_path.iterdir())
    record = SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize", fill=half)
    assert record.study.sweep_facts().warm_start == "from other: 3 trials"


def test_of_two_that_make_the_same_sweep_the_slower_one_is_refused(tmp_path, monkeypatch):
    write = SweepFolder.write_config

    def overtaken(record, config):
        monkeypatch.undo()
        SweepRecord.create(tmp_path, "gm", {**CONFIG, "seed": 1}, direction="maximize")
        write(record, config)

    monkeypatch.setattr(SweepFolder, "write_config", overtaken)
    with pytest.raises(ValueError, match="exists"):
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")
    assert SweepRecord.open(tmp_path / "gm").folder.config()["seed"] == 1 and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_is_mended_by_the_next(record):
    number = ask(record, 1.0)
    train(record, number, [0.25])
    with open(record.path / "study.journal", "ab") as file:
        file.write(b'{"op_code":6,"worker_id":"x","tri')
    for remains in (".sweep.yaml.123.tmp", "stopping"):
        (record.path / remains).touch()
    (record.path / "tm-tune-abc" / "deep").mkdir(parents=True)
    again = SweepRecord.open(record.path)
    assert again.study.asked()[0].intermediate_values == {1: 0.25}  # reading needs no mending
    with again.folder.working():
        again.study.report(number, 2, 0.5)
    assert SweepRecord.open(record.path).study.asked()[0].intermediate_values == {1: 0.25, 2: 0.5}
    names = {path.name for path in record.path.iterdir()}
    assert not {".sweep.yaml.123.tmp", "stopping", "tm-tune-abc"} & names
    assert [name for name in names if ".torn-" in name]


def test_a_study_that_is_not_there_is_said_in_one_line(record):
    record.folder.journal.write_bytes(b"")
    with pytest.raises(ValueError, match="study.journal holds no study"):
        SweepRecord.open(record.path).study.asked()


def test_a_sweep_is_called_like_its_folder(record, tmp_path):
    number = ask(record, 0.5)
    record.path.rename(tmp_path / "renamed")
    again = SweepRecord.open(tmp_path / "renamed")
    assert again.name == again.folder.config()["name"] == "renamed"
    with again.folder.working():
        again.study.report(number, 1, 0.25)
    assert SweepRecord.open(again.path).study.asked()[0].intermediate_values == {1: 0.25}


def test_a_missing_sweep_is_named_with_those_that_exist(record, tmp_path):
    with pytest.raises(ValueError, match="no sweep named 'mg'.*there are: gm"):
        SweepRecord.open(tmp_path / "mg")


def hold(path, held, release):
    with SweepRecord.open(path).folder.working():
        held.set()
        release.wait(30)


def test_what_is_being_made_is_left_alone(tmp_path):
    with SweepFolder.making(tmp_path, "gm") as made:
        os.utime(made.path, (0, 0))  # locked, however old
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")
        assert made.path.exists()
        shutil.rmtree(tmp_path / "gm")
    assert [path.name for path in tmp_path.iterdir()] == ["gm"]


def test_a_planted_link_is_not_made_in(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(making.secrets, "token_hex", lambda size: "foreseen")
    (tmp_path / ".gm.foreseen.making").symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        SweepRecord.create(tmp_path, "gm", CONFIG, direction="maximize")
    assert not list(elsewhere.iterdir())


def test_deleting_its_lock_lets_nobody_into_a_sweep(record):
    with record.folder.working():
        (record.path / "lock").unlink()
        with pytest.raises(ValueError, match="another process"), SweepRecord.open(record.path).folder.working():
            pass
    with SweepRecord.open(record.path).folder.working():
        pass


def test_one_process_works_on_a_sweep_at_a_time_and_a_killed_one_does_not_hold_it(record):
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(record.path, held, release))
    other.start()
    assert held.wait(60)
    with pytest.raises(ValueError, match="another process is working on the sweep 'gm'"), record.folder.working():
        pass
    other.kill()
    other.join()
    with record.folder.working():
        pass


def test_runs_add_up_and_evaluations_are_kept_in_order(record):
    record.folder.note_run(1000.0, 5.0)
    record.folder.note_run(1000.0, 7.0)
    record.folder.note_run(2000.0, 1.0)
    assert record.folder.runs() == [
        {"began": 1000.0, "worked_s": 7.0},
        {"began": 2000.0, "worked_s": 1.0},
    ]
    assert record.folder.openings() == []
    record.folder.note_opening({"trial": 3})
    record.folder.note_opening({"trial": 5})
    assert record.folder.openings() == [{"trial": 3}, {"trial": 5}]
    with open(record.folder.evaluations / "test_split.jsonl", "ab") as file:
        file.write(b'{"trial": 6')  # as a kill leaves it
    record.folder.note_opening({"trial": 7})
    assert record.folder.openings() == [{"trial": 3}, {"trial": 5}, {"trial": 7}]
