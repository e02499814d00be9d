import os
import tarfile

import numpy as np
import pytest
import torch
from made_files import SHARED, write_folder
from made_files import folder_settings as settings
from PIL import Image

from tune_mixup.data import image_decode, load, load_test

CPU = torch.device("cpu")


def as_channels_first(pixels, paths):
    return np.stack([pixels[path].transpose(2, 0, 1) for path in paths])


def test_images_and_classes_are_read_in_alphabetical_order(folder):
    pixels = write_folder(folder, classes=("bee", "ant", "Cat"))
    train, names = settings(folder).read_train()
    test = settings(folder).read_test()
    assert names == ("Cat", "ant", "bee")
    for split, part in ((train, "train"), (test, "test")):
        paths = [f"{part}/{name}/{i}.png" for name in names for i in range(6)]
        np.testing.assert_array_equal(split.images.numpy(), as_channels_first(pixels, paths))
        assert split.targets.tolist() == [k for k in range(3) for _ in range(6)]
    assert settings(folder).read_validation() is None


def test_a_val_folder_is_the_validation_split_and_nothing_is_split_off(folder):
    pixels = write_folder(folder, parts=("train", "test", "val"))
    data = load(settings(folder), seed=0, device=CPU)
    assert len(data.train.images) == 12
    paths = [f"val/{name}/{i}.png" for name in ("ant", "bee") for i in range(6)]
    np.testing.assert_array_equal(data.validation.images[:].numpy(), as_channels_first(pixels, paths))


def test_without_val_the_validation_split_comes_off_train(folder):
    write_folder(folder, count=10)
    data = load(settings(folder, validation_fraction=0.2), seed=0, device=CPU)
    assert (len(data.train.images), len(data.validation.images)) == (16, 4)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_colour_are_turned_into_one_another(folder, mode):
    pixels = write_folder(folder, mode=mode)
    array = pixels["train/ant/0.png"].astype(np.float64)
    grey = settings(folder, channels=1).read_train()[0].images[0].numpy()
    colour = settings(folder).read_train()[0].images[0].numpy()
    assert grey.shape == (1, 8, 6)
    assert colour.shape == (3, 8, 6)
    if mode == "L":
        np.testing.assert_array_equal(grey[0], array)
        np.testing.assert_array_equal(colour, np.stack([array] * 3))
    else:
        luma = array @ [0.299, 0.587, 0.114]
        assert np.abs(grey[0] - luma).max() <= 1


def test_palettes_and_transparency_become_plain_colours(folder):
    write_folder(folder)
    red = Image.new("RGBA", (6, 8), (255, 0, 0, 10))
    red.save(folder / "train" / "ant" / "0.png")
    palette = red.convert("RGB").quantize(4)
    palette.save(folder / "train" / "ant" / "1.png", transparency=bytes([0, 255]))
    images = settings(folder).read_train()[0].images
    for i in range(2):
        assert images[i].reshape(3, -1).unique(dim=1).flatten().tolist() == [255, 0, 0]


def test_what_is_no_image_is_passed_over_and_subfolders_belong_to_their_class(folder):
    write_folder(folder)
    (folder / "train" / "ant" / "boxes.txt").write_text("1 2 3 4")
    (folder / "train" / "ant" / ".hidden.png").write_text("not an image")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "list.csv").write_text("")
    (folder / "train" / "ant" / "more").mkdir()
    os.rename(folder / "train" / "ant" / "5.png", folder / "train" / "ant" / "more" / "5.PNG")
    train, names = settings(folder).read_train()
    assert names == ("ant", "bee")
    assert train.targets.tolist() == [0] * 6 + [1] * 6


def test_large_images_are_decoded_by_several_threads_in_the_same_order(folder, monkeypatch):
    pixels = write_folder(folder, count=9, size=(8, 6))
    monkeypatch.setattr(image_decode, "_CHUNK", 2)
    paths = sorted(path for path in pixels if path.startswith("train"))
    np.testing.assert_array_equal(settings(folder).read_train()[0].images.numpy(), as_channels_first(pixels, paths))


def empty(path):
    for child in path.iterdir():
        child.unlink()


