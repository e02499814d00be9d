"""What a library writes to descriptor 2 itself, past Python's sys.stderr, kept off the screen for a while."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast


class Unseen:
    """What was written meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = ""

    def text(self) -> str:
        """The text so far, or, after the block, all of it."""
        if not self._file.closed:
            self._file.seek(0)
            self._text = self._file.read().decode("utf-8", "replace")
        return self._text


@contextlib.contextmanager
def stderr_unseen() -> Iterator[Unseen]:
    """In the block descriptor 2 is a file; what Python prints to stderr still goes where it went."""
    with tempfile.TemporaryFile() as file, contextlib.ExitStack() as undone:
        unseen = Unseen(cast(BinaryIO, file))
        screen = os.dup(2)
        before = sys.stderr
        seen = io.TextIOWrapper(os.fdopen(screen, "wb", 0), errors="backslashreplace", write_through=True)
        undone.callback(seen.close)
        undone.callback(os.dup2, screen, 2)
        with contextlib.suppress(Exception):
            before.flush()
        with contextlib.suppress(Exception):
            if before.fileno() == 2:
                sys.stderr = seen
                undone.callback(setattr, sys, "stderr", before)
        os.dup2(file.fileno(), 2)
        try:
            yield unseen
        finally:
            unseen.text()
