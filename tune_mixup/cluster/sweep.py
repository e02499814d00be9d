"""A sweep from plan to record: Ray runs the trials, the session decides, the record remembers."""

import contextlib
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from tune_mixup.activity import doing
from tune_mixup.analysis.sweep import Sweep
from tune_mixup.cluster.connection import Connected, connected_for, private_nodes
from tune_mixup.cluster.halt import Halt, Signals, interruptible
from tune_mixup.cluster.preflight import Found, check_all
from tune_mixup.cluster.probing import decide
from tune_mixup.data.base import DataFault
from tune_mixup.display import Watcher, showing
from tune_mixup.measuring.auto import at_once
from tune_mixup.measuring.nodes import Node, asking_for
from tune_mixup.measuring.packing import Packed
from tune_mixup.options import Options, Promise, said
from tune_mixup.quiet import quiet
from tune_mixup.record.facts import Assignment, SweepFacts
from tune_mixup.record.files import StorageFault, storage
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.names import SCRATCH, command_for, named, trial_name
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.disk import Keeper, NoRoom, check_space
from tune_mixup.search.session import Session
from tune_mixup.search.shares import Shares, room, shares_for
from tune_mixup.search.standing import Listener
from tune_mixup.search.warm_start import import_trials
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig, plan


def sweep(
    space: str | Path | SearchSpace,
    settings: Mapping[str, Any] | None = None,
    *,
    root: Path | str = "sweeps",
    address: str | None = None,
    warm_start: Path | str | None = None,
    listener: Listener | None = None,
    **options: Unpack[Options],
) -> Sweep:
    """Search a space and return what came out: `.trials()` and `.epochs()` are pandas frames, `.best_config` a config.

    `space` is the name of a shipped space, the path of a `.py` file or a `SearchSpace`; `settings` are fixed on top,
    by dotted key; `options` are fields of `SweepConfig`, and short forms. The sampler begins with the finished trials
    of the sweep at `warm_start`; the option `outside` says what becomes of those outside the space. `listener` hears of
    each event; without one the progress is shown.

    Raises ValueError, with nothing written, for anything wrong with these, for a name that exists, and for resources
    that are not there.
    """
    with showing(listener) as shown:  # its clock counts from the call on
        with doing("checking the search space"):
            config = plan(space, settings, **options)
        return start(config, root=root, address=address, warm_start=warm_start, listener=shown)


def start(
    config: SweepConfig,
    *,
    root: Path | str = "sweeps",
    address: str | None = None,
    warm_start: Path | str | None = None,
    listener: Listener | None = None,
    then: Callable[[SweepRecord], None] | None = None,
) -> Sweep:
    """Run a sweep that is planned, and `then` what still needs its Ray. Raises as `sweep` does."""
    root = named(root)
    SweepFolder.check_free(root, config.name)
    source = SweepRecord.open(warm_start) if warm_start is not None else None
    with (
        showing(listener) as listener,
        interruptible() as signals,
        _checked(config, root, address) as (ray, (checkpoint_bytes, data)),
    ):
        _warn_of_invalid_points(config)
        decision = decide(config, ray.nodes, Packed())
        config = decision.applied(config.replace(data=data))
        concurrent = _concurrency(config, ray.nodes, decision)
        # again, for what `auto` has come to
        check_space(root, config, checkpoint_bytes=checkpoint_bytes, concurrent=concurrent)

        def fill(record: SweepRecord) -> None:
            record.study.note_sweep(SweepFacts(checkpoint_bytes=checkpoint_bytes))
            if source is not None:
                import_trials(record, config, source)

        values = config.model_dump(mode="json")
        record = SweepRecord.create(root, config.name, values, direction=config.direction, fill=fill)
        with record.folder.working():
            _note(record, decision)
            shares = shares_for(record, config, ray.nodes, decision)
            _run(record, config, shares, decision.words(), concurrent, listener, signals, ray)
        if then is not None:
            then(record)
    return Sweep(record)


