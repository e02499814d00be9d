"""Decoding goes on after it was stopped: what is on the disk is not decoded again, unless it has changed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_files import folder_settings as settings
from made_files import write_folder
from PIL import Image

from tune_mixup.data import image_decode, image_rows

HALF = ".tune_mixup/colour.half"


@pytest.fixture
def small_batches(monkeypatch):
    """Four files are stored together."""
    monkeypatch.setattr(image_rows, "_BATCH_FILES", 4)


@pytest.fixture
def read(monkeypatch):
    """The files that are opened, in any order."""
    paths = []
    read_pixels = image_decode.read_pixels

    def logged(path, form):
        paths.append(path)
        return read_pixels(path, form)

    monkeypatch.setattr(image_decode, "read_pixels", logged)
    return paths


def stop_after(monkeypatch, number):
    """Ctrl-C when so many batches are stored; returns what puts it back."""
    add, count = image_rows.ImageRows.add, iter(range(number))

    def counted(self, files, images):
        if next(count, None) is None:
            raise KeyboardInterrupt
        add(self, files, images)

    monkeypatch.setattr(image_rows.ImageRows, "add", counted)
    return lambda: monkeypatch.setattr(image_rows.ImageRows, "add", add)


def stopped(folder, monkeypatch, batches=4, **changes):
    go_on = stop_after(monkeypatch, batches)
    with pytest.raises(KeyboardInterrupt):
        settings(folder, **changes).read_train()
    go_on()


def rows(split):
    return [image.tobytes() for image in split.images.numpy()]


def expected(pixels, part):
    """The images of a part, by the names of their classes and files."""
    names = sorted(name for name in pixels if name.startswith(part))
    return [pixels[name].transpose(2, 0, 1).tobytes() for name in names]


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from made_files import folder_settings
from tune_mixup.data import image_rows
image_rows._BATCH_FILES = 4
add = image_rows.ImageRows.add
def counted(self, files, images):
    add(self, files, images)
    if len(self._known) >= 17:  # the first file alone, then four times four of 24
        os.kill(os.getpid(), 9)
image_rows.ImageRows.add = counted
folder_settings(__import__("pathlib").Path(sys.argv[2])).read_train()
"""