def deep(path):
    Image.fromarray(np.full((8, 6), 0.5, np.float32)).save(path)


def remove_tree(path, *below):
    if below:
        for name in below:
            remove_tree(path / name)
        return
    for child in sorted(path.rglob("*"), reverse=True):
        child.rmdir() if child.is_dir() else child.unlink()
    path.rmdir()


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_tree, ["pets does not exist", "train/<class>/"]),
        (lambda f: (remove_tree(f), f.write_text("")), ["pets is not a folder"]),
        (lambda f: remove_tree(f / "train"), ["pets has no folder train/", "test/<class>/"]),
        (
            lambda f: (remove_tree(f / "train"), remove_tree(f / "test")),
            ["pets has no folder train/ and none of a class"],
        ),
        (
            lambda f: (
                remove_tree(f / "train"),
                remove_tree(f / "test"),
                write_folder(f, parts=(".",), classes=("ant",)),
            ),
            ["pets has the one class 'ant'", "two or more"],
        ),
        (lambda f: (remove_tree(f / "train"), (f / "train").mkdir()), ["pets/train holds no folders"]),
        (lambda f: remove_tree(f / "train" / "bee"), ["pets/train has the one class 'ant'", "two or more"]),
        (lambda f: (remove_tree(f / "test"), (f / "test").mkdir()), ["pets/test holds no images"]),
        (lambda f: empty(f / "train" / "bee"), ["pets/train/bee holds no images"]),
        (lambda f: (f / "val").mkdir(), ["pets/val holds no images"]),
        (lambda f: write_folder(f, parts=("test",), classes=("wasp",)), ["pets/test has the class 'wasp'", "lacks"]),
        (lambda f: write_folder(f, parts=("val",), classes=("wasp",)), ["pets/val has the class 'wasp'", "lacks"]),
        (
            lambda f: cut(f / "train" / "bee" / "2.png"),
            ["1 of 24 files in ", "can't be read as images: train/bee/2.png (", "replace or remove", "on_error=skip"],
        ),
        (lambda f: (f / "test" / "bee" / "2.png").write_text("?"), ["test/bee/2.png (no kind of image that Pillow"]),
        (lambda f: (f / "test" / "bee" / "2.png").write_text(""), ["test/bee/2.png (it is empty)"]),
        (lambda f: deep(f / "train" / "bee" / "2.tiff"), ["train/bee/2.tiff (more than 16 bits", "mode F"]),
        (
            lambda f: write_folder(f, parts=("test",), classes=("bee",), count=1, size=(8, 7)),
            ["test/bee/0.png is 8 x 7", "train/ant/0.png is 8 x 6", "set data.size"],
        ),
        (lambda f: (f / "train" / "bee" / "x.png").symlink_to(f / "gone"), ["train/bee/x.png (No such file"]),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(folder, damage, words):
    write_folder(folder)
    damage(folder)
    with pytest.raises(ValueError) as caught:
        load(settings(folder), seed=0, device=CPU)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not [
        path for path in folder.parent.rglob("*") if ".tune_mixup" in path.parts or path.suffix in (".pt", ".lock")
    ]


@pytest.mark.skipif(
    not (SHARED / "cifar10-imagefolder.tar.xz").is_file(), reason="needs the shared data folder beside the checkout"
)
def test_real_images(folder):
    """The first 800 files of the archive, which holds test/airplane first; they serve as every part here."""
    with tarfile.open(SHARED / "cifar10-imagefolder.tar.xz") as archive:
        members = []
        for member in archive:
            if member.isfile():
                members.append(member)
                for part in ("train", "test"):
                    kind = "even" if int(os.path.basename(member.name)[:-4]) % 2 == 0 else "odd"
                    target = folder / part / kind / os.path.basename(member.name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.extractfile(member).read())
            if len(members) == 800:
                break
    data = load(settings(folder), seed=0, device=CPU)
    test = load_test(settings(folder), device=CPU)
    assert data.size == (32, 32)
    assert (len(data.train.images), len(data.validation.images), len(test.images)) == (720, 80, 800)
    assert torch.bincount(test.targets).tolist() == [400, 400]
    assert 0.4 < float(data.mean.mean()) < 0.7
