"""Making a table: what is trained, in which order, what a kill leaves, and what a later call still trains."""

import itertools
import math
import tarfile
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks import curve_maker, table_data
from benchmarks.curve_maker import TABLES, TESTED_ON, Trial, grid, make, train, trials
from benchmarks.recorded_curves import AXES, EPOCHS, MEASURED, Table, describe, read_rows, read_table, write_rows
from tune_mixup import Trainer, TrialConfig
from tune_mixup.data.front_ends import spectrograms
from tune_mixup.data.loading import load_test

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
"""Real data beside the checkout; may be absent."""

ABOUT = {"fixed": {"data.name": "synthetic"}}
TINY = {
    "data.name": "synthetic",
    "data.num_train": 60,
    "data.size": 8,
    "data.batches": "stratified",
    "mixing.name": "generalized_mixup",
    "model.width": 1,
    "training.batch_size": 20,
    "training.epochs": 3,
}


class Stub:
    """In the place of a process: rows at once, and a note of what was asked for; stands still after `after` trials."""

    asked: list[tuple[float, ...]] = []
    after = math.inf

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def start(self, call, trial):
        if len(Stub.asked) >= Stub.after:
            raise KeyboardInterrupt
        Stub.asked.append(tuple(trial.key.values()))
        self.trial = trial

    def running(self, timeout_s):
        return False

    def result(self):
        return [made_up_row(self.trial.key, epoch) for epoch in range(1, EPOCHS + 1)]


def made_up_row(key, epoch):
    accuracy = round(0.5 + 0.01 * key["seed"] + 0.001 * epoch + 0.01 * key["mixing.alpha"], 5)
    return {**key, "epoch": epoch, **dict.fromkeys(MEASURED, accuracy)}


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(curve_maker, "Rival", Stub)
    monkeypatch.setattr(Stub, "asked", [])
    monkeypatch.setattr(Stub, "after", math.inf)


def wanted(seeds=2):
    return [Trial({}, {"seed": seed, **setting}) for seed in range(seeds) for setting in grid()]


def test_all_settings_of_a_seed_come_before_those_of_the_next():
    settings = [
        {"optimizer.lr": lr, "mixing.alpha": alpha, "mixing.gamma": gamma}
        for lr in AXES["optimizer.lr"]
        for alpha in AXES["mixing.alpha"]
        for gamma in AXES["mixing.gamma"]
    ]
    for name in TABLES:
        made = trials(name, {})
        assert [trial.key for trial in made] == [{"seed": seed, **each} for seed in range(8) for each in settings]
        for trial in made[::97]:
            where = {"data.path": "/somewhere"} if TABLES[name]["data.name"] == "imagefolder" else {}
            assert TrialConfig.from_dotted(trial.settings, where).seed == trial.key["seed"]
            assert trial.settings.items() >= {**trial.key, "training.epochs": EPOCHS}.items()


def test_after_a_kill_only_what_is_missing_is_trained(tmp_path, made_up):
    path = tmp_path / "curves.parquet"
    Stub.after = 130
    with pytest.raises(KeyboardInterrupt):
        make(path, wanted(), ABOUT, minutes=1, processes=2)
    frame, about = read_rows(path)
    kept = set(frame[["seed", *AXES]].itertuples(index=False, name=None))
    assert about == ABOUT and len(frame) == len(kept) * EPOCHS and len(kept) in (129, 130)
    assert read_table(path).accuracy.shape == (105, 1, EPOCHS), "of the second seed not all is there"

    Stub.after, before = math.inf, list(Stub.asked)
    Stub.asked.clear()
    assert make(path, wanted(), ABOUT, minutes=1, processes=2) == 0
    assert len(Stub.asked) == 210 - len(kept) and not kept & set(Stub.asked) and kept <= set(before)
    table = read_table(path)
    assert table.settings == grid() and table.accuracy.shape == (105, 2, EPOCHS)
    for place, seed, epoch in [(0, 0, 1), (104, 1, 27), (37, 1, 5)]:
        expected = made_up_row({"seed": seed, **grid()[place]}, epoch)["val_accuracy"]
        assert table.accuracy[place, seed, epoch - 1] == pytest.approx(expected, abs=1e-6)
    Stub.asked.clear()
    assert make(path, wanted(), ABOUT, minutes=1) == 0 and not Stub.asked


