"""ImageNet's folder, and the part of it that is asked for."""

import pytest
import torch
from made_files import NUMBERS, write_imagenet

from tune_mixup.config import TrialConfig
from tune_mixup.data import listed_images, load
from tune_mixup.data.imagenet import ImageNet

ORDER = sorted(NUMBERS)
CPU = torch.device("cpu")


@pytest.fixture
def settings(tmp_path):
    return lambda **changes: ImageNet.parse({"root": str(tmp_path), "size": [8, 10], **changes})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "imagenet"


def numbers_of(split):
    """Which of the images that `write_imagenet` made, in the order in which it made them."""
    assert all(len(image.flatten(1).unique(dim=1).T) == 1 for image in split.images)
    return (split.images[:, 0, 0, 0] + 256 * split.images[:, 1, 0, 0].long()).tolist()


@pytest.mark.parametrize("flat", [False, True])
def test_all_of_a_folder_is_read(folder, settings, flat):
    write_imagenet(folder, flat=flat)
    dataset = settings()
    train, names = dataset.read_train()
    assert names == tuple(ORDER) and dataset.known_shape() is None
    # 13 images of each class, the first 10 of them for training, in the order of NUMBERS
    firsts = [13 * NUMBERS.index(number) for number in ORDER]
    assert numbers_of(train) == [first + i for first in firsts for i in range(10)]
    assert numbers_of(dataset.read_test()) == [first + 10 + i for first in firsts for i in range(3)]
    assert train.targets.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert (dataset.mean, dataset.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_classes_are_called_by_their_words_where_they_are_known(folder, settings):
    write_imagenet(folder)
    (folder / "LOC_synset_mapping.txt").write_text("n01443537 goldfish, Carassius auratus\nn02132136 brown bear\n")
    assert settings().read_train()[1] == ("goldfish (n01443537)", "brown bear (n02132136)", "n02364673")


def test_images_have_224_pixels_by_default(folder, settings):
    write_imagenet(folder, train=2, val=1)
    assert ImageNet(root=folder.parent).read_train()[0].images.shape == (6, 3, 224, 224)
    assert ImageNet.parse({"size": 8, "classes": 5}).known_shape() == (5, 8, 8)


def opened(monkeypatch):
    """The files that are decoded."""
    files = []
    decode = listed_images.decode

    def logged(folder, listed, **options):
        files.extend(one.relative for one in listed)
        return decode(folder, listed, **options)

    monkeypatch.setattr(listed_images, "decode", logged)
    return files


def test_a_part_is_drawn_by_its_seed_and_nothing_else_is_opened(folder, settings, monkeypatch):
    files = opened(monkeypatch)
    write_imagenet(folder)
    small, large = (settings(images_per_class=number).read_train()[0] for number in (3, 6))
    assert torch.bincount(small.targets).tolist() == [3] * 3 and torch.bincount(large.targets).tolist() == [6] * 3
    assert set(numbers_of(small)) < set(numbers_of(large))
    assert len(files) == 3 * (3 + 3) + 3 * (6 + 3)
    seeds = {tuple(numbers_of(settings(images_per_class=3, subset_seed=seed).read_train()[0])) for seed in range(4)}
    assert len(seeds) == 4 and tuple(numbers_of(small)) in seeds


def test_classes_are_drawn_too(folder, settings):
    numbers = [f"n{k:08}" for k in range(12)]
    write_imagenet(folder, numbers=numbers, train=2, val=1)
    few, more = (settings(classes=count).read_train()[1] for count in (3, 6))
    assert set(few) < set(more) < set(numbers) and list(more) == sorted(more)
    assert settings(classes=3).known_shape() == (3, 8, 10)
    assert len(settings(classes=3).read_test().targets) == 3
    other = settings(classes=3, subset_seed=1).read_train()[1]
    assert other != few
    both = numbers_of(settings(images_per_class=1).read_train()[0])
    inside = numbers_of(settings(images_per_class=1, classes=6).read_train()[0])
    assert set(inside) < set(both), "which images are drawn does not depend on how many classes are"


def test_the_part_belongs_to_identity_and_fingerprint(folder, settings):
    write_imagenet(folder)
    parts = [{}, {"images_per_class": 3}, {"images_per_class": 3, "subset_seed": 1}, {"classes": 2}, {"size": 8}]
    assert len({settings(**part).known_fingerprint() for part in parts}) == 5
    identities = {TrialConfig.parse({"data": {"name": "imagenet", **part}}).identity() for part in parts[:4]}
    assert len(identities) == 4
    assert len(list((folder / ".tune_mixup").glob("*.pt"))) == 5
    same = {TrialConfig.parse({"data": {"name": "imagenet", "path": path}}).identity() for path in ("/a", "/b")}
    assert len(same) == 1


def test_more_images_than_a_class_has_are_all(folder, settings):
    write_imagenet(folder)
    assert len(settings(images_per_class=99).read_train()[0].images) == 30


def test_without_val_only_the_test_is_refused(folder, settings):
    write_imagenet(folder, val=0)
    assert len(load(settings(), seed=0, device=CPU).train.images) == 27
    for look in (settings().check_test, settings().read_test):
        with pytest.raises(ValueError, match="imagenet has no folder val/, so that there is nothing to evaluate on"):
            look()
    ImageNet(root=folder / "elsewhere").check_test()


@pytest.mark.parametrize(
    ("damage", "changes", "words"),
    [
        (lambda f: f.rename(f.with_name("x")), {}, "imagenet has no folder train/; it must hold train/<wnid>/"),
        (lambda f: None, {"classes": 4}, "train has 3 folders of classes, must have at least 4"),
        (lambda f: [p.unlink() for p in (f / "train" / ORDER[0]).iterdir()], {}, "holds no images"),
        (lambda f: (f / "LOC_val_solution.csv").unlink(), {}, "val has no folders of classes; add them, or LOC_val_so"),
        (lambda f: (f / "LOC_val_solution.csv").write_text("a\n"), {}, "names no image of the class n01443537"),
        (
            lambda f: (f / "LOC_val_solution.csv").write_text("a\n../b,n01443537 1\n"),
            {},
            r"the line '\.\./b,n01443537 1'",
        ),
        (lambda f: (f / "LOC_val_solution.csv").write_text("a\nb,dog 1\n"), {}, "the line 'b,dog 1'"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(folder, settings, damage, changes, words):
    write_imagenet(folder, flat=True)
    damage(folder)
    with pytest.raises(ValueError, match=words) as caught:
        settings(**changes).read_train()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"classes": 1}, {"images_per_class": 0}, {"subset_seed": -1}, {"size": None}])
def test_settings_that_make_no_sense_are_refused(settings, changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        settings(**changes)