def test_a_decoder_that_was_killed_at_70_percent_decodes_the_rest(folder, read, small_batches):
    pixels = write_folder(folder)
    done = subprocess.run([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / ".tune_mixup/colour.pt").exists() and (folder / HALF).is_dir()
    dataset = settings(folder)
    assert rows(dataset.read_train()[0]) == expected(pixels, "train")
    assert rows(dataset.read_test()) == expected(pixels, "test")
    assert len(read) == 24 - 17 and len(set(read)) == len(read)
    assert sorted(path.name for path in (folder / ".tune_mixup").iterdir()) == ["colour.lock", "colour.pt"]


def test_going_on_gives_the_same_as_decoding_at_once(folder, small_batches, monkeypatch):
    write_folder(folder)
    at_once = settings(folder).known_fingerprint()
    (folder / ".tune_mixup/colour.pt").unlink()
    stopped(folder, monkeypatch)
    assert settings(folder).known_fingerprint() == at_once


def test_what_changes_meanwhile_is_decoded_again(folder, read, small_batches, monkeypatch):
    pixels = write_folder(folder)
    stopped(folder, monkeypatch)  # 13 files: those to train on and one of the test
    for name, value in (("train/ant/1.png", 7), ("train/ant/more.png", 8)):
        pixels[name] = np.full((8, 6, 3), value, np.uint8)
        Image.fromarray(pixels[name]).save(folder / name)
    os.utime(folder / "train/ant/1.png", ns=(0, 0))
    (folder / "train/bee/3.png").unlink()
    del pixels["train/bee/3.png"]
    read.clear()
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")
    assert rows(settings(folder).read_test()) == expected(pixels, "test")
    assert {path.relative_to(folder).as_posix() for path in read} == (
        {name for name in pixels if name.startswith("test")} - {"test/ant/0.png"}
        | {"train/ant/1.png", "train/ant/more.png"}
    )


def test_a_file_of_the_same_size_that_changes_meanwhile_is_decoded_again(folder, small_batches, monkeypatch):
    for name in ("train/ant/0.ppm", "train/ant/1.ppm", "train/bee/0.ppm", "test/ant/0.ppm", "test/bee/0.ppm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"P6 1 1 255\n123")
    stopped(folder, monkeypatch, batches=1)
    (folder / "train/ant/0.ppm").write_bytes(b"P6 1 1 255\nabc")
    os.utime(folder / "train/ant/0.ppm", ns=(0, 0))
    assert [bytes(image) for image in rows(settings(folder).read_train()[0])] == [b"abc", b"123", b"123"]


def test_a_link_that_comes_later_is_not_followed_either(tmp_path):
    (tmp_path / "precious").write_text("not to be touched")
    stored = image_rows.ImageRows(tmp_path / "half", name="a form")
    stored.open([])
    (tmp_path / "half").mkdir()
    (tmp_path / "half/pixels").symlink_to(tmp_path / "precious")
    image = image_rows.Image.of(np.zeros((3, 2, 2), np.uint8), b"digest")
    with pytest.raises(OSError, match="symbolic links"):
        stored.add([image_rows.Key("a.png", 1, 1)], [image])
    assert (tmp_path / "precious").read_text() == "not to be touched"


def test_images_of_another_size_in_place_of_all_are_no_fault(folder, small_batches, monkeypatch):
    write_folder(folder)
    stopped(folder, monkeypatch)
    pixels = write_folder(folder, size=(5, 9))
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")


def cut_pixels(half):
    os.truncate(half / "pixels", (half / "pixels").stat().st_size - 100)


def zero_pixels(half):
    """As after a power cut, when the size was on the disk and the content was not."""
    size = (half / "pixels").stat().st_size
    os.truncate(half / "pixels", size - 100)
    os.truncate(half / "pixels", size)


def cut_line(half):
    content = (half / "files").read_bytes()
    (half / "files").write_bytes(content[: len(content) - 20])


def cut_newline(half):
    content = (half / "files").read_bytes()
    (half / "files").write_bytes(content[:-1])


def no_json(half):
    lines = (half / "files").read_text().splitlines()
    (half / "files").write_text("\n".join([*lines[:-1], '{"files": 3, "pixels": "", "shape": null}']) + "\n")


@pytest.mark.parametrize("damage", [cut_pixels, zero_pixels, cut_line, cut_newline, no_json])
def test_a_batch_that_is_not_whole_is_decoded_again(folder, read, small_batches, monkeypatch, damage):
    pixels = write_folder(folder)
    stopped(folder, monkeypatch)
    damage(folder / HALF)
    read.clear()
    stopped(folder, monkeypatch, batches=1)  # twice, as what follows a damage must be whole again
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")
    assert rows(settings(folder).read_test()) == expected(pixels, "test")
    assert len(set(read)) == 24 - 9  # nine are vouched for: the first alone, and two batches of four


@pytest.mark.parametrize("damage", ["files", "pixels", "head"])
def test_where_nothing_can_be_used_all_is_decoded(folder, read, small_batches, monkeypatch, damage):
    pixels = write_folder(folder)
    stopped(folder, monkeypatch)
    if damage == "head":
        lines = (folder / HALF / "files").read_text().splitlines()
        (folder / HALF / "files").write_text("\n".join([json.dumps("another version"), *lines[1:]]) + "\n")
    else:
        (folder / HALF / damage).unlink()
    read.clear()
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")
    assert len(read) == 24


def test_each_form_goes_on_from_its_own(folder, read, small_batches, monkeypatch):
    write_folder(folder)
    stopped(folder, monkeypatch)
    read.clear()
    assert settings(folder, size=4).read_train()[0].images.shape == (12, 3, 4, 4)
    assert settings(folder, channels=1).read_train()[0].images.shape == (12, 1, 8, 6)
    assert len(read) == 48


def test_bad_files_are_not_tried_again_and_are_in_the_one_listing(folder, read, small_batches, monkeypatch):
    write_folder(folder)
    (folder / "train/ant/0.png").write_text("?")
    stopped(folder, monkeypatch, on_error="skip")
    read.clear()
    with pytest.raises(ValueError, match=r"1 of 24 files .*train/ant/0.png \(no kind of image"):
        settings(folder).read_train()
    assert folder / "train/ant/0.png" not in read
    assert not (folder / ".tune_mixup").exists(), "a refused folder is left as it was"


def test_links_in_the_place_of_what_is_half_made_are_not_followed(folder, tmp_path):
    pixels = write_folder(folder)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/pixels").write_text("not to be touched")
    (folder / HALF).parent.mkdir()
    (folder / HALF).symlink_to(tmp_path / "precious")
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")
    assert (tmp_path / "precious/pixels").read_text() == "not to be touched"
    assert list((tmp_path / "root").rglob("*.pt")), "where it is in nobody's way"
    (folder / HALF).unlink()
    (folder / HALF).mkdir()
    (folder / HALF / "pixels").symlink_to(tmp_path / "precious/pixels")
    (next((tmp_path / "root").rglob("*.pt"))).unlink()
    assert rows(settings(folder).read_train()[0]) == expected(pixels, "train")
    assert (tmp_path / "precious/pixels").read_text() == "not to be touched"


IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tune_mixup.data.image_decode import decode
from tune_mixup.data.image_files import list_folder
from tune_mixup.data.image_pixels import Form
from tune_mixup.data import image_rows
image_rows._BATCH_BYTES = 2**22
folder = Path(sys.argv[1])
files = list_folder(folder).files
decode(folder, files[:2], form=Form(3, (512, 512)), beside=folder / "warm")
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, ((used + 48 * 1024) * 1024,) * 2)
decoded = decode(folder, files, form=Form(3, (512, 512)), beside=folder / "half")
images = decoded.images([*range(len(files))][::-1])
print(images.numel() >> 20, images.shape[0], int(images[5, 0, 0, 0]))
"""


def test_building_does_not_hold_all_images_in_memory(folder):
    """96 images of 768 KiB, within 48 MiB beside what the libraries have."""
    for i in range(96):
        (folder / "train" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 0, 0)).save(folder / "train" / "ab"[i % 2] / f"{i:02}.png")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    # a/00, a/02, ..., a/94, b/01, ..., b/95 backwards: the sixth is b/85
    assert done.stdout.split() == ["72", "96", "85"]


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from made_files import folder_settings
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    folder_settings(Path(sys.argv[2])).read_train()
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [1000, 3600])  # of 3,456 bytes of pixels: within them, and in the file of tensors
def test_no_space_for_the_images_is_one_line_and_leaves_nothing(folder, limit):
    write_folder(folder)
    words = [sys.executable, "-c", FULL, str(Path(__file__).parent), str(folder), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("decoded images can't be stored in ") and "set data.root to a folder that can be" in line
    assert sorted(path.name for path in folder.iterdir()) == ["test", "train"]
    assert not list((folder.parent / "root").rglob("*"))


TOGETHER = """
import multiprocessing, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from made_files import folder_settings
from tune_mixup.data import listed_images
folder = Path(sys.argv[2])
decode, context = listed_images.decode, multiprocessing.get_context("fork")
barrier = context.Barrier(16)
def logged(*args, **options):
    with open(folder.parent / "log", "a") as file:
        file.write("decode\\n")
    return decode(*args, **options)
listed_images.decode = logged
def work():
    barrier.wait(timeout=60)
    images = folder_settings(folder).read_train()[0].images
    with open(folder.parent / "sums", "a") as file:
        file.write(f"{int(images.long().sum())}\\n")
workers = [context.Process(target=work) for _ in range(16)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(any(worker.exitcode for worker in workers))
"""


def test_16_workers_that_start_together_build_once(folder):
    pixels = write_folder(folder)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", TOGETHER, str(Path(__file__).parent), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert (folder.parent / "log").read_text() == "decode\n"
    total = sum(int(array.sum()) for name, array in pixels.items() if name.startswith("train"))
    assert (folder.parent / "sums").read_text() == f"{total}\n" * 16
