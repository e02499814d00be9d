import os

import numpy as np
import pytest
import torch
from made_files import expect_checksums, write_cifar
from torchvision.datasets import CIFAR10, CIFAR100, cifar

from tune_mixup.data import load
from tune_mixup.data.cifar import Cifar10, Cifar100

BOTH = [(Cifar10, CIFAR10, 10), (Cifar100, CIFAR100, 100)]


@pytest.mark.parametrize(("settings", "source", "num_classes"), BOTH)
def test_torchvision_files_are_read(tmp_path, monkeypatch, settings, source, num_classes):
    arrays, checksums = write_cifar(tmp_path, source, num_classes)
    expect_checksums(monkeypatch, source, checksums)
    train, names = settings(root=tmp_path).read_train()
    test = settings(root=tmp_path).read_test()
    for split, listed in ((train, source.train_list), (test, source.test_list)):
        expected = np.concatenate([arrays[name][0] for name, _ in listed])
        np.testing.assert_array_equal(split.images.numpy(), expected)
        assert split.images.is_contiguous()
        assert split.targets.tolist() == [label for name, _ in listed for label in arrays[name][1]]
    assert names == tuple(f"name {k}" for k in range(num_classes))
    assert settings(root=tmp_path).known_shape() == (num_classes, *train.images.shape[-2:])


@pytest.mark.parametrize(("settings", "source", "num_classes"), BOTH)
def test_missing_files_are_downloaded_and_checked(tmp_path, monkeypatch, settings, source, num_classes):
    write_cifar(tmp_path / "elsewhere", source, num_classes)
    _, checksums = write_cifar(tmp_path / "again", source, num_classes)
    expect_checksums(monkeypatch, source, checksums)
    asked = []

    def fake(url, root, filename, md5):
        asked.append(filename)
        os.rename(tmp_path / "elsewhere" / source.base_folder, os.path.join(root, source.base_folder))

    monkeypatch.setattr(cifar, "download_and_extract_archive", fake)
    dataset = settings(root=tmp_path / "data")
    data = load(dataset, seed=0, device=torch.device("cpu"))
    dataset.read_test()
    assert asked == [source.filename]
    assert data.num_classes == num_classes


@pytest.mark.parametrize(("settings", "source", "num_classes"), BOTH)
def test_a_failed_download_says_where_the_files_belong(tmp_path, monkeypatch, settings, source, num_classes):
    def offline(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr(cifar, "download_and_extract_archive", offline)
    with pytest.raises(ValueError) as caught:
        settings(root=tmp_path).read_train()
    message = str(caught.value)
    assert "\n" not in message
    for word in (settings.model_fields["name"].default, str(tmp_path), "no route to host", source.base_folder):
        assert word in message


def test_files_that_fail_their_checksum_are_not_read(tmp_path, monkeypatch):
    write_cifar(tmp_path, CIFAR10, 10)  # torchvision expects the checksums of the real files
    monkeypatch.setattr(cifar, "download_and_extract_archive", lambda *args, **kwargs: None)
    with pytest.raises(ValueError, match=r"cifar10 is not in .*put the folder cifar-10-batches-py"):
        Cifar10(root=tmp_path).read_train()


def test_the_published_constants_are_the_default_and_can_be_measured_instead(tmp_path, monkeypatch):
    arrays, checksums = write_cifar(tmp_path, CIFAR10, 10)
    expect_checksums(monkeypatch, CIFAR10, checksums)
    dataset = Cifar10(root=tmp_path)
    data = load(dataset, seed=0, device=torch.device("cpu"))
    assert data.mean.flatten().tolist() == pytest.approx([0.4914, 0.4822, 0.4465])
    assert data.std.flatten().tolist() == pytest.approx([0.2023, 0.1994, 0.2010])
    measured = load(dataset.replace(mean=None, std=None), seed=0, device=torch.device("cpu"))
    expected = data.train.images.double().mean((0, 2, 3)) / 255
    assert torch.allclose(measured.mean.flatten().double(), expected)
