"""What the processes that run trials are started with, seen from inside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_worker import plan

from tune_mixup.cluster.connection import worker_threads

WANTED = {"TM_OF_OURS": "ours", "OMP_NUM_THREADS": "3", "TM_OF_THE_USER": "default"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"OMP_NUM_THREADS": "1"}),
        ({"cpus_per_trial": 4.0}, {"OMP_NUM_THREADS": "4"}),
        ({"cpus_per_trial": 0.5}, {"OMP_NUM_THREADS": "1"}),
        ({"cpus_per_trial": "auto"}, {}),
        ({"gpus_per_trial": 0.25, "cpus_per_trial": 2.0}, {"OMP_NUM_THREADS": "2"}),
        ({"gpus_per_trial": "auto"}, {"OMP_NUM_THREADS": "1"}),
    ],
)
def test_what_trials_are_given(options, expected):
    assert worker_threads(plan(**options)) == expected


def seen_by_a_worker(address, **environment):
    """What a worker sees, and what the driver has afterwards, in a process of its own."""
    script = Path(__file__).with_name("worker_sees.py")
    done = subprocess.run(
        [sys.executable, script, address, *(f"{name}={value}" for name, value in WANTED.items())],
        env={**{name: value for name, value in os.environ.items() if name not in WANTED}, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_workers_of_a_private_ray_start_with_it_and_the_driver_stays_as_it_was():
    seen, own = seen_by_a_worker("local", TM_OF_THE_USER="mine")
    assert seen == {**WANTED, "TM_OF_THE_USER": "mine"}
    assert own == {"TM_OF_OURS": None, "OMP_NUM_THREADS": None, "TM_OF_THE_USER": "mine"}


@pytest.mark.slow
def test_workers_of_a_cluster_at_an_address_start_with_it(ray_session):
    import ray

    address = ray.get_runtime_context().gcs_address
    seen, own = seen_by_a_worker(address, TM_OF_THE_USER="mine")
    assert seen == {**WANTED, "TM_OF_THE_USER": "mine"} and own["OMP_NUM_THREADS"] is None
