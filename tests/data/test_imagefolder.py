import os
import tarfile

import first_use
import numpy as np
import pytest
import torch
from made_files import SHARED, write_folder
from PIL import Image

from tune_mixup.data import image_decode, imagefolder, load, load_test
from tune_mixup.data.imagefolder import ImageFolder

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pets"
    path.mkdir()
    return path


def settings(path, **changes):
    return ImageFolder.parse({"path": str(path), "root": str(path.parent / "root"), **changes})


@pytest.fixture
def decoded(monkeypatch):
    """How many images each call of `decode` was given."""
    calls = []
    decode = imagefolder.decode

    def counted(paths, **options):
        calls.append(len(paths))
        return decode(paths, **options)

    monkeypatch.setattr(imagefolder, "decode", counted)
    return calls


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
    np.testing.assert_array_equal(data.validation.images.numpy(), as_channels_first(pixels, paths))


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


def test_images_are_decoded_once_and_then_mapped(folder, decoded):
    write_folder(folder)
    dataset = settings(folder)
    first = dataset.read_train()[0]
    again = dataset.read_train()[0]
    dataset.read_test()
    assert decoded == [24]
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    assert not (folder.parent / "root").exists()


def change_a_pixel(folder):
    path = folder / "train" / "ant" / "3.png"
    Image.fromarray(np.full((8, 6, 3), 7, np.uint8)).save(path)
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (change_a_pixel, 24),
        (lambda folder: (folder / "train" / "ant" / "3.png").unlink(), 23),
        (lambda folder: os.rename(folder / "test" / "bee" / "0.png", folder / "test" / "ant" / "9.png"), 24),
        (lambda folder: write_folder(folder, parts=("train",), classes=("cow",)), 30),
        (lambda folder: write_folder(folder, parts=("val",)), 36),
    ],
)
def test_a_changed_folder_is_decoded_anew(folder, decoded, change, number):
    write_folder(folder)
    settings(folder).read_train()
    change(folder)
    train, names = settings(folder).read_train()
    settings(folder).read_train()
    assert decoded == [24, number]
    present = sorted(path.parent.name for path in (folder / "train").glob("*/*.png"))
    assert [names[k] for k in train.targets.tolist()] == present


def test_a_changed_pixel_arrives(folder):
    write_folder(folder)
    settings(folder).read_train()
    change_a_pixel(folder)
    assert settings(folder).read_train()[0].images[3].unique().tolist() == [7]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"?" * 999])
def test_a_damaged_cache_is_rebuilt(folder, decoded, damage):
    write_folder(folder)
    first = settings(folder).read_train()[0].images.clone()
    cache = folder / ".tune_mixup" / "colour.pt"
    cache.write_bytes(damage(cache.read_bytes()))
    assert torch.equal(settings(folder).read_train()[0].images, first)
    assert decoded == [24, 24]


def test_colour_and_grey_keep_their_own_cache(folder, decoded):
    write_folder(folder)
    for channels in (1, 3, 1, 3):
        settings(folder, channels=channels).read_train()
    assert decoded == [24, 24]


def test_a_folder_that_cannot_be_written_has_its_cache_in_the_root(folder, decoded):
    write_folder(folder)
    (folder / ".tune_mixup").write_text("in the way, as a folder without permission would be")
    settings(folder).read_train()
    settings(folder).read_train()
    assert decoded == [24]
    caches = [path.relative_to(folder.parent) for path in (folder.parent / "root").rglob("*.pt")]
    assert [path.parts[:2] for path in caches] == [("root", "imagefolder")]


def test_two_folders_of_one_name_do_not_share_the_cache_in_the_root(tmp_path):
    sums = []
    for i, place in enumerate(("a", "b")):
        folder = tmp_path / place / "pets"
        folder.mkdir(parents=True)
        write_folder(folder, seed=i)
        (folder / ".tune_mixup").write_text("")
        dataset = settings(folder, root=str(tmp_path / "root"))
        sums += [int(dataset.read_train()[0].images.long().sum()) for _ in range(2)]
    assert sums[0] == sums[1] != sums[2] == sums[3]


def test_two_processes_that_start_together_decode_once(folder):
    write_folder(folder)
    log = folder.parent / "log"
    sums = first_use.run_together(first_use.decode_folder, str(folder), str(log))
    assert log.read_text() == "decode\n"
    assert sums[0] == sums[1] > 0


def test_large_images_are_decoded_by_several_threads_in_the_same_order(folder, monkeypatch):
    pixels = write_folder(folder, count=9, size=(8, 6))
    monkeypatch.setattr(image_decode, "_SMALL", 1)
    monkeypatch.setattr(image_decode, "_CHUNK", 2)
    paths = sorted(path for path in pixels if path.startswith("train"))
    np.testing.assert_array_equal(settings(folder).read_train()[0].images.numpy(), as_channels_first(pixels, paths))


def empty(path):
    for child in path.iterdir():
        child.unlink()


def deep(path):
    Image.fromarray(np.full((8, 6), 40_000, np.uint16)).save(path)


def remove_tree(path):
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
        (lambda f: remove_tree(f / "test"), ["pets has no folder test/"]),
        (lambda f: (remove_tree(f / "train"), (f / "train").mkdir()), ["pets/train holds no folders"]),
        (lambda f: (remove_tree(f / "test"), (f / "test").mkdir()), ["pets/test holds no images"]),
        (lambda f: empty(f / "train" / "bee"), ["pets/train/bee holds no images"]),
        (lambda f: (f / "val").mkdir(), ["pets/val holds no images"]),
        (lambda f: write_folder(f, parts=("test",), classes=("wasp",)), ["pets/test has the class 'wasp'", "lacks"]),
        (lambda f: write_folder(f, parts=("val",), classes=("wasp",)), ["pets/val has the class 'wasp'", "lacks"]),
        (lambda f: cut(f / "train" / "bee" / "2.png"), ["train/bee/2.png can't be read", "replace or remove"]),
        (lambda f: (f / "test" / "bee" / "2.png").write_text("?"), ["test/bee/2.png can't be read"]),
        (lambda f: deep(f / "train" / "bee" / "2.png"), ["train/bee/2.png", "more than 8 bits", "I;16"]),
        (
            lambda f: write_folder(f, parts=("test",), classes=("bee",), count=1, size=(8, 7)),
            ["test/bee/0.png is 8 x 7", "train/ant/0.png is 8 x 6", "resize"],
        ),
        (lambda f: (f / "train" / "bee" / "x.png").symlink_to(f / "gone"), ["train/bee/x.png can't be read"]),
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
    assert not list(folder.parent.rglob("*.pt"))


def test_a_cache_that_can_be_written_nowhere_is_one_line(folder):
    write_folder(folder)
    (folder / ".tune_mixup").write_text("")
    (folder.parent / "root").write_text("")
    with pytest.raises(ValueError, match=r"can't be stored in .*\.tune_mixup .*root.*; set data.root"):
        settings(folder).read_train()


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
