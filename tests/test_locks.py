import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tune_mixup import locks
from tune_mixup.locks import Held, Lock

HOLD = """
import sys
from pathlib import Path
from tune_mixup.locks import Lock

lock = Lock(Path(sys.argv[1]), folder=sys.argv[2] == "folder")
lock.acquire(0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts processes that hold a lock until they are killed."""
    begun = []

    def begin(path, *, folder):
        root = str(Path(__file__).parents[1])
        command = [sys.executable, "-c", HOLD, str(path), "folder" if folder else "file"]
        begun.append(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": root},
            )
        )
        assert begun[-1].stdout.readline() == "held\n"
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()
        one.communicate()


@pytest.mark.parametrize("folder", [False, True])
def test_one_process_at_a_time_and_the_next_when_it_dies(folder, tmp_path, hold):
    path = tmp_path / "lock"
    holder = hold(path, folder=folder)
    with pytest.raises(Held, match="another process holds .*lock"):
        Lock(path, folder=folder).acquire(0)
    began = time.monotonic()
    with pytest.raises(Held):
        Lock(path, folder=folder).acquire(0.3)
    assert 0.3 <= time.monotonic() - began < 2
    holder.kill()
    holder.wait()
    with Lock(path, folder=folder):
        with pytest.raises(Held):
            Lock(path, folder=folder).acquire(0)  # the same process has no two of them either
    Lock(path, folder=folder).acquire(0)


def test_who_deletes_the_file_lets_nobody_in(tmp_path, hold):
    path = tmp_path / "lock"
    holder = hold(path, folder=True)
    path.unlink()
    with pytest.raises(Held):
        Lock(path, folder=True).acquire(0)
    path.write_text("made again")
    with pytest.raises(Held):
        Lock(path, folder=True).acquire(0)
    holder.kill()
    holder.wait()
    Lock(path, folder=True).acquire(0)


def test_it_waits_until_the_other_lets_go(tmp_path):
    first, second, order = Lock(tmp_path / "lock"), Lock(tmp_path / "lock"), []
    first.acquire(0)

    def work():
        with second:
            order.append("second")

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    order.append("first")
    first.release()
    thread.join(10)
    assert order == ["first", "second"]
    first.release()  # once more does no harm


def test_a_file_that_was_replaced_while_waiting_is_no_lock(tmp_path, monkeypatch):
    path, flock, taken = tmp_path / "lock", fcntl.flock, []

    def replace_once(descriptor, how):
        flock(descriptor, how)
        if not taken:
            path.unlink()
            path.write_text("another's")
        taken.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(fcntl, "flock", replace_once)
    lock = Lock(path)
    lock.acquire(1)
    assert len(taken) == 2 and taken[1] == path.stat().st_ino


def test_a_planted_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    for target in (victim, tmp_path / "nowhere"):
        (tmp_path / "lock").unlink(missing_ok=True)
        (tmp_path / "lock").symlink_to(target)
        victim.write_text("mine")
        with pytest.raises(OSError, match="symbolic"):
            Lock(tmp_path / "lock").acquire(0)
    assert victim.read_text() == "mine" and not (tmp_path / "nowhere").exists()


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="no regular file"):
        Lock(tmp_path / "lock").acquire(0)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        Lock(tmp_path / "folder").acquire(0)


def test_the_content_stays(tmp_path):
    (tmp_path / "lock").write_text("kept")
    with Lock(tmp_path / "lock", folder=True):
        assert (tmp_path / "lock").read_text() == "kept"


def test_another_users_file_that_may_be_read_only(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path, flags, mode=0o777):
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode)

    (tmp_path / "lock").touch()
    monkeypatch.setattr(locks.os, "open", refuse)
    with Lock(tmp_path / "lock"), pytest.raises(Held):
        Lock(tmp_path / "lock").acquire(0)


@pytest.mark.parametrize("code", [errno.EBADF, errno.ENOLCK, errno.ENOTSUP])
def test_where_folders_cannot_be_locked_the_file_counts(code, tmp_path, monkeypatch):
    flock = fcntl.flock

    def only_files(descriptor, how):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, "not here")
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", only_files)
    with Lock(tmp_path / "lock", folder=True), pytest.raises(Held):
        Lock(tmp_path / "lock", folder=True).acquire(0)


def test_where_there_are_no_locks_it_says_so_and_does_not_wait(tmp_path, monkeypatch):
    def refuse(descriptor, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for timeout_s in (None, 0, 60):
        with pytest.raises(OSError, match="can't be locked .*Function not implemented.*choose a folder"):
            Lock(tmp_path / "lock").acquire(timeout_s)


def test_descriptors_are_closed(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with Lock(tmp_path / "lock", folder=True):
        for _ in range(20):
            with pytest.raises(Held):
                Lock(tmp_path / "lock", folder=True).acquire(0)
    assert len(os.listdir("/proc/self/fd")) == before
