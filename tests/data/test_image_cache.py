import os
from pathlib import Path

import first_use
import numpy as np
import pytest
import torch
from made_files import folder_settings as settings
from made_files import write_folder
from PIL import Image

from tune_mixup.data import listed_images


@pytest.fixture
def decoded(monkeypatch):
    """How many images each call of `decode` was given."""
    calls = []
    decode = listed_images.decode

    def counted(folder, files, **options):
        calls.append(len(files))
        return decode(folder, files, **options)

    monkeypatch.setattr(listed_images, "decode", counted)
    return calls


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


def test_a_cache_of_another_version_is_made_anew(folder, decoded, monkeypatch):
    write_folder(folder)
    settings(folder).read_train()
    monkeypatch.setattr(listed_images, "_FORMAT", -1)
    for _ in range(2):
        settings(folder).read_train()
    assert decoded == [24, 24]


def test_who_decodes_has_the_images_mapped_from_the_disk_as_others_have(folder):
    write_folder(folder)
    images = settings(folder).read_train()[0].images
    mapped = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.count("/")]
    assert str(folder / ".tune_mixup" / "colour.pt") in mapped and images.shape == (12, 3, 8, 6)
    assert not any(str(folder) in path and "half" in path for path in mapped)


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


def test_a_full_disk_leaves_nothing_half_and_sends_the_cache_to_the_root(folder, monkeypatch):
    pixels = write_folder(folder)
    save = torch.save

    def full(stored, file):
        save(stored, file)
        if folder in Path(os.readlink(f"/proc/self/fd/{file.fileno()}")).parents:
            raise RuntimeError("PytorchStreamWriter failed writing file data/0:\nfile write failed")

    monkeypatch.setattr(torch, "save", full)
    images = settings(folder).read_train()[0].images
    assert len(images) == len(pixels) // 2
    assert not (folder / ".tune_mixup").exists()
    assert len(list((folder.parent / "root").rglob("*.pt"))) == 1


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


def test_a_cache_that_can_be_written_nowhere_is_one_line(folder):
    write_folder(folder)
    (folder / ".tune_mixup").write_text("")
    (folder.parent / "root").write_text("")
    with pytest.raises(ValueError, match=r"can't be stored in .*\.tune_mixup .*root.*; set data.root"):
        settings(folder).read_train()
