"""A NumPy file of images and labels, as `numpy.savez` writes it: MedMNIST's, Keras's, or anybody's own."""

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from typing_extensions import override

from tune_mixup.data.base import Folder
from tune_mixup.data.class_labels import targets_of
from tune_mixup.data.divisible import Divisible
from tune_mixup.data.image_cache import Contents, short_hash, stamp_of
from tune_mixup.data.image_decode import decode_each
from tune_mixup.data.image_files import PARTS
from tune_mixup.data.image_pixels import image_pixels
from tune_mixup.data.image_rows import Key
from tune_mixup.data.image_set import Labelled
from tune_mixup.opening import open_regular
from tune_mixup.words import said

_FORMAT = 1
"""Part of every stamp: raised when what a cache file holds changes its meaning."""
_PART = {"train": "train", "training": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_KIND = {"x": "images", "images": "images", "data": "images", "y": "labels", "labels": "labels", "targets": "labels"}
_KEY = re.compile(rf"(?:(?P<before>{'|'.join(_PART)})_)?(?P<kind>{'|'.join(_KIND)})(?:_(?P<after>{'|'.join(_PART)}))?")
_NAMES = ("class_names", "label_names", "classes")
_WANTED = (
    "it must have images and labels, or x_train and y_train, and may have x_val and y_val, x_test and y_test (or, as"
    " MedMNIST, train_images and train_labels)"
)

_CHANNELS = (1, 3, 4)

Arrays = Mapping[str, NDArray[Any]]
"""By their keys."""
Read = TypeVar("Read")


class Npz(Divisible):
    """Images uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1, 3 or 4, and a whole number or a text for each.

    With arrays of a validation set nothing is split off the training set; where one pair of arrays is all, it is split;
    where there is a training set without one for the test, only `evaluate` is refused. Classes are the labels of the
    training set, or the texts of an array `class_names`, where a label is a place in it. Nothing is unpickled.
    The decoded images lie in `.tune_mixup/` beside the file, or, when that can't be written, in `<root>/npz/`.
    """

    entries: ClassVar[str] = "items"
    name: Literal["npz"] = "npz"
    path: Folder
    """The file, whose name ends with `.npz`."""

    @property
    @override
    def place(self) -> Path:
        return self.path

    @override
    def check_test(self) -> None:
        if not self.path.is_file():
            return  # another host may have it; whoever reads it is told
        pairs, unsplit = _pairs(self.path, _keys(self.path))
        if unsplit:
            self.check_fraction()
        elif "test" not in pairs:
            raise ValueError(
                f"data.path: {self.path} has no x_test and y_test, so that there is nothing to evaluate on"
            )

    @override
    def contents(self) -> Contents:
        file_name = f"{self.path.name}-{short_hash(os.fsencode(self.path.name))}-{self.stem}.pt"
        try:
            status = self.path.stat()
        except OSError as error:
            raise ValueError(f"data.path: {self.path} can't be read ({error.strerror}); give a .npz file") from error
        stamp = stamp_of(repr((_FORMAT, self.form, self.test_fraction, status.st_size, status.st_mtime_ns)))
        return self.cached(self.path.parent, file_name, stamp=stamp, build=lambda beside: self._build(beside, stamp))

    def _build(self, beside: Path, stamp: str) -> Contents:
        from PIL import Image

        keys = _keys(self.path)
        pairs, unsplit = _pairs(self.path, keys)
        named = [key for key in _NAMES if key in keys][:1]
        arrays = _arrays(self.path, [*named, *(key for pair in pairs.values() for key in pair.values())])
        names = tuple(str(name) for key in named for name in arrays[key].tolist()) or None
        images = {part: _images(self.path, pair["images"], arrays[pair["images"]]) for part, pair in pairs.items()}
        labels = {part: _labels(self.path, pair["labels"], arrays[pair["labels"]]) for part, pair in pairs.items()}
        for part, pair in pairs.items():
            if len(images[part]) != len(labels[part]) or not len(labels[part]):
                raise ValueError(
                    f"data.path: {pair['images']} in {self.path} has {len(images[part]):,} images and {pair['labels']}"
                    f" {len(labels[part]):,} labels, must be as many and at least one; mend the file"
                )
        order = [(part, i) for part in images for i in range(len(images[part]))]
        class_names, targets = targets_of(
            labels, names, lambda part, i: f"data.path: item {i} of {pairs[part]['labels']} in {self.path}"
        )
        labelled = Labelled(
            class_names=class_names,
            names=[f"{pairs[part]['images']}[{i}]" for part, i in order],
            keys=[f"{part}/{class_names[targets[part][i]]}" for part, i in order],
            targets=[targets[part][i] for part, i in order],
            parts=[part for part, _ in order],
            unsplit=unsplit,
        )

        def read(place: int) -> tuple[NDArray[np.uint8], bytes]:
            part, i = order[place]
            return image_pixels(Image.fromarray(images[part][i]), self.form)

        wanted = [Key(name) for name in labelled.names]
        decoded = decode_each(wanted, read, form=self.form, source=self.path, beside=beside, stamp=stamp)
        return self.as_contents(labelled, decoded)


def _keys(path: Path) -> list[str]:
    """The names of the arrays in a file. Raises ValueError for what is none."""
    return _opened(path, lambda file: list(file.files))


def _pairs(path: Path, keys: list[str]) -> tuple[dict[str, dict[str, str]], bool]:
    """Part -> images and labels -> key, and whether no key says which part it is of. Others do not count."""
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        if match := _KEY.fullmatch(key.lower()):
            pair = found.setdefault(_PART.get(match["before"] or match["after"] or "", ""), {})
            kind = _KIND[match["kind"]]
            if kind in pair:
                raise ValueError(f"data.path: {path} has {pair[kind]} and {key}, which mean the same; keep one of them")
            pair[kind] = key
    whole = {part: pair for part, pair in found.items() if len(pair) == 2}
    if ("" in whole) == ("train" in whole):
        raise ValueError(f"data.path: {path} has the arrays {', '.join(keys) or '(none)'}; {_WANTED}")
    named = {part or "train": pair for part, pair in whole.items()}
    return {part: named[part] for part in PARTS if part in named}, [*whole] == [""]


def _arrays(path: Path, keys: Iterable[str]) -> Arrays:
    return _opened(path, lambda file: {key: file[key] for key in keys})


def _opened(path: Path, read: Callable[[NpzFile], Read]) -> Read:
    try:
        with open_regular(path) as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, NpzFile):
                raise ValueError("it holds one array without a name")
            with file:
                return read(file)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        why = (isinstance(error, OSError) and error.strerror) or said(error, 120) or type(error).__name__
        raise ValueError(f"data.path: {path} can't be read ({why}); give a whole .npz file of numbers") from error


