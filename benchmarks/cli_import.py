"""How long `tune-mixup --help` takes in a fresh process, beside a Python that does nothing."""

import subprocess
import sys
import time
from statistics import median
from typing import Any

from benchmarks.rows import row

ROUNDS = 11
COMMANDS = {
    "help": [sys.executable, "-c", "from tune_mixup.cli import main; main()", "--help"],
    "nothing": [sys.executable, "-c", "pass"],
}
"""The first is what the installed script does."""


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn > 0:  # the first one fills the file cache
                seconds[name].append(time.perf_counter() - began)
    helping, nothing = (median(seconds[name]) for name in COMMANDS)
    return {
        "rows": [
            row(
                "`tune-mixup --help`, against a Python that does nothing",
                ours=helping, other=nothing, unit="s", value=helping, value_unit="s", at_most=0.4,
                note=f"Median of {rounds} fresh processes; {min(seconds['help']):.2f} to {max(seconds['help']):.2f} s.",
            )
        ],
        "seconds": seconds,
    }  # fmt: skip
