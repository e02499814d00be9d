"""Processes for what has to be known when a process starts: glibc's heap, and the threads of OpenMP."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tune_mixup.cluster.worker_environment import KEPT_HEAP


def in_child(module: str, request: Any, *, kept_heap: bool) -> dict[str, float]:
    """What `python -m MODULE REQUEST` prints as JSON, on one thread, with our workers' heap or with glibc's defaults.

    Raises CalledProcessError when it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in KEPT_HEAP}
    environment |= {"OMP_NUM_THREADS": "1", **(KEPT_HEAP if kept_heap else {})}
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(request)],
        env=environment,
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
