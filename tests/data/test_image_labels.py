"""A table of labels says which images count, of which class they are, and of which split."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_files import folder_settings as settings
from made_files import write_folder

from tune_mixup.data import load
from tune_mixup.data.loading import forget_data

CPU = torch.device("cpu")


@pytest.fixture
def pixels(folder):
    """Twelve images in one folder below another, whose names say nothing."""
    drawn = write_folder(folder, parts=("all",), classes=("some",), count=12)
    return {name.removeprefix("all/some/"): array for name, array in drawn.items()}


def rows(number=12):
    return pd.DataFrame(
        {"file": [f"all/some/{i}.png" for i in range(number)], "label": [("dog", "cat")[i % 2] for i in range(number)]}
    )


def write(table, folder, ending="csv"):
    path = folder.parent / f"labels.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    return path


def labelled(folder, table, ending="csv", **changes):
    return settings(folder, labels=str(write(table, folder, ending)), **changes)


def images(pixels, numbers):
    return np.stack([pixels[f"{i}.png"].transpose(2, 0, 1) for i in numbers])


def of(dataset):
    forget_data()
    return load(dataset, seed=0, device=CPU).fingerprint


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_says_class_and_split(folder, pixels, ending):
    table = rows()
    table["split"] = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    table["weight"] = 0.5  # which is none of our columns
    dataset = labelled(folder, table, ending)
    train, names = dataset.read_train()
    assert names == ("cat", "dog")
    np.testing.assert_array_equal(train.images.numpy(), images(pixels, [1, 3, 5, 0, 2, 4]))
    assert train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(dataset.read_validation().images.numpy(), images(pixels, [7, 6]))
    np.testing.assert_array_equal(dataset.read_test().images.numpy(), images(pixels, [11, 9, 10, 8]))


def test_without_splits_a_share_is_put_aside(folder, pixels, caplog):
    dataset = labelled(folder, rows(10))
    assert torch.bincount(dataset.read_train()[0].targets).tolist() == [4, 4]
    assert torch.bincount(dataset.read_test().targets).tolist() == [1, 1]
    assert dataset.read_validation() is None
    assert "labels.csv does not say which images are for the test: 2 of 10 " in caplog.text


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numbers_are_classes_in_their_order(folder, pixels, ending):
    table = rows()
    table["label"] = [(10, 9, 2)[i % 3] for i in range(12)]
    train, names = labelled(folder, table, ending, test_fraction=0).read_train()
    assert names == ("2", "9", "10")
    np.testing.assert_array_equal(train.images[:4].numpy(), images(pixels, [11, 2, 5, 8]))


def test_the_order_of_rows_does_not_matter_and_a_label_does(folder, pixels):
    table = rows()
    first = of(labelled(folder, table))
    assert of(labelled(folder, table.iloc[::-1])) == first
    assert of(labelled(folder, table, "parquet")) == first
    table.loc[3, "label"] = "dog"
    assert of(labelled(folder, table)) != first


def test_a_split_belongs_to_the_fingerprint(folder, pixels):
    table = rows()
    prints = set()
    for split in (["train"] * 12, ["train"] * 10 + ["val"] * 2, ["train"] * 8 + ["val"] * 4):
        table["split"] = split
        prints.add(of(labelled(folder, table)))
    assert len(prints) == 3


def test_a_table_beside_folders_of_classes_has_its_own_cache(folder):
    write_folder(folder)
    table = pd.DataFrame({"file": ["train/ant/0.png", "train/ant/1.png"], "label": ["x", "y"]})
    dataset = labelled(folder, table, test_fraction=0)
    for _ in range(2):
        assert dataset.read_train()[1] == ("x", "y")
        assert settings(folder).read_train()[1] == ("ant", "bee")
    assert len(list((folder / ".tune_mixup").glob("*.pt"))) == 2


def test_files_count_whatever_their_ending(folder, pixels):
    (folder / "all/some/0.png").rename(folder / "all/some/0")
    table = rows()
    table.loc[0, "file"] = "./all//some/0"
    assert len(labelled(folder, table, test_fraction=0).read_train()[0].images) == 12


def test_a_named_file_that_is_missing_is_a_bad_one(folder, pixels):
    (folder / "all/some/4.png").unlink()
    (folder / "all/some/6.png").write_text("?")
    with pytest.raises(
        ValueError, match=r"2 of 12 files .*some/4.png \(No such file or directory\), .*6.png \(no kind"
    ):
        labelled(folder, rows()).read_train()
    skipping = labelled(folder, rows(), on_error="skip", test_fraction=0)
    assert torch.bincount(skipping.read_train()[0].targets).tolist() == [6, 4]


def changed(row, column, value):
    table = rows()
    table["split"] = "train"
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (rows().rename(columns={"file": "path"}), "has the columns path, label; it must have the columns file"),
        (rows().drop(columns="label"), "has the columns file; it must have"),
        (rows().assign(label="one"), "has 1 classes, must be at least 2"),
        (rows(0), "has 0 classes, must be at least 2"),
        (changed(2, "label", ""), "row 3 of .*labels.csv has no label; give it one"),
        (changed(2, "label", None), "row 3 of .*labels.csv has no label; give it one"),
        (changed(2, "file", ""), "row 3 of .*labels.csv has no file"),
        (changed(2, "file", "../a.png"), "row 3 of .* names '../a.png', which is not below data.path"),
        (changed(2, "file", "all/../../a.png"), "which is not below data.path"),
        (changed(2, "file", "/etc/a.png"), "which is not below data.path"),
        (changed(2, "split", "dev"), "row 3 of .* has the split 'dev', must be train, val or test"),
        (changed(2, "file", "all/./some/1.png"), "row 3 of .* names 'all/some/1.png' as row 2 does"),
        (changed([0, 2, 4, 6, 8, 10], "split", "val"), "has nothing to train on of the class 'dog'"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(folder, pixels, table, words):
    with pytest.raises(ValueError, match=words) as caught:
        labelled(folder, table).read_train()
    assert "\n" not in str(caught.value)
    assert not (folder / ".tune_mixup").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("labels.csv", b"", "can't be read"),
        ("labels.csv", b"file,label\na,b,c\n" + b'"', "can't be read"),
        ("labels.csv", b"\xff\xfe\x00", "can't be read"),
        ("labels.parquet", b"file,label\n", "can't be read"),
        ("labels.parquet", b"", "can't be read"),
        ("labels.txt", b"file,label\n", "must be a table whose name ends with .csv or .parquet"),
        ("labels.csv", None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(folder, name, content, words):
    path = folder.parent / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        settings(folder, labels=str(path)).read_train()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_there_is_a_test_only_where_a_row_says_so(folder, pixels):
    table = rows()
    table["split"] = "train"
    dataset = labelled(folder, table)
    assert len(dataset.read_train()[0].images) == 12
    with pytest.raises(ValueError, match="labels.csv has no row of test, so that there is nothing to evaluate on"):
        dataset.read_test()
