"""Which image files a data set has, and of which class and split each is: told by folders, without opening a file.

Two layouts: `train/<class>/...` with `test/` and `val/` where they are there, or `<class>/...` alone, which is split.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PARTS = ("train", "test", "val")
_LAYOUT = (
    "it must hold train/<class>/ with images, and test/<class>/ and val/<class>/ where there are such, or <class>/"
)
_NO_PICTURES = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow knows by sight, but of which it can't read a pixel."""


class File(NamedTuple):
    """A file that is taken for an image."""

    relative: str
    """Path below the folder."""
    part: str
    """One of PARTS; `train` where nothing is split yet."""
    class_name: str
    size: int = -1
    """Bytes; -1 for a file that can't be looked at, as a link to nowhere."""
    mtime_ns: int = 0


class Listing(NamedTuple):
    """All files of a data set, in an order that does not depend on the file system."""

    class_names: tuple[str, ...]
    files: tuple[File, ...]
    parts: tuple[str, ...]
    """The splits that there are, `train` first."""
    unsplit: bool
    """Whether nobody has said what belongs to the test split, so that a share of the images is put aside for it."""
    labelled: bool = False
    """Whether a table says class and split, which the path then does not."""

    def key(self, file: File) -> str:
        """What tells one of the files, its class and its split from others, on every host."""
        return f"{file.part}/{file.class_name}/{file.relative}" if self.labelled else file.relative


def is_image(name: str) -> bool:
    """Whether Pillow can read files whose name ends like this one."""
    from PIL import Image

    kind = Image.registered_extensions().get(os.path.splitext(name)[1].lower())
    return kind in Image.OPEN and kind not in _NO_PICTURES


def list_folder(folder: Path) -> Listing:
    """The images of a folder in one of the two layouts. Raises ValueError for what is neither, in one line."""
    check_folder(folder)
    try:
        unsplit = not any((folder / part).is_dir() for part in PARTS)
        if unsplit:
            return _unsplit(folder)
        if not (folder / "train").is_dir():
            raise ValueError(f"data.path: {folder} has no folder train/; {_LAYOUT}")
        parts = tuple(part for part in PARTS if (folder / part).is_dir())
        class_names = _folders(folder / "train")
        _check_classes(folder, folder / "train", class_names)
        files: list[File] = []
        for part in parts:
            folders = _folders(folder / part)
            if unknown := [name for name in folders if name not in class_names]:
                raise ValueError(
                    f"{folder / part} has the class {unknown[0]!r}, which train/ lacks; add it there or remove it here"
                )
            files += _images(folder, part, [f"{part}/{name}" for name in folders] or [part])
        return Listing(tuple(class_names), tuple(files), parts, unsplit=False)
    except OSError as error:
        raise ValueError(f"{error.filename} can't be read ({error.strerror}); repair or remove it") from error


def check_folder(folder: Path) -> None:
    """Raise ValueError, in one line, for what is no folder."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"data.path: {folder} {what}; {_LAYOUT}")


def _unsplit(folder: Path) -> Listing:
    class_names = _folders(folder)
    if not class_names:
        raise ValueError(f"data.path: {folder} has no folder train/ and none of a class; {_LAYOUT}")
    _check_classes(folder, folder, class_names)
    return Listing(tuple(class_names), tuple(_images(folder, "train", class_names)), ("train",), unsplit=True)


def _check_classes(folder: Path, at: Path, class_names: Sequence[str]) -> None:
    if not class_names:
        raise ValueError(f"{at} holds no folders; it needs one for each class, with images in it")
    if len(class_names) == 1:
        raise ValueError(
            f"{at} has the one class {class_names[0]!r}, and telling it from nothing can't be learnt; there must be two"
            " or more"
        )


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path, part: str, relatives: Sequence[str]) -> list[File]:
    """The images below each folder of a class. Raises ValueError for one that has none."""
    return [
        file
        for relative in relatives
        for file in images_below(folder, relative, part=part, class_name=os.path.basename(relative))
    ]


def images_below(folder: Path, relative: str, *, part: str, class_name: str) -> list[File]:
    """The images in the folder of a class and in those below it, by name. Raises ValueError where there are none."""
    below = [
        File(path, part, class_name, size, mtime_ns)
        for path, size, mtime_ns in sorted(files_below(folder / relative, relative))
        if is_image(path)
    ]
    if not below:
        raise ValueError(f"{folder / relative} holds no images; add some (png, jpg, ...) or remove the folder")
    return below


def image_names(folder: Path, relative: str) -> list[str]:
    """The images in one folder, by path below `folder`, none of which is looked at. Raises ValueError for none."""
    with os.scandir(folder / relative) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and is_image(entry.name))
    if not names:
        raise ValueError(f"{folder / relative} holds no images; add some (png, jpg, ...) or remove the folder")
    return [f"{relative}/{name}" for name in names]


def file_at(folder: Path, relative: str, *, part: str, class_name: str) -> File:
    """A file that a table names, as it is found; one that can't be looked at is listed with the bad files."""
    try:
        status = os.stat(folder / relative)
    except (OSError, ValueError):
        return File(relative, part, class_name)
    return File(relative, part, class_name, status.st_size, status.st_mtime_ns)


def files_below(folder: Path | str, relative: str) -> Iterator[tuple[str, int, int]]:
    """Relative path, bytes and time of change of every regular file below; strings, as Path objects cost a second."""
    with os.scandir(folder) as entries:
        for entry in entries:
            here = f"{relative}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from files_below(entry.path, here)
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:
                yield here, -1, 0  # it is listed with the other files that can't be read
                continue
            if stat.S_ISREG(status.st_mode):  # reading a FIFO or a device would not come to an end
                yield here, status.st_size, status.st_mtime_ns
