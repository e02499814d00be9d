"""What others have put into a shared data folder: links, pipes, devices, and small files that grow."""

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torchvision
from made_files import expect_checksums, write_cifar, write_folder
from made_files import folder_settings as settings
from PIL import Image
from torchvision.datasets import CIFAR10, cifar

from tune_mixup.data.cifar import Cifar10
from tune_mixup.data.fashion_mnist import FashionMnist
from tune_mixup.opening import open_regular


def test_pipes_and_devices_with_names_of_images_are_none(folder):
    pixels = write_folder(folder)
    os.mkfifo(folder / "train" / "ant" / "a.png")
    (folder / "train" / "bee" / "b.png").symlink_to("/dev/zero")
    began = time.monotonic()
    train = settings(folder).read_train()[0]
    assert len(train.images) == len([path for path in pixels if path.startswith("train")])
    assert time.monotonic() - began < 20


def test_a_class_of_pipes_has_no_images(folder):
    write_folder(folder)
    (folder / "train" / "cow").mkdir()
    os.mkfifo(folder / "train" / "cow" / "a.png")
    with pytest.raises(ValueError, match="cow holds no images"):
        settings(folder).read_train()


def test_links_to_images_are_followed(folder):
    write_folder(folder)
    before = len(settings(folder).read_train()[0].images)
    (folder / "train" / "ant" / "link.png").symlink_to(folder / "train" / "ant" / "0.png")
    assert len(settings(folder).read_train()[0].images) == before + 1


def test_what_became_a_pipe_after_it_was_listed_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", "/dev/null", tmp_path):
        with pytest.raises(OSError, match="no regular file") as caught:
            open_regular(path)
        assert caught.value.filename == str(path)


def png(width, height):
    """A whole black image of a few kilobytes, made without ever holding its pixels."""
    packed = zlib.compressobj(9)
    row, rows = bytes(1 + (width + 7) // 8), b""
    for _ in range(height):
        rows += packed.compress(row)
    rows += packed.flush()
    chunks = b""
    for kind, content in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    ):
        chunks += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [9_500, 20_000])  # more than Pillow's limit, and more than twice
def test_an_image_that_unpacks_to_more_pixels_than_pillow_allows_is_refused(folder, side):
    write_folder(folder)
    content = png(side, side)
    assert len(content) < 200_000 and side**2 > Image.MAX_IMAGE_PIXELS
    (folder / "train" / "ant" / "big.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of 25 files.*big.png \(.*pixels"):
        settings(folder).read_train()


def plant(path, victim):
    path.parent.mkdir(parents=True, exist_ok=True)
    victim.write_text("mine")
    path.symlink_to(victim)


def test_the_cache_of_images_is_not_written_through_a_link(folder):
    write_folder(folder)
    victims = [folder.parent / f"victim{i}" for i in range(2)]
    plant(folder / ".tune_mixup" / "colour.partial", victims[0])
    plant(folder / ".tune_mixup" / "colour.pt", victims[1])
    (folder / ".tune_mixup" / ".colour.pt.0123456789abcdef.tmp").write_text("of a killed process")
    settings(folder).read_train()
    assert [victim.read_text() for victim in victims] == ["mine"] * 2
    assert not (folder / ".tune_mixup" / "colour.pt").is_symlink()
    assert not list((folder / ".tune_mixup").glob("*.tmp"))


def test_fashion_mnist_is_not_downloaded_through_a_link(tmp_path, monkeypatch):
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir()
    (root / ".fashion_mnist.partial").symlink_to(elsewhere)
    places = []

    def fake(place, *, download):
        places.append(place)
        raw = place / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        (raw / "train-images-idx3-ubyte").write_text("x")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fake)
    with pytest.raises(ValueError, match="lacks"):
        FashionMnist(root=root).read_train()
    assert places[0].parent == root and not places[0].exists() and not list(elsewhere.iterdir())


def test_cifar_is_not_downloaded_through_a_link(tmp_path, monkeypatch):
    root, victim = tmp_path / "data", tmp_path / "victim"
    plant(root / CIFAR10.filename, victim)
    arrays, checksums = write_cifar(tmp_path / "archive", CIFAR10, 10)
    expect_checksums(monkeypatch, CIFAR10, checksums)
    (root / CIFAR10.base_folder).mkdir()
    (root / CIFAR10.base_folder / "data_batch_1").symlink_to(victim)

    def download(url, place, filename, md5):
        with open(os.path.join(place, filename), "wb") as file:
            file.write(b"archive")
        os.rename(tmp_path / "archive" / CIFAR10.base_folder, os.path.join(place, CIFAR10.base_folder))

    monkeypatch.setattr(cifar, "download_and_extract_archive", download)
    images = Cifar10(root=root).read_train()[0].images
    np.testing.assert_array_equal(images[:20].numpy(), arrays["data_batch_1"][0])
    assert victim.read_text() == "mine" and not list(root.glob(".*partial"))


def test_the_archive_of_cifar_in_the_folder_is_used(tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    _, checksums = write_cifar(tmp_path / "archive", CIFAR10, 10)
    expect_checksums(monkeypatch, CIFAR10, checksums)
    (root / CIFAR10.filename).write_bytes(b"the archive")
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda path, md5: path.endswith(CIFAR10.filename))
    seen = []

    def unpack(url, place, filename, md5):
        seen.append((Path(place) / filename).read_bytes())
        os.rename(tmp_path / "archive" / CIFAR10.base_folder, os.path.join(place, CIFAR10.base_folder))

    monkeypatch.setattr(cifar, "download_and_extract_archive", unpack)
    Cifar10(root=root).read_train()
    assert seen == [b"the archive"] and (root / CIFAR10.filename).read_bytes() == b"the archive"
