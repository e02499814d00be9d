"""Tiny-ImageNet as its archive unpacks, from the archive, and from a server."""

import hashlib
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from made_files import NUMBERS, SHARED, write_tiny
from PIL import Image

from tune_mixup.data import load, load_test, tiny_imagenet
from tune_mixup.data.augment import Augment
from tune_mixup.data.tiny_imagenet import TinyImageNet

CPU = torch.device("cpu")
REAL = SHARED / "tiny-imagenet-200-subset.tar.xz"
TOP = "tiny-imagenet-200"
NAMES = ("n02364673", "goldfish (n01443537)", "brown bear (n02132136)")


@pytest.fixture
def unpacked(tmp_path):
    return tmp_path / TOP


def zipped(folder, archive, *, more=()):
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(folder.rglob("*")):
            opened.write(path, f"{TOP}/{path.relative_to(folder)}")
        for name, content in more:
            opened.writestr(name, content)


def no_network(monkeypatch):
    monkeypatch.setattr(tiny_imagenet, "_URL", "http://127.0.0.1:9/nobody")


def test_images_have_the_classes_of_their_folders_and_of_the_annotations(unpacked):
    pixels = write_tiny(unpacked)
    dataset = TinyImageNet(root=unpacked.parent)
    train, names = dataset.read_train()
    assert names == NAMES and dataset.known_shape() == (3, 64, 64)
    paths = [f"train/{number}/images/{number}_{i}.JPEG" for number in NUMBERS for i in range(4)]
    np.testing.assert_array_equal(train.images.numpy(), [pixels[path].transpose(2, 0, 1) for path in paths])
    assert train.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    test = dataset.read_test()
    paths = [f"val/images/val_{i}.JPEG" for i in (0, 3, 1, 4, 2, 5)]
    np.testing.assert_array_equal(test.images.numpy(), [pixels[path].transpose(2, 0, 1) for path in paths])
    assert test.targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.read_validation() is None
    assert dataset.augment == Augment(crop_padding=4, flip=True)


def test_without_the_data_its_published_shape_is_known(tmp_path):
    assert TinyImageNet(root=tmp_path).known_shape() == (200, 64, 64)


def test_the_fingerprint_is_of_training_images_and_of_class_names(unpacked):
    def fingerprint():
        return TinyImageNet(root=unpacked.parent).known_fingerprint()

    write_tiny(unpacked)
    first = fingerprint()
    (unpacked / "val/images/val_0.JPEG").write_bytes((unpacked / "val/images/val_1.JPEG").read_bytes())
    assert fingerprint() == first, "the test split does not belong to what trials see"
    (unpacked / "words.txt").unlink()
    second = fingerprint()
    Image.new("RGB", (64, 64)).save(unpacked / "train" / NUMBERS[0] / "images" / f"{NUMBERS[0]}_0.JPEG", format="PNG")
    assert len({first, second, fingerprint()}) == 3