def resume(
    path: Path | str,
    *,
    address: str | None = None,
    listener: Listener | None = None,
    then: Callable[[SweepRecord], None] | None = None,
    **changes: Unpack[Promise],
) -> Sweep:
    """Go on with a sweep: finish what was promised, or what `changes` promise now. No finished trial runs again.

    `then` does what still needs the sweep's Ray; without it none is started for a sweep that is at its end.
    Raises ValueError, with no trial touched, when there is no such sweep, when another process works on it, when
    `trials` is fewer than were begun, when its data are not there or have another content than when it began.
    """
    record = SweepRecord.open(path)
    with showing(listener) as listener, interruptible() as signals, record.folder.working():
        config = _resumed(record, said(changes))
        left = _is_anything_left(record, config)
        known = Packed.parse(record.study.sweep_facts().packing or {})
        if not left and then is None:  # what a kill has left unwritten is mended
            record.folder.write_config(config.model_dump(mode="json"))
            Session.open(record, known.applied(config), listener=listener, began=listener.began).tell("")
            return Sweep(record)
        with _checked(config, record.path, address, data=left) as (ray, found):
            decision = decide(config, ray.nodes, known)
            config = decision.applied(config.replace(data=found.data) if left else config)
            concurrent = _concurrency(config, ray.nodes, decision)
            check_space(record.path, config, checkpoint_bytes=_checkpoint_bytes(record), concurrent=concurrent)
            _note(record, decision)
            news = decision.words() if decision != known else ""
            shares = shares_for(record, config, ray.nodes, decision)
            _run(record, config, shares, news, concurrent, listener, signals, ray)
            if then is not None:
                then(record)
    return Sweep(record)


@contextlib.contextmanager
def _checked(
    config: SweepConfig, root: Path, address: str | None, *, data: bool = True
) -> Iterator[tuple[Connected, Found]]:
    """Ray, and what the checks found: before a Ray of our own is started, on the cluster's nodes otherwise.

    Without `data` nothing is left to train, and the data need not be there.
    """
    nodes = private_nodes(address)
    found = None if nodes is None else check_all(config, nodes, root, here=True, data=data)
    with connected_for(config, address) as ray:
        yield ray, found or check_all(config, ray.nodes, root, here=False, data=data)


def _warn_of_invalid_points(config: SweepConfig) -> None:
    """Say once which part of the trials will fail because their points are no valid configuration."""
    if config.trials > len(config.space.baselines) and not config.sampler.finite:
        if words := config.invalid_points().words():
            logging.getLogger(__name__).warning(words)


def _note(record: SweepRecord, decision: Packed) -> None:
    if decision != Packed():
        record.study.note_sweep(SweepFacts(packing=decision.model_dump(mode="json")))


def _checkpoint_bytes(record: SweepRecord) -> int:
    return record.study.sweep_facts().checkpoint_bytes or 0


def _resumed(record: SweepRecord, changes: Mapping[str, Any]) -> SweepConfig:
    config = SweepConfig.from_record(record.folder.config()).replace(**changes)
    begun = len(record.study.asked())
    if config.trials < begun:
        raise ValueError(f"trials: got {config.trials}, but {begun} were begun already; give at least {begun}")
    return config


def _is_anything_left(record: SweepRecord, config: SweepConfig) -> bool:
    asked = record.study.asked()
    return len(asked) < config.trials or not all(trial.state.is_finished() for trial in asked)


