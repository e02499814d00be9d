"""Ray for the length of a command: the cluster at an address, or a private local one that ends with the command."""

import contextlib
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tune_mixup.cluster.ray_internals import start_private
from tune_mixup.measuring.nodes import Node

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


_private_folder: Path | None = None


def private_folder() -> Path | None:
    """Where the files of a Ray are that this process has started for itself; None on a cluster of several hosts."""
    return _private_folder


@contextlib.contextmanager
def connected(address: str | None, environment: Mapping[str, str] | None = None) -> Iterator[list[Node]]:
    """Use Ray inside the block and get the resources of its living nodes.

    With an address, that cluster; where this process is connected already, the same; else a local one that nobody else
    can use and that ends with the block. Workers start with the variables of `environment`, but for those that the user
    has set, and but for a Ray that runs already. Raises ValueError when the cluster does not answer.
    """
    environment = {name: os.environ.get(name, value) for name, value in (environment or {}).items()}
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address is None and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # A token of its own: Ray would otherwise leave one in the home folder, which keeps later nodes from joining.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    if ray.is_initialized():
        yield _nodes()
    elif address is not None:
        _knock(address)
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": environment},  # the nodes run already: only Ray can tell their workers
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"no Ray cluster answers at {address}: {reason}; start one or leave out --address"
            ) from None
        try:
            yield _nodes()
        finally:
            ray.shutdown()
    else:
        folder = tempfile.mkdtemp(prefix="tm-")  # short: the path of a socket below it may have 107 characters
        global _private_folder
        _private_folder = Path(folder)
        try:
            with _set(environment):
                start_private(folder)
            yield _nodes()
        finally:
            _private_folder = None
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for the length of the block.

    What Ray starts there inherits them, and so do all workers later on, which are its children. A runtime environment
    would do the same for 0.8 s more at the start (2 cores): Ray then may not use the workers that it has started ahead,
    and an agent prepares the new ones.
    """
    before = {name: os.environ.get(name) for name in environment}
    os.environ |= environment
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _knock(address: str) -> None:
    """Raise ValueError when nobody listens at HOST:PORT; Ray itself would go on asking for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # "auto", "local": Ray looks for those itself
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address}: {error}; start one or leave out --address") from None


def _nodes() -> list[Node]:
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]
