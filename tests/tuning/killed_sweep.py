"""Run by `test_session.py`: a sweep whose process is killed with SIGKILL at random moments, beside one that never is.

    python killed_sweep.py FOLDER KILLS SAMPLER

Exits with 1 when the two differ. Each session is a real process, forked from this one so that nothing is imported anew.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from fake_worker import create, decisions, plan, work

from tune_mixup.record import load_sweep
from tune_mixup.tuning.session import Session


def start(path, config):
    """Fork a session; returns its process and a pipe that says when it has begun."""
    said, saying = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(said)
        record = load_sweep(path)
        with record.working():
            os.write(saying, b".")
            work(Session(record, config), faults=True)
        os._exit(0)
    os.close(saying)
    return child, said


def main():
    root, kills, sampler = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    config = plan(sampler=sampler, trials=40)
    whole = create(root / "whole", config)
    began = time.monotonic()
    work(Session(whole, config), faults=True)
    whole_s = time.monotonic() - began

    rng = random.Random(kills)
    killed = create(root / "killed", config)
    done = 0
    while True:
        child, said = start(killed.path, config)
        os.read(said, 1)
        os.close(said)
        if done < kills:
            time.sleep(rng.uniform(0, whole_s / kills))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        done += 1
    states = {trial.state.name for trial in whole.asked()}
    print(f"{done} kills, states {sorted(states)}, {len(decisions(whole))} bytes")
    assert done == kills, f"only {done} of {kills} kills before the end"
    assert states == {"COMPLETE", "PRUNED", "FAIL"}
    sys.exit(0 if decisions(load_sweep(killed.path)) == decisions(whole) else 1)


main()
