import gzip
import urllib.error

import first_use
import numpy as np
import pytest
import torch
import torchvision
from made_files import IDX_NAMES, SHARED, fashion_arrays, idx_bytes, write_fashion

from tune_mixup.data import load, load_test
from tune_mixup.data.fashion_mnist import FashionMnist
from tune_mixup.data.idx import read_idx

CPU = torch.device("cpu")


def settings(root):
    return FashionMnist(root=root)


@pytest.mark.parametrize("gz", [False, True])
def test_the_files_are_read_as_they_lie_and_nothing_is_written(tmp_path, gz):
    arrays = write_fashion(tmp_path, gz=gz)
    train, names = settings(tmp_path).read_train()
    test = settings(tmp_path).read_test()
    np.testing.assert_array_equal(train.images.numpy(), arrays[IDX_NAMES[0]][:, None])
    np.testing.assert_array_equal(test.images.numpy(), arrays[IDX_NAMES[2]][:, None])
    assert train.targets.tolist() == arrays[IDX_NAMES[1]].tolist()
    assert names[0] == "T-shirt/top"
    assert len(names) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["FashionMNIST"]
    assert len(list((tmp_path / "FashionMNIST" / "raw").iterdir())) == 4


def test_an_unpacked_file_wins_over_its_archive(tmp_path):
    write_fashion(tmp_path, gz=True, seed=1)
    arrays = write_fashion(tmp_path, seed=2)
    np.testing.assert_array_equal(settings(tmp_path).read_train()[0].images.numpy()[:, 0], arrays[IDX_NAMES[0]])


def test_it_reads_what_torchvision_reads(tmp_path):
    write_fashion(tmp_path)
    theirs = torchvision.datasets.FashionMNIST(tmp_path, train=False)
    ours = settings(tmp_path).read_test()
    assert torch.equal(ours.images[:, 0], theirs.data)
    assert torch.equal(ours.targets, theirs.targets)
    assert list(settings(tmp_path).read_train()[1]) == theirs.classes


def test_missing_files_are_downloaded_to_where_torchvision_puts_them(tmp_path, monkeypatch):
    arrays = fashion_arrays()
    asked = []

    def fake(url, download_root, filename, md5):
        asked.append(filename)
        (torch_root := type(tmp_path)(download_root)).mkdir(parents=True, exist_ok=True)
        (torch_root / filename.removesuffix(".gz")).write_bytes(idx_bytes(arrays[filename.removesuffix(".gz")]))

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fake)
    root = tmp_path / "not" / "there" / "yet"
    train, _ = settings(root).read_train()
    settings(root).read_test()
    assert sorted(asked) == sorted(f"{name}.gz" for name in IDX_NAMES)
    np.testing.assert_array_equal(train.images.numpy()[:, 0], arrays[IDX_NAMES[0]])
    assert sorted(path.name for path in (root / "FashionMNIST" / "raw").iterdir()) == sorted(IDX_NAMES)
    assert not list(root.glob("*partial*"))


def test_a_failed_download_says_where_the_files_belong_and_leaves_nothing_half(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", offline)
    with pytest.raises(ValueError) as caught:
        settings(tmp_path).read_train()
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(tmp_path), "Name or service not known", *IDX_NAMES, "FashionMNIST/raw", "data.root"):
        assert word in message
    assert not (tmp_path / "FashionMNIST").exists()


def test_a_root_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"is not in .*file/data and can't be downloaded .*data.root"):
        settings(tmp_path / "file" / "data").read_train()


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: (raw / IDX_NAMES[2]).unlink(), ["raw lacks t10k-images-idx3-ubyte", "empty the folder"]),
        (lambda raw: cut(raw / IDX_NAMES[0]), ["train-images", "31355 bytes", "promises 31360"]),
        (lambda raw: (raw / IDX_NAMES[0]).write_bytes(b"\0\0"), ["train-images", "can't be read"]),
        (lambda raw: (raw / IDX_NAMES[0]).write_bytes(b"<html>nothing here</html>"), ["train-images", "IDX"]),
        (lambda raw: (raw / IDX_NAMES[1]).write_bytes(idx_bytes(np.zeros(39))), ["(40, 28, 28)", "(39,)"]),
        (lambda raw: (raw / IDX_NAMES[1]).write_bytes(idx_bytes(np.full(40, 10))), ["train-labels", "class 10"]),
        (lambda raw: (raw / IDX_NAMES[0]).write_bytes(idx_bytes(np.zeros((0, 28, 28)))), ["(0, 28, 28)", "(40,)"]),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, words):
    write_fashion(tmp_path)
    damage(tmp_path / "FashionMNIST" / "raw")
    with pytest.raises(ValueError) as caught:
        settings(tmp_path).read_train()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"no archive", lambda data: data[:20] + b"?"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(np.arange(64).reshape(1, 8, 8)))))
    with pytest.raises(ValueError, match="images.gz can't be read"):
        read_idx(path)


def test_two_processes_that_start_together_download_once(tmp_path):
    log = tmp_path / "log"
    sums = first_use.run_together(first_use.download_fashion, str(tmp_path / "data"), str(log))
    assert log.read_text() == "download\n"
    assert sums[0] == sums[1] > 0


@pytest.mark.skipif(not (SHARED / "FashionMNIST").is_dir(), reason="needs the shared data folder beside the checkout")
def test_real_fashion_mnist():
    dataset = settings(SHARED)
    data = load(dataset, seed=0, device=CPU)
    assert len(data.train.images) + len(data.validation.images) == 30_000
    assert data.size == (28, 28) and dataset.known_shape() == (10, 28, 28)
    counts = torch.bincount(data.train.targets) + torch.bincount(data.validation.targets)
    assert (int(counts.min()), int(counts.max())) == (2945, 3081)
    assert (torch.bincount(data.validation.targets) - counts.double() / 10).abs().max() <= 0.5
    # the numbers that are published for the 60,000 original images
    assert data.mean.item() == pytest.approx(0.2860, abs=0.002)
    assert data.std.item() == pytest.approx(0.3530, abs=0.002)
    assert load_test(dataset, device=CPU).images.shape == (10_000, 1, 28, 28)
