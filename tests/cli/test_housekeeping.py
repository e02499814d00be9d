"""`list`, `status`, `logs`, `delete`, `rename` and `copy`: from the record alone, and never under a driver's feet."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from tune_mixup.record import moving
from tune_mixup.record.facts import Decision, TrialFacts
from tune_mixup.record.sweep_record import SweepRecord

TRIALS = [("COMPLETE", [0.5, 0.625]), ("PRUNED", [0.25]), ("COMPLETE", [0.5, 0.75]), ("RUNNING", [0.5])]
CHANGES = [["delete", "gm"], ["rename", "gm", "other"], ["copy", "gm", "other"]]


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_the_list_of_sweeps(command, start_sweep, tmp_path):
    start_sweep(trials=TRIALS)
    start_sweep("second")
    damaged = start_sweep("third")
    damaged.folder.journal.unlink()
    (tmp_path / "sweeps/.gm.0123.deleted").mkdir()
    before = tree(tmp_path)
    assert command("list") == 0
    head, _, *below = command.out.splitlines()
    lines = [head, *below]
    assert [line.split()[0] for line in lines] == ["name", "gm", "second", "third"]
    assert "unfinished" in lines[1] and "3/20" in lines[1] and "val_accuracy 0.75 (t0002)" in lines[1]
    assert "0/20" in lines[2] and "damaged" in lines[3]
    assert command.err.startswith("tune-mixup: third can't be read: ") and command.err.count("\n") == 1
    assert command("list", "--json") == 0
    found = {one["name"]: one for one in json.loads(command.out)["sweeps"]}
    assert found["gm"]["states"] == {"COMPLETE": 2, "PRUNED": 1, "FAIL": 0, "RUNNING": 1, "WAITING": 16}
    assert (found["gm"]["best_trial"], found["gm"]["best_value"], found["gm"]["best_epoch"]) == (2, 0.75, 2)
    assert found["gm"]["unended"] == [{"trial": 3, "epoch": 1, "value": 0.5}]
    assert "fault" in found["third"]
    assert command("list", "--root", "nowhere") == 0 and "there are no sweeps in nowhere" in command.out
    assert tree(tmp_path) == before


def test_a_root_that_is_no_folder(command, tmp_path):
    (tmp_path / "file").touch()
    assert "file is no folder; give the one that the sweeps are in" in command.refused("list", "--root", "file")


@pytest.mark.parametrize(("width", "heads"), [(20, 2), (40, 3), (80, 6), (None, 6)])
def test_the_list_fits_a_terminal(command, start_sweep, monkeypatch, width, heads):
    start_sweep(trials=TRIALS)
    start_sweep("broken").folder.journal.unlink()
    overview = importlib.import_module("tune_mixup.cli.overview")
    monkeypatch.setattr(overview, "screen_width", lambda *, wide=False: None if wide else width)
    assert command("list") == 0
    lines = command.out.splitlines()
    assert width is None or max(map(len, lines)) <= width
    named = lines[lines.index(next(line for line in lines if line.startswith("name"))) + 1].split()
    assert len(named) == heads
    assert "unfinished" in command.out and "damaged" in command.out
    assert ("No room for" in command.out) == (heads < 6)
    assert command("list", "--wide") == 0 and "val_accuracy 0.75 (t0002)" in command.out
    assert command("list", "--columns", "best,name") == 0
    assert command.out.split("\n")[0].split() == ["best", "name"]
    assert "did you mean size?" in command.refused("list", "--columns", "siez")


def test_status_says_whether_a_process_works_on_it(command, start_sweep):
    record = start_sweep(trials=TRIALS)
    with record.folder.working():
        assert command("status", "gm") == 0
        assert command.out.startswith("gm: running; 3 of 20 trials have ended (2 COMPLETE, 1 PRUNED, 1 RUNNING, 16 WAI")
        assert "t0003 1 epochs, val_accuracy 0.5" in command.out and "resume" not in command.out
    assert command("status", "gm", "--watch") == 0  # nobody works on it, so there is nothing to wait for
    assert command.out.startswith("gm: unfinished; ") and "`tune-mixup resume gm`" in command.out
    assert command("status", "gm", "--json") == 0 and json.loads(command.out)["state"] == "unfinished"
    assert "there is no sweep named 'mg'" in command.refused("status", "mg")


def test_a_sweep_is_done_or_its_budget_is(command, start_sweep):
    record = start_sweep(trials=TRIALS[:3])
    config = record.folder.config()
    for changes, state in (
        ({"trials": 3}, "done"),
        ({"time_budget_s": 60.0}, "budget used up"),
        ({"time_budget_s": 61.0}, "unfinished"),
        ({"gpu_hours": 0.5}, "budget used up"),
        ({"gpu_hours": 0.6}, "unfinished"),
    ):
        record.folder.write_config({**config, **changes})
        record.folder.note_run(1e9, 60.0)
        if "gpu_hours" in changes and not record.folder.metered():
            record.folder.meter({"trial": 0, "epoch": 1, "epoch_s": 3600.0, "gpus": 0.5})
        assert command("status", "gm", "--json") == 0 and json.loads(command.out)["state"] == state, changes


def test_who_only_looks_keeps_no_driver_out(start_sweep):
    record = start_sweep()
    assert not record.folder.is_worked_on()
    with record.folder.working():
        assert SweepRecord.open(record.path).folder.is_worked_on()
        with (
            pytest.raises(ValueError, match="another process is working"),
            SweepRecord.open(record.path).folder.alone(),
        ):
            pass
    assert not record.folder.is_worked_on()


def test_logs_tell_of_the_sweep_and_of_a_trial(command, start_sweep):
    record = start_sweep(trials=[*TRIALS[:3], ("FAIL", [])])
    running = start_sweep("live", trials=[("RUNNING", [0.25])])
    running.study.decide(0, Decision(epoch=1, stop=True, why="0.25 is rank 3 of 3", by="rung"))
    running.study.note(0, TrialFacts(deaths=("signal 9",)))
    running.folder.trial(0).write_error("Traceback\nValueError: no")
    running.folder.trial(0).note("a damaged checkpoint")
    record.folder.note_run(1e9, 60.0)
    record.folder.note_opening({"when": 2e9, "trial": 2, "retrained": ["a/t0001"], "result": {}})
    before = tree(record.path)
    assert command("logs", "gm") == 0
    kinds = [line.split()[2] for line in command.out.splitlines()]
    assert kinds[:2] == ["driver", "driver"]  # in 2001
    assert "t0001  end     PRUNED 0.25: reason 1" in command.out and "t0003  end     FAIL: reason 3" in command.out
    assert "test split was opened for a/t0001" in command.out.splitlines()[-1]
    assert command("logs", "live", "--trial", "t0000") == 0
    for words in (
        "epoch 1  val_accuracy 0.25",
        "stop: 0.25 is rank 3 of 3",
        "worker 1 died: signal 9",
        "ValueError: no",
    ):
        assert words in command.out
    assert "a damaged checkpoint" in command.out
    assert command("logs", "gm", "--trial", "1", "--json") == 0
    assert [json.loads(line)["kind"] for line in command.out.splitlines()] == ["ask", "epoch", "end"]
    assert "the sweep 'gm' has no trial 9; it has 0 to 3" in command.refused("logs", "gm", "--trial", "9")
    assert "--trial: got 'best', must be a trial's number" in command.refused("logs", "gm", "--trial", "best")
    assert tree(record.path) == before


@pytest.mark.parametrize("width", [40, 80])
def test_logs_fit_a_terminal(command, start_sweep, monkeypatch, width):
    start_sweep(trials=TRIALS)
    assert command("logs", "gm") == 0
    words = command.out.split()
    monkeypatch.setattr(importlib.import_module("tune_mixup.cli.logs"), "screen_width", lambda: width)
    assert command("logs", "gm") == 0
    assert max(map(len, command.out.splitlines())) <= width
    assert command.out.split() == words


def test_followed_logs_tell_each_event_once(start_sweep, monkeypatch):
    from optuna.trial import TrialState

    logs = importlib.import_module("tune_mixup.cli.logs")  # the verb has its name in the package
    from tune_mixup.record.study import Outcome

    record = start_sweep(trials=TRIALS)
    naps = []

    def nap(seconds):
        if not naps:
            record.study.finish(3, Outcome(TrialState.PRUNED, "late"))
        else:
            record.folder._lock.release()
        naps.append(seconds)

    monkeypatch.setattr(logs.time, "sleep", nap)
    with record.folder.working():
        events = list(logs._followed(SweepRecord.open(record.path), None))
    ends = [event.what for event in events if event.kind == "end"]
    assert len(events) == len(set(events)) == 8 and ends[-1] == "PRUNED 0.5: late" and len(naps) == 2


@pytest.mark.parametrize("arguments", CHANGES)
def test_nothing_is_done_unasked_or_while_somebody_works(command, start_sweep, tmp_path, arguments):
    record = start_sweep(trials=TRIALS)
    before = tree(tmp_path)
    assert "give --yes to do it without asking" in command.refused(*arguments)
    with record.folder.working():
        assert "another process is working on the sweep 'gm'" in command.refused(*arguments, "--yes")
    evaluation = start_sweep("e", root=record.folder.evaluations)
    with evaluation.folder.working():
        assert "another process is working on the sweep 'e'" in command.refused(*arguments, "--yes")
    assert {path: tree(tmp_path)[path] for path in before} == before
    assert "there is no sweep named 'mg'" in command.refused(arguments[0], "mg", *arguments[2:], "--yes")


@pytest.mark.parametrize("verb", ["rename", "copy"])
@pytest.mark.parametrize(("name", "words"), [("a/b", "name: got 'a/b'"), ("second", "a sweep named 'second' exists")])
def test_a_name_that_will_not_do_is_refused_before_anybody_is_asked(
    command, start_sweep, monkeypatch, verb, name, words
):
    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            raise AssertionError("somebody was asked")

    start_sweep(), start_sweep("second")
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert words in command.refused(verb, "gm", name) and "[y/N]" not in command.err
    monkeypatch.setattr(sys, "stdin", None)
    assert words in command.refused(verb, "gm", name)


@pytest.mark.parametrize("arguments", CHANGES)
@pytest.mark.parametrize("answer", ["n\n", "\n", "", "y\n"])
def test_the_answer_counts(command, start_sweep, tmp_path, monkeypatch, arguments, answer):
    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return answer

    start_sweep()
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert command(*arguments) == (0 if answer == "y\n" else 1)
    assert "? [y/N] " in command.err
    left = sorted(path.name for path in (tmp_path / "sweeps").iterdir())
    done = {"delete": [], "rename": ["other"], "copy": ["gm", "other"]}[arguments[0]]
    assert left == (done if answer == "y\n" else ["gm"])


@pytest.mark.parametrize("verb", ["rename", "copy"])
@pytest.mark.parametrize(
    "name, words", [("taken", "a sweep named 'taken' exists"), ("a/b", "got 'a/b'"), ("", "got ''")]
)
def test_a_name_must_be_free_and_fit(command, start_sweep, tmp_path, verb, name, words):
    start_sweep(), start_sweep("taken")
    before = tree(tmp_path)
    assert words in command.refused(verb, "gm", name, "--yes")
    assert tree(tmp_path) == before


def test_a_renamed_sweep_goes_on_under_its_new_name(command, start_sweep, tmp_path):
    start_sweep(trials=TRIALS)
    before = tree(tmp_path / "sweeps/gm")
    assert command("rename", "gm", "other", "--yes") == 0
    assert tree(tmp_path / "sweeps/other") == before and not (tmp_path / "sweeps/gm").exists()
    record = SweepRecord.open(tmp_path / "sweeps/other")
    with record.folder.working():
        record.folder.write_config(record.folder.config())
        record.study.report(3, 2, 0.875)
    assert record.folder.config()["name"] == "other"
    assert command("leaderboard", "other") == 0 and "0.875" in command.out
    start_sweep()  # the old name is free


def test_a_copy_goes_on_without_the_original(command, start_sweep, tmp_path):
    record = start_sweep(trials=TRIALS)
    (record.path / "tm-tune-x").mkdir()
    before = tree(record.path)
    assert command("copy", "gm", "other", "--yes", "--json") == 0
    assert json.loads(command.out)["to"] == str(tmp_path / "sweeps/other")
    copied = SweepRecord.open(tmp_path / "sweeps/other")
    assert tree(copied.path) == before and not (copied.path / "tm-tune-x").exists()
    with copied.folder.working(), record.folder.working():
        copied.study.report(3, 2, 0.875)
    assert tree(record.path) == before
    assert command("delete", "gm", "--yes") == 0
    assert len(SweepRecord.open(copied.path).study.asked()) == 4


def test_a_link_and_a_part_of_a_sweep_are_not_touched(command, start_sweep, tmp_path):
    record = start_sweep()
    start_sweep("e", root=record.folder.evaluations)
    (tmp_path / "sweeps/link").symlink_to(record.path)
    before = tree(tmp_path)
    assert "is a link" in command.refused("delete", "link", "--yes")
    assert "lies in the sweep" in command.refused("delete", "sweeps/gm/evaluations/e", "--yes")
    assert tree(tmp_path) == before


def test_what_a_killed_deletion_leaves_is_no_sweep_and_goes_with_the_next(command, start_sweep, tmp_path, monkeypatch):
    start_sweep(trials=TRIALS), start_sweep("second")
    with monkeypatch.context() as patched:
        patched.setattr(moving.shutil, "rmtree", lambda path: os._exit(9))
        killed = os.fork()
        if not killed:
            moving.delete_sweep(tmp_path / "sweeps/gm")
        assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    assert command("list", "--json") == 0
    assert [one["name"] for one in json.loads(command.out)["sweeps"]] == ["second"]
    assert len(moving.remains(tmp_path / "sweeps")) == 1
    assert command("delete", "second", "--yes") == 0
    assert list((tmp_path / "sweeps").iterdir()) == []


@pytest.mark.parametrize("arguments", [["list"], ["status", "gm"], ["logs", "gm"], ["copy", "gm", "a", "--yes"]])
def test_they_need_no_torch(start_sweep, tmp_path, arguments):
    start_sweep(trials=TRIALS)
    code = (
        "import sys; from tune_mixup.cli import run\n"
        f"code = run({arguments!r})\n"
        "print(code, [name for name in ('torch', 'ray', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
