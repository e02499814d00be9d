import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_mixup.cluster import connection
from tune_mixup.cluster.connection import _knock


def test_an_address_where_nobody_listens_is_refused_at_once():
    with pytest.raises(ValueError, match="no Ray cluster answers at 127.0.0.1:1: .*refused"):
        _knock("127.0.0.1:1")


@pytest.mark.parametrize("address", ["auto", "local"])
def test_words_for_addresses_are_left_to_ray(address):
    _knock(address)


@pytest.mark.slow
def test_two_private_rays_after_each_other_leave_nothing_behind():
    script = Path(__file__).with_name("left_behind.py")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    done = subprocess.run([sys.executable, script], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"changed": {}, "loggers": True, "tokens": 2, "folders": [False, False]}


TERMINATED = """
import os, signal, sys
from tune_mixup.cluster.connection import connected

try:
    with connected(None) as used:
        print(used.folder, flush=True)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        print("went on")
except KeyboardInterrupt:
    print("interrupted", os.path.exists(used.folder))
"""


@pytest.mark.slow
def test_a_signal_right_after_rays_start_interrupts_and_nothing_is_left():
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    for name in ("SIGTERM", "SIGHUP"):
        done = subprocess.run([sys.executable, "-c", TERMINATED, name], env=own, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout.splitlines()[1:] == ["interrupted False"]


class Starts:
    """Stands for `start_private`: each call does what comes next."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.folders = []

    def __call__(self, folder):
        self.folders.append(folder)
        if (outcome := self.outcomes.pop(0)) is not None:
            raise outcome


SLOW = Exception("The current node timed out during startup. This could happen because ...")


@pytest.mark.parametrize(
    ("outcomes", "fault"),
    [
        ((SLOW, None), None),
        ((SLOW, SLOW), "Ray did not start in time .* less busy"),
        ((OSError("no such file"),), "Ray did not start: no such file"),
    ],
    ids=["the second time", "never", "for another reason"],
)
def test_a_start_that_times_out_is_tried_once_more_in_a_folder_of_its_own(outcomes, fault, monkeypatch):
    starts = Starts(*outcomes)
    monkeypatch.setattr(connection, "start_private", starts)
    with contextlib.ExitStack() as stack:
        if fault is None:
            assert connection._started({}, stack) == starts.folders[-1].parent and starts.folders[-1].parent.exists()
        else:
            with pytest.raises(RuntimeError, match=fault):
                connection._started({}, stack)
    assert len(set(starts.folders)) == len(outcomes)
    assert not any(folder.parent.exists() for folder in starts.folders)
