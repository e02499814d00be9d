import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tune_mixup.cluster import private_folder as module
from tune_mixup.cluster.private_folder import MARK, private_folder, sweep_up

HOLD = """
import sys
from tune_mixup.cluster.private_folder import private_folder

with private_folder() as folder:
    (folder / "r").mkdir()
    (folder / "r" / "file").write_text("content")
    print(folder, flush=True)
    sys.stdin.read()
"""
RAY = """
import json, os, sys
from tune_mixup.cluster.connection import connected

with connected(None) as used:
    import ray

    @ray.remote
    class Worker:
        def pid(self):
            return os.getpid()

    worker = Worker.remote()
    pids = [ray.get(worker.pid.remote())]
    print(json.dumps([str(used.folder), pids]), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def top(monkeypatch):
    """A folder for folders, with a short path, as the one of the system has."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)
    tempfile.tempdir = None


class Process:
    """A script that prints a line, then waits until it is told to end."""

    def __init__(self, script):
        root = str(Path(__file__).parents[2])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        environment |= {"PYTHONPATH": root, "RAY_worker_niceness": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.line = self.process.stdout.readline().strip()

    def end(self):
        self.process.communicate()
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(top):
    """Starts processes, and kills what is left of them."""
    begun = []

    def begin(script):
        begun.append(Process(script))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.kill()


def test_nobody_else_can_enter_and_nothing_is_left(top):
    mask = os.umask(0)
    try:
        with private_folder() as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and folder.parent == top
            (folder / "r" / "deep").mkdir(parents=True)
            (folder / "link").symlink_to(top)
            (folder / "r" / "file").write_text("x")
    finally:
        os.umask(mask)
    assert not list(top.iterdir())
    with pytest.raises(KeyError), private_folder():
        raise KeyError
    assert not list(top.iterdir())


def test_a_later_start_sweeps_up_after_the_dead_and_leaves_the_living_alone(top, start):
    dead, living = start(HOLD), start(HOLD)
    dead.kill()
    assert {path.name for path in top.iterdir()} == {Path(dead.line).name, Path(living.line).name}
    with private_folder() as mine:
        assert {path.name for path in top.iterdir()} == {mine.name, Path(living.line).name}
        assert (Path(living.line) / "r" / "file").read_text() == "content"
    assert living.end() == 0 and not list(top.iterdir())


@pytest.fixture
def deep(top, monkeypatch):
    """A folder for temporary files whose path is too long for sockets in it."""
    folder = top / ("l" * 60)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_with_a_long_path_is_not_used(deep, top, monkeypatch):
    monkeypatch.setattr(module, "SHORT_TOP", top)
    with private_folder() as folder:
        assert folder.parent == top and not list(deep.iterdir())


def test_where_only_a_long_path_can_be_written_the_variable_is_named(deep, top, monkeypatch):
    monkeypatch.setattr(module, "SHORT_TOP", top / "missing")
    with pytest.raises(ValueError, match=r"TMPDIR: got '.*', too long for the sockets .*; give a folder whose path"):
        with private_folder():
            pass


def test_where_nothing_can_be_locked_the_variable_is_named_and_nothing_is_left(top, monkeypatch):
    def fails(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", fails)
    with pytest.raises(ValueError, match=r"TMPDIR: nothing in '.*' can be locked \(No locks available\); give"):
        with private_folder():
            pass
    assert not list(top.iterdir())


def test_the_longest_path_of_a_socket_fits():
    """The folder's and the session's names as Ray makes them, a process's number of seven digits."""
    top = "/" + "x" * (module.SHORT - 1)
    path = f"{top}/{module.PREFIX}abcdefgh/r/session_2026-11-27_09-11-45_266645_4194304/sockets/plasma_store"
    assert len(path) <= 107


def make(top, name="tm-abc", *, mode=0o700, **owner):
    """A folder as a dead process of this host leaves it, but for what is given."""
    folder = top / name
    folder.mkdir(mode=mode)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = {"host": socket.gethostname(), "boot": boot, "pid": 2**22 + 1, "started": 5, **owner}
    (folder / "owner.json").write_text(json.dumps(note))
    (folder / "file").write_text("x")
    return folder


def started(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.mark.parametrize(
    "owner",
    [{}, {"pid": os.getpid(), "started": started(os.getpid()) - 1}, {"boot": "before the last start"}],
    ids=["no such process", "its number was given again", "the host was restarted"],
)
def test_owners_that_are_dead(top, owner):
    folder = make(top, **owner)
    assert sweep_up(top) == [folder] and not folder.exists()


@pytest.mark.parametrize(
    "owner",
    [{"boot": "x", "host": "another"}, {"pid": os.getpid(), "started": started(os.getpid())}, {"pid": "?"}],
    ids=["another host", "alive", "no number"],
)
def test_owners_that_may_live(top, owner):
    folder = make(top, **owner)
    assert sweep_up(top) == [] and (folder / "file").exists()


def test_what_is_not_ours_is_left_alone(top, monkeypatch):
    open_to_all, noted, elsewhere = make(top, "tm-open", mode=0o755), make(top, "tm-noted"), make(top, "other")
    (top / "tm-link").symlink_to(elsewhere)
    (noted / "owner.json").write_text("{torn")
    (top / "tm-file").write_text("x")
    (top / "tm-bare").mkdir(mode=0o700)
    before = {path: path.lstat().st_ino for path in top.rglob("*")}
    assert sweep_up(top) == []
    assert {path: path.lstat().st_ino for path in top.rglob("*")} == before and open_to_all.exists()


def test_another_users_is_left_alone(top, monkeypatch):
    folder, uid = make(top), os.getuid()
    monkeypatch.setattr(module.os, "getuid", lambda: uid + 1)
    assert sweep_up(top) == [] and folder.exists()


def test_of_the_processes_only_those_of_that_ray_are_ended(top):
    folder, other = make(top), make(top, "tm-other", pid=os.getpid(), started=started(os.getpid()))
    sleep = "import time; time.sleep(300)"

    def begin(mark, *words, title=None):
        environment = {**os.environ, MARK: str(mark)}
        command = [title or sys.executable, "-c", sleep, *map(str, words)]
        return subprocess.Popen(command, executable=sys.executable, env=environment)

    daemon, worker = begin(folder, f"--session={folder}/r"), begin(folder, title="ray::IDLE")
    tool, namesake, others = begin(folder), begin("", folder), begin(other, title="ray::IDLE")
    time.sleep(0.5)
    try:
        assert sweep_up(top) == [folder]
        assert (daemon.wait(10), worker.wait(10)) == (-signal.SIGKILL, -signal.SIGKILL)
        assert [process.poll() for process in (tool, namesake, others)] == [None] * 3
    finally:
        for process in (daemon, worker, tool, namesake, others):
            process.kill()
            process.wait()


# A whole Ray


def family(pid):
    """A process and all that it has started."""
    found, parents = {pid}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(pids):
    """The addresses, as the kernel's hexadecimal words, on which processes wait for connections."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[fields[9]] = fields[1].rpartition(":")[0]
    found = {}
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:[") and target[8:-1] in sockets:
                found.setdefault(pid, set()).add(sockets[target[8:-1]])
    return found


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, and the same among the addresses of version 6."""


def alive(pids):
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()}


@pytest.mark.slow
def test_a_private_ray_is_private_and_goes_with_its_owner(top, start):
    own = start(RAY)
    folder, pids = json.loads(own.line)
    ours = family(own.process.pid)
    assert set(pids) < ours and len(ours) >= 6
    addresses = listening(ours)
    assert set.union(*addresses.values()) <= LOOPBACK and {own.process.pid, *pids} <= addresses.keys()
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert {path.name for path in top.iterdir()} == {Path(folder).name}, "everything is below the one folder"
    assert own.end() == 0
    assert not alive(ours) and not list(top.iterdir())


@pytest.mark.slow
def test_what_a_killed_driver_leaves_is_ended_by_the_next_start(top, start):
    own, other = start(RAY), start(RAY)
    folder, _ = json.loads(own.line)
    ours, others = family(own.process.pid), family(other.process.pid)
    own.kill()
    assert Path(folder).exists()
    assert sweep_up(top) == [Path(folder)] and not Path(folder).exists()
    deadline = time.monotonic() + 5
    while alive(ours) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(ours)
    assert alive(others) == others, "another Ray lives"
    assert other.end() == 0 and not list(top.iterdir())
