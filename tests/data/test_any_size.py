"""Folders of images as people have them: of all sizes, with damaged files among them, and without a test split."""

import hashlib
import logging
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from made_files import folder_settings as settings
from made_files import write_folder
from optuna.distributions import FloatDistribution
from PIL import Image

from tune_mixup.cluster.evaluation import plan as evaluation_of
from tune_mixup.config import TrialConfig
from tune_mixup.data import DATASETS, image_cache, load, load_test
from tune_mixup.data.base import DataFault
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.loading import forget_data
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan
from tune_mixup.testing.kills import create
from tune_mixup.testing.made_up_sweep import work

CPU = torch.device("cpu")
PUT_ASIDE = [(0, 0), (0, 3), (1, 2), (1, 9)]


def of(dataset):
    forget_data()
    return load(dataset, seed=0, device=CPU).fingerprint


def write_sizes(folder, number=4):
    """Images of one colour each, of as many sizes; class 0 is red, class 1 green."""
    for part in ("train", "test"):
        for k, name in enumerate(("ant", "bee")):
            (folder / part / name).mkdir(parents=True)
            for i in range(number):
                colour = tuple(200 + i if k == c else 0 for c in range(3))
                Image.new("RGB", (5 + 3 * i, 9 + k), colour).save(folder / part / name / f"{i}.png")


@pytest.mark.parametrize(("size", "expected"), [(6, (6, 6)), ([7, 4], (7, 4)), ((7, 4), (7, 4))])
@pytest.mark.parametrize("resize", ["shorter_side", "stretch"])
def test_images_of_all_sizes_become_one(folder, size, expected, resize):
    write_sizes(folder)
    dataset = settings(folder, size=size, resize=resize)
    train = dataset.read_train()[0]
    assert train.images.shape == (8, 3, *expected)
    assert train.targets.tolist() == [0] * 4 + [1] * 4
    for image, target, i in zip(train.images, train.targets, [0, 1, 2, 3] * 2, strict=True):
        assert image.flatten(1).unique(dim=1).tolist() == [[200 + i if c == target else 0] for c in range(3)]
    assert dataset.read_test().images.shape == (8, 3, *expected)
    again = DATASETS["imagefolder"].parse(dataset.model_dump(mode="json", exclude={"name"}))
    assert again == dataset


