"""Arrays in a NumPy file: they come back as they were, under any of the usual names and in any of three layouts."""

import io

import numpy as np
import pytest
import torch
from made_collections import Draw, npz_arrays

from tune_mixup.data import DATASETS, load

CPU = torch.device("cpu")


@pytest.fixture
def file(tmp_path):
    """Writes arrays into a file and gives the data set."""

    def write(arrays, **changes):
        np.savez(tmp_path / "mine.npz", **arrays)
        return settings(tmp_path, **changes)

    return write


def settings(folder, **changes):
    return DATASETS["npz"].parse({"path": str(folder / "mine.npz"), "root": str(folder / "root"), **changes})


@pytest.mark.parametrize(
    ("shape", "channels_first"),
    [((8, 6), lambda a: a[:, None]), ((8, 6, 1), lambda a: a.transpose(0, 3, 1, 2)), ((1, 8, 6), lambda a: a)],
)
def test_grey_images_in_three_layouts(file, shape, channels_first):
    arrays = npz_arrays(shape=shape)
    expected = channels_first(arrays["x_train"])
    grey = file(arrays, channels=1).read_train()[0]
    np.testing.assert_array_equal(grey.images.numpy(), expected)
    assert grey.targets.tolist() == arrays["y_train"].tolist()
    np.testing.assert_array_equal(
        file(arrays).read_test().images.numpy(), channels_first(arrays["x_test"]).repeat(3, 1)
    )


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("last", [True, False])
def test_colours_in_two_layouts_and_transparency_is_dropped(file, channels, last):
    arrays = npz_arrays(shape=(8, 6, channels) if last else (channels, 8, 6))
    found = file(arrays).read_train()[0].images.numpy()
    expected = arrays["x_train"].transpose(0, 3, 1, 2) if last else arrays["x_train"]
    np.testing.assert_array_equal(found, expected[:, :3])


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        ("x_{}", "y_{}", ("train", "val", "test")),
        ("X_{}", "y_{}", ("train", "valid", "test")),
        ("{}_images", "{}_labels", ("train", "val", "test")),
        ("data_{}", "targets_{}", ("training", "validation", "test")),
    ],
)
def test_the_usual_names(file, images, labels, parts):
    drawn = Draw().pixels(3, 8, 5, 4)
    targets = np.array([[0, 1, 2, 0, 1, 2, 0, 1]] * 3)
    arrays = {images.format(part): drawn[i] for i, part in enumerate(parts)}
    arrays |= {labels.format(part): targets[i][:, None] for i, part in enumerate(parts)}
    dataset = file(arrays, channels=1)
    splits = [dataset.read_train()[0], dataset.read_validation(), dataset.read_test()]
    for found, expected in zip(splits, drawn, strict=True):
        np.testing.assert_array_equal(found.images[:, 0].numpy(), expected)
        assert found.targets.tolist() == targets[0].tolist()


def test_one_pair_of_arrays_is_split_which_is_said(file, caplog):
    drawn = Draw().pixels(20, 5, 4)
    dataset = file({"images": drawn, "labels": np.arange(20) % 2}, channels=1)
    train, _ = dataset.read_train()
    test = dataset.read_test()
    assert torch.bincount(test.targets).tolist() == [2, 2]
    there = {image.tobytes(): i % 2 for i, image in enumerate(drawn)}
    for split in (train, test):
        for image, target in zip(split.images, split.targets.tolist(), strict=True):
            assert there.pop(image.numpy().tobytes()) == target
    assert not there
    assert "mine.npz does not say which images are for the test: 4 of 20" in caplog.text
    assert len(dataset.replace(test_fraction=0.5).read_test().images) == 10
    assert dataset.replace(test_fraction=0).read_train()[0].targets.tolist() == [0, 1] * 10


def test_classes_are_called_by_their_names_or_labels(file):
    arrays = npz_arrays()
    assert file(arrays).read_train()[1] == ("0", "1")
    assert file({**arrays, "class_names": np.array(["cat", "dog"])}).read_train()[1] == ("cat", "dog")
    tens = {key: each * 10 + 5 if key.startswith("y") else each for key, each in arrays.items()}
    train, names = file(tens).read_train()
    assert names == ("5", "15") and train.targets.tolist() == arrays["y_train"].tolist()
    texts = {key: np.array(["sun", "moon"])[each] if key.startswith("y") else each for key, each in arrays.items()}
    train, names = file(texts).read_train()
    assert names == ("moon", "sun") and train.targets.tolist() == (1 - arrays["y_train"]).tolist()
    train, names = file({**texts, "class_names": np.array(["sun", "moon"])}).read_train()
    assert names == ("sun", "moon") and train.targets.tolist() == arrays["y_train"].tolist()


def test_only_evaluate_needs_a_test_set(file):
    arrays = npz_arrays(parts=("train",))
    dataset = file(arrays)
    assert len(load(dataset, seed=0, device=CPU).train.images) == 10
    with pytest.raises(ValueError, match="mine.npz has no x_test and y_test"):
        dataset.check_test()
    with pytest.raises(ValueError, match="no x_test and y_test"):
        file({**arrays, "x_test": arrays["x_train"]}).check_test()
    lone = {"x": arrays["x_train"], "y": arrays["y_train"]}
    file(lone).check_test()
    with pytest.raises(ValueError, match="data.test_fraction: got 0"):
        file(lone, test_fraction=0).check_test()


