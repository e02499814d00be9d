"""Unpacking an archive that came from somewhere: nothing is written outside its folder, and not without end."""

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tune_mixup.activity import doing
from tune_mixup.words import said

_PIECE = 2**20
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What the standard library raises for archives that are damaged, of an unknown kind, or have a password."""


def unpack(archive: Path, into: Path, *, top: str, most_bytes: int) -> None:
    """Write the files of a zip archive, which all lie below `top` in it, below `into`/`top`.

    Raises ValueError for an archive that is damaged, has a path that leads elsewhere, or promises more than
    `most_bytes` (no more than it promises is written); what was written until then is left for the caller to delete.
    Links are not made: they become files with what they point to as content.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            for member in members:
                _check(archive, member.filename, top)
            if (size := sum(member.file_size for member in members)) > most_bytes:
                raise ValueError(f"{archive} unpacks to {size:,} bytes, must be at most {most_bytes:,}; replace it")
            with doing(f"unpacking {archive.name}", of=len(members)) as count:
                for number, member in enumerate(members, start=1):
                    target = into / member.filename
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(member) as source, open(target, "xb") as file:
                        shutil.copyfileobj(source, file, _PIECE)
                    count(number)
    except _FAULTS as error:
        raise ValueError(f"{archive} can't be unpacked ({said(error)}); replace it") from error


def _check(archive: Path, name: str, top: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or path.parts[:1] != (top,):
        raise ValueError(f"{archive} holds {name!r}, which is not below {top}/; replace it")
