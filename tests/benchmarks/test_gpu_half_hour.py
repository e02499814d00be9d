"""The parts as processes: time limits, faults, what is dropped, and what is left of it all."""

import os
import signal
import sys
import time

import pytest

from benchmarks.gpu import half_hour, process
from benchmarks.gpu.half_hour import dropped, folded, run
from benchmarks.gpu.part import leave
from benchmarks.gpu.parts import PARTS, Part
from benchmarks.gpu.process import Ended, append, lines


def python(code):
    return [sys.executable, "-c", code]


def test_a_process_that_ends_well_has_not_failed():
    ended = process.run(python("import sys; print('careful', file=sys.stderr)"), limit_s=60)
    assert ended.failed is None and ended.seconds > 0


def test_one_that_fails_says_why_in_the_last_line_of_its_errors():
    ended = process.run(python("print(); raise RuntimeError('CUDA error: an illegal memory access')"), limit_s=60)
    assert ended.failed == "exit code 1: RuntimeError: CUDA error: an illegal memory access"


def test_one_that_is_killed_is_told_by_the_signal():
    ended = process.run(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), limit_s=60)
    assert ended.failed == "killed by SIGKILL"


def test_at_the_limit_it_is_killed_with_all_that_it_has_started(tmp_path, monkeypatch):
    """Both it and its child take no notice of SIGTERM; a pipe that both hold ends only when both are gone."""
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    read, write = os.pipe()
    os.set_inheritable(write, True)
    popen = process.subprocess.Popen
    monkeypatch.setattr(
        process.subprocess, "Popen", lambda *words, **options: popen(*words, close_fds=False, **options)
    )
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork() and "
        "print('still there', file=sys.stderr, flush=True); time.sleep(600)"
    )
    began = time.monotonic()
    ended = process.run(python(code), limit_s=1.5)
    os.close(write)
    assert os.read(read, 1) == b"", "nobody is left who could write"
    os.close(read)
    assert ended.failed == "the limit of 2 s was up: still there" and time.monotonic() - began < 30


def test_before_it_is_killed_it_may_put_away_what_would_outlive_it(tmp_path):
    code = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))\n"
        "try:\n    time.sleep(600)\n"
        f"finally:\n    pathlib.Path({str(tmp_path / 'away')!r}).touch()"
    )
    ended = process.run(python(code), limit_s=1.5)
    assert (tmp_path / "away").exists() and ended.failed.endswith(": stopped")


def test_a_part_leaves_at_sigterm_as_by_an_exception():
    with pytest.raises(SystemExit, match="stopped by SIGTERM"):
        leave(signal.SIGTERM, None)


def test_a_line_that_was_cut_off_harms_no_other(tmp_path):
    path = tmp_path / "journal"
    assert list(lines(path)) == []
    append(path, {"part": "one"})
    with path.open("a") as file:
        file.write('{"part": "tw\n')
    append(path, {"part": "three"})
    assert list(lines(path)) == [{"part": "one"}, {"part": "three"}]


def part(about_s=10.0, worth=5, beside=False, module="checks"):
    return Part("a part", module, about_s, worth, beside=beside)


def test_the_least_worth_is_dropped_until_the_rest_fits_and_of_equals_the_later():
    pending = {"a": part(worth=9), "b": part(worth=1), "c": part(worth=4), "d": part(worth=4)}
    assert dropped(pending, 40.0) == []
    assert dropped(pending, 39.0) == ["b"]
    assert dropped(pending, 25.0) == ["b", "d"]
    assert dropped(pending, 0.5) == ["b", "d", "c", "a"]
    together = {name: part(beside=True) for name in "abcd"}
    assert dropped(together, 10.0) == [], "four at a time"


@pytest.fixture
def driven(monkeypatch, tmp_path):
    """Runs made-up parts; what each one does is a function of its name that may append to the journal."""
    journal = tmp_path / "journal"
    at_work, most = [], []

    def drive(parts, does, limit_s=1000.0):
        def made_up(command, *, limit_s):
            name = command[4]
            at_work.append(name)
            most.append(list(at_work))
            try:
                return does(name, journal)
            finally:
                at_work.remove(name)

        monkeypatch.setattr(half_hour.process, "run", made_up)
        ended = list(run("gpu_lean", parts, journal, limit_s=limit_s))
        return ended, folded(parts, journal), most

    return drive


def finds(name, journal):
    result = {"what": name, "value": 0, "at_most": 0, "unit": ""}
    append(journal, {"part": name, "result": result})
    return Ended(1.0, None)


def test_a_part_that_fails_keeps_what_it_had_and_costs_no_other(driven):
    def does(name, journal):
        ended = finds(name, journal)
        return Ended(2.0, "killed by SIGKILL") if name == "b" else ended

    ended, found, _ = driven({name: part() for name in "abc"}, does)
    assert ended == ["a", "b", "c"]
    assert found["failed"] == {"b": "killed by SIGKILL"} and found["seconds"] == {"a": 1.0, "b": 2.0, "c": 1.0}
    assert [row["measurement"] for row in found["rows"]] == ["a", "b", "c", "a part"]
    assert (found["rows"][-1]["value"], found["rows"][-1]["note"]) == (None, "failed: killed by SIGKILL")


def test_a_check_that_finds_a_difference_has_failed(driven):
    def does(name, journal):
        append(journal, {"part": name, "result": {"what": "graph", "value": 3, "at_most": 0, "unit": "tensors"}})
        return Ended(1.0, None)

    _, found, _ = driven({"a": part()}, does)
    assert found["failed"] == {"a": "graph: 3"} and found["rows"][0]["met"] is False


def test_what_has_no_time_left_is_dropped_and_said(driven):
    parts = {"a": part(about_s=10), "b": part(about_s=10, worth=1), "c": part(about_s=10)}
    ended, found, _ = driven(parts, finds, limit_s=25.0)
    assert ended == ["b", "a", "c"]
    assert found["dropped"] == {"b": "not begun: 25 s are too short for all"} and found["failed"] == {}
    assert found["rows"][-1]["note"] == found["dropped"]["b"]


def test_only_what_times_nothing_runs_beside_another(driven):
    def does(name, journal):
        time.sleep(0.1)
        return finds(name, journal)

    parts = {name: part(beside=name.islower()) for name in ("A", "b", "c", "d", "e", "f", "G", "h")}
    _, found, most = driven(parts, does)
    assert max(map(len, most)) == half_hour.TOGETHER
    assert all(len(names) == 1 for names in most if set(names) & {"A", "G"})
    assert list(found["measured"]) == list(parts), "in the order of the parts, however they ended"


def test_rows_that_cannot_be_made_lose_nothing_else(driven):
    parts = {"a": part(), "b": part(module="no_such_module")}
    _, found, _ = driven(parts, finds)
    assert [row["measurement"] for row in found["rows"]] == ["a", "rows of no_such_module"]
    assert "ModuleNotFoundError" in found["rows"][1]["note"] and set(found["measured"]) == {"a", "b"}


@pytest.mark.parametrize("cell", PARTS)
def test_a_cell_fits_eight_minutes_by_its_own_estimates(cell):
    assert dropped(PARTS[cell], 480.0) == [] and all(0 < one.about_s < one.limit_s for one in PARTS[cell].values())
