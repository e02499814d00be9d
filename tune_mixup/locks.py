"""Locks between the processes of a host, which the system releases when their process dies.

A lock is a file, and with it, on request, the folder that it is in: who deletes the file does not thereby let a second
process in, for the folder stays locked. NFS locks files between hosts but no folders, so that there the file alone
counts. Nothing is written, and a link that was put in place of the file is not followed.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_POLL_S = 0.05
_NO_LOCKS_ON_FOLDERS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What file systems say that can't lock a folder, NFS above all."""


class Held(Exception):
    """Another process holds the lock."""


class Lock:
    """The lock at `path`, made where it is missing, and with `folder` the folder that it is in; not reentrant.

    In a `with` statement it waits for as long as it takes.
    """

    def __init__(self, path: Path, *, folder: bool = False) -> None:
        self.path = path
        self._folder = folder
        self._held = contextlib.ExitStack()

    def acquire(self, timeout_s: float | None = None) -> None:
        """Take the lock; None waits for ever, 0 not at all.

        Raises Held when another process has it for longer than that, and OSError when the file can't be opened, is no
        regular file, or lies where there are no locks.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with contextlib.ExitStack() as taken:
                if self._take(taken, wait=deadline is None and not self._folder):
                    self._held = taken.pop_all()
                    return
            if deadline is not None and time.monotonic() >= deadline:
                raise Held(f"another process holds {self.path}")
            time.sleep(_POLL_S)

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        self._held.close()

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def is_held(self) -> bool:
        """Whether another process has the lock. Nothing is made, and the lock is free again at once.

        Who takes the lock at that very moment finds it held, and should ask a second time. Raises OSError as `acquire`.
        """
        with contextlib.ExitStack() as opened:
            flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_RDONLY
            for path in (self.path, self.path.parent) if self._folder else (self.path,):
                try:
                    descriptor = os.open(path, flags)
                except FileNotFoundError:
                    continue
                opened.callback(os.close, descriptor)
                try:
                    if not _flock(descriptor, path, wait=False, shared=True):
                        return True
                except OSError as error:
                    if path == self.path or error.errno not in _NO_LOCKS_ON_FOLDERS:
                        raise
        return False

    def _take(self, taken: contextlib.ExitStack, *, wait: bool) -> bool:
        """Lock file and folder as far as they are free; whether all is locked, and still in its place."""
        file = taken.enter_context(_opened_file(self.path))
        if not _flock(file, self.path, wait=wait) or not _is_at(file, self.path):
            return False
        if self._folder:
            folder = taken.enter_context(_opened_folder(self.path.parent))
            try:
                return _flock(folder, self.path.parent, wait=False)
            except OSError as error:
                return error.errno in _NO_LOCKS_ON_FOLDERS
        return True


@contextlib.contextmanager
def _opened_file(path: Path) -> Iterator[int]:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO is opened, and refused, without waiting for a writer
    try:
        descriptor = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's, in a folder that is shared
        descriptor = os.open(path, flags | os.O_RDONLY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file, so it can't be a lock; remove it", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CLOEXEC | os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _flock(descriptor: int, path: Path, *, wait: bool, shared: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        words = f"can't be locked ({error.strerror}); choose a folder whose file system has locks"
        raise OSError(error.errno, words, str(path)) from None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file that was opened is the one at `path`, and has not been replaced meanwhile."""
    try:
        there, opened = path.lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
