"""Five epochs of every method: what is trained, what a later call still trains, and what becomes of it."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import five_epochs
from tune_mixup.mixing import MIXERS

FEW = {"training.epochs": 2, "training.batch_size": 10, "model.width": 1, "data.augment.crop_padding": 1}
SMALL = {"side": 8, "each": 4, "settings": tuple(FEW.items())}


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """The methods that were trained, on noise in place of CIFAR-10."""

    def made_up(archive, folder, *, side, each):
        assert archive.name == "cifar10-imagefolder.tar.xz" and each == {"train": 4, "test": 10}
        noise = np.random.default_rng(0).integers(0, 256, (2, 10, 4, side, side, 3), dtype=np.uint8)
        for part, classes in zip(("train", "test"), noise, strict=True):
            for label, images in enumerate(classes):
                path = folder / part / str(label)
                path.mkdir(parents=True)
                for number, pixels in enumerate(images):
                    Image.fromarray(pixels).save(path / f"{number}.png")

    names = []
    train = five_epochs.train
    monkeypatch.setattr(five_epochs, "shrink", made_up)
    monkeypatch.setattr(five_epochs, "data_root", lambda: tmp_path)
    monkeypatch.setattr(five_epochs, "train", lambda settings: names.append(settings["mixing.name"]) or train(settings))
    return names


def test_every_method_is_trained_once_and_what_is_known_is_not_trained_again(trained, tmp_path):
    journal = tmp_path / "five_epochs.jsonl"
    grown = list(five_epochs.measure(journal=journal, methods=("erm", "mixup"), **SMALL))
    assert trained == ["erm", "mixup"] and [list(one["curves"]) for one in grown] == [["erm"], ["erm", "mixup"]]
    (last,) = list(five_epochs.measure(journal=journal, methods=("mixup", "erm", "cutmix"), limit_s=0.0, **SMALL))[-1:]
    assert trained == ["erm", "mixup"] and list(last["curves"]) == ["mixup", "erm"]
    assert last["curves"]["mixup"] == grown[-1]["curves"]["mixup"]
    assert [one["epoch"] for one in last["curves"]["mixup"]] == [1.0, 2.0]
    changed = {**SMALL, "settings": (*SMALL["settings"], ("seed", 1))}
    list(five_epochs.measure(journal=journal, methods=("mixup",), **changed))
    assert trained == ["erm", "mixup", "mixup"], "another seed is another trial"


def test_without_names_every_method_has_its_turn(trained, monkeypatch):
    curve = [{"epoch": 1.0, "train_loss": 2.0, "val_accuracy": 0.25, "val_nll": 2.0, "epoch_s": 1.0}]
    monkeypatch.setattr(five_epochs, "train", lambda settings: curve)
    *_, last = five_epochs.measure(**SMALL)
    assert list(last["curves"]) == list(MIXERS)
    assert len(last["rows"]) == len(MIXERS) - 1, "erm is what the others stand beside"


def test_rows_stand_beside_plain_training():
    def curve(*accuracies):
        return [{"epoch": float(n), "val_accuracy": one} for n, one in enumerate(accuracies, start=1)]

    about = {"settings": {"training.epochs": 2}, "each": 500}
    (row,) = five_epochs.found(about, {"erm": curve(0.1, 0.5), "cutmix": curve(0.2, 0.375)})["rows"]
    assert "cutmix after 2 epochs of tiny_resnet on 5,000 CIFAR-10 images" in row["measurement"]
    assert (row["ours"], row["other"], row["value"], row["value_unit"]) == (37.5, 50.0, -12.5, "points")
    assert "20.0, 37.5 %" in row["note"]
