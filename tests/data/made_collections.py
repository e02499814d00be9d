"""Tiny data sets in the layouts that torchvision's classes read, and Parquet and NumPy files; no network."""

import bz2
import csv
import io
import json
import os
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import torchvision
from made_files import idx_bytes
from PIL import Image

DIGITS = 10


class Draw:
    """Images that are all different, from one seed."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)

    def pixels(self, *shape):
        return self.random.integers(0, 256, shape, dtype=np.uint8)

    def file(self, path, size=(7, 5)):
        """A file whose content is a PNG, so that pixels come back exactly, whatever its ending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.pixels(*size, 3)).save(path, "PNG")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)


def svhn(root, draw):
    for part, per_class in (("train", 2), ("test", 1)):
        labels = np.repeat(np.arange(1, 11), per_class).astype(np.uint8)  # 10 stands for the digit 0
        images = draw.pixels(32, 32, 3, len(labels))
        scipy.io.savemat(root / f"{part}_32x32.mat", {"X": images, "y": labels[:, None]})


def idx(root, draw, folder, names, classes=DIGITS):
    for (images, labels), per_class in zip(names, (2, 1), strict=True):
        targets = np.repeat(np.arange(classes), per_class)
        write(root / folder / "raw" / images, idx_bytes(draw.pixels(len(targets), 28, 28)))
        write(root / folder / "raw" / labels, idx_bytes(targets))