def test_the_archive_alone_is_unpacked_once(tmp_path, unpacked, monkeypatch):
    no_network(monkeypatch)
    pixels = write_tiny(tmp_path / "made")
    zipped(tmp_path / "made", tmp_path / f"{TOP}.zip")
    train = TinyImageNet(root=tmp_path).read_train()[0]
    first = pixels[f"train/{NUMBERS[0]}/images/{NUMBERS[0]}_0.JPEG"]
    np.testing.assert_array_equal(train.images[0].numpy(), first.transpose(2, 0, 1))
    (tmp_path / f"{TOP}.zip").unlink()
    assert len(TinyImageNet(root=tmp_path).read_test().images) == 6
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("damage", ["outside", "cut", "none"])
def test_an_archive_that_can_not_be_used_leaves_nothing(tmp_path, monkeypatch, damage):
    no_network(monkeypatch)
    write_tiny(tmp_path / "made")
    archive = tmp_path / f"{TOP}.zip"
    zipped(tmp_path / "made", archive, more=[("../outside.txt", "here")] if damage == "outside" else [])
    if damage == "cut":
        archive.write_bytes(archive.read_bytes()[:-100])
    if damage == "none":
        archive.unlink()
    before = sorted(tmp_path.rglob("*"))
    words = {"outside": "holds '../outside.txt'", "cut": "can't be unpacked", "none": f"put the folder {TOP} \\(or"}
    with pytest.raises(ValueError, match=words[damage]) as caught:
        TinyImageNet(root=tmp_path).read_train()
    assert "\n" not in str(caught.value)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.suffix != ".lock"] == before
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server on this host that hands out an archive, and what was asked of it; the package downloads from there."""
    write_tiny(tmp_path / "made")
    archive = tmp_path / "made.zip"
    zipped(tmp_path / "made", archive)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = archive.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(tiny_imagenet, "_URL", f"http://127.0.0.1:{server.server_port}/tiny.zip")
    monkeypatch.setattr(tiny_imagenet, "_MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_downloaded_once_and_checked(tmp_path, served, monkeypatch):
    root = tmp_path / "root"
    for _ in range(2):
        assert len(TinyImageNet(root=root).read_train()[0].images) == 12
    assert set(served) == {"/tiny.zip"} and len(served) <= 2  # torchvision asks once more where it leads
    assert sorted(path.name for path in root.iterdir() if path.suffix != ".lock") == [TOP]
    monkeypatch.setattr(tiny_imagenet, "_MD5", "0" * 32)
    with pytest.raises(ValueError, match="can't be downloaded .*corrupted"):
        TinyImageNet(root=tmp_path / "other").read_train()
    assert [path.suffix for path in (tmp_path / "other").iterdir()] == [".lock"]


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "wnids.txt").unlink(), "wnids.txt can't be read .No such file"),
        (write("wnids.txt", f"{NUMBERS[0]}\n../x\n"), r"wnids.txt names '\.\./x'; it must name two classes"),
        (write("wnids.txt", f"{NUMBERS[0]}\n{NUMBERS[0]}\n"), "has 1 classes in 2 lines"),
        (write("wnids.txt", ""), "has 0 classes in 0 lines"),
        (write("wnids.txt", f"{NUMBERS[0]}\nn99999999\n"), "n99999999 can't be read .No such file"),
        (write("val/val_annotations.txt", f"../../a\t{NUMBERS[0]}\n"), r"line 1 of .* is '\.\./\.\./a"),
        (write("val/val_annotations.txt", "val_0.JPEG\tn99999999\n"), "line 1 of .*n99999999.* a class of wnids.txt"),
        (write("val/val_annotations.txt", ""), "names no file"),
        (lambda f: (f / "val/images/val_3.JPEG").unlink(), r"1 of 18 files .* val/images/val_3.JPEG \(No such file"),
        (lambda f: (f / "words.txt").write_bytes(b"\xff\xfe\xfa"), "words.txt can't be read"),
        (lambda f: [path.unlink() for path in (f / "train" / NUMBERS[1]).rglob("*.JPEG")], "holds no images"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(unpacked, damage, words):
    write_tiny(unpacked)
    damage(unpacked)
    with pytest.raises(ValueError, match=words) as caught:
        TinyImageNet(root=unpacked.parent).read_train()
    assert "\n" not in str(caught.value)
    assert not (unpacked / ".tune_mixup").exists()


@pytest.mark.skipif(not REAL.is_file(), reason="needs the shared data folder beside the checkout")
def test_real_tiny_imagenet(tmp_path):
    with tarfile.open(REAL) as archive:
        archive.extractall(tmp_path, filter="data")
    dataset = TinyImageNet(root=tmp_path)
    data, test = load(dataset, seed=0, device=CPU), load_test(dataset, device=CPU)
    assert torch.bincount(data.train.targets).tolist() == [72] * 20
    assert torch.bincount(data.validation.targets).tolist() == [8] * 20
    assert torch.bincount(test.targets).tolist() == [20] * 20
    assert data.class_names[0] == "goldfish (n01443537)" and data.size == (64, 64)
    annotated = dict(
        line.split("\t")[:2] for line in (tmp_path / TOP / "val/val_annotations.txt").read_text().splitlines()
    )
    found = {}
    for name, number in annotated.items():
        with Image.open(tmp_path / TOP / "val/images" / name) as image:
            found[np.asarray(image.convert("RGB")).transpose(2, 0, 1).tobytes()] = number
    assert all(found[i.numpy().tobytes()] in data.class_names[k] for i, k in zip(*test, strict=True))
    images = data.train.images[:]
    grey = (images == images[:, :1]).flatten(1).all(1)
    assert 0 < int(grey.sum()) < 100
