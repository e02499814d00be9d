"""Sweeps of before the record had a format number: one that is finished, one whose driver was killed in a trial.

`before_formats.tar.xz` was made by the code of commit e112516 with `s.py`, which is in it; both sweeps have the same
space and seed and one slot, so the killed one must come to the end that the finished one has.
"""

import json
import tarfile
from pathlib import Path

import pytest
import torch

from tune_mixup import load_sweep
from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.analysis.export import export
from tune_mixup.cli import run
from tune_mixup.cluster.sweep import resume
from tune_mixup.config import TrialConfig
from tune_mixup.record.folder import FORMAT
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.explanation import explain_sweep
from tune_mixup.search.replay import replay
from tune_mixup.training.trainer import Trainer


def decisions_of(sweep):
    """Every decision of a sweep, trial by trial."""
    asked = sweep.record.study.asked()
    return [sweep.record.study.facts(trial.number).decisions for trial in asked]


@pytest.fixture
def old(tmp_path):
    with tarfile.open(Path(__file__).with_name("before_formats.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_a_finished_sweep_reads_explains_and_exports(old):
    sweep = load_sweep(old / "finished")
    assert sweep.trials()["state"].tolist() == [
        "COMPLETE", "PRUNED", "PRUNED", "PRUNED", "COMPLETE", "PRUNED", "PRUNED", "PRUNED"
    ]  # fmt: skip
    assert len(sweep.epochs()) == sweep.trials()["epoch"].sum()
    assert (sweep.best.trial, sweep.best.epoch) == (4, 9) and sweep.best.params["optimizer.name"] == "adamw"
    assert sweep.config.trials == 8 and sweep.config.sampler.name == "tpe" and sweep.config.stopping.name == "asha"
    assert sweep.config.stopping.grace_epochs == 2 and sweep.config.stopping.strata == "none"

    found = explain_sweep(sweep.record)
    assert [one["trial"] for one in found["trials"] if one["state"] == "PRUNED"] == [1, 2, 3, 5, 6, 7]
    asks = [event for event in replay(sweep.record) if event.kind == "ask"]
    assert len(asks) == 8 and all(event.again for event in asks), "every ask comes out again; a third is rounded up now"

    assert export(sweep.record, 2, old / "best.yaml") == 2
    (best, _) = (TrialConfig.parse(values) for values in read_configurations(old / "best.yaml"))
    assert best == sweep.best_config and best.optimizer.name == "adamw"


def test_the_command_line_reads_it(old, capsys):
    assert run(["leaderboard", "finished", "--root", str(old), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["trial"] for row in rows[:2]] == [4, 0] and rows[0]["rank"] == 1
    assert run(["explain", "finished", "4", "--root", str(old)]) == 0
    assert capsys.readouterr().out.startswith("t0004 COMPLETE at epoch 9")


def counts_as_then(old):
    """Whether this processor comes to the numbers that were recorded on another.

    Rounding differs among their kinds, and nine epochs of training make much of it.
    """
    sweep = load_sweep(old / "finished")
    then = sweep.epochs().query("trial == 4")["val_nll"].tolist()
    now = [row["val_nll"] for row in Trainer(sweep.trial_config(4), device="cpu").run()]
    return now == pytest.approx(then, rel=1e-4)


@pytest.mark.usefixtures("one_thread")
def test_a_checkpoint_of_before_is_trained_on_with_the_same_numbers(old):
    config = load_sweep(old / "killed").trial_config(4)
    folder = old / "killed" / "trials" / "t0004"
    held = torch.load(folder / "checkpoint.pt", weights_only=True)
    trainer = Trainer(config, folder=folder, device="cpu")
    assert 0 < trainer.epoch == held["epoch"] < 9
    history = [row["val_nll"] for row in held["history"]]
    # what its weights measure is what was measured with them: that is not trained, so it holds on any processor
    assert trainer.evaluate(trainer.data.validation)["nll"] == pytest.approx(history[-1], rel=1e-4)
    moments = [value for one in trainer.state_dict()["optimizer"]["state"].values() for value in one.values()]
    then = [value for one in held["optimizer"]["state"].values() for value in one.values()]
    assert len(moments) == len(then) > 0 and all(torch.equal(a, b) for a, b in zip(moments, then, strict=True))

    went_on = [row["val_nll"] for row in trainer.run()]
    assert went_on[: len(history)] == history and len(went_on) == 9
    if counts_as_then(old):
        whole = [row["val_nll"] for row in Trainer(config, device="cpu").run()]
        assert went_on == pytest.approx(whole, rel=1e-4)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_what_it_had_and_decides_by_todays_rule(old, ray_session):
    begun = decisions_of(load_sweep(old / "killed"))
    resume(old / "killed")
    killed, finished = load_sweep(old / "killed"), load_sweep(old / "finished")
    assert killed.record.folder.config()["format"] == FORMAT
    assert len(begun) == 5 and decisions_of(killed)[:4] == begun[:4] == decisions_of(finished)[:4]
    assert len(killed.trials()) == 8 and set(killed.trials()["state"]) <= {"COMPLETE", "PRUNED"}
    asks = [event for event in replay(killed.record) if event.kind == "ask"]
    assert len(asks) == 8 and all(event.again for event in asks)
    if counts_as_then(old):
        columns = ["trial", "state", "epoch", "reason", "optimizer.lr", "mixing.alpha", "optimizer.name"]
        assert killed.trials()[columns][:6].equals(finished.trials()[columns][:6])
        first = decisions_of(killed)[6][0]  # then a third was rounded down: number 3 of 7 was stopped
        assert (first.rank, first.of, first.stop, decisions_of(finished)[6][0].stop) == (3, 7, False, True)


def test_a_later_format_is_refused_in_one_line(old):
    record = SweepRecord.open(old / "finished")
    record.folder.write_config({**record.folder.config(), "format": FORMAT + 1})
    before = sorted((path, path.stat().st_mtime_ns) for path in (old / "finished").rglob("*"))
    for command in ("leaderboard", "explain", "resume", "export"):
        assert run([command, "finished", "--root", str(old), *(["--to", "x.yaml"] if command == "export" else [])]) == 2
    with pytest.raises(ValueError, match=f"a record of format {FORMAT + 1}, but this version .* up to {FORMAT};"):
        load_sweep(old / "finished").leaderboard()
    after = sorted((path, path.stat().st_mtime_ns) for path in (old / "finished").rglob("*"))
    assert [one for one in after if one[0].name != "lock"] == before
