"""Files as Hugging Face's `datasets` writes them, and such as anybody writes: images come back to the pixel."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from made_collections import Draw, png, write_table, write_tables
from PIL import Image

from tune_mixup.data import DATASETS, load, parquet
from tune_mixup.data.parquet_files import find_tables
from tune_mixup.data.parquet_images import Images

CPU = torch.device("cpu")
NAMES = ("cat", "dog")


def settings(path, **changes):
    return DATASETS["parquet"].parse({"path": str(path), "root": str(path.parent / "root"), **changes})


def stacked(pixels):
    return np.stack(pixels).transpose(0, 3, 1, 2)


def test_a_folder_of_the_hub(tmp_path):
    pixels = write_tables(tmp_path / "pets", parts=("train", "validation", "test"))
    dataset = settings(tmp_path / "pets")
    train, names = dataset.read_train()
    splits = {"train": train, "validation": dataset.read_validation(), "test": dataset.read_test()}
    for part, split in splits.items():
        np.testing.assert_array_equal(split.images.numpy(), stacked(pixels[part]))
        assert split.targets.tolist() == [0, 1] * 6
    assert names == NAMES


def test_several_files_follow_one_another_by_name(tmp_path):
    draw, expected = Draw(), []
    for number in (0, 1, 2):
        path = tmp_path / "pets" / f"train-0000{number}-of-00003.parquet"
        expected += write_table(path, [0, 1, number % 2], names=NAMES, draw=draw, groups=2)
    train = settings(tmp_path / "pets").read_train()[0]
    np.testing.assert_array_equal(train.images.numpy(), stacked(expected))
    assert train.targets.tolist() == [0, 1, 0, 0, 1, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("files", "expected", "unsplit"),
    [
        (["train-0-of-1", "test-0-of-1", "validation-0-of-1"], ["train", "test", "val"], False),
        (["training", "eval_1", "dev"], ["train", "test", "val"], False),
        (["x/train/0000", "x/test/0000"], ["train", "test"], False),
        (["train/validation-0", "train/0"], ["train", "val"], False),
        (["b", "a", "trainer"], ["train"] * 3, True),
    ],
)
def test_names_tell_the_part(tmp_path, files, expected, unsplit):
    for file in [*files, ".hidden/train-1"]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{file}.parquet").write_text("?")
    tables, found = find_tables(tmp_path)
    assert ([table.part for table in tables], found) == (expected, unsplit)
    if unsplit:
        assert [table.relative for table in tables] == sorted(f"{file}.parquet" for file in files)


@pytest.mark.parametrize("form", ["struct", "bytes", "pandas"])
def test_images_in_three_forms_are_found(tmp_path, form):
    draw = Draw()
    pixels = [draw.pixels(8, 6, 3) for _ in range(6)]
    labels = ["dog", "cat"] * 3
    path = tmp_path / "train.parquet"
    match form:
        case "pandas":
            table = {"id": range(6), "picture": [png(each) for each in pixels], "label": pd.Categorical(labels)}
            pd.DataFrame(table).to_parquet(path)
        case "bytes":
            large = pa.array([png(each) for each in pixels], pa.large_binary())
            pq.write_table(pa.table({"label": pa.array(labels, pa.large_string()), "picture": large}), path)
        case "struct":
            cells = [{"path": "?", "bytes": png(each)} for each in pixels]
            pq.write_table(pa.table({"class": labels, "note": labels, "picture": cells}), path)
    train, names = settings(path, test_fraction=0).read_train()
    np.testing.assert_array_equal(train.images.numpy(), stacked(pixels))
    assert names == ("cat", "dog") and train.targets.tolist() == [1, 0] * 3


def test_columns_are_named_where_there_are_several(tmp_path):
    draw = Draw()
    pixels = [[draw.pixels(5, 4, 3) for _ in range(6)] for _ in range(2)]
    table = pa.table(
        {"left": [png(each) for each in pixels[0]], "right": [png(each) for each in pixels[1]]}
        | {"fine": [0, 1, 2] * 2, "coarse": [0, 0, 1] * 2}
    )
    path = tmp_path / "p.parquet"
    pq.write_table(table, path)
    with pytest.raises(ValueError, match="data.image_column: .* of which left and right hold images; name one"):
        settings(path).read_train()
    with pytest.raises(
        ValueError, match="data.label_column: .*left, right, fine, coarse, none of label, labels, class"
    ):
        settings(path, image_column="left").read_train()
    found = {}
    for image, label in (("left", "fine"), ("right", "coarse")):
        dataset = settings(path, image_column=image, label_column=label, test_fraction=0)
        found[image] = dataset.read_train()[0]
    np.testing.assert_array_equal(found["left"].images.numpy(), stacked(pixels[0]))
    np.testing.assert_array_equal(found["right"].images.numpy(), stacked(pixels[1]))
    assert found["left"].targets.tolist() == [0, 1, 2] * 2 and found["right"].targets.tolist() == [0, 0, 1] * 2


@pytest.mark.parametrize(("fine", "found"), [("label", ("a", "b", "c")), ("fine_label", None)])
def test_of_several_classes_the_one_called_label_is_meant(tmp_path, fine, found):
    features = {
        fine: {"names": ["a", "b", "c"], "_type": "ClassLabel"},
        "coarse_label": {"names": ["x", "y"], "_type": "ClassLabel"},
    }
    cells = [png(each) for each in Draw().pixels(9, 5, 4, 3)]
    table = pa.table({"img": cells, "coarse_label": [0, 1, 1] * 3, fine: [0, 1, 2] * 3})
    noted = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(noted), tmp_path / "p.parquet")
    dataset = settings(tmp_path / "p.parquet", test_fraction=0)
    if found is None:
        with pytest.raises(ValueError, match="of which fine_label and coarse_label are classes; name one"):
            dataset.read_train()
        found, dataset = ("x", "y"), dataset.replace(label_column="coarse_label")
    train, names = dataset.read_train()
    assert names == found and len(set(train.targets.tolist())) == len(found)


def test_a_file_given_itself_is_split(tmp_path, caplog):
    path = tmp_path / "train-00000-of-00001.parquet"
    pixels = write_table(path, [0, 1] * 10, names=NAMES)
    dataset = settings(path)
    train, test = dataset.read_train()[0], dataset.read_test()
    assert torch.bincount(train.targets).tolist() == [8, 8] and torch.bincount(test.targets).tolist() == [2, 2]
    found = sorted(image.numpy().tobytes() for split in (train, test) for image in split.images)
    assert found == sorted(each.transpose(2, 0, 1).tobytes() for each in pixels)
    assert "does not say which images are for the test: 4 of 20" in caplog.text


def test_only_evaluate_needs_labelled_test_files(tmp_path):
    folder = tmp_path / "pets"
    write_tables(folder, parts=("train",))
    with pytest.raises(ValueError, match="pets has no file whose name begins with test"):
        settings(folder).check_test()
    for labels in ([-1] * 4, pa.nulls(4, pa.int64())):
        write_table(folder / "data" / "test-0.parquet", labels, names=NAMES)
        dataset = settings(folder)
        assert len(load(dataset, seed=0, device=CPU).train.images) == 10
        with pytest.raises(ValueError, match="the test files in .*pets have no labels"):
            dataset.check_test()
    write_table(folder / "data" / "test-0.parquet", [0, 1], names=NAMES)
    settings(folder).check_test()
    alone = settings(folder / "data" / "train-00000-of-00001.parquet", test_fraction=0)
    with pytest.raises(ValueError, match="data.test_fraction: got 0"):
        alone.check_test()
    settings(tmp_path / "gone").check_test()


def test_bad_images_are_listed_all_at_once_or_left_out(tmp_path, caplog):
    pixels = [Draw().pixels(5, 4, 3) for _ in range(16)]
    cells = [{"bytes": png(each), "path": None} for each in pixels]
    for i in range(4):
        cells[i]["bytes"] = cells[i]["bytes"][:40]
    cells[4] = {"bytes": None, "path": "a.png"}
    cells[5] = {"bytes": b"", "path": None}
    cells[6] = None
    for i in range(7, 12):
        cells[i]["bytes"] = b"no image"
    path = tmp_path / "p.parquet"
    write_table(path, [0, 1] * 6 + [1, 1, 0, 1], names=NAMES, images=cells)
    with pytest.raises(ValueError) as caught:
        settings(path).read_train()
    message = str(caught.value)
    assert "\n" not in message and "12 of 16 rows in" in message and "and 2 more" in message
    for words in ("row 5 (its bytes are not", "row 6 (it is empty)", "row 7 (there is no image)", "on_error=skip"):
        assert words in message
    assert "row 11" not in message
    assert not list(tmp_path.rglob("*.pt"))
    train = settings(path, on_error="skip", test_fraction=0).read_train()[0]
    np.testing.assert_array_equal(train.images.numpy(), stacked(pixels[12:]))
    assert train.targets.tolist() == [1, 1, 0, 1]
    assert "12 of 16 rows" in caplog.text
    with pytest.raises(ValueError, match="12 of 16 rows"):  # from the cache as well
        settings(path, test_fraction=0).read_train()


def test_exif_and_the_pixel_limit_hold_as_for_files(tmp_path, monkeypatch):
    image = Image.fromarray(Draw().pixels(5, 4, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    image.save(turned, "PNG", exif=exif)
    plain = png(np.asarray(image)[::-1].transpose(1, 0, 2))
    path = tmp_path / "p.parquet"
    write_table(
        path, [0, 1] * 2, names=NAMES, images=[{"bytes": each, "path": None} for each in [turned.getvalue(), plain] * 2]
    )
    images = settings(path, test_fraction=0).read_train()[0].images
    assert torch.equal(images[0], images[1])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 19)
    with pytest.raises(ValueError, match="4 of 4 rows .* x .* pixels, more than the 19"):
        settings(path).read_train()


def test_what_is_read_once_is_kept_until_the_files_change(tmp_path, monkeypatch):
    calls = []
    decode_each = parquet.decode_each
    monkeypatch.setattr(
        parquet, "decode_each", lambda names, *a, **k: calls.append(len(names)) or decode_each(names, *a, **k)
    )
    folder = tmp_path / "pets"
    write_tables(folder)
    dataset = settings(folder)
    before = dataset.known_fingerprint()
    dataset.read_test()
    assert calls == [24] and [path.parent for path in folder.rglob("*.pt")] == [folder / ".tune_mixup"]
    monkeypatch.setattr(parquet, "_FORMAT", 2)
    assert dataset.known_fingerprint() == before and calls == [24] * 2
    write_table(folder / "data" / "test-00000-of-00001.parquet", [1, 0], names=NAMES, draw=Draw(9))
    assert dataset.known_fingerprint() == before and calls[2:] == [14]
    write_table(folder / "data" / "train-00000-of-00001.parquet", [1, 0] * 6, names=NAMES)
    other = dataset.known_fingerprint()
    assert other != before
    write_table(folder / "data" / "train-00000-of-00001.parquet", [1, 0] * 6, names=("owl", "dog"))
    write_table(folder / "data" / "test-00000-of-00001.parquet", [1, 0], names=("owl", "dog"))
    assert dataset.known_fingerprint() not in (before, other)


def test_few_row_groups_are_in_memory_at_once_and_each_is_read_once(tmp_path, monkeypatch):
    write_table(tmp_path / "p.parquet", list(range(20)), groups=4)
    tables, _ = find_tables(tmp_path / "p.parquet")
    images = Images(tables, "image", together=4)
    read, most = [], []
    original = images._read
    monkeypatch.setattr(images, "_read", lambda group: read.append(group) or original(group))
    for place in range(20):
        assert images[place].startswith(b"\x89PNG")
        most.append(len(images._kept))
    assert read == [0, 1, 2, 3, 4] and max(most) == 3


def rewritten(path, change):
    pq.write_table(change(pq.read_table(path)), path)


def damaged_page(path):
    content = bytearray(path.read_bytes())
    content[100:300] = bytes(200)
    path.write_bytes(content)


TRAIN = "data/train-00000-of-00001.parquet"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / TRAIN).unlink(), ["has no file whose name begins with train"]),
        (lambda f: (f / TRAIN).write_bytes(b""), [f"{TRAIN} can't be read (", "give whole Parquet files"]),
        (lambda f: (f / TRAIN).write_bytes((f / TRAIN).read_bytes()[:500]), [f"{TRAIN} can't be read ("]),
        (lambda f: (f / TRAIN).write_text("no table"), [f"{TRAIN} can't be read ("]),
        (lambda f: damaged_page(f / TRAIN), ["rows in", "can't be read as images", "row 1 ("]),
        (lambda f: (f / TRAIN).rename(f / "data" / "other.parquet"), ["other.parquet does not begin with train"]),
        (lambda f: rewritten(f / TRAIN, lambda t: t.drop_columns("label")), ["data.label_column", "image, none of"]),
        (lambda f: rewritten(f / TRAIN, lambda t: t.drop_columns("image")), ["data.image_column", "none holds images"]),
        (lambda f: rewritten(f / TRAIN, lambda t: t.slice(0, 0)), ["has no rows to train on"]),
        (lambda f: write_table(f / TRAIN, [0, 2, 1], names=NAMES), ["train-00000-of-00001.parquet row 2", "label 2"]),
        (lambda f: write_table(f / TRAIN, [0, -1, 1], names=NAMES), ["row 2 has the label -1", "must be 0 to 1"]),
        (lambda f: write_table(f / TRAIN, [0, None, 1], names=NAMES), ["row 2 has no label (label)"]),
        (lambda f: write_table(f / TRAIN, [0.0, 1.0], names=NAMES), ["data.label_column: label in", "double"]),
        (lambda f: write_table(f / TRAIN, [[0], [1]], names=NAMES), ["data.label_column: label in", "list"]),
        (lambda f: write_table(f / TRAIN, ["cat", "owl"], names=NAMES), ["numbers in one file and texts in another"]),
        (lambda f: write_table(f / TRAIN, [0, 1], names=("a", "b")), ["has other columns or classes than"]),
        (lambda f: write_table(f / TRAIN, [0] * 4, names=NAMES), ["no image to train on is of the class 'dog'"]),
        (
            lambda f: write_table(f / "data" / "test-00000-of-00001.parquet", [0, 1], names=NAMES, size=(9, 9)),
            ["test-00000-of-00001.parquet row 1 is 9 x 9", "row 1 is 8 x 6", "set data.size"],
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, damage, words):
    folder = tmp_path / "pets"
    write_tables(folder)
    damage(folder)
    with pytest.raises(ValueError) as caught:
        load(settings(folder), seed=0, device=CPU)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".lock")]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gone", "gone does not exist"),
        ("empty", "empty holds no .parquet file"),
        ("pets/a.txt", "a.txt can't be read ("),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, path, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "a.txt").write_text("?")
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        settings(tmp_path / path).read_train()


@pytest.mark.parametrize("column", ["image_column", "label_column"])
def test_a_column_that_is_not_there_is_one_line(tmp_path, column):
    write_tables(tmp_path / "pets")
    with pytest.raises(ValueError, match=rf"data.{column}: .* has the columns image, label; got 'picture', must be"):
        settings(tmp_path / "pets", **{column: "picture"}).read_train()
    with pytest.raises(ValueError, match="data.image_column: label in .* holds int64, must be bytes"):
        settings(tmp_path / "pets", image_column="label").read_train()
