"""Ray for the length of a command: the cluster at an address, or a private local one that ends with the command."""

import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_mixup.activity import doing
from tune_mixup.cluster.environment import environment, levels_kept
from tune_mixup.cluster.halt import interruptible
from tune_mixup.cluster.host_check import check_host
from tune_mixup.cluster.not_started import cluster_fault, is_worth_another_try, start_fault
from tune_mixup.cluster.private_folder import marks, private_folder
from tune_mixup.cluster.ray_internals import (
    LOOPBACK_ONLY,
    few_retries,
    nodes_here,
    read_token_again,
    start_private,
    unobtrusive,
)
from tune_mixup.cluster.unseen import stderr_unseen
from tune_mixup.measuring.nodes import Node
from tune_mixup.outside import module_folders
from tune_mixup.streams import stand_ins
from tune_mixup.sweep_config import SweepConfig

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the old reporter is silent at verbose=0, the new one is not
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # they leak memory and import torch in the driver
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # halt.py has its own
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # snapshots that nobody reads, 10 KB per trial each time
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Read by Ray when it is imported; what the user has set stays."""
FOR_WORKERS = {
    "RAY_worker_niceness": "0",  # Ray's own 15 leaves trials no time beside other work; `nice` works on all as usual
    "MPLBACKEND": "agg",  # workers have no window, and a notebook's backend is often not installed for them
}
"""The environment of a private Ray's processes; of the first, what the user has set stays."""
TRIES = 2
"""How often a private Ray is started when it times out, as it does on a host that is very busy."""


@dataclass(frozen=True)
class Connected:
    """The Ray that a block uses."""

    nodes: list[Node]
    """What each living node offers."""
    folder: Path | None = None
    """Where its files are, for a Ray that this process has started for itself; None for one of several hosts."""


def private_nodes(address: str | None) -> list[Node] | None:
    """What the Ray that `connected` would start for itself will offer; None where it would use one that is there."""
    if address is not None or ("ray" in sys.modules and sys.modules["ray"].is_initialized()):
        return None
    with _quietly(), doing("loading Ray"):
        return nodes_here()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """In the block Ray may be imported."""
    quietly = {name: value for name, value in QUIET.items() if name not in os.environ}
    with environment(quietly), levels_kept(["ray"]), stand_ins():
        yield


def worker_threads(config: SweepConfig) -> dict[str, str]:
    """The environment variables by which workers start with a trial's threads; none while these are to be measured.

    OpenBLAS and MKL follow OMP_NUM_THREADS too. Torch is told again by each trial (`set_threads`), for the workers of a
    Ray that was not started here.
    """
    return {} if config.cpus_per_trial == "auto" else {"OMP_NUM_THREADS": str(config.threads)}


@contextlib.contextmanager
def connected_for(config: SweepConfig, address: str | None) -> Iterator[Connected]:
    """`connected`, with workers that have a sweep's threads and find the modules from outside that its parts are in."""
    with connected(address, worker_threads(config), config.modules) as ray:
        yield ray


@contextlib.contextmanager
def connected(
    address: str | None, worker_variables: Mapping[str, str] | None = None, modules: Sequence[str] = ()
) -> Iterator[Connected]:
    """Use Ray inside the block.

    With an address, that cluster; where this process is connected already, the same; else a local one that nobody else
    can use and that ends with the block. Workers start with the environment variables `worker_variables`, unless the
    user has set them, and find `modules` (files and package folders), which Ray copies to other hosts; both with the
    exception of a Ray that this process is connected to already. Raises ValueError when the cluster does not answer,
    and RuntimeError when a private Ray does not start. SIGTERM and SIGHUP raise KeyboardInterrupt in the block.
    """
    variables = {name: os.environ.get(name, value) for name, value in (worker_variables or {}).items()}
    with interruptible(), _quietly():
        with doing("loading Ray"):
            import ray

        if ray.is_initialized():
            yield Connected(_nodes())
        elif address is not None:
            with _cluster(address, variables, modules):
                yield Connected(_nodes())
        else:
            with _private({**variables, **_python_path(modules)}) as folder:
                yield Connected(_nodes(), folder)


@contextlib.contextmanager
def _cluster(address: str, variables: Mapping[str, str], modules: Sequence[str]) -> Iterator[None]:
    import ray

    _knock(address)
    needs: dict[str, Any] = {"env_vars": dict(variables)}  # the nodes run already: only Ray can tell their workers
    if modules:
        needs["py_modules"] = list(modules)
    try:
        with stderr_unseen() as unseen, unobtrusive(), few_retries():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=needs,
            )
    except Exception as error:
        ray.shutdown()
        raise cluster_fault(address, error, unseen.text()) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _private(variables: Mapping[str, str]) -> Iterator[Path]:
    """A local Ray, its folder, and a token of its own.

    Ray would otherwise leave a token in the home folder, which keeps later nodes from joining. What Ray starts inherits
    the environment, and so do all workers later on, which are its children. A runtime environment would do the same for
    0.8 s more at the start (2 cores): Ray then may not use the workers that it has started ahead.
    """

    check_host()
    given = {**FOR_WORKERS, **{name: os.environ[name] for name in ("RAY_worker_niceness",) if name in os.environ}}
    own_token = "RAY_AUTH_MODE" not in os.environ
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} if own_token else {}
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(environment(token))
            if own_token:
                read_token_again()
            folder = _started({**given, **variables}, stack)
            yield folder
    finally:
        if own_token:
            read_token_again()


def _started(variables: Mapping[str, str], stack: contextlib.ExitStack) -> Path:
    """The folder of a private Ray that ends with `stack`. Raises RuntimeError when it does not start."""
    import ray

    for left in reversed(range(TRIES)):
        with contextlib.ExitStack() as attempt:
            folder = attempt.enter_context(private_folder())
            attempt.callback(ray.shutdown)
            try:
                with environment({**variables, **LOOPBACK_ONLY, **marks(folder)}), doing("starting Ray"):
                    start_private(folder / "r")
            except Exception as error:
                if left and is_worth_another_try(error):
                    continue
                raise start_fault(error) from None
            stack.enter_context(attempt.pop_all())
            break
    return folder


def _python_path(modules: Sequence[str]) -> dict[str, str]:
    """The variable by which workers on this host find modules; empty where there are none."""
    folders = [*module_folders(modules), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(folders)} if modules else {}


def _knock(address: str) -> None:
    """Raise ValueError when nobody listens at HOST:PORT; Ray itself would go on asking for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # "auto", "local": Ray looks for those itself
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise cluster_fault(address, error) from None


def _nodes() -> list[Node]:
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]
