"""What lies in one file of many images, and what torchvision reads, goes on after it was stopped as well."""

import os

import numpy as np
import pytest
import torch
from made_collections import WRITERS, Draw, expect_no_checksums, npz_arrays, write_tables

from tune_mixup.data import DATASETS, image_rows, npz, parquet, torchvision_set

PLACES = {"npz": npz, "parquet": parquet, "torchvision:svhn": torchvision_set}
TOTALS = {"npz": 24, "parquet": 24, "torchvision:svhn": 30}


def written(name, folder):
    folder.mkdir()
    match name:
        case "npz":
            np.savez(folder / "mine.npz", **npz_arrays(shape=(8, 6, 3)))
            return DATASETS[name].parse({"path": str(folder / "mine.npz"), "root": str(folder)})
        case "parquet":
            write_tables(folder / "pets")
            return DATASETS[name].parse({"path": str(folder / "pets"), "root": str(folder)})
        case _:
            WRITERS[name](folder, Draw())
            return DATASETS[name].parse({"root": str(folder)})


@pytest.fixture(params=sorted(TOTALS))
def name(request, monkeypatch):
    monkeypatch.setattr(image_rows, "_BATCH_FILES", 4)
    expect_no_checksums(monkeypatch)
    return request.param


@pytest.fixture
def read(name, monkeypatch):
    """An entry for each image that is made into pixels."""
    module, calls = PLACES[name], []
    kind = "file_pixels" if name == "parquet" else "image_pixels"
    pixels = getattr(module, kind)

    def logged(image, form):
        calls.append(None)
        return pixels(image, form)

    monkeypatch.setattr(module, kind, logged)
    return calls


def stop(dataset, monkeypatch, *, batches):
    """Ctrl-C when so many batches are stored."""
    with monkeypatch.context() as patched:
        add, count = image_rows.ImageRows.add, iter(range(batches))

        def counted(self, keys, images):
            if next(count, None) is None:
                raise KeyboardInterrupt
            add(self, keys, images)

        patched.setattr(image_rows.ImageRows, "add", counted)
        with pytest.raises(KeyboardInterrupt):
            dataset.read_train()


def same(one, other):
    assert one.known_fingerprint() == other.known_fingerprint()
    pairs = ((one.read_train()[0], other.read_train()[0]), (one.read_test(), other.read_test()))
    for mine, theirs in pairs:
        assert torch.equal(mine.images, theirs.images) and torch.equal(mine.targets, theirs.targets)


def test_what_was_stored_is_not_read_again(name, read, tmp_path, monkeypatch):
    at_once, dataset = written(name, tmp_path / "one"), written(name, tmp_path / "other")
    at_once.read_train()
    assert len(read) == TOTALS[name]
    stop(dataset, monkeypatch, batches=4)
    read.clear()
    dataset.read_train()
    assert len(read) == TOTALS[name] - 13  # the first alone, and three times four
    same(dataset, at_once)
    assert not list((tmp_path / "other").rglob("*.half"))


def test_of_a_file_that_changes_meanwhile_nothing_is_taken_over(name, read, tmp_path, monkeypatch):
    at_once, dataset = written(name, tmp_path / "one"), written(name, tmp_path / "other")
    stop(dataset, monkeypatch, batches=4)
    (file,) = [*(tmp_path / "other").glob("*.npz"), *(tmp_path / "other").rglob("train*.parquet")] or [
        tmp_path / "other" / "train_32x32.mat"
    ]
    os.utime(file, ns=(0, 0))
    read.clear()
    dataset.read_train()
    assert len(read) == TOTALS[name]
    same(dataset, at_once)


def test_numbers_of_images_do_not_hold_where_files_are_listed_in_another_order(tmp_path, monkeypatch):
    """Another host may list a shared folder in another order, by which torchvision numbers the images of SUN397."""
    monkeypatch.setattr(image_rows, "_BATCH_FILES", 2)
    at_once, dataset = (written("torchvision:sun397", tmp_path / place).replace(size=4) for place in ("one", "other"))
    stop(dataset, monkeypatch, batches=2)
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = [*entries][::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

        def __iter__(self):
            return iter(self.entries)

        def close(self):
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    found = dataset.read_train()[0]
    monkeypatch.undo()
    images = sorted(bytes(image.numpy()) for image in found.images)
    expected = at_once.read_train()[0].images
    assert images == sorted(bytes(image.numpy()) for image in expected) and len(set(images)) == len(images)