def _concurrency(config: SweepConfig, nodes: Sequence[Node], decision: Packed) -> int:
    """Trials at the same time; says so when they are too many for a sampler that learns."""
    concurrent = at_once(config, room(config, nodes, decision))
    if config.sampler.learns and concurrent > (most := max(1, config.trials // 4)):
        logging.getLogger(__name__).warning(
            f"concurrent: {concurrent} trials at the same time are more than a quarter of {config.trials}, so "
            f"{config.sampler.name} suggests most before it has learnt much; give --concurrent {most} or more --trials"
        )
    return concurrent


def _run(
    record: SweepRecord,
    config: SweepConfig,
    shares: Shares,
    news: str,
    concurrent: int,
    listener: Watcher,
    signals: Signals,
    ray: Connected,
) -> None:
    """Let Ray run what the session hands out until it has nothing more. The caller holds the record's lock.

    Raises KeyboardInterrupt after a signal and RuntimeError when the storage failed; both can be resumed.
    """
    halt = Halt(record.folder.stopping)
    session = None
    try:
        record.folder.write_config(config.model_dump(mode="json"))
        session = Session.open(record, config, shares=shares, listener=listener, began=listener.began)
        learnt = "" if record.study.asked() else record.study.sweep_facts().warm_start
        session.tell("; ".join(words for words in (learnt, news) if words))
        with signals.halting(halt):
            keeper = Keeper(record, config, checkpoint_bytes=_checkpoint_bytes(record))
            _fit(session, halt, keeper, concurrent, ray)
    except Exception as error:
        halt.now(error)
    finally:
        with contextlib.suppress(OSError):
            record.folder.stopping.unlink(missing_ok=True)
            if session is not None and not isinstance(halt.reason, StorageFault):
                session.ledger.keep()
    if isinstance(halt.reason, StorageFault):
        raise RuntimeError(
            f"stopped: {halt.reason.filename} can't be written or read ({halt.reason.strerror}); what was recorded is "
            f"whole, so put that right and go on with `{command_for('resume', record.path)}`"
        ) from halt.reason
    if isinstance(halt.reason, DataFault):
        raise RuntimeError(
            f"stopped: {halt.reason}; no trial has failed by it, so put that right and go on with "
            f"`{command_for('resume', record.path)}`"
        ) from None
    if isinstance(halt.reason, NoRoom):
        raise RuntimeError(str(halt.reason)) from None
    if halt.reason is not None:
        raise halt.reason
    if session is not None and session.unfinished():
        raise RuntimeError(f"Ray ended before the sweep did; go on with `{command_for('resume', record.path)}`")


def _fit(session: Session, halt: Halt, keeper: Keeper, concurrent: int, ray: Connected) -> None:
    from ray import tune

    from tune_mixup.cluster.adapters import Clerk, RecordScheduler, RecordSearcher
    from tune_mixup.cluster.ray_internals import silent_progress, silent_reporter
    from tune_mixup.cluster.trainable import MixupTrainable
    from tune_mixup.cluster.watch import Watch

    config = session.config
    searcher = RecordSearcher(Clerk(session, halt, keeper), threads=config.threads)
    with storage(session.record.path):  # Ray's own files; every host must reach them
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=ray.folder or session.record.path)
    try:
        # What Ray has to say about faults is in the record.
        with quiet("ray.tune", up_to=logging.ERROR), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tune.Tuner(
                tune.with_resources(MixupTrainable, _Resources(config.cpus)),
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    scheduler=RecordScheduler(searcher),
                    num_samples=-1,
                    max_concurrent_trials=concurrent,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: trial_name(Assignment.parse(trial.config).number),
                ),
                run_config=tune.RunConfig(
                    name=f"{time.time():.0f}",
                    storage_path=scratch,
                    verbose=0,
                    progress_reporter=silent_reporter(),
                    callbacks=[Watch(searcher, config.trial_timeout_s), silent_progress()],
                    failure_config=tune.FailureConfig(max_failures=0),  # the session starts trials again
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Resources:
    """What a trial needs: its share of a GPU, and the GPU's type, are its own."""

    def __init__(self, cpus: float) -> None:
        self.cpus = cpus

    def __call__(self, trial: Mapping[str, Any]) -> Any:
        from ray import tune

        assignment = Assignment.parse(trial)
        return tune.PlacementGroupFactory(
            [{"CPU": self.cpus, "GPU": assignment.gpus, **asking_for(assignment.gpu_type)}]
        )
