"""Lines of JSON, and texts, that show when they were changed: each holds a CRC-32 of itself.

A line ends with the key `crc`: eight hexadecimal digits of its own content, and in a file whose lines build on each
other eight more, of all contents up to its own, which tell of a line that is missing. A text ends with a comment that
holds the checksum. What has none was written before there were checksums, and is taken as it is.
"""

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

_SEAL = re.compile(rb'(.+),"crc":"([0-9a-f]{8})([0-9a-f]{8})?"\}', re.DOTALL)
_COMMENT = re.compile(rb"# crc ([0-9a-f]{8})\n?")


class Line(NamedTuple):
    """What a line holds, and what is known of it."""

    content: bytes | None
    """Without the checksum; None where it was changed."""
    sealed: bool
    """Whether it ends with a checksum, be that right or wrong."""
    follows: bool
    """Whether all lines before it are as they were when it was written; also true where it does not say."""
    crc: int
    """Of all contents up to this line's."""

    @property
    def values(self) -> dict[str, Any] | None:
        """What it says, without the checksum; None where it is no object, or was changed."""
        return None if self.content is None else _parsed(self.content)


def seal(values: Mapping[str, Any], *, before: int | None = None) -> tuple[bytes, int]:
    """The line of plain values with its checksum, and the checksum of all contents up to it.

    `before` is that of the lines before, where they are told of too.
    """
    content = json.dumps(dict(values), separators=(",", ":")).encode()
    own, chain = _crc(content), _crc(content, before or 0)
    digits = f"{own:08x}" if before is None else f"{own:08x}{chain:08x}"
    return b'%b,"crc":"%b"}\n' % (content[:-1], digits.encode()), chain


def opened(line: bytes, *, before: int = 0) -> Line:
    """What a line, without its end, holds; `before` is the checksum of the contents before it."""
    match = _SEAL.fullmatch(line)
    content = line if match is None else match[1] + b"}"
    chain = _crc(content, before)
    if match is None:
        return Line(content, False, True, chain)
    whole = int(match[2], 16) == _crc(content)
    follows = match[3] is None or int(match[3], 16) == chain
    return Line(content if whole else None, True, follows, chain)


def said(line: bytes) -> dict[str, Any]:
    """What a line without its end says that is known to be whole, without its checksum."""
    values: dict[str, Any] = json.loads(line.decode())
    values.pop("crc", None)
    return values


def is_whole(line: bytes) -> bool:
    """Whether a line, without its end, has a checksum and is as it was written."""
    match = _SEAL.fullmatch(line)
    return match is not None and int(match[2], 16) == _crc(match[1] + b"}")


def _crc(content: bytes, before: int = 0) -> int:
    return zlib.crc32(content + b"\n", before)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def seal_text(text: str) -> bytes:
    """A text of whole lines in which `#` begins a comment, with its checksum as the last line."""
    content = text.encode()
    return b"%b# crc %08x\n" % (content, zlib.crc32(content))


def open_text(content: bytes) -> tuple[str, bool]:
    """The text that `seal_text` was given, and whether it still has its checksum.

    Raises ValueError when it was changed since.
    """
    lines = content.removesuffix(b"\n").rpartition(b"\n")
    match = _COMMENT.fullmatch(lines[2])
    text = content if match is None else lines[0] + lines[1]
    if match is not None and int(match[1], 16) != zlib.crc32(text):
        raise ValueError("it was changed since it was written, by damage or by hand: its last line has another crc")
    return text.decode(), match is not None
