"""Processes for what has to be known when a process starts, such as the threads of OpenMP."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def in_child(module: str, request: Any) -> dict[str, float]:
    """What `python -m MODULE REQUEST` prints as JSON, on one thread. Raises CalledProcessError when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(request)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
