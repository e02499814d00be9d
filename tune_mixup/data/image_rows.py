"""Images that are decoded so far, in a folder beside what they will become: a decoder that was killed goes on there.

`pixels` holds the images one after another, `files` a line for each batch of them: their names, for files with sizes
and times of change, what tells the content of each or why it can't be read, and checksums of their pixels. A line is
written after its pixels; what a line does not vouch for is cut off when the folder is opened again.

Shapes: N images, C channels, H x W pixels.
"""

import errno
import json
import os
import stat
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BATCH_BYTES = 2**26
_BATCH_FILES = 2048


class Key(NamedTuple):
    """What tells an image that is to be decoded from others, and from what it was before a change."""

    name: str
    """Path of a file below the folder; for an image in a file of many, its place there."""
    size: int = 0
    """Bytes of the file; 0 where the stamp of the whole says that nothing has changed."""
    mtime_ns: int = 0


class Image(NamedTuple):
    """What came of reading an image."""

    pixels: NDArray[np.uint8] | None
    """[C, H, W]; None for one that can't be read."""
    digest: bytes
    """What tells its content."""
    why: str
    """Why it can't be read; empty for a good one."""
    checksum: int

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], digest: bytes) -> "Image":
        """Of a good one; `pixels` lie in their order in memory."""
        return cls(pixels, digest, "", zlib.crc32(pixels.data))

    @classmethod
    def bad(cls, why: str) -> "Image":
        """Of one that can't be read."""
        return cls(None, b"", why, 0)


class Known(NamedTuple):
    """What came of an image that was asked for."""

    digest: bytes
    """What tells its content; empty for one that can't be read."""
    why: str
    """Why it can't be read; empty for a good one."""
    row: int
    """Which of the stored images it is; -1 for none."""


class ImageRows:
    """What a folder, which need not be there, holds of images in a form, which `name` tells from all others."""

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        self._name = name
        self._known: dict[Key, Known] = {}
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def open(self, keys: Sequence[Key]) -> None:
        """Take over what was stored of `keys`, if anything; start anew where nothing of it can be used.

        Raises OSError for a folder that is somebody else's.
        """
        self._check_folder()
        wanted = {*keys}
        ends = self._load()
        self._known = {key: known for key, known in self._known.items() if key in wanted}
        if not self._known:
            self._shape, self._count, ends = None, 0, (0, 0)
        for path, end in zip((self._pixels, self._files), ends, strict=True):
            if end:
                with _opened(path, os.O_RDWR) as file:
                    file.truncate(end)
            else:
                path.unlink(missing_ok=True)

    def find(self, key: Key) -> Known | None:
        """What came of an image; None where it is not decoded yet, or has changed since."""
        return self._known.get(key)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """(C, H, W) of all images; None before the first."""
        return self._shape

    @property
    def batch(self) -> int:
        """How many images to decode before they are stored together."""
        if self._shape is None:
            return 1
        return max(1, min(_BATCH_FILES, _BATCH_BYTES // int(np.prod(self._shape))))

    def add(self, keys: Sequence[Key], images: Sequence[Image]) -> None:
        """Store what came of `keys`; all pixels must have the `shape`, if there is one.

        Raises OSError, as for a disk that is full.
        """
        good = [image.pixels for image in images if image.pixels is not None]
        shape = good[0].shape if good else None
        told = [[*key, one.digest.hex(), one.why, one.checksum] for key, one in zip(keys, images, strict=True)]
        self._folder.mkdir(exist_ok=True)
        self._append(self._pixels, [pixels.data for pixels in good])
        head = "" if self._known else f"{json.dumps(self._name)}\n"
        line = json.dumps({"shape": shape, "files": told})
        self._append(self._files, [f"{head}{line}\n".encode()])
        self._take(told, shape)

    def ordered(self, rows: Sequence[int]) -> Tensor:
        """The images `rows` in that order, uint8 [N, C, H, W], mapped from the disk; memory holds a batch of them.

        The file under it is deleted with the folder, and the tensor is as long-lived as its map.
        """
        assert self._shape is not None
        path = self._pixels
        if list(rows) != [*range(self._count)]:
            path = self._folder / "ordered"
            path.unlink(missing_ok=True)
            stored = np.memmap(self._pixels, np.uint8, "r", shape=(self._count, *self._shape))
            for start in range(0, len(rows), self.batch):
                self._append(path, [stored[list(rows[start : start + self.batch])].data])
        size = len(rows) * int(np.prod(self._shape))
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.uint8).reshape(len(rows), *self._shape)

    @property
    def _pixels(self) -> Path:
        return self._folder / "pixels"

    @property
    def _files(self) -> Path:
        return self._folder / "files"

    def _check_folder(self) -> None:
        try:
            status = self._folder.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise OSError(errno.EEXIST, f"{self._folder} is in the way; remove it", str(self._folder))

    def _load(self) -> tuple[int, int]:
        """Fill `_known` with all that lines vouch for; how many bytes of pixels and of lines that is."""
        try:
            with _opened(self._files, os.O_RDONLY) as files, _opened(self._pixels, os.O_RDONLY) as pixels:
                head = files.readline()
                if not head.endswith(b"\n") or json.loads(head) != self._name:
                    return 0, 0
                ends = 0, len(head)
                while self._next(line := files.readline(), pixels.read):
                    ends = pixels.tell(), ends[1] + len(line)
                return ends
        except (FileNotFoundError, ValueError):
            return 0, 0

    def _next(self, line: bytes, read: Callable[[int], bytes]) -> bool:
        """Take what a line tells of, if it is whole and its pixels are those that were written."""
        try:
            told = json.loads(line)
            shape = None if told["shape"] is None else tuple(told["shape"])
            size = int(np.prod(shape)) if shape else 0
            checksums = [checksum for *_, why, checksum in told["files"] if not why]
            if not line.endswith(b"\n") or any(zlib.crc32(read(size)) != checksum for checksum in checksums):
                return False
            self._take(told["files"], shape)
        except (ValueError, TypeError, KeyError):
            return False
        return True

    def _take(self, told: Sequence[Sequence[object]], shape: tuple[int, ...] | None) -> None:
        self._shape = self._shape or shape
        for name, size, mtime_ns, digest, why, _ in told:
            row = -1 if why else self._count
            self._count += not why
            known = Known(bytes.fromhex(str(digest)), str(why), row)
            self._known[Key(str(name), int(str(size)), int(str(mtime_ns)))] = known

    def _append(self, path: Path, contents: Sequence[bytes | memoryview]) -> None:
        with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            for content in contents:
                file.write(content)


def _opened(path: Path, flags: int) -> BinaryIO:
    """A link is not followed: whoever may write in the folder could have put it there."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b" if flags == os.O_RDWR else "ab")
