"""Spoken digits from the search to the test, by the verbs that a newcomer calls."""

import json
import tarfile
from pathlib import Path

import pytest

from tune_mixup import load_sweep
from tune_mixup.cli import run
from tune_mixup.record.trial_folder import TrialFolder

DIGITS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "speech-commands-digits.tar.xz"
SMALL = {"data.front_end": "logmel", "model.width": 1, "training.epochs": 2, "training.batch_size": 30}


@pytest.mark.slow
@pytest.mark.skipif(not DIGITS.is_file(), reason="needs the shared data folder beside the checkout")
@pytest.mark.usefixtures("ray_session")
def test_words_are_searched_exported_trained_tested_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with tarfile.open(DIGITS) as archive:
        kept = ("one", "two", "validation_list.txt", "testing_list.txt")
        words = [one for one in archive if one.name.split("/")[2] in kept]
        archive.extractall(tmp_path, members=words, filter="data")
    folder = next((tmp_path / "SpeechCommands").iterdir())
    data = ["--set", f"data.path={folder}"]

    def call(*words):
        capsys.readouterr()
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    small = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    call("sweep", "spoken_words", "--trials", 2, *data, *small)
    trials = load_sweep("sweeps/spoken_words").trials()
    assert len(trials) == 2 and "COMPLETE" in set(trials["state"])
    (best, *_) = json.loads(call("leaderboard", "spoken_words", "--json"))["rows"]
    call("export", "spoken_words", "--to", "best.yaml")
    call("train", "--config", "best.yaml", "--threads", 1, "--out", "again")
    again = TrialFolder(tmp_path / "again")
    assert again.read_epochs()[-1]["val_accuracy_median"] == pytest.approx(best["val_accuracy_median"], abs=1e-6)
    waveforms = ("--set", "data.mix_on=waveforms")
    call("train", "--config", "best.yaml", "--threads", 1, *waveforms, "--out", "other")
    assert TrialFolder(tmp_path / "other").read_epochs()[-1]["train_loss"] != again.read_epochs()[-1]["train_loss"]
    tested = json.loads(call("evaluate", "spoken_words", "--top", 1, "--seeds", 1, "--json").splitlines()[-1])
    assert 0 <= tested["rows"][0]["test_accuracy_mean"] <= 1
    call("gallery", "--set", "data.name=speech_commands", "--set", "data.task=all", *data, "--to", "words.png")
    assert (tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")
