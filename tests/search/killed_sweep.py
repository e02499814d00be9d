"""Run by `test_session.py`: a sweep whose process is killed with SIGKILL at random moments, beside one that never is.

    python killed_sweep.py FOLDER KILLS SAMPLER

Exits with 1 when the two differ. Each session is a real process, forked from this one so that nothing is imported anew.
"""

import os
import random
import signal
import sys
from pathlib import Path

from fake_worker import create, decisions, plan, work

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session


def start(path, config):
    """Fork a session; returns its process."""
    child = os.fork()
    if child == 0:
        record = SweepRecord.open(path)
        with record.folder.working():
            work(Session.open(record, config), faults=True)
        os._exit(0)
    return child


def main():
    root, kills, sampler = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    config = plan(sampler=sampler, trials=40)
    whole = create(root / "whole", config)
    work(Session.open(whole, config), faults=True)
    size = (whole.path / "study.journal").stat().st_size

    rng = random.Random(kills)
    killed = create(root / "killed", config)
    journal = killed.path / "study.journal"
    for point in sorted(rng.uniform(0.01, 0.95) * size for _ in range(kills)):
        child = start(killed.path, config)
        while journal.stat().st_size < point:  # the moment, not the amount: a kill falls anywhere in what it does next
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the session ended before it was killed"
        for _ in range(rng.randrange(20000)):
            pass
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    _, status = os.waitpid(start(killed.path, config), 0)
    assert status == 0, status

    states = {trial.state.name for trial in whole.study.asked()}
    assert states == {"COMPLETE", "PRUNED", "FAIL"}, states
    print(f"{kills} kills, {len(decisions(whole))} bytes")
    sys.exit(0 if decisions(SweepRecord.open(killed.path)) == decisions(whole) else 1)


main()