def test_when_the_minutes_are_up_nothing_begins(tmp_path, made_up):
    assert make(tmp_path / "curves.parquet", wanted(), ABOUT, minutes=0) == 210
    assert not Stub.asked and not list(tmp_path.iterdir())


def test_a_table_of_other_settings_is_not_gone_on_with(tmp_path, made_up):
    path = tmp_path / "curves.parquet"
    write_rows(path, pd.DataFrame([made_up_row(wanted()[0].key, 1)]), {"fixed": {"data.name": "digits"}})
    with pytest.raises(ValueError, match="move it away"):
        make(path, wanted(), ABOUT, minutes=1)


def test_a_trial_is_what_the_trainer_says():
    setting = {"optimizer.lr": 0.1, "mixing.alpha": 0.5, "mixing.gamma": 0.5}
    rows = train(Trial({**TINY, **setting, "seed": 1}, {"seed": 1, **setting}))
    reports = Trainer(TrialConfig.from_dotted({**TINY, **setting, "seed": 1})).run()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["val_accuracy"] for row in rows] == [report["val_accuracy"] for report in reports]
    assert all(row.items() >= {"seed": 1, **setting}.items() for row in rows)


def test_what_a_trial_is_worth_is_told_by_images_that_no_search_sees(tmp_path):
    setting = {"optimizer.lr": 0.1, "mixing.alpha": 0.5, "mixing.gamma": 0.5}
    made = {**TINY, **setting, "data.num_test": 50, "seed": 1}
    rows = train(Trial(made, {"seed": 1, **setting}, tested_on=40))
    trainer = Trainer(TrialConfig.from_dotted(made))
    trainer.run()
    images, targets = load_test(trainer.config.data, device=torch.device("cpu"))
    right = (trainer.step.network.logits(images[:40]).argmax(1) == targets[:40]).double().mean()
    assert rows[-1]["test_accuracy"] == pytest.approx(float(right)) and "test_accuracy" not in rows[0]

    every = [made_up_row({"seed": seed, **each}, epoch) for seed in (0, 1) for each in grid() for epoch in range(1, 28)]
    write_rows(tmp_path / "without", pd.DataFrame(every), ABOUT)
    assert (table := read_table(tmp_path / "without")).tested is None
    assert table.final.tolist() == table.accuracy[:, :, -1].tolist()
    for row in every:
        if row["epoch"] == EPOCHS:
            row["test_accuracy"] = row["seed"] + row["mixing.alpha"] / 100
    every[-1].pop("test_accuracy")  # diverged
    write_rows(tmp_path / "with", pd.DataFrame(every), ABOUT)
    final = read_table(tmp_path / "with").final
    assert final.shape == (105, 2) and final[0].tolist() == pytest.approx([0.0005, 1.0005]) and final[-1, 1] == 0


def test_epochs_after_a_divergence_are_empty_and_read_as_zero(tmp_path):
    setting = {"optimizer.lr": 1e9, "mixing.alpha": 0.5, "mixing.gamma": 0.5}
    rows = train(Trial({**TINY, **setting}, {"seed": 0, **setting}))
    assert len(rows) == 3 and all(np.isnan(rows[-1][name]) for name in MEASURED)


def test_images_are_made_small_and_no_more_than_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(table_data, "EACH", {"train": 2, "test": 1})
    with tarfile.open(tmp_path / "images.tar.xz", "w:xz") as packed:
        for part, name, number in itertools.product(("train", "test"), ("cat", "dog"), range(3)):
            file = tmp_path / part / name / f"{number:04}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (200, 100, 50)).save(file)
            packed.add(file, f"{part}/{name}/{file.name}")
    table_data.shrink(tmp_path / "images.tar.xz", made := tmp_path / "made")
    found = sorted(str(file.relative_to(made)) for file in made.rglob("*.png"))
    train = [f"train/{name}/000{number}.png" for name in ("cat", "dog") for number in (0, 1)]
    assert found == ["test/cat/0000.png", "test/dog/0000.png", *train]
    with Image.open(made / found[0]) as image:
        assert image.size == (16, 16)
        assert image.getpixel((8, 8)) == pytest.approx((200, 100, 50), abs=3)  # JPEG loses a little


