"""What we use of Ray and Ray does not document, its messages included.

`tests/cluster/test_ray_internals.py` holds a test for each, which says what has changed when a release of Ray changes
it. The environment variables that Ray reads when it is imported stand in `connection.py`. Ray itself is imported only
inside of the functions here, for it reads them at that moment.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from ray.tune.experiment import Trial

    from tune_mixup.measuring.nodes import Node

OUT_OF_MEMORY = re.compile(r"running low on memory|memory monitor", re.IGNORECASE)
"""What Ray says of a worker that it has killed to save its host."""
HOST_GONE = re.compile(r"node has died|node died|node was terminated", re.IGNORECASE)
"""What Ray says of a worker whose host has gone."""


LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What makes a process of Ray listen on the loopback address alone; otherwise Ray does so where firewalls would ask."""


UNUSED_BY_US = ("start_monitor", "start_api_server", "start_log_monitor")
"""Methods of Ray's node by which it starts what we never ask: the autoscaler, the dashboard's server, and the process
that carries what workers print to the driver. Each imports Ray anew, and Ray waits for the server: 4 s on two cores."""


def start_private(folder: Path) -> None:
    """Start a Ray on this host that nobody else is told of, with all its files in `folder`, and connect to it.

    It listens on the loopback address only; its processes must inherit `LOOPBACK_ONLY`. Ray gives all that it makes
    the mode 0777, `folder` too, so that it has to lie in one that nobody else can enter. Its object store is the least
    that Ray takes, since what passes through it are configurations and reports.
    """
    import ray
    from ray._private import ray_constants
    from ray._private.node import Node

    with contextlib.ExitStack() as changed:
        changed.enter_context(_replaced(ray_constants, "ENABLE_RAY_CLUSTER", False))  # read when Ray was imported
        for name in UNUSED_BY_US:
            changed.enter_context(_replaced(Node, name, lambda node, **settings: None))
        changed.enter_context(handlers_kept())
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES,
            _temp_dir=str(folder),
        )


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """In the block `ray.init` puts no handler of its own for SIGTERM over the one that is there."""
    from ray._private import utils

    with _replaced(utils, "set_sigterm_handler", lambda handler: None):
        yield


@contextlib.contextmanager
def _replaced(where: object, name: str, value: object) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


def nodes_here() -> "list[Node]":
    """What the one node of a private Ray will offer, as Ray finds it when it is started."""
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    found = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1")
    return [found.to_resource_dict()]  # type: ignore[no-untyped-call]


def read_token_again() -> None:
    """Have Ray read RAY_AUTH_MODE and RAY_AUTH_TOKEN anew, which it otherwise does once per process.

    The mode first: a connection that is still being closed would look for a token that is gone.
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def worker_of(trial: "Trial") -> "ActorHandle[Any] | None":
    """The actor that runs the trial now; None while it waits and after it has ended."""
    worker: ActorHandle[Any] | None = trial.temporary_state.ray_actor
    return worker


def take_back_waiting(tune_controller: Any) -> None:
    """End those trials that wait for resources; the searcher hears that they are complete, without a result."""
    from ray.tune.experiment import Trial

    for trial in [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]:
        tune_controller.stop_trial(trial)


def cause_of_death(text: str) -> str:
    """Ray's page about a dead actor in a few words."""
    if OUT_OF_MEMORY.search(text):
        return "its worker was killed because the host ran out of memory"
    if HOST_GONE.search(text):
        return "the host of its worker died"
    return "its worker died (killed, or out of the host's memory)"