def test_grey_images_are_resized_too(folder):
    write_sizes(folder)
    assert settings(folder, size=6, channels=1).read_train()[0].images.shape == (8, 1, 6, 6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"size": 0}, "size"),
        ({"size": [8]}, "size"),
        ({"size": [8, 8, 3]}, "size"),
        ({"size": True}, "size"),
        ({"size": 8.5}, "size"),
        ({"size": 10_000}, "less than or equal to 8192"),
        ({"resize": "crop"}, "'shorter_side', 'fit' or 'stretch'"),
        ({"on_error": "ignore"}, "'refuse' or 'skip'"),
        ({"test_fraction": 1.0}, "less than 1"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(folder, values, words):
    with pytest.raises(ValueError, match=words) as caught:
        settings(folder, **values)
    assert "\n" not in str(caught.value)


def test_each_size_and_way_has_its_own_cache_and_fingerprint(folder):
    write_folder(folder)
    ways = [{}, {"size": 4}, {"size": 4, "resize": "fit"}, {"size": [4, 5]}, {"size": [8, 6]}]
    assert len({of(settings(folder, **way)) for way in ways}) == 5
    assert len(list((folder / ".tune_mixup").glob("*.pt"))) == 5
    shapes = [settings(folder, **way).read_train()[0].images.shape[2:] for way in ways]
    assert shapes == [(8, 6), (4, 4), (4, 4), (4, 5), (8, 6)]


def test_what_was_known_before_of_a_folder_is_still_so(folder):
    """Fingerprints and the source as commit 136a237 computed them, before there were sizes."""
    for part in ("train", "test", "val"):
        for k, name in enumerate(("ant", "bee")):
            (folder / part / name).mkdir(parents=True)
            for i in range(3):
                pixels = bytes([i, k, 7, i, k, len(part)])
                (folder / part / name / f"{i}.ppm").write_bytes(b"P6 2 1 255\n" + pixels)
    assert of(settings(folder)) == "736ce1ae10a844b2"
    assert of(settings(folder, channels=1)) == "658fbfafc08e6d21"
    assert DATASETS["imagefolder"].parse({"path": "/p"}).source() == (
        '{"channels": 3, "name": "imagefolder", "path": "/p"}'
    )


def test_an_identity_has_the_size_and_nothing_of_how_files_are_read():
    def identity(**data):
        values = {"name": "imagefolder", "path": "/p", "fingerprint": "0" * 16, **data}
        return TrialConfig.parse({"data": values}).identity()

    assert identity() == identity(on_error="skip", labels="/a.csv", size=None, test_fraction=0.2)
    assert len({identity(), identity(size=32), identity(size=32, resize="fit"), identity(test_fraction=0.3)}) == 4


def damage(folder):
    """Seven files that are no whole images, four of them to train on."""
    (folder / "train/ant/0.png").write_bytes((folder / "train/ant/0.png").read_bytes()[:60])
    (folder / "train/ant/1.jpg").write_text("no image")
    (folder / "train/bee/2.png").write_bytes(b"")
    (folder / "train/bee/9.png").symlink_to(folder / "gone")
    for i in range(3):
        (folder / f"test/bee/{i}.png").write_text("?")
    return {"train/ant/0.png", "train/ant/1.jpg", "train/bee/2.png", "train/bee/9.png"}, "test/bee/0.png"


def everything(folder):
    return sorted(path.relative_to(folder.parent).as_posix() for path in folder.parent.rglob("*"))


def test_all_bad_files_are_named_at_once_and_the_folder_is_left_as_it_was(folder):
    write_folder(folder)
    damaged, of_test = damage(folder)
    before = everything(folder)
    with pytest.raises(ValueError, match="7 of 26 files in .*data.on_error=skip") as caught:
        load(settings(folder), seed=0, device=CPU)
    assert all(f"{name} (" in str(caught.value) for name in [*damaged, of_test])
    assert "0x" not in str(caught.value), "no address in memory"
    assert everything(folder) == before


def test_no_more_than_ten_are_named(folder):
    write_folder(folder, count=20)
    for i in range(14):
        (folder / f"train/bee/{i}.png").write_text("?")
    with pytest.raises(ValueError, match="14 of 80 files .* and 4 more; replace") as caught:
        load(settings(folder), seed=0, device=CPU)
    assert str(caught.value).count("(no kind of image") == 10


def test_bad_files_are_left_out_on_demand_which_is_said(folder, caplog):
    pixels = write_folder(folder)
    damaged, _ = damage(folder)
    dataset = settings(folder, on_error="skip")
    for _ in range(2):  # also when it comes from the stored images
        caplog.clear()
        forget_data()
        load(dataset, seed=0, device=CPU)
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("7 of 26 files in ") and "they are left out" in line
        assert all(f"{name} (" in line for name in damaged)
    names = [name for name in sorted(pixels) if name.startswith("train") and name not in damaged]
    train = dataset.read_train()[0]
    np.testing.assert_array_equal(train.images.numpy(), np.stack([pixels[name].transpose(2, 0, 1) for name in names]))
    assert train.targets.tolist() == [0] * 5 + [1] * 5
    assert len(dataset.read_test().images) == 9
    with pytest.raises(ValueError, match="7 of 26 files"):
        settings(folder).read_train()  # although the stored images are there


def test_what_is_left_out_is_as_if_it_had_never_been_there(folder):
    write_folder(folder)
    clean = of(settings(folder, on_error="skip"))
    assert clean == of(settings(folder))
    damage(folder)
    skipped = of(settings(folder, on_error="skip"))
    for path in folder.rglob("*.*g"):
        if not path.exists() or not path.stat().st_size or path.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
            path.unlink()
    (folder / "train/ant/0.png").unlink()
    assert of(settings(folder)) == skipped != clean


def test_a_class_of_which_nothing_is_left_is_refused(folder):
    write_folder(folder)
    for path in (folder / "test/bee").iterdir():
        path.write_text("?")
    with pytest.raises(ValueError, match="no file of the class 'bee' in test can be read"):
        settings(folder, on_error="skip").read_train()
    assert not (folder / ".tune_mixup").exists()


def test_a_folder_of_which_no_file_can_be_read_is_refused(folder):
    write_folder(folder)
    for path in folder.rglob("*.png"):
        path.write_text("?")
    for dataset, words in ((settings(folder), "24 of 24"), (settings(folder, on_error="skip"), "'ant' in train")):
        with pytest.raises(ValueError, match=words):
            dataset.read_train()


@pytest.mark.parametrize("ending", ["mpg", "mpeg", "h5", "grib", "wmf", "txt", ""])
def test_what_is_no_kind_of_picture_is_passed_over(folder, ending):
    write_folder(folder)
    (folder / "train" / "ant" / f"film.{ending}").write_bytes(b"\x00\x00\x01\xb3 and so on")
    assert len(settings(folder).read_train()[0].images) == 12


def test_a_fault_of_several_sizes_names_two_and_leaves_nothing(folder):
    write_sizes(folder)
    with pytest.raises(ValueError, match=r"ant/1.png is 9 x 8 pixels, but .*ant/0.png is 9 x 5 .*; set data.size"):
        settings(folder).read_train()
    assert not (folder / ".tune_mixup").exists()


def test_a_folder_without_test_has_only_that_missing(folder):
    write_folder(folder, parts=("train", "val"))
    data = load(settings(folder), seed=0, device=CPU)
    assert (len(data.train.images), len(data.validation.images)) == (12, 12)
    for look in (
        lambda: load_test(settings(folder), device=CPU),
        lambda: load(settings(folder, validation_fraction=0), seed=0, device=CPU),
        settings(folder).check_test,
    ):
        with pytest.raises(ValueError, match="pets has no folder test/, so that there is nothing to evaluate on"):
            look()
    assert of(settings(folder)) == data.fingerprint
    write_folder(folder, parts=("test",))
    assert of(settings(folder)) == data.fingerprint, "the test split does not belong to what trials see"
    settings(folder).check_test()


def test_whether_there_is_a_test_is_not_asked_of_a_folder_on_another_host(folder):
    settings(folder / "elsewhere").check_test()


def test_a_fault_of_the_data_is_called_one(folder):
    write_folder(folder, parts=("train",))
    with pytest.raises(DataFault, match="no folder test/"):
        load(settings(folder, validation_fraction=0), seed=0, device=CPU)


def test_an_evaluation_without_a_test_split_is_refused_before_it_trains(folder, tmp_path):
    write_folder(folder, parts=("train",))
    space = SearchSpace(
        fixed={"data.name": "imagefolder", "data.path": str(folder)},
        free={"optimizer.lr": FloatDistribution(0.01, 0.4, log=True)},
    )
    config = plan(space, sampler="random", scheduler="none", trials=2, name="pets")
    record = create(tmp_path / "sweeps", config)
    work(Session.open(record, config))
    with pytest.raises(ValueError, match="pets has no folder test/, so that there is nothing to evaluate on; add it"):
        evaluation_of(record, config, [0], range(1, 3), str)
    write_folder(folder, parts=("test",))
    assert len(evaluation_of(record, config, [0], range(1, 3), str).plan.space.baselines) == 2


@pytest.fixture
def flat(folder):
    """Two classes of ten and twenty images, one of them in a folder of its own below its class."""
    pixels = write_folder(folder, parts=(".",), classes=("ant",), count=10)
    pixels |= write_folder(folder, parts=(".",), classes=("bee",), count=20, seed=1)
    (folder / "bee" / "more").mkdir()
    os.rename(folder / "bee/7.png", folder / "bee/more/7.png")
    return {name.removeprefix("./"): array for name, array in pixels.items()}


def rows(split):
    return {(image.numpy().tobytes(), int(target)) for image, target in zip(*split, strict=True)}


def test_a_folder_of_classes_is_split_by_class_the_same_each_time(folder, flat, caplog):
    data = load(settings(folder), seed=0, device=CPU)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "6 of 30 are put aside" in line and "data.test_fraction" in line
    test = load_test(settings(folder), device=CPU)
    parts = [data.train, data.validation, test]
    assert [torch.bincount(part.targets).tolist() for part in parts] == [[7, 14], [1, 2], [2, 4]]
    whole = {(a.transpose(2, 0, 1).tobytes(), ("ant", "bee").index(name.split("/")[0])) for name, a in flat.items()}
    assert set().union(*map(rows, parts)) == whole
    assert len(whole) == 30
    forget_data()
    other = load(settings(folder), seed=1, device=CPU)
    assert rows(other.train) | rows(other.validation) == whole - rows(test), "whatever the trial's seed"
    assert other.fingerprint == data.fingerprint


@pytest.mark.parametrize(("fraction", "count"), [(0.5, [5, 10]), (0.01, [1, 1])])
def test_the_share_of_the_test_can_be_chosen(folder, flat, fraction, count):
    dataset = settings(folder, test_fraction=fraction)
    assert torch.bincount(dataset.read_test().targets).tolist() == count
    assert of(dataset) != of(settings(folder))


def test_without_a_share_all_images_are_trained_on(folder, flat, caplog):
    dataset = settings(folder, test_fraction=0)
    assert len(dataset.read_train()[0].images) == 30
    assert not caplog.records
    with pytest.raises(ValueError, match="data.test_fraction: got 0, which leaves no test split"):
        dataset.read_test()


def test_the_fingerprint_of_a_split_folder_is_of_names_and_bytes_of_what_is_not_test(folder, flat):
    train, names = settings(folder).read_train()
    parts = [repr((3, names))]
    for name in sorted(flat):
        row = (flat[name].transpose(2, 0, 1).tobytes(), names.index(name.split("/")[0]))
        if row in rows(train):
            path = name.replace("bee/7", "bee/more/7")
            parts.append((path, hashlib.blake2b((folder / path).read_bytes(), digest_size=16).digest()))
    told = [parts[0], *(one for pair in sorted(parts[1:]) for one in pair)]
    assert of(settings(folder)) == of_parts(told)


def test_it_is_said_once_when_data_are_loaded_and_not_for_each_split(folder, flat, caplog):
    with caplog.at_level(logging.WARNING):
        load(settings(folder), seed=0, device=CPU)
        load_test(settings(folder), device=CPU)
        load(settings(folder), seed=0, device=CPU)
    assert len(caplog.records) == 1


def test_which_images_are_put_aside_stays_so_in_later_versions(folder):
    """As first drawn; an old sweep's data would else have changed."""
    for k, name in enumerate(("ant", "bee")):
        (folder / name).mkdir()
        for i in range(10):
            (folder / name / f"{i}.ppm").write_bytes(b"P6 2 1 255\n" + bytes([i, k, 7, i, k, 3]))
    test = settings(folder).read_test()
    assert [(int(t), int(image[0, 0, 0])) for image, t in zip(*test, strict=True)] == PUT_ASIDE


def test_what_pillow_only_warns_of_is_no_bad_file(folder):
    """An animation of no frames, whose image is whole."""
    write_folder(folder)
    path = folder / "train/ant/0.png"
    content = path.read_bytes()
    control = b"acTL" + bytes(8)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    path.write_bytes(content[:33] + chunk + content[33:])  # behind the header
    assert len(settings(folder).read_train()[0].images) == 12


def test_who_waits_while_another_is_refused_makes_the_folder_anew(folder, monkeypatch):
    write_folder(folder)
    acquire, calls = image_cache.Lock.acquire, []

    def first_without_folder(self, timeout_s=None):
        calls.append(self.path)
        if len(calls) == 1:
            self.path.parent.rmdir()
        acquire(self, timeout_s)

    monkeypatch.setattr(image_cache.Lock, "acquire", first_without_folder)
    assert len(settings(folder).read_train()[0].images) == 12
    assert len(calls) == 2 and (folder / ".tune_mixup" / "colour.pt").exists()
