"""A search of a table by Syne Tune's ASHA, which decides in a process of its own environment."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from typing_extensions import override

from benchmarks.recorded_curves import EPOCHS, Table
from benchmarks.simulation import Search
from benchmarks.table_search import FREE, nearest

SCRIPT = Path(__file__).resolve().parent / "baselines" / "syne_tune_asha.py"


class SyneTunes(Search):
    """Stopping ASHA with random points, called as Syne Tune's tuner does."""

    def __init__(self, table: Table, seed: int, *, python: str, grace_period: int, reduction_factor: int) -> None:
        """`python` is the interpreter that has Syne Tune. Searches of one process come one after the other."""
        super().__init__(table, seed)
        self.python = python
        self.process = _process(python)
        self._say(
            begin={
                "free": {key: [one.low, one.high] for key, one in FREE.items()},
                "grace_period": grace_period,
                "reduction_factor": reduction_factor,
                "max_t": EPOCHS,
                "seed": seed,
            }
        )

    @override
    def ask(self, trial: int) -> int:
        return nearest(self._say(ask=trial))

    @override
    def judge(self, trial: int, epoch: int, value: float) -> bool:
        return bool(self._say(report=trial, epoch=epoch, accuracy=value))

    @override
    def tell(self, trial: int, epoch: int, value: float) -> None:
        if epoch == self.epochs:
            self._say(end=trial, epoch=epoch, accuracy=value)

    def _say(self, **said: Any) -> Any:
        """What the process answers. Raises RuntimeError when it has ended; it has then said why."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            print(json.dumps(said), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            answer = ""
        else:
            answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.python} has ended; what it said is above, and it needs Syne Tune 0.13")
        return json.loads(answer)


@cache  # Syne Tune takes seconds to import, and many searches share the process, which ends when this one does
def _process(python: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([python, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
