"""What the search itself costs as a sweep grows, without Ray and training, and without waiting for the disk.

A made-up sweep grows by random points under ASHA, for TPE would take hours of its own. At each size it is asked a few
times with TPE, whose own time is told apart; what its last trials have taken is told, what opening the record takes
beside Optuna's bare load of the same journal, and what is made of it for people. All numbers are CPU time, of a
process with one thread.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any
from unittest.mock import patch

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from typing_extensions import override

from benchmarks.options import configured
from benchmarks.rows import row
from tune_mixup.analysis.leaderboard import leaderboard
from tune_mixup.record.facts import Ending
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.samplers.base import Draw
from tune_mixup.samplers.tpe import Tpe
from tune_mixup.search.explanation import explain_sweep
from tune_mixup.search.session import Session
from tune_mixup.search.standing import Progress
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.testing.made_up_sweep import SPACE, row_of

SIZES = (100, 1000, 10_000)
WINDOW = 50
"""The last trials of a size, whose times are told; a fifth as many are then asked for with TPE."""
ROUNDS = 3
Spent = dict[str, list[float]]


class Clocked(BaseSampler):
    """A sampler of Optuna that adds up what it takes."""

    def __init__(self, make: Callable[[], BaseSampler], spent: list[float]) -> None:
        self._spent = spent
        with clock(spent):
            self._sampler = make()

    @override
    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with clock(self._spent):
            return self._sampler.infer_relative_search_space(study, trial)

    @override
    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with clock(self._spent):
            return self._sampler.sample_relative(study, trial, search_space)

    @override
    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        with clock(self._spent):
            return self._sampler.sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def clock(spent: list[float]) -> Iterator[None]:
    """Adds the block's CPU milliseconds."""
    began = time.process_time()
    yield
    spent.append(1e3 * (time.process_time() - began))


def listen(progress: Progress) -> None:
    """A listener, so that each event is told to one."""


def run_trials(session: Session, count: int) -> Spent:
    """The next trials, each trained by nobody; milliseconds of each ask, report and end."""
    spent: Spent = defaultdict(list)
    for _ in range(count):
        with clock(spent["ask"]):
            begin = session.next()
        assert begin is not None
        folder = session.record.folder.trial(begin.number)
        folder.path.mkdir(exist_ok=True)
        folder.write_config(begin.config.plain())
        stop, epoch = False, 0
        while not stop and epoch < begin.config.training.epochs:
            epoch += 1
            report = row_of(begin.config, epoch)
            folder.append_epoch(report)
            with clock(spent["report"]):
                stop = session.report(begin.number, report)
        with clock(spent["end"]):
            session.end(begin.number, report, Ending(kind="stopped" if stop else "completed"))
    return spent


def asks_with_tpe(record: SweepRecord, config: SweepConfig, count: int) -> tuple[float, float]:
    """Median milliseconds of an ask that are ours, and that are the sampler's."""
    ours, own = [], []
    make = Tpe.make
    for _ in range(count):
        spent: list[float] = []

        def clocked(sampler: Tpe, draw: Draw, spent: list[float] = spent) -> BaseSampler:
            return Clocked(lambda: make(sampler, draw), spent)

        with patch.object(Tpe, "make", clocked):
            if not ours:
                session = Session.open(record, config.replace(sampler=Tpe()), listener=listen)
            spent.clear()
            whole = run_trials(session, 1)["ask"][0]
        own.append(sum(spent))
        ours.append(whole - own[-1])
    return median(ours), median(own)


def timed(rounds: int, work: Callable[[], object]) -> float:
    """Median milliseconds."""
    spent: list[float] = []
    for _ in range(rounds):
        with clock(spent):
            work()
    return median(spent)


def opened(path: Path) -> Session:
    """A session on a record that was not read before."""
    record = SweepRecord.open(path)
    return Session.open(record, SweepConfig.from_record(record.folder.config()))


def at_size(record: SweepRecord, config: SweepConfig, size: int, window: int, rounds: int) -> dict[str, float]:
    """Let the sweep grow to a size; milliseconds of everything."""
    with record.folder.working():
        session = Session.open(record, config, listener=listen)
        run_trials(session, size - window - len(record.study.asked()))
        last = run_trials(session, window)
        found = {what: median(spent) for what, spent in last.items()}
        found["end, mean"] = fmean(last["end"])
        found["progress"] = timed(10 * rounds, session.progress)
        del session
        found["load"] = timed(rounds, lambda: JournalStorage(JournalFileBackend(str(record.folder.journal))))
        found["open"] = timed(rounds, lambda: opened(record.path))
        found["leaderboard"] = timed(rounds, lambda: leaderboard(record))
        found["explain"] = timed(rounds, lambda: explain_sweep(record))
        found["ask, ours"], found["ask, TPE"] = asks_with_tpe(record, config, max(2, window // 5))
    return found


def measure(sizes: Sequence[int] = SIZES, window: int = WINDOW, rounds: int = ROUNDS) -> dict[str, Any]:
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as root, patch("os.fsync"):
        options = {"sampler": "random", "scheduler": "asha", "grace_epochs": 1, "metric": "val_accuracy"}
        config = configured(SPACE, name="grows", trials=3 * max(sizes), seed=0, **options)
        record = SweepRecord.create(Path(root), config.name, config.model_dump(mode="json"), direction=config.direction)
        for size in sizes:
            found[size] = at_size(record, config, size, window, rounds)
            print(size, {what: round(spent, 2) for what, spent in found[size].items()}, flush=True)
    return {"rows": [one for size in sizes for one in rows(size, found[size])], "cpu_ms": found, "window": window}


def rows(size: int, found: dict[str, float]) -> list[dict[str, Any]]:
    """One for each cost at a size."""
    at = f"at {size:,} trials"
    ask, opening = found["ask, ours"], found["open"]
    each = {
        "an epoch's report to the search": ("report", "Median, a listener told."),
        "a trial's end": ("end", f"Median, a listener told; mean {found['end, mean']:.2f} ms."),
        "where the sweep stands, for the live table": ("progress", "Part of each event."),
    }
    views = {"the leaderboard": "leaderboard", "`explain` of the sweep": "explain"}
    return [
        row(
            f"our part of an ask, beside TPE's own, {at}",
            ours=ask, other=found["ask, TPE"], unit="ms", value=ask, value_unit="ms", at_most=2,
            note=f"CPU time, medians; an ask for a random point takes {found['ask']:.2f} ms, its sampler included.",
        ),
        *(
            row(f"{name}, {at}", ours=found[key], unit="ms", value=found[key], value_unit="ms",
                at_most=2 if key == "report" else None, note=f"CPU time. {note}")
            for name, (key, note) in each.items()
        ),
        row(
            f"opening a sweep, against Optuna's bare load of its journal, {at}",
            ours=opening, other=found["load"], unit="ms", value=opening / found["load"], value_unit="x", at_most=2,
            note="CPU time, the load included; every trial's folder is looked at for damage too.",
        ),
        *(
            row(f"{name}, {at}", ours=found[key], unit="ms", value=1e3 * found[key] / size, value_unit="us a trial",
                note="CPU time, of a record that is loaded.")
            for name, key in views.items()
        ),
    ]  # fmt: skip
