import errno
import json
import os
import random
from collections import Counter

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from tune_mixup.record.files import StorageFault
from tune_mixup.record.journal import Journal, repair

SPACE = {"alpha": FloatDistribution(0, 2)}


def search(path, trials):
    path.touch()
    study = optuna.create_study(study_name="s", storage=JournalStorage(Journal(path)), load_if_exists=True)
    for _ in range(trials):
        trial = study.ask(SPACE)
        trial.report(trial.params["alpha"], 1)
        study.tell(trial, trial.params["alpha"])
    return study


def seen(study):
    return [(t.state, t.params, t.intermediate_values, t.value) for t in study.trials]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "study.journal"
    search(path, 3)
    return path


def load(path, backend=Journal):
    return optuna.load_study(study_name="s", storage=JournalStorage(backend(path)))


def test_optunas_own_backend_reads_the_same(path):
    assert seen(load(path, lambda path: JournalFileBackend(str(path)))) == seen(load(path))
    assert len(seen(load(path))) == 3


def test_another_process_sees_what_was_added_later(path):
    early, late = load(path), load(path)
    for _ in range(2):
        late.tell(late.ask(SPACE), 1.0)
        assert seen(early) == seen(late)
    assert len(seen(early)) == 5


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.sampled_from([b"", b"\n", bytes(512), bytes(512) + b"\n", b"\xff\xfe\n", b"5\n"]))
def test_after_a_power_cut_all_whole_operations_are_there_and_work_goes_on(path, share, garbage):
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    cut = len(lines[0]) + round(share * (len(whole) - len(lines[0])))
    path.write_bytes(whole[:cut] + garbage)
    complete = [line for line in lines if whole.index(line) + len(line.rstrip()) <= cut]
    try:
        assert load(path).study_name == "s"  # whoever only reads is not troubled
        kept = repair(path)
        left = path.read_bytes()
        assert left in (b"".join(complete), b"".join(complete[:-1]))  # a line that garbage ran into is torn too
        assert (kept.kept.read_bytes() if kept else b"") == (whole[:cut] + garbage)[len(left) :]
        assert repair(path) is None and path.read_bytes() == left
        study = search(path, 1)
        assert study.trials[-1].state == TrialState.COMPLETE
    finally:
        path.write_bytes(whole)


def test_a_whole_last_line_that_only_lacks_its_end_is_kept(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert repair(path) is None and path.read_bytes() == whole


def test_damage_in_the_middle_is_refused_and_nothing_changed(path):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = bytes(len(lines[4]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    for touch in (repair, load):
        with pytest.raises(ValueError, match="line 5 is damaged and whole lines follow") as caught:
            touch(path)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"".join(lines)
    assert len(list(path.parent.glob("*torn*"))) == 0


def test_every_flipped_bit_is_found_and_nothing_but_a_last_report_is_cut_for_it(path):
    study = load(path)
    study.ask(SPACE).report(0.5, 1)  # so that the last line is a report, which comes back from the trial's folder
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    draw = random.Random(0)
    found = Counter()
    for bit in draw.sample(range(8 * len(whole)), 1500):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            cut = repair(path)
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error) and path.read_bytes() == changed
            found["refused"] += 1
            continue
        if cut is None:  # the end of the last line
            assert path.read_bytes() == whole
        else:
            assert path.read_bytes() == b"".join(lines[:-1]) and cut.lines in ((), ("set trial intermediate value",))
            assert cut.kept.read_bytes() == bytes(changed)[len(whole) - len(lines[-1]) :]
        found["mended"] += 1
    assert sum(found.values()) == 1500 and found["refused"] > 1200 and found["mended"] > 20


def test_a_missing_line_is_found_wherever_it_was(path):
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for missing in range(len(lines) - 1):  # the last one: the trials' folders tell
        left = b"".join(lines[:missing] + lines[missing + 1 :])
        path.write_bytes(left)
        for touch in (repair, load):
            with pytest.raises(ValueError, match=f"before line {missing + 1} is missing|line {missing + 1} is damaged"):
                touch(path)
        assert path.read_bytes() == left


@pytest.mark.parametrize(("trial_ends", "says"), [(False, "set trial intermediate value"), (True, "set trial state")])
def test_a_last_line_that_was_changed_is_cut_only_where_it_comes_back_from_elsewhere(path, trial_ends, says):
    study = load(path)
    trial = study.ask(SPACE)
    trial.report(0.5, 7)
    if trial_ends:
        study.tell(trial, 0.5)
    content = path.read_bytes()
    place = content.rindex(b"0.5")
    changed = content[:place] + b"0.7" + content[place + 3 :]
    path.write_bytes(changed)
    if trial_ends:
        for touch in (repair, load):
            with pytest.raises(ValueError, match=f"was changed since it was written .{says}"):
                touch(path)
        assert path.read_bytes() == changed and len(list(path.parent.glob("*torn*"))) == 0
    else:
        assert repair(path).lines == (says,)
        assert load(path).trials[-1].intermediate_values == {}


def test_a_journal_of_before_is_read_and_what_is_added_to_it_has_checksums(path):
    plain = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in plain:
        del line["crc"]
    old = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in plain).encode()
    path.write_bytes(old)
    before = seen(load(path))
    study = search(path, 1)
    content = path.read_bytes()
    assert seen(study)[:3] == before and content.startswith(old) and b'"crc"' in content[len(old) :]
    changed = content.replace(b'"op_code":4', b'"op_code":9', 1)
    path.write_bytes(changed)  # in a line of before: the checksum of the first new line covers all lines up to it
    with pytest.raises(ValueError, match="missing|damaged"):
        load(path)


def test_a_failed_write_leaves_nothing_of_itself(path, monkeypatch):
    study, before = load(path), path.read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFault, match="No space left") as caught:
        study.ask(SPACE)
    assert caught.value.filename == str(path) and path.read_bytes() == before
    monkeypatch.undo()
    assert study.ask(SPACE).number == 3


def test_a_short_write_is_a_full_disk(path, monkeypatch):
    study, before = load(path), path.read_bytes()
    opened = open

    def narrow(*args, **kwargs):
        file = opened(*args, **kwargs)
        return file if "a" not in args[1] else Narrow(file)

    class Narrow:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            return self.file.write(content[: len(content) // 2])

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

    monkeypatch.setattr("builtins.open", narrow)
    with pytest.raises(StorageFault, match="No space left"):
        study.ask(SPACE)
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_reports_wait_for_no_disk_and_everything_else_does(path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(json.loads(path.read_bytes().splitlines()[-1])))
    study = load(path)
    trial = study.ask(SPACE)
    asked = len(synced)
    trial.report(0.5, 1)
    assert asked > 0 and len(synced) == asked
    study.tell(trial, 0.5)
    assert len(synced) > asked
    assert fsync is not os.fsync