def _images(path: Path, key: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """[N, H, W] or [N, H, W, C], C more than 1."""
    if array.dtype != np.uint8:
        raise ValueError(f"data.path: {key} in {path} holds {array.dtype}, must be uint8, 0 to 255; convert it")
    if array.ndim == 4 and (array.shape[1] in _CHANNELS) != (array.shape[3] in _CHANNELS):
        array = array if array.shape[3] in _CHANNELS else array.transpose(0, 2, 3, 1)
        array = array[..., 0] if array.shape[3] == 1 else array
    elif array.ndim != 3:
        raise ValueError(
            f"data.path: {key} in {path} has the shape {list(array.shape)}, must be [N, H, W], [N, H, W, C] or"
            " [N, C, H, W] with 1, 3 or 4 channels, and H and W of more than that; reshape it"
        )
    return array


def _labels(path: Path, key: str, array: NDArray[Any]) -> list[int] | list[str]:
    plain = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if plain.ndim == 1 and plain.dtype.kind == "U":
        return [str(each) for each in plain.tolist()]
    if plain.ndim != 1 or plain.dtype.kind not in "biu":
        raise ValueError(
            f"data.path: {key} in {path} holds {array.dtype} {list(array.shape)}, must be a whole number or a text for"
            " each image, [N]; of scores or one-hot rows take the argmax"
        )
    return [int(each) for each in plain.tolist()]
