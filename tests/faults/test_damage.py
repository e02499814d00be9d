"""Bits flipped in each file of a sweep that was killed in the middle: it is found, or it changes nothing."""

import random
import shutil
from collections import Counter

import pytest
from real_sweep import CONFIG, outcome, work

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session
from tune_mixup.training.trainer import Trainer

pytestmark = pytest.mark.slow
FLIPS = 8
"""In each kind of file."""


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    """A sweep that was killed in a late trial, beyond the rung, and what comes of it."""
    root = tmp_path_factory.mktemp("damage")
    record = SweepRecord.create(root, "s", CONFIG.model_dump(mode="json"), direction=CONFIG.direction)
    train_epoch = Trainer.train_epoch

    def killed(trainer):
        report = train_epoch(trainer)
        if trainer.folder.path.name > "t0003" and trainer.epoch == 4:
            raise Killed
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_epoch", killed)
        with pytest.raises(Killed):
            work(record)
    record.folder.note_opening({"trial": 0})
    whole = root / "whole" / "s"
    shutil.copytree(record.path, whole)
    work(SweepRecord.open(whole))
    return record.path, outcome(SweepRecord.open(whole))


def files(path):
    """One of each kind, of ended trials and of the unfinished one."""
    names = ["sweep.yaml", "study.journal", "runs.jsonl", "metered.jsonl", "evaluations/test_split.jsonl"]
    asked = SweepRecord.open(path).study.asked()
    of_state = {trial.state.name: path / "trials" / f"t{trial.number:04}" for trial in asked}
    ended, unfinished = of_state["COMPLETE"], of_state["RUNNING"]
    of_trials = [
        *(folder / name for folder in (ended, unfinished) for name in ("config.yaml", "epochs.jsonl", "checkpoint.pt")),
        unfinished / "checkpoint.previous.pt",
    ]
    return [*(path / name for name in names), *(file for file in of_trials if file.exists())]


def metrics(rows):
    return [{key: value for key, value in row.items() if key in ("epoch", "val_nll")} for row in rows]


def test_a_flipped_bit_is_found_or_changes_nothing(sweeps, tmp_path):
    path, expected = sweeps
    draw, found = random.Random(0), Counter()
    kinds = [file.relative_to(path) for file in files(path)]
    assert len(kinds) == 11
    for kind in kinds:
        for number in range(FLIPS):
            copy = tmp_path / f"{number}" / "s"
            shutil.copytree(path, copy)
            content = bytearray((copy / kind).read_bytes())
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            (copy / kind).write_bytes(content)
            before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file() and file.suffix != ".lock"}
            try:
                work(SweepRecord.open(copy))
            except ValueError as error:
                assert kind.name in str(error) and "\n" not in str(error)
                assert kind.name in ("sweep.yaml", "study.journal"), "everything else can be written again"
                after = {file: file.read_bytes() for file in before}
                assert after == before, "who refuses changes nothing"
                found[kind.name, "refused"] += 1
            else:
                result = outcome(SweepRecord.open(copy))
                for (*known, rows), (*expected_known, expected_rows) in zip(result, expected, strict=True):
                    assert known == expected_known
                    assert metrics(rows) == metrics(expected_rows)
                found[kind.name, "went on"] += 1
            shutil.rmtree(copy.parent)
    print(dict(found))
    assert sum(found.values()) == FLIPS * len(kinds)
    assert found["sweep.yaml", "refused"] >= FLIPS - 2 and found["study.journal", "refused"] >= FLIPS - 2


def test_the_sweep_without_damage_comes_to_the_same_end(sweeps, tmp_path):
    path, expected = sweeps
    shutil.copytree(path, tmp_path / "s")
    session = Session.open(SweepRecord.open(tmp_path / "s"), CONFIG)
    assert len(session.queue) == 1
    work(SweepRecord.open(tmp_path / "s"))
    assert outcome(SweepRecord.open(tmp_path / "s")) == expected
