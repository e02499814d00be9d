"""Ray for the length of a command: the cluster at an address, or a private local one that ends with the command."""

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator

# Read when Ray is imported or started: no usage report, the quiet reporter, no loggers that leak or import torch.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray  # noqa: E402

from tune_mixup.tuning.resources import Node  # noqa: E402


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[list[Node]]:
    """Use Ray inside the block and get the resources of its living nodes.

    With an address, that cluster; where this process is connected already, the same; else a local one with a token of
    its own, so that nobody else on the network can use it. Raises ValueError when the cluster does not answer.
    """
    if ray.is_initialized():
        yield _nodes()
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"no Ray cluster answers at {address}: {reason}; start one or leave out --address") from None
        try:
            yield _nodes()
        finally:
            ray.shutdown()
        return
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    folder = tempfile.mkdtemp(prefix="tm-")  # short: the path of a socket below it may have 107 characters
    try:
        ray.init(address="local", include_dashboard=False, _temp_dir=folder, **quiet)
        yield _nodes()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _nodes() -> list[Node]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