OF_MNIST = [(f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")]


def mnist(root, draw):
    idx(root, draw, "MNIST", OF_MNIST)


def kmnist(root, draw):
    idx(root, draw, "KMNIST", OF_MNIST)


def emnist(root, draw, split="balanced", classes=47, first=0):
    names = [
        (f"emnist-{split}-{part}-images-idx3-ubyte", f"emnist-{split}-{part}-labels-idx1-ubyte")
        for part in ("train", "test")
    ]
    idx(root, draw, "EMNIST", names, classes)
    for _, labels in names:
        path = root / "EMNIST" / "raw" / labels
        targets = np.frombuffer(path.read_bytes()[8:], np.uint8)
        path.write_bytes(idx_bytes(targets + first))


def qmnist(root, draw):
    for part, per_class in (("train", 2), ("test", 1)):
        targets = np.repeat(np.arange(DIGITS), per_class)
        notes = np.zeros((len(targets), 8), ">i4")
        notes[:, 0] = targets
        raw = root / "QMNIST" / "raw"
        write(raw / f"qmnist-{part}-images-idx3-ubyte", idx_bytes(draw.pixels(len(targets), 28, 28)))
        header = struct.pack(">HBB2I", 0, 12, 2, *notes.shape)
        write(raw / f"qmnist-{part}-labels-idx2-int", header + notes.tobytes())


def usps(root, draw):
    for name, per_class in (("usps.bz2", 2), ("usps.t.bz2", 1)):
        lines = []
        for label in np.repeat(np.arange(1, 11), per_class):
            values = draw.random.uniform(-1, 1, 256)
            lines.append(f"{label} " + " ".join(f"{i + 1}:{value:.4f}" for i, value in enumerate(values)))
        write(root / name, bz2.compress("\n".join(lines).encode()))


def stl10(root, draw):
    folder = root / "stl10_binary"
    for part, per_class in (("train", 2), ("test", 1)):
        labels = np.repeat(np.arange(1, 11), per_class).astype(np.uint8)
        write(folder / f"{part}_X.bin", draw.pixels(len(labels), 3, 96, 96).tobytes())
        write(folder / f"{part}_y.bin", labels.tobytes())
    write(folder / "unlabeled_X.bin", draw.pixels(1, 3, 96, 96).tobytes())
    write(folder / "class_names.txt", "".join(f"kind {k}\n" for k in range(10)))


def gtsrb(root, draw):
    base = root / "gtsrb"
    rows = []
    for k in range(3):
        for i in range(2):
            draw.file(base / "GTSRB" / "Training" / f"{k:05}" / f"{i}.ppm")
        draw.file(base / "GTSRB" / "Final_Test" / "Images" / f"{k}.ppm")
        rows.append({"Filename": f"{k}.ppm", "ClassId": k})
    with open(base / "GT-final_test.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["Filename", "ClassId"], delimiter=";")
        table.writeheader()
        table.writerows(rows)


def food101(root, draw):
    base = root / "food-101"
    for part, per_class in (("train", 2), ("test", 1)):
        found = {kind: [f"{kind}/{part}{i}" for i in range(per_class)] for kind in ("pizza", "apple_pie")}
        write(base / "meta" / f"{part}.json", json.dumps(found))
        for path in (path for paths in found.values() for path in paths):
            draw.file(base / "images" / f"{path}.jpg")


def pets(root, draw):
    base = root / "oxford-iiit-pet"
    for part, per_class in (("trainval", 2), ("test", 1)):
        lines = []
        for k, kind in enumerate(("Abyssinian", "great_pyrenees"), start=1):
            for i in range(per_class):
                draw.file(base / "images" / f"{kind}_{part}{i}.jpg")
                lines.append(f"{kind}_{part}{i} {k} {k} 1")
        write(base / "annotations" / f"{part}.txt", "\n".join(lines))


def flowers102(root, draw):
    base = root / "flowers-102"
    labels = np.tile(np.arange(1, 103), 3)
    for i in range(1, len(labels) + 1):
        draw.file(base / "jpg" / f"image_{i:05}.jpg", size=(3, 3))
    scipy.io.savemat(base / "imagelabels.mat", {"labels": labels[None]})
    ids = np.arange(1, len(labels) + 1).reshape(3, 1, 102)
    scipy.io.savemat(base / "setid.mat", {"trnid": ids[0], "valid": ids[1], "tstid": ids[2]})


def dtd(root, draw, partition=1):
    base = root / "dtd" / "dtd"
    for part in ("train", "val", "test"):
        lines = [f"{kind}/{kind}_{part}{partition}.jpg" for kind in ("banded", "zigzagged")]
        write(base / "labels" / f"{part}{partition}.txt", "\n".join(lines))
        for line in lines:
            draw.file(base / "images" / line)


def eurosat(root, draw):
    for kind in ("River", "Forest"):
        for i in range(5):
            draw.file(root / "eurosat" / "2750" / kind / f"{i}.jpg")


def fgvc_aircraft(root, draw):
    data = root / "fgvc-aircraft-2013b" / "data"
    kinds = ("A300 B4", "707-320")
    write(data / "variants.txt", "\n".join(kinds))
    write(data / "manufacturers.txt", "Airbus\nBoeing")
    number = 0
    for part in ("train", "val", "test"):
        lines = []
        for kind in kinds:
            draw.file(data / "images" / f"{number:07}.jpg")
            lines.append((f"{number:07}", kind))
            number += 1
        write(data / f"images_variant_{part}.txt", "\n".join(" ".join(line) for line in lines))
        makers = dict(zip(kinds, ("Airbus", "Boeing"), strict=True))
        lines = [f"{name} {makers[kind]}" for name, kind in lines]
        write(data / f"images_manufacturer_{part}.txt", "\n".join(lines))


def cars(root, draw):
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    names = np.array(["Acura RL Sedan 2012", "smart fortwo Convertible 2012"], object)
    scipy.io.savemat(base / "devkit" / "cars_meta.mat", {"class_names": names})
    for part, per_class in (("train", 2), ("test", 1)):
        rows = [(f"{k}-{i}.jpg", k) for k in (1, 2) for i in range(per_class)]
        notes = np.array(rows, dtype=[("fname", object), ("class", object)])
        where = base / "devkit" / "cars_train_annos.mat" if part == "train" else base / "cars_test_annos_withlabels.mat"
        scipy.io.savemat(where, {"annotations": notes})
        for name, _ in rows:
            draw.file(base / f"cars_{part}" / name)


def caltech101(root, draw):
    for kind in ("BACKGROUND_Google", "accordion", "yin_yang"):
        for i in range(1, 6):
            draw.file(root / "caltech101" / "101_ObjectCategories" / kind / f"image_{i:04}.jpg")


def country211(root, draw):
    for part, per_class in (("train", 2), ("valid", 1), ("test", 1)):
        for kind in ("AD", "ZW"):
            for i in range(per_class):
                draw.file(root / "country211" / part / kind / f"{i}.jpg")


def sun397(root, draw):
    write(root / "SUN397" / "ClassName.txt", "/a/abbey\n/z/zen_garden\n/a/apse/indoor\n")
    for kind in ("a/abbey", "a/apse/indoor", "z/zen_garden"):
        for i in range(5):
            draw.file(root / "SUN397" / kind / f"sun_{i}.jpg")


def semeion(root, draw):
    lines = []
    for k in range(DIGITS):
        for _ in range(5):
            bits = draw.random.integers(0, 2, 256)
            lines.append(" ".join([*(f"{bit:.4f}" for bit in bits), *(str(int(k == j)) for j in range(DIGITS))]))
    write(root / "semeion.data", "\n".join(lines))


WRITERS = {
    f"torchvision:{writer.__name__}": writer
    for writer in (svhn, mnist, kmnist, emnist, qmnist, usps, stl10, gtsrb, food101, pets, flowers102, dtd, eurosat)
    + (fgvc_aircraft, cars, caltech101, country211, sun397, semeion)
}
"""Name of a data set -> what writes its files."""


def expect_no_checksums(monkeypatch):
    """Let torchvision's classes take files that are not the published ones."""
    for module in ("svhn", "stl10", "semeion", "flowers102"):
        there = getattr(torchvision.datasets, module)
        monkeypatch.setattr(there, "check_integrity", lambda path, md5=None: os.path.isfile(path))


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write_table(path, labels, *, names=None, draw=None, size=(8, 6), groups=3, images=None, columns=("image", "label")):
    """A Parquet file as `datasets` writes it, with the class `names` in its metadata; returns its pixels."""
    draw = draw or Draw()
    pixels = [draw.pixels(*size, 3) for _ in labels]
    cells = images or [{"bytes": png(each), "path": f"{i}.png"} for i, each in enumerate(pixels)]
    features = {columns[0]: {"_type": "Image"}}
    if names is not None:
        features[columns[1]] = {"names": list(names), "_type": "ClassLabel"}
    table = pa.table({columns[0]: cells, columns[1]: labels})
    if names is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=groups)
    return pixels


def write_tables(folder, *, names=("cat", "dog"), parts=("train", "test"), count=12):
    """A folder of them as on the hub; returns part -> pixels."""
    draw = Draw()
    labels = [i % len(names) for i in range(count)]
    return {
        part: write_table(folder / "data" / f"{part}-00000-of-00001.parquet", labels, names=names, draw=draw)
        for part in parts
    }


def npz_arrays(*, count=12, shape=(8, 6), classes=2, parts=("train", "test")):
    draw = Draw()
    arrays = {}
    for part in parts:
        arrays[f"x_{part}"] = draw.pixels(count, *shape)
        arrays[f"y_{part}"] = np.arange(count) % classes
    return arrays
