"""What a folder takes on the disk, for programs and for people."""

import stat
from pathlib import Path


def size_of(path: Path) -> int:
    """Bytes at and below `path`: what is written, or what the disk has set aside for it where that is more."""
    try:
        found = path.lstat()
        below = sum(size_of(child) for child in path.iterdir()) if stat.S_ISDIR(found.st_mode) else 0
    except FileNotFoundError:  # a worker has just renamed or deleted it
        return 0
    return below + max(found.st_size, 512 * found.st_blocks)


def in_words(size: int) -> str:
    """Bytes for a person to read, in powers of ten, rounded up where it must be enough."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{-(-size * 10 // scale) / 10:g} {unit}"
    return f"{size} B"
