"""Tiny files in the formats that the data sets read; pixel values tell the example and the class apart."""

import gzip
import hashlib
import pickle
import struct
import wave
from pathlib import Path

import numpy as np
from PIL import Image

from tune_mixup.data.imagefolder import ImageFolder

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
"""Real data beside the checkout; may be absent."""
IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def fashion_arrays(num_train=40, num_test=20, size=28, seed=0):
    draw = np.random.default_rng(seed)
    arrays = []
    for count in (num_train, num_test):
        arrays += [draw.integers(0, 256, (count, size, size), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10]
    return dict(zip(IDX_NAMES, arrays, strict=True))


def write_fashion(root, *, gz=False, skip=(), **options):
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    arrays = fashion_arrays(**options)
    for name, array in arrays.items():
        if name not in skip:
            data = idx_bytes(array)
            (raw / (f"{name}.gz" if gz else name)).write_bytes(gzip.compress(data) if gz else data)
    return arrays


def write_cifar(root, source, num_classes):
    """Write batches of 2 examples per class in the layout of torchvision's `source`; returns (arrays, checksums)."""
    folder = root / source.base_folder
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    labels_key = "labels" if num_classes == 10 else "fine_labels"
    arrays, checksums = {}, {}
    for name, _ in source.train_list + source.test_list:
        images = draw.integers(0, 256, (2 * num_classes, 3072), dtype=np.uint8)
        labels = [k for k in range(num_classes) for _ in range(2)]
        arrays[name] = (images.reshape(-1, 3, 32, 32), labels)
        (folder / name).write_bytes(pickle.dumps({"data": images, labels_key: labels}))
    names = {source.meta["key"]: [f"name {k}" for k in range(num_classes)]}
    (folder / source.meta["filename"]).write_bytes(pickle.dumps(names))
    for path in folder.iterdir():
        checksums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    return arrays, checksums


def expect_checksums(monkeypatch, source, checksums):
    """Let torchvision's class take the files that `write_cifar` made."""
    for field in ("train_list", "test_list"):
        monkeypatch.setattr(source, field, [[name, checksums[name]] for name, _ in getattr(source, field)])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": checksums[source.meta["filename"]]})


def write_folder(path, *, parts=("train", "test"), classes=("ant", "bee"), count=6, size=(8, 6), mode="RGB", seed=0):
    """An image folder of PNG files, so that pixels come back exactly; returns relative path -> pixels [H, W(, 3)]."""
    draw = np.random.default_rng(seed)
    pixels = {}
    for part in parts:
        for class_name in classes:
            folder = path / part / class_name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                shape = size if mode == "L" else (*size, 3)
                array = draw.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(array).save(folder / f"{i}.png")
                pixels[f"{part}/{class_name}/{i}.png"] = array
    return pixels


def folder_settings(path, **changes):
    """The image folder `path`, with a data root beside it."""
    return ImageFolder.parse({"path": str(path), "root": str(path.parent / "root"), **changes})


def write_wav(path, samples, *, rate=16_000, bits=16):
    """Samples [T] or [T, channels] from -1 to 1 as a WAV file of whole numbers, by the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    numbers = np.round(frames * (2 ** (bits - 1) - 1)).astype("<i4")
    width = bits // 8
    with wave.open(str(path), "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(numbers.reshape(-1, 1).view(np.uint8)[:, :width].tobytes())


def tone(frequency, *, samples=16_000, rate=16_000, loud=0.5):
    return loud * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)


def write_words(folder, words, *, per_part=1, rate=16_000, lists=True):
    """Words as tones of their own, each `per_part` times in each part; returns relative path -> part."""
    draw = np.random.default_rng(0)
    parts = {}
    for number, word in enumerate(words):
        for part in ("train", "val", "test"):
            for take in range(per_part * (2 if part == "train" else 1)):
                relative = f"{word}/{part}{take}_nohash_0.wav"
                noise = 0.01 * draw.standard_normal(rate // 2)
                sound = tone(300 + 100 * number, samples=rate // 2, rate=rate) + noise
                write_wav(folder / relative, sound, rate=rate)
                parts[relative] = part
    if lists:
        for part, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
            (folder / name).write_text("".join(f"{path}\n" for path, here in parts.items() if here == part))
    return parts


def write_noise(folder, *, seconds=20, rate=16_000, name="hum"):
    """Background noise, different in every second."""
    draw = np.random.default_rng(1)
    write_wav(
        folder / "_background_noise_" / f"{name}.wav", 0.1 * draw.standard_normal(seconds * rate).clip(-9, 9), rate=rate
    )


NUMBERS = ("n02364673", "n01443537", "n02132136")
"""Of three classes, neither in the order of their numbers nor of their names."""


def write_tiny(folder, *, train=4, val=2, numbers=NUMBERS, seed=0):
    """Tiny-ImageNet's layout, with PNG content under its names, as pixels then come back exactly; every fourth is grey.

    Returns path below the folder -> pixels [H, W, 3].
    """
    draw = np.random.default_rng(seed)
    pixels = {}

    def image(relative):
        grey = len(pixels) % 4 == 1
        array = draw.integers(0, 256, (64, 64) if grey else (64, 64, 3), dtype=np.uint8)
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / relative, format="PNG")
        pixels[relative] = np.stack([array] * 3, 2) if grey else array

    for number in numbers:
        for i in range(train):
            image(f"train/{number}/images/{number}_{i}.JPEG")
        (folder / f"train/{number}/{number}_boxes.txt").write_text(f"{number}_0.JPEG\t0\t0\t9\t9\n")
    lines = []
    for i in range(val * len(numbers)):
        image(f"val/images/val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{numbers[i % len(numbers)]}\t0\t0\t63\t63\n")
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("".join(f"{number}\n" for number in numbers))
    words = "n00000001\tentity\nn01443537\tgoldfish, Carassius auratus\nn02132136\tbrown bear, bruin\n"
    (folder / "words.txt").write_text(words)
    return pixels


def write_imagenet(folder, *, numbers=NUMBERS, train=10, val=3, flat=False):
    """ILSVRC's layout; every image has one colour of its own. `flat`: val/ without folders, and Kaggle's table."""
    count = iter(range(10_000))

    def image(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        number = next(count)
        Image.new("RGB", (10, 8), (number % 256, number // 256, 9)).save(path, format="PNG")

    lines = ["ImageId,PredictionString"]
    for number in numbers:
        for i in range(train):
            image(folder / "train" / number / f"{number}_{i}.JPEG")
        for i in range(val):
            name = f"ILSVRC2012_val_{number}_{i}"
            image(folder / "val" / ("" if flat else number) / f"{name}.JPEG")
            lines.append(f"{name},{number} 85 1 499 272 ")
    if flat:
        (folder / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