ARCHIVES = [
    ("speech", "speech-commands-digits.tar.xz", {"train": 600}, (300, 1, 16, 25)),
    ("tiny_imagenet", "tiny-imagenet-200-subset.tar.xz", {"train": 1000, "test": 1000}, (500, 3, 16, 16)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "archive", "counts", "shape"), ARCHIVES, ids=["speech", "tiny_imagenet"])
def test_a_trial_on_real_data_runs(name, archive, counts, shape, monkeypatch):
    if not (SHARED / archive).is_file():
        pytest.skip("needs the shared data folder beside the checkout")
    monkeypatch.setenv("TUNE_MIXUP_DATA", str(SHARED))
    with table_data.data_of(name) as where:
        files = list(Path(where["data.path"]).rglob("*.png"))
        assert Counter(file.parts[-3] for file in files) == counts
        per_class = Counter(file.parts[-3:-1] for file in files)
        assert len(set(per_class.values())) == 1  # as many of each class
        trial = trials(name, where)[0]
        short = {**trial.settings, "training.epochs": 1, "training.compile": "none"}
        assert Trainer(TrialConfig.from_dotted(short)).data.train.images.shape == shape
        (row,) = train(trial._replace(settings=short))
    assert 0 <= row["val_accuracy"] <= 1 and ("test_accuracy" in row) == (name in TESTED_ON)
    assert not Path(where["data.path"]).exists()


def test_words_are_drawn_as_means_of_their_log_mel_pictures(tmp_path):
    """By a loop over blocks of four bands and four frames, levels from the least to the most of all."""
    rng = np.random.default_rng(0)
    with tarfile.open(tmp_path / "words.tar", "w") as packed:
        sounds = {}
        for word, count in (("ja", 16_000), ("nee", 8000)):
            sounds[word] = rng.integers(-9000, 9000, count, dtype=np.int16)
            with wave.open(str(tmp_path / "a.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(sounds[word].tobytes())
            packed.add(tmp_path / "a.wav", f"words/{word}/a_nohash_0.wav")
    table_data.picture_words(tmp_path / "words.tar", tmp_path / "made")
    means = {}
    for word, samples in sounds.items():
        whole = np.concatenate([samples / 32768, np.zeros(16_000 - len(samples))])
        picture = spectrograms(torch.from_numpy(whole)[None], "logmel")[0, 0].numpy()
        means[word] = [[picture[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean() for j in range(25)] for i in range(16)]
    low, high = np.min(list(means.values())), np.max(list(means.values()))
    for word, expected in means.items():
        with Image.open(tmp_path / "made" / "train" / word / "a_nohash_0.png") as image:
            assert image.mode == "L" and image.size == (25, 16)
            found = np.asarray(image)
        np.testing.assert_allclose(found, 255 * (np.array(expected) - low) / (high - low), atol=0.51)


@pytest.mark.slow
def test_two_processes_make_a_table(tmp_path):
    path = tmp_path / "curves.parquet"
    setting = {"optimizer.lr": 0.1, "mixing.alpha": 0.5, "mixing.gamma": 0.5}
    both = [Trial({**TINY, **setting, "seed": seed}, {"seed": seed, **setting}) for seed in (0, 1, 2)]
    assert make(path, both, ABOUT, minutes=5) == 0
    frame, _ = read_rows(path)
    assert list(frame["seed"]) == [0] * 3 + [1] * 3 + [2] * 3 and list(frame["epoch"]) == [1, 2, 3] * 3
    expected = [row["val_accuracy"] for trial in both for row in train(trial)]
    assert frame["val_accuracy"].tolist() == pytest.approx(expected, abs=1e-5)


def test_what_a_table_is_like():
    """Settings a tenth of a point apart, seeds that move all alike by up to two points and each by one, at random."""
    rng = np.random.default_rng(0)
    own = rng.normal(0, 0.01, (105, 8))
    final = 0.8 - 0.001 * np.arange(105)[:, None] + 0.02 * rng.uniform(-1, 1, 8) + own - own.mean(axis=1, keepdims=True)
    about = describe(Table([{}] * 105, np.repeat(final[:, :, None], 3, axis=2), {}))
    assert about["settings"] == 105 and about["seeds"] == 8
    assert about["best"] - about["median"] == pytest.approx(5.2) and about["best_tenth_spread"] == pytest.approx(0.9)
    assert about["seed_sd"] == pytest.approx(1.0, rel=0.1)
