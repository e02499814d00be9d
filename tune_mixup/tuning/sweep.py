"""A sweep from plan to record: Ray runs the trials, the session decides, the record remembers."""

import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from tune_mixup.config import Options, SweepConfig, plan
from tune_mixup.record import SweepRecord, load_sweep
from tune_mixup.search_space import SearchSpace
from tune_mixup.tuning.cluster import connected
from tune_mixup.tuning.preflight import check_data
from tune_mixup.tuning.progress import Listener
from tune_mixup.tuning.resources import slots
from tune_mixup.tuning.session import Session


def sweep(
    space: str | Path | SearchSpace,
    settings: Mapping[str, Any] | None = None,
    *,
    root: Path | str = "sweeps",
    address: str | None = None,
    listener: Listener | None = None,
    **options: Unpack[Options],
) -> SweepRecord:
    """Search a space and return the record: `.trials()` and `.epochs()` are pandas frames.

    `space` is the name of a shipped space, the path of a `.py` file or a `SearchSpace`; `settings` are fixed on top,
    by dotted key; `options` are fields of `SweepConfig` and `max_epochs`. Raises ValueError, with nothing written, for
    anything wrong with these, for a name that exists, and for resources that are not there.
    """
    return start(plan(space, settings, **options), root=root, address=address, listener=listener)


def start(
    config: SweepConfig, *, root: Path | str = "sweeps", address: str | None = None, listener: Listener | None = None
) -> SweepRecord:
    """Run a sweep that is planned. Raises as `sweep` does."""
    SweepRecord.check_free(Path(root), config.name)
    with connected(address) as nodes:
        concurrent = _concurrency(config, nodes)
        check_data(config)
        record = SweepRecord.create(Path(root), config.name, config.model_dump(mode="json"), direction=config.direction)
        _run(record, config, concurrent, listener)
    return record


def resume(
    path: Path | str,
    *,
    trials: int | None = None,
    time_budget_s: float | None = None,
    concurrent: int | None = None,
    address: str | None = None,
    listener: Listener | None = None,
) -> SweepRecord:
    """Go on with a sweep: finish what was promised, or more with `trials`. No finished trial runs again.

    Raises ValueError when there is no such sweep, when another process works on it, or when `trials` is fewer than
    were begun.
    """
    record = load_sweep(path)
    changes = {"trials": trials, "time_budget_s": time_budget_s, "concurrent": concurrent}
    config = SweepConfig.parse(record.config()).replace(**{k: v for k, v in changes.items() if v is not None})
    begun = len(record.asked())
    if config.trials < begun:
        raise ValueError(f"trials: got {config.trials}, but {begun} were begun already; give at least {begun}")
    with connected(address) as nodes:
        _run(record, config, _concurrency(config, nodes), listener)
    return record


def _concurrency(config: SweepConfig, nodes: list[Any]) -> int:
    room = slots(nodes, cpus=config.cpus_per_trial, gpus=config.gpus_per_trial)
    return min(room, config.concurrent or room, config.trials)


def _run(record: SweepRecord, config: SweepConfig, concurrent: int, listener: Listener | None) -> None:
    """Let Ray run what the session hands out until it has nothing more."""
    from ray import tune

    from tune_mixup.tuning.searcher import RecordScheduler, RecordSearcher
    from tune_mixup.tuning.trainable import MixupTrainable

    with record.working():
        record.write_config(config.model_dump(mode="json"))
        session = Session(record, config, listener=listener)
        resources = {"cpu": config.cpus_per_trial, "gpu": config.gpus_per_trial}
        searcher = RecordSearcher(session, threads=max(1, int(config.cpus_per_trial)), gpu=config.gpus_per_trial > 0)
        scratch = tempfile.mkdtemp(prefix="tm-tune-", dir=record.path)  # Ray's own files; every node must reach them
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tune.Tuner(
                    tune.with_resources(MixupTrainable, resources),
                    tune_config=tune.TuneConfig(
                        search_alg=searcher,
                        scheduler=RecordScheduler(session),
                        num_samples=-1,
                        max_concurrent_trials=concurrent,
                        reuse_actors=True,
                        trial_dirname_creator=lambda trial: f"t{trial.config['number']:04d}",
                    ),
                    run_config=tune.RunConfig(
                        name=f"{time.time():.0f}",
                        storage_path=scratch,
                        verbose=0,
                        failure_config=tune.FailureConfig(max_failures=config.max_failures),
                        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    ),
                ).fit()
        finally:
            record.note_run(session.began)
            shutil.rmtree(scratch, ignore_errors=True)
        if session.unfinished():
            raise KeyboardInterrupt
