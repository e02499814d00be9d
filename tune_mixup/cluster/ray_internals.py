"""What we use of Ray and Ray does not document, its messages included.

`tests/cluster/test_ray_internals.py` holds a test for each, which says what has changed when a release of Ray changes
it. The environment variables that Ray reads when it is imported stand in `connection.py`. Ray itself is imported only
inside of the functions here, for it reads them at that moment.
"""

import contextlib
import logging
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from ray.tune.experiment import Trial

    from tune_mixup.measuring.nodes import Node

OUT_OF_MEMORY = re.compile(r"running low on memory|memory monitor", re.IGNORECASE)
"""What Ray says of a worker that it has killed to save its host."""
HOST_GONE = re.compile(r"node has died|node died|node was terminated", re.IGNORECASE)
"""What Ray says of a worker whose host has gone."""

EXITED = re.compile(r"exits with an exit code (\d+)\.(?:\s+The process receives a (SIG[A-Z]+))?", re.IGNORECASE)
"""What Ray says of a worker that has said how it ends."""
PID = re.compile(r"\bpid: (\d+)", re.IGNORECASE)
"""The process of a dead actor."""
SIGNAL = re.compile(r"\*\*\* (SIG[A-Z]+) received at")
"""What a worker writes into its log when it dies of a signal that it can hear of."""

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What makes a process of Ray listen on the loopback address alone; otherwise Ray does so where firewalls would ask."""


RETRIES = 5
"""How often a cluster is asked for its name, a second apart."""
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
        changed.enter_context(unobtrusive())
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES,
            _temp_dir=str(folder),
        )


@contextlib.contextmanager
def unobtrusive() -> Iterator[None]:
    """Let `ray.init` in the block leave alone what is the program's: signals, and what is on the screen.

    It puts no handler of Python's for SIGTERM over the one that is there. The one that its library puts over Python's
    own, to print where it stood, is replaced again at the end. No thread prints what the raylet says of workers that
    die, which is told in a trial's own line.
    """
    from ray._private import utils, worker

    with (
        _replaced(utils, "set_sigterm_handler", lambda handler: None),
        _replaced(worker, "listen_error_messages", lambda worker, stopped: None),
    ):
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread() and (now := signal.getsignal(signal.SIGTERM)):
                signal.signal(signal.SIGTERM, now)


@contextlib.contextmanager
def few_retries() -> Iterator[None]:
    """In the block Ray asks a cluster that listens, but gives no answer, for seconds instead of half a minute."""
    from ray._private import ray_constants

    with _replaced(ray_constants, "NUM_REDIS_GET_RETRIES", RETRIES):
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


def silent_progress() -> Any:
    """A callback in place of the one that prints results whatever the verbosity is, once a sweep was interrupted."""
    from ray.tune.progress_reporter import TrialProgressCallback

    class Silent(TrialProgressCallback):
        @override
        def _print(self, msg: str) -> None:
            """Nothing."""

    return Silent()


def silent_reporter() -> Any:
    """In place of the reporter of notebooks, which wipes away what the cell has shown."""
    from ray.tune import ProgressReporter

    class Silent(ProgressReporter):
        @override
        def should_report(self, trials: Any, done: bool = False) -> bool:
            """Never."""
            return False

        @override
        def report(self, trials: Any, done: bool, *sys_info: Any) -> None:
            """Nothing."""

    return Silent()


def worker_of(trial: "Trial") -> "ActorHandle[Any] | None":
    """The actor that runs the trial now; None while it waits and after it has ended."""
    worker: ActorHandle[Any] | None = trial.temporary_state.ray_actor
    return worker


def take_back_waiting(tune_controller: Any) -> None:
    """End those trials that wait for resources; the searcher hears that they are complete, without a result."""
    from ray.tune.experiment import Trial

    for trial in [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]:
        tune_controller.stop_trial(trial)


def cause_of_death(text: str, logs: Path | None = None) -> str:
    """Ray's page about a dead actor in a few words, with what its log in the folder `logs` says of a signal."""
    if OUT_OF_MEMORY.search(text):
        return "its worker was killed because the host ran out of memory"
    if HOST_GONE.search(text):
        return "the host of its worker died"
    if (found := EXITED.search(text)) is not None:
        return f"its worker was ended by {found[2]}" if found[2] else f"its worker exited with code {found[1]}"
    pid = PID.search(text)
    for log in logs.glob(f"python-core-worker-*_{pid[1]}.log") if logs is not None and pid is not None else ():
        if (named := SIGNAL.search(log.read_text(errors="replace"))) is not None:
            return f"its worker was killed by {named[1]}"
    return "its worker died without a word (SIGKILL, or it ended itself)"


def logs_here(text: str) -> Path | None:
    """The folder of this node's logs, if Ray's page is about a worker of this node."""
    from ray._private import worker

    node = worker._global_node
    here = node is not None and re.search(rf"\bip: {re.escape(str(node.node_ip_address))}\s", text) is not None
    return Path(node.get_logs_dir_path()) if node is not None and here else None