def test_a_changed_file_is_read_anew_and_its_test_is_not_in_the_fingerprint(file, tmp_path):
    arrays = npz_arrays()
    dataset = file(arrays)
    before = dataset.known_fingerprint()
    cache = next(tmp_path.rglob("*.pt"))
    written = cache.stat().st_mtime_ns
    dataset.read_test()
    assert cache.stat().st_mtime_ns == written and cache.parent == tmp_path / ".tune_mixup"
    assert file({**arrays, "x_test": arrays["x_test"][::-1].copy()}).known_fingerprint() == before
    for key in ("x_train", "y_train"):
        changed = arrays[key].copy()
        changed[:2] = changed[1::-1]
        assert file({**arrays, key: changed}).known_fingerprint() != before
    assert file(arrays, size=4).known_fingerprint() != before
    assert file(arrays).known_fingerprint() == before


def test_images_get_one_size_as_pillow_makes_it(file):
    from PIL import Image

    arrays = npz_arrays()
    found = file(arrays, channels=1, size=[4, 3], resize="stretch").read_train()[0].images
    wanted = Image.fromarray(arrays["x_train"][3]).resize((3, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[3, 0].numpy(), np.asarray(wanted))


GOOD = npz_arrays()


class Pickled:
    """Would be made anew by running code from the file."""


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": GOOD["x_train"]}, ["has the arrays x_train", "it must have images and labels"]),
        ({}, ["has the arrays (none)"]),
        ({**GOOD, "x": GOOD["x_train"], "y": GOOD["y_train"]}, ["has the arrays", "x, y"]),
        ({**GOOD, "train_images": GOOD["x_train"]}, ["x_train and train_images", "keep one"]),
        ({**GOOD, "x_train": GOOD["x_train"] / 255}, ["x_train", "float64", "must be uint8"]),
        ({**GOOD, "x_train": GOOD["x_train"][0]}, ["x_train", "[8, 6]", "[N, H, W]"]),
        ({**GOOD, "x_train": np.zeros((12, 2, 8, 6), np.uint8)}, ["[12, 2, 8, 6]", "1, 3 or 4 channels"]),
        ({**GOOD, "x_train": np.zeros((12, 3, 8, 3), np.uint8)}, ["[12, 3, 8, 3]"]),
        ({**GOOD, "y_train": GOOD["y_train"][1:]}, ["12 images and y_train 11 labels"]),
        ({**GOOD, "x_test": GOOD["x_test"][:0], "y_test": GOOD["y_test"][:0]}, ["0 images", "at least one"]),
        ({**GOOD, "y_train": GOOD["y_train"] / 1}, ["y_train", "float64 [12]", "take the argmax"]),
        ({**GOOD, "y_train": np.eye(2, dtype=np.int64)[GOOD["y_train"]]}, ["y_train", "int64 [12, 2]", "argmax"]),
        ({**GOOD, "y_train": GOOD["y_train"] - 1}, ["item 0 of y_train", "label -1", "0 or more"]),
        ({**GOOD, "y_test": GOOD["y_test"] + 1}, ["item 1 of y_test", "label 2", "in train"]),
        ({**GOOD, "class_names": np.array(["cat"])}, ["item 1 of y_train", "label 1", "must be 0 to 0"]),
        ({**GOOD, "class_names": np.array(["cat", "cat"])}, ["two classes are called 'cat'"]),
        ({**GOOD, "class_names": np.array(["cat", "dog", "owl"])}, ["no image to train on is of the class 'owl'"]),
        ({**GOOD, "y_train": np.array([Pickled()] * 12)}, ["mine.npz can't be read", "allow_pickle"]),
        ({**GOOD, "y_train": GOOD["y_train"] * 0}, ["y_test", "label 1"]),
        ({"x": GOOD["x_train"], "y": GOOD["y_train"] * 0}, ["has 1 classes, must be at least 2"]),
    ],
)
def test_what_cannot_be_used_is_one_line(file, arrays, words):
    dataset = file(arrays)
    with pytest.raises(ValueError) as caught:
        load(dataset, seed=0, device=CPU)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def lone_array():
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "mine.npz can't be read (No such file or directory)"),
        (lambda path: path.write_bytes(b""), "mine.npz can't be read ("),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "mine.npz can't be read ("),
        (
            lambda path: path.write_bytes(path.read_bytes()[:60] + b"?" * 40 + path.read_bytes()[100:]),
            "can't be read (",
        ),
        (lambda path: path.write_text("no arrays"), "mine.npz can't be read ("),
        (lambda path: path.write_bytes(lone_array()), "it holds one array without a name"),
        (lambda path: (path.unlink(), path.mkdir()), "mine.npz can't be read ("),
    ],
)
def test_a_damaged_file_is_one_line_and_leaves_nothing(file, damage, words, tmp_path):
    dataset = file(npz_arrays())
    damage(tmp_path / "mine.npz")
    with pytest.raises(ValueError) as caught:
        load(dataset, seed=0, device=CPU)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] in (["mine.npz"], [])
