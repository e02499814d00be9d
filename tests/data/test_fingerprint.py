"""The fingerprint follows the content of training and validation data, and nothing else."""

import os
import shutil
import subprocess
import sys

import pytest
import torch
from made_files import folder_settings as settings
from made_files import write_folder
from PIL import Image

from tune_mixup.data import load
from tune_mixup.data.base import DataFault
from tune_mixup.data.digits import Digits
from tune_mixup.data.fingerprint import of_parts, of_tensors
from tune_mixup.data.loading import forget_data
from tune_mixup.data.synthetic import Synthetic

CPU = torch.device("cpu")


def of(dataset):
    forget_data()
    return load(dataset, seed=0, device=CPU).fingerprint


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    write_folder(folder, parts=("train", "test", "val"))
    return folder


def test_a_copy_elsewhere_with_other_times_is_the_same_data(folder, tmp_path):
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".tune_mixup"))
    for path in copy.rglob("*.png"):
        os.utime(path, (1, 1))
    assert of(settings(copy)) == of(settings(folder))
    assert of(settings(folder)) == of(settings(folder)), "from the stored images too"


def recolour(path):
    with Image.open(path) as image:
        changed = image.copy()
    changed.putpixel((0, 0), (1, 2, 3))
    changed.save(path)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda folder: shutil.copy(folder / "train/ant/0.png", folder / "train/ant/more.png"), True),
        (lambda folder: (folder / "train/ant/0.png").unlink(), True),
        (lambda folder: recolour(folder / "train/bee/3.png"), True),
        (lambda folder: recolour(folder / "val/bee/3.png"), True),
        (lambda folder: (folder / "train/ant/0.png").rename(folder / "train/bee/0a.png"), True),
        (lambda folder: recolour(folder / "test/bee/3.png"), False),  # which no trial sees
        (lambda folder: (folder / "train/ant/notes.txt").write_text("no image"), False),
    ],
)
def test_what_changes_training_changes_the_fingerprint_and_nothing_else_does(folder, change, differs):
    before = of(settings(folder))
    change(folder)
    assert (of(settings(folder)) != before) == differs


def test_every_pixel_and_label_counts_and_so_do_shapes_and_names():
    images, targets = torch.arange(24, dtype=torch.uint8).reshape(2, 1, 3, 4), torch.tensor([0, 1])
    before = of_tensors([images, targets], ["a", "b"])
    assert before == of_tensors([images.clone(), targets.clone()], ["a", "b"]) and len(before) == 16
    changed = images.clone()
    changed[1, 0, 2, 3] += 1
    others = [
        of_tensors([changed, targets], ["a", "b"]),
        of_tensors([images, torch.tensor([1, 0])], ["a", "b"]),
        of_tensors([images.reshape(2, 1, 4, 3), targets], ["a", "b"]),
        of_tensors([images, targets], ["ab", ""]),
        of_tensors([images], ["a", "b"]),
    ]
    assert len({before, *others}) == 6
    assert of_parts(["ab", "c"]) != of_parts(["a", "bc"])


def test_settings_that_say_nothing_of_the_content_leave_it():
    same = [Digits(), Digits(train_limit=50), Digits(validation_fraction=0.3, batches="stratified"), Digits(root="/x")]
    assert len({of(one) for one in same}) == 1 and len({one.source() for one in same}) == 1
    assert Digits().source() == '{"name": "digits"}'
    assert len({of(Synthetic(num_train=60, data_seed=seed)) for seed in (0, 1)}) == 2


def test_another_process_finds_the_same():
    script = """
from tune_mixup.data import load
from tune_mixup.data.digits import Digits
import torch
print(load(Digits(), seed=3, device=torch.device("cpu")).fingerprint)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == of(Digits())


def test_data_that_have_changed_are_a_fault_that_names_them(folder):
    before = of(settings(folder))
    assert of(settings(folder, fingerprint=before)) == before
    shutil.copy(folder / "train/ant/0.png", folder / "train/ant/more.png")
    with pytest.raises(DataFault, match="data.fingerprint: the data that .*images.* have changed: got .*, must be"):
        of(settings(folder, fingerprint=before))
    shutil.rmtree(folder / "train")
    with pytest.raises(DataFault, match="has no folder train/"):
        of(settings(folder, fingerprint=before))
