"""Any folder of images: `train/<class>/...`, `test/<class>/...` and, if there is one, `val/<class>/...`.

Images are decoded once into a file that later runs map into memory; it is made anew when a file is added, removed or
changed (by name, size and time of change).
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from typing_extensions import override

from tune_mixup.data.base import Dataset, Folder, Split
from tune_mixup.data.fingerprint import of_parts
from tune_mixup.data.image_cache import Contents, cached
from tune_mixup.data.image_decode import decode, is_image

_FORMAT = 2
"""Part of every stamp: raised when what a cache file holds changes its meaning."""


class _File(NamedTuple):
    relative: str
    """Path below the folder, `train/<class>/...`."""
    part: str
    class_name: str
    size: int
    mtime_ns: int


class ImageFolder(Dataset):
    """Classes are the folders in `train/`, in alphabetical order; subfolders of a class belong to it.

    Files count by their ending: what Pillow can't open by its ending, and hidden files, are passed over. All images
    have one size and 8 bits per channel; transparency is dropped. With `val/` nothing is split off `train/`.
    The decoded images lie in `<path>/.tune_mixup/`, or, when `path` can't be written, in `<root>/imagefolder/`.
    """

    name: Literal["imagefolder"] = "imagefolder"
    path: Folder
    """The folder with `train/` and `test/`."""
    channels: Literal[1, 3] = 3
    """Images are turned into 3: colour, or 1: grey (ITU-R 601 luma)."""

    @override
    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        contents = self._read()
        return contents.parts["train"], contents.class_names

    @override
    def read_validation(self) -> Split | None:
        """What is in `val/`; None without it."""
        return self._read().parts["val"] if (self.path / "val").is_dir() else None

    @override
    def read_test(self) -> Split:
        return self._read().parts["test"]

    @override
    def known_fingerprint(self) -> str:
        """Of the names and bytes of all images in `train/` and `val/`, read when they were decoded."""
        return self._read().fingerprint

    def _read(self) -> Contents:
        class_names = _class_names(self.path)
        files = _list(self.path)
        kind = "colour" if self.channels == 3 else "grey"
        away = f"{self.path.name}-{hashlib.blake2b(os.fsencode(self.path), digest_size=6).hexdigest()}"
        return cached(
            (self.path / ".tune_mixup" / f"{kind}.pt", self.root / "imagefolder" / away / f"{kind}.pt"),
            stamp=_stamp(class_names, files),
            build=lambda: _decode_all(self.path, class_names, files, channels=self.channels),
        )


def _parts(folder: Path) -> list[str]:
    return ["train", "test", *(["val"] if (folder / "val").is_dir() else [])]


def _class_names(folder: Path) -> tuple[str, ...]:
    """The classes of `train/`. Raises ValueError for a layout that can't be used, in one line."""
    layout = "it must hold train/<class>/ and test/<class>/ with images"
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"data.path: {folder} {what}; {layout}")
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise ValueError(f"data.path: {folder} has no folder {part}/; {layout}")
    class_names = _folders(folder / "train")
    if not class_names:
        raise ValueError(f"{folder / 'train'} holds no folders; it needs one for each class, with images in it")
    if len(class_names) == 1:
        raise ValueError(
            f"{folder / 'train'} has the one class {class_names[0]!r}, and telling it from nothing can't be learnt; "
            "there must be two or more"
        )
    for part in _parts(folder):
        unknown = [name for name in _folders(folder / part) if name not in class_names]
        if unknown:
            raise ValueError(
                f"{folder / part} has the class {unknown[0]!r}, which train/ lacks; add it there or remove it here"
            )
    return tuple(class_names)


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _list(folder: Path) -> list[_File]:
    """Every file of every class, hidden ones apart, in an order that does not depend on the file system."""
    try:
        return [
            _File(relative, part, class_name, size, mtime_ns)
            for part in _parts(folder)
            for class_name in _folders(folder / part)
            for relative, size, mtime_ns in sorted(_walk(folder / part / class_name, f"{part}/{class_name}"))
        ]
    except OSError as error:
        raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error


def _walk(folder: Path | str, relative: str) -> Iterator[tuple[str, int, int]]:
    """Relative path, bytes and time of change of every regular file below; strings, as Path objects cost a second."""
    with os.scandir(folder) as entries:
        for entry in entries:
            here = f"{relative}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, here)
            else:
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):  # reading a FIFO or a device would not come to an end
                    yield here, status.st_size, status.st_mtime_ns


def _stamp(class_names: tuple[str, ...], files: list[_File]) -> str:
    lines = [repr((_FORMAT, class_names)), *(f"{file.relative}\0{file.size} {file.mtime_ns}" for file in files)]
    return hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _decode_all(folder: Path, class_names: tuple[str, ...], files: list[_File], *, channels: Literal[1, 3]) -> Contents:
    files = [file for file in files if is_image(file.relative)]
    by_class = Counter((file.part, file.class_name) for file in files)
    for part in _parts(folder):
        folders = _folders(folder / part)
        without = [f"{part}/{name}" for name in folders if not by_class[part, name]] if folders else [part]
        if without:
            raise ValueError(f"{folder / without[0]} holds no images; add some (png, jpg, ...) or remove the folder")
    images, digests = decode([folder / file.relative for file in files], channels=channels)
    number = {name: k for k, name in enumerate(class_names)}
    targets = torch.tensor([number[file.class_name] for file in files])
    parts = {}
    for part in _parts(folder):
        chosen = torch.tensor([file.part == part for file in files])
        parts[part] = Split(images[chosen], targets[chosen])
    trained = [
        part
        for file, digest in zip(files, digests, strict=True)
        if file.part != "test"  # which nothing but `evaluate` opens
        for part in (file.relative, digest)
    ]
    return Contents(class_names, parts, of_parts([repr((channels, class_names)), *trained]))
