"""The contract of every data set in the registry, and what the two that are always there promise beside it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from made_collections import WRITERS, Draw, expect_no_checksums, npz_arrays, write_tables
from made_files import (
    expect_checksums,
    write_cifar,
    write_fashion,
    write_folder,
    write_imagenet,
    write_noise,
    write_tiny,
    write_words,
)
from sklearn.datasets import load_digits

from tune_mixup.data import DATASETS, digits, load, load_test
from tune_mixup.data.digits import Digits
from tune_mixup.data.speech_commands import SpeechCommands
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.testing import DatasetContract

CPU = torch.device("cpu")


def as_settings(name, **values):
    return DATASETS[name].parse(values)


@pytest.fixture(params=sorted(DATASETS))
def dataset(request, tmp_path, monkeypatch):
    """Each data set on small files of its own format."""
    root = str(tmp_path)
    match request.param:
        case "fashion_mnist":
            write_fashion(tmp_path)
        case "cifar10" | "cifar100" as name:
            source = getattr(torchvision.datasets, name.upper())
            expect_checksums(monkeypatch, source, write_cifar(tmp_path, source, int(name.removeprefix("cifar")))[1])
        case "imagefolder":
            write_folder(tmp_path / "pets")
            return as_settings("imagefolder", path=f"{root}/pets", root=root)
        case "tiny_imagenet":
            write_tiny(tmp_path / "tiny-imagenet-200")
        case "imagenet":
            write_imagenet(tmp_path / "imagenet")
            return as_settings("imagenet", size=8, images_per_class=8, root=root)
        case "speech_commands":
            write_words(tmp_path / "SpeechCommands" / "speech_commands_v0.02", ("ja", "nee", "misschien"), per_part=2)
            write_noise(tmp_path / "SpeechCommands" / "speech_commands_v0.02")
            return as_settings("speech_commands", task="all", root=root)
        case "parquet":
            write_tables(tmp_path / "pets")
            return as_settings("parquet", path=f"{root}/pets", root=root)
        case "npz":
            np.savez(tmp_path / "pets.npz", **npz_arrays(shape=(8, 6, 3)))
            return as_settings("npz", path=f"{root}/pets.npz", root=root)
        case name if name in WRITERS:
            WRITERS[name](tmp_path, Draw())
            expect_no_checksums(monkeypatch)
    return as_settings(request.param, root=root)


def rows(split):
    return {image.numpy().tobytes() for image in split.images}


def test_every_name_is_its_key():
    for name, settings in DATASETS.items():
        assert settings.model_fields["name"].default == name
        assert settings.__doc__


class TestWaveforms(DatasetContract):
    @pytest.fixture(autouse=True)
    def settings(self, tmp_path):
        write_words(tmp_path / "words", ("ja", "nee", "misschien"), per_part=2)
        write_noise(tmp_path / "words")
        self.part = SpeechCommands(path=tmp_path / "words", root=tmp_path, task="all", mix_on="waveforms")


class TestDatasets(DatasetContract):
    @pytest.fixture(autouse=True)
    def settings(self, dataset):
        self.part = dataset


def test_plain_values_hold_paths_as_texts(dataset):
    assert isinstance(dataset.model_dump(mode="json")["root"], str)


def test_less_data_and_wrong_labels_leave_what_is_measured_on_as_it_is(dataset):
    """Whatever the data: every class keeps the same number, and with a share of 1 each is taken for the next."""
    plain = load(dataset, seed=0, device=CPU)
    fewest = int(torch.bincount(plain.train.targets).min())
    noise = {"kind": "pairs", "share": 1}
    less = load(dataset.replace(samples_per_class=fewest, label_noise=noise), seed=0, device=CPU)
    assert torch.bincount(less.train.targets).tolist() == [fewest] * plain.num_classes
    true = {
        image.numpy().tobytes(): int(k) for image, k in zip(plain.train.images[:], plain.train.targets, strict=True)
    }
    assert len(true) == len(plain.train.targets)
    for image, label in zip(less.train.images[:], less.train.targets, strict=True):
        assert int(label) == (true[image.numpy().tobytes()] + 1) % plain.num_classes
    for one, other in zip(less.validation, plain.validation, strict=True):
        assert torch.equal(one[:], other[:])
    assert (less.fingerprint, less.class_names) == (plain.fingerprint, plain.class_names)


def test_digits_are_the_1797_of_scikit_learn():
    data = load(Digits(), seed=0, device=CPU)
    test = load_test(Digits(), device=CPU)
    assert len(data.train.images) + len(data.validation.images) == 1438
    assert len(test.images) == 359
    assert data.size == (8, 8)
    assert int(test.images.max()) == 255
    assert torch.bincount(test.targets).min() >= 35


SCIKIT_LEARN = """
import sys
from tune_mixup.data.digits import Digits
from tune_mixup.data.speech_commands import SpeechCommands
train, _ = Digits().read_train()
print(tuple(train.images.shape), "sklearn" in sys.modules)
"""


def test_digits_are_read_without_importing_scikit_learn():
    done = subprocess.run([sys.executable, "-c", SCIKIT_LEARN], capture_output=True, text=True, check=True)
    assert done.stdout == "(1438, 1, 8, 8) False\n"


@pytest.mark.parametrize("found", [True, False], ids=["from its file", "by scikit-learn"])
def test_digits_have_the_values_of_scikit_learn(found, monkeypatch):
    if not found:
        monkeypatch.setattr(digits, "find_spec", lambda name: None)
    both = [Digits().read_train()[0], Digits().read_test()]
    expected = load_digits()
    scaled = (expected.data * 255 / 16).round().astype(int).tolist()
    values = sorted(zip(scaled, expected.target.tolist(), strict=True))
    seen = [(i.flatten().tolist(), int(t)) for one in both for i, t in zip(one.images, one.targets, strict=True)]
    assert sorted(seen) == values


def test_the_test_digits_do_not_depend_on_the_seed():
    test = rows(load_test(Digits(), device=CPU))
    for seed in (0, 1, 1797):
        data = load(Digits(), seed=seed, device=CPU)
        assert not test & (rows(data.train) | rows(data.validation))


@pytest.mark.parametrize("num_classes", [2, 7, 300])
def test_synthetic_data_take_any_form(num_classes):
    dataset = Synthetic(num_classes=num_classes, size=9, channels=2, num_train=601, num_test=num_classes + 1)
    train, names = dataset.read_train()
    assert train.images.shape == (601, 2, 9, 9)
    assert len(names) == num_classes
    assert train.targets.tolist() == [i % num_classes for i in range(601)]
    assert len(dataset.read_test().images) == num_classes + 1


def test_synthetic_images_are_their_class_pattern_plus_noise():
    clean, noisy = (Synthetic(noise=noise, num_train=2000).read_train()[0] for noise in (0.0, 0.1))
    for k in range(10):
        assert len(clean.images[clean.targets == k].unique(dim=0)) == 1
    inside = (clean.images > 90) & (clean.images < 165)  # 3.5 standard deviations from black and white: not clipped
    difference = (noisy.images.double() - clean.images.double())[inside] / 255
    assert abs(float(difference.mean())) < 0.002
    assert float(difference.std()) == pytest.approx(0.1, rel=0.02)


def test_synthetic_classes_can_be_told_apart_by_their_pattern():
    dataset = Synthetic(num_test=5000)
    patterns = Synthetic(noise=0.0, num_train=10).read_train()[0].images.double().flatten(1)
    test = dataset.read_test()
    nearest = torch.cdist(test.images.double().flatten(1), patterns).argmin(1)
    assert (nearest == test.targets).double().mean() > 0.99


def test_synthetic_data_follow_their_own_seed():
    first, other = (Synthetic(data_seed=seed).read_train()[0] for seed in (0, 1))
    assert not torch.equal(first.images, other.images)
