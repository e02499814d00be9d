"""The folder of a private Ray: nobody else can enter it, it goes with its owner, or is swept up by a later start.

A folder is swept up when nobody holds the lock on it, which the system releases when its owner dies, and when the note
in it says that its owner was on this host and is gone. Without a note a folder is none of ours. What outlived a killed
owner is ended first: processes of Ray whose environment names the folder.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tune_mixup.writing import replace

PREFIX = "tm-"
"""Short: the path of a socket below the folder may have 107 characters."""
SHORT = 28
"""Bytes of the path of a folder that ours may lie in; Ray adds 78 to it."""
SHORT_TOP = Path("/tmp")
"""Where a private folder lies when the one for temporary files has a long path."""
MARK = "TUNE_MIXUP_PRIVATE_RAY"
"""The environment variable that tells each process of a private Ray, and us, to which folder it belongs."""
_KEEP_ENVIRONMENT = "SPT_NOENV"
"""Set, a process that gives itself a title leaves alone what the system shows of its environment."""
_NOTE = "owner.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TRIES = 20
"""How often a folder is deleted again, 0.05 s apart, while processes that are ending write to it."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder of mode 0700 that is there, locked, while the block runs; those of dead owners are swept up first.

    Start what runs in it with the environment variables `marks(folder)`: what is left at the end of the block is ended.
    Raises ValueError when the folder for temporary files has too long a path or no locks.
    """
    top = _top()
    sweep_up(top)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=top))
    try:
        with _locked(folder):
            note = json.dumps(_owner(os.getpid())).encode()
            replace(folder / _NOTE, lambda file: file.write(note))
            try:
                yield folder
            finally:
                _delete(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _top() -> Path:
    """The folder for temporary files, or /tmp where the paths of sockets would get too long in it.

    Raises ValueError when there is none that can be used.
    """
    top = Path(tempfile.gettempdir())
    if len(os.fsencode(top.absolute())) <= SHORT:
        return top
    if not os.access(SHORT_TOP, os.W_OK | os.X_OK):
        raise ValueError(
            f"TMPDIR: got {str(top)!r}, too long for the sockets that Ray makes in it, and {SHORT_TOP} can't be "
            f"written; give a folder whose path has at most {SHORT} bytes"
        )
    return SHORT_TOP


def marks(folder: Path) -> dict[str, str]:
    """The environment variables by which a process is known to run in a private folder."""
    return {MARK: str(folder), _KEEP_ENVIRONMENT: "1"}


def sweep_up(top: Path) -> list[Path]:
    """Delete the private folders in `top` whose owners are dead, after ending what is left of their Rays."""
    swept = []
    for folder in top.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):  # its owner lives, or another process sweeps, or it is damaged
            if not _is_ours(folder):
                continue
            with _locked(folder):
                if _is_dead(json.loads((folder / _NOTE).read_text())):
                    _delete(folder)
                    swept.append(folder)
    return swept


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and stat.S_IMODE(found.st_mode) == 0o700
        and (folder / _NOTE).is_file()
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder. Raises BlockingIOError when another process does, ValueError where there are none."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ValueError(
                f"TMPDIR: nothing in {str(folder.parent)!r} can be locked ({error.strerror}); give a folder whose file "
                "system has locks"
            ) from None
        yield
    finally:
        os.close(opened)


def _owner(pid: int) -> dict[str, str | int]:
    """Which process that is, among all that were and will be."""
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "started": _started(pid)}


def _is_dead(owner: object) -> bool:
    """Whether the process of a note is gone for sure; a lock says nothing about processes of other hosts."""
    if not isinstance(owner, dict) or not isinstance(owner.get("pid"), int):
        return False
    if owner.get("boot") == _boot():  # also in another container of this host
        return _started(owner["pid"]) != owner.get("started")
    return owner.get("host") == socket.gethostname()


def _boot() -> str:
    """Another one after each start of the host."""
    return _BOOT_ID.read_text().strip()


def _started(pid: int) -> int:
    """When a process started, in clock ticks since the host did; -1 when there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    return int(status.rpartition(")")[2].split()[19])  # the name before may hold anything


def _delete(folder: Path) -> None:
    """End what runs in the folder and delete it; what is being written meanwhile is deleted again."""
    for _ in range(_TRIES):
        _end_processes(folder)
        kept = [child for child in folder.iterdir() if child.name != _NOTE]  # last: without it nobody would come back
        for child in kept:
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.unlink(missing_ok=True)
        if not any(child.name != _NOTE for child in folder.iterdir()):
            break
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _end_processes(folder: Path) -> None:
    """Kill the processes of the Ray of a folder, and no others that were started from one of them."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            handle = os.pidfd_open(int(entry.name))
            try:
                if _belongs(entry, folder):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def _belongs(process: Path, folder: Path) -> bool:
    mark = f"{MARK}={folder}".encode()
    if mark not in (process / "environ").read_bytes().split(b"\0"):
        return False
    words = (process / "cmdline").read_bytes()
    return words.startswith(b"ray::") or os.fsencode(folder) in words
