"""What Ray must go on doing, though it promises none of it. A failure here names what a release has changed."""

import ast
import inspect
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import ray
from ray import cloudpickle, tune
from ray._private import ray_constants, utils, worker
from ray._private.node import Node
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.utils.callback import _create_default_callbacks as create_default_callbacks

from tune_mixup.cluster.connection import QUIET
from tune_mixup.cluster.private_folder import marks
from tune_mixup.cluster.ray_internals import (
    LOOPBACK_ONLY,
    UNUSED_BY_US,
    cause_of_death,
    few_retries,
    logs_here,
    silent_progress,
    take_back_waiting,
    unobtrusive,
    worker_of,
)

INSTALLED = Path(ray.__file__).parent
KILLED = "its worker died without a word (SIGKILL, or it ended itself)"
HOST_GONE = "the host of its worker died"
OUT_OF_MEMORY = "its worker was killed because the host ran out of memory"


class Counts(tune.Trainable):
    def step(self):
        return {"done": self.iteration >= 2}


def test_a_trial_knows_its_worker_while_it_has_one():
    trial = Trial("counts", stub=True, trial_id="a")
    assert worker_of(trial) is None, "a trial of Ray's that waits already has a temporary_state.ray_actor"
    actor = object()
    trial.temporary_state.ray_actor = actor
    assert worker_of(trial) is actor
    assert "self.temporary_state.ray_actor = ray_actor" in inspect.getsource(Trial.set_ray_actor), (
        "Ray keeps a trial's actor elsewhere than in Trial.temporary_state.ray_actor"
    )


class Controller:
    """Stands for Ray's `TuneController`: what we call of it, no more."""

    def __init__(self, trials):
        self.trials = trials
        self.stopped = []

    def get_live_trials(self):
        return self.trials

    def stop_trial(self, trial):
        self.stopped.append(trial.trial_id)
        self.trials.discard(trial)  # Ray's set shrinks while we go through it


def test_trials_that_wait_are_taken_back_and_no_others():
    trials = [Trial("counts", stub=True, trial_id=name) for name in "abcd"]
    for trial, status in zip(trials, (Trial.PENDING, Trial.RUNNING, Trial.PENDING, Trial.TERMINATED), strict=True):
        trial.set_status(status)
    controller = Controller(set(trials))
    take_back_waiting(controller)
    assert sorted(controller.stopped) == ["a", "c"]


def test_the_controller_has_the_two_methods():
    for name, parameters in (("get_live_trials", ["self"]), ("stop_trial", ["self", "trial"])):
        method = getattr(TuneController, name, None)
        assert method is not None, f"TuneController.{name} is gone; see cluster/ray_internals.py"
        assert list(inspect.signature(method).parameters) == parameters, f"TuneController.{name} takes other arguments"


class TakesBack(FIFOScheduler):
    """Looks at the workers that trials have and takes back those that wait, once the first has reported."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_trial_result(self, tune_controller, trial, result):
        if not self.seen:
            live = tune_controller.get_live_trials()
            self.seen = [(one.status, worker_of(one) is not None) for one in live]
            take_back_waiting(tune_controller)
        return super().on_trial_result(tune_controller, trial, result)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_itself_takes_back_trials_that_wait(tmp_path):
    """Three trials of which one fits at a time: one runs, and those that Ray has made besides are taken back."""
    cloudpickle.register_pickle_by_value(__import__(__name__))  # workers do not find this file
    scheduler = TakesBack()
    tuner = tune.Tuner(
        tune.with_resources(Counts, {"cpu": 8}),
        tune_config=tune.TuneConfig(num_samples=3, scheduler=scheduler),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    grid = tuner.fit()
    assert ("RUNNING", True) in scheduler.seen, "a trial that runs has no temporary_state.ray_actor"
    waited = [one for one in scheduler.seen if one[0] == "PENDING"]
    assert waited and not any(has_worker for _, has_worker in waited), scheduler.seen
    assert len(grid) == 3 and sum("done" in (result.metrics or {}) for result in grid) == 3 - len(waited)


def test_init_takes_the_folder_for_its_files(monkeypatch):
    """Ray refuses keywords that it does not know; the sweeps' own tests look into the folder."""
    source = inspect.getsource(ray.init)
    assert '"_temp_dir"' in source, "ray.init no longer takes _temp_dir, the folder of a private Ray's files"
    with pytest.raises(RuntimeError, match="Unknown keyword"):
        ray.init(address="local", _temporary_folder=tempfile.gettempdir())


def test_without_clusters_a_node_is_at_the_loopback_address(monkeypatch):
    from ray._private import ray_constants, services, worker

    monkeypatch.setattr(worker, "_global_node", None)
    assert {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"} == LOOPBACK_ONLY, "the variable has another name"
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    assert services.get_node_ip_address() == "127.0.0.1", "ENABLE_RAY_CLUSTER no longer decides where Ray listens"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Task was killed due to the node running low on memory.\nMemory on the node was 15GB", OUT_OF_MEMORY),
        ("The actor died because its node has died. Node Id: 0abc", HOST_GONE),
        ("The actor is dead because its owner's node died", HOST_GONE),
        ("the actor's node was terminated unexpectedly: health check failed", HOST_GONE),
        ("The actor died unexpectedly before finishing this task. Worker exit type: SYSTEM_ERROR", KILLED),
        ("", KILLED),
    ],
)  # fmt: skip
def test_the_cause_is_read_from_rays_page(text, cause):
    assert cause_of_death(text) == cause
    assert cause_of_death(f"Failure # 1\n{text.upper()}") == cause


SIGTERM = "Worker exits unexpectedly. Worker exits with an exit code 1. The process receives a SIGTERM."
ABORTED = "[2026-11-27 E 31 31] logging.cc:474: *** SIGABRT received at time=1795778977 on cpu 0 ***"


@pytest.mark.parametrize(
    ("page", "log", "cause"),
    [
        (f"pid: 31 ip: 127.0.0.1 {SIGTERM}", "", "its worker was ended by SIGTERM"),
        ("pid: 31 Worker exits with an exit code 7.", "", "its worker exited with code 7"),
        ("pid: 31 End of file. (3) crashed due to SIGSEGV", ABORTED, "its worker was killed by SIGABRT"),
        ("pid: 3 End of file. (3) crashed due to SIGSEGV", ABORTED, KILLED),
        ("pid: 31 End of file. (1) killed by SIGKILL (3) crashed due to SIGSEGV", "nothing", KILLED),
        ("End of file", ABORTED, KILLED),
    ],
)  # fmt: skip
def test_a_signal_is_named_where_ray_or_the_worker_has_named_it(page, log, cause, tmp_path):
    (tmp_path / "python-core-worker-0a_31.log").write_text(log)
    assert cause_of_death(page, tmp_path) == cause


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (signal.SIGSEGV, "its worker was killed by SIGSEGV"),
        (signal.SIGABRT, "its worker was killed by SIGABRT"),
        (signal.SIGTERM, "its worker was ended by SIGTERM"),
        (signal.SIGKILL, KILLED),
    ],
)
def test_ray_says_of_a_real_worker_by_which_signal_it_died(number, cause):
    @ray.remote(num_cpus=0)
    class Worker:
        def die(self):
            os.kill(os.getpid(), number)

    worker = Worker.remote()
    with pytest.raises(ray.exceptions.ActorDiedError) as caught:
        ray.get(worker.die.remote())
    page = str(caught.value)
    assert cause_of_death(page, logs_here(page)) == cause


def test_what_is_not_started_is_started_by_methods_of_these_names():
    """Each is called by the two methods that start a node's processes; without the name all would be started again."""
    started = inspect.getsource(Node.start_head_processes) + inspect.getsource(Node.start_ray_processes)
    for name in UNUSED_BY_US:
        assert f"self.{name}(" in started, f"Ray's node no longer starts anything by {name}"


def test_ray_sets_its_handler_and_hears_of_errors_by_these_names():
    before = utils.set_sigterm_handler, worker.listen_error_messages, ray_constants.NUM_REDIS_GET_RETRIES
    handler = signal.getsignal(signal.SIGTERM)
    with unobtrusive(), few_retries():
        utils.set_sigterm_handler(lambda number, frame: None)
        assert worker.listen_error_messages is not before[1] and ray_constants.NUM_REDIS_GET_RETRIES < before[2]
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (utils.set_sigterm_handler, worker.listen_error_messages, ray_constants.NUM_REDIS_GET_RETRIES) == before
    assert "ray._private.utils.set_sigterm_handler(" in inspect.getsource(worker.init), "ray.init sets it elsewhere"
    assert "target=listen_error_messages" in inspect.getsource(worker.connect), "the thread has another name"
    assert "ray_constants.NUM_REDIS_GET_RETRIES" in inspect.getsource(Node._init_gcs_client), "they moved"


def test_results_are_never_printed(capsys):
    """Ray prints those of trials that end after an interruption, whatever the verbosity; ours takes its place."""
    trial = Trial("counts", stub=True, trial_id="a")
    loud = TrialProgressCallback()
    for callback in (silent_progress(), loud):
        callback.on_trial_complete(0, [], trial)
        printed = capsys.readouterr().out
        assert ("completed" in printed) == (callback is loud), printed
    made = create_default_callbacks([silent_progress()], air_verbosity=None)
    assert sum(isinstance(one, TrialProgressCallback) for one in made) == 1, "Ray adds its own beside ours"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("core/src/ray/raylet/raylet", b"running low on memory"),
        ("core/src/ray/gcs/gcs_server", b"its node has died"),
        ("core/src/ray/gcs/gcs_server", b"node was terminated"),
    ],
)
def test_rays_programs_say_these_words(program, words):
    with open(INSTALLED / program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = content.find(words) >= 0
    assert found, f"{program} no longer says {words.decode()!r}: a trial's cause of death is then told wrongly"


def test_an_actor_that_memory_has_killed_is_told_so():
    """The Python side of the same message, for a worker that was killed while it started."""
    error = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.")
    assert cause_of_death(str(error)) == OUT_OF_MEMORY


@pytest.mark.parametrize("name", QUIET)
def test_ray_reads_each_variable_that_is_set_for_it(name):
    """In its sources, for a variable that nobody reads would change nothing and say nothing."""
    folders = ("tune", "train", "air", "_private", "_common")
    read = re.compile(rf"\b{name}\b")
    found = any(
        read.search(path.read_text(errors="replace"))
        for folder in folders
        for path in (INSTALLED / folder).rglob("*.py")
        if "tests" not in path.parts
    )
    assert found, f"no source of Ray reads {name} any longer; take it from connection.QUIET or find its new name"


TOKENS = """
import os
from ray._raylet import AuthenticationMode, AuthenticationTokenLoader, get_authentication_mode
from tune_mixup.cluster.ray_internals import read_token_again

def seen():
    loader = AuthenticationTokenLoader.instance()
    on = get_authentication_mode() == AuthenticationMode.TOKEN
    return [on, loader.get_token_for_http_header().get("authorization") if on else None]

print(seen())
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
read_token_again()
print(seen())
os.environ["RAY_AUTH_TOKEN"] = "b" * 64
read_token_again()
print(seen())
del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]
read_token_again()
print(seen())
"""


def test_mode_and_token_are_read_again(tmp_path):
    """In a process and a home of its own: set, changed and taken away again, as `connected` does for a private Ray."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", TOKENS], capture_output=True, text=True, env={**environment, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, f"AuthenticationTokenLoader or Config of ray._raylet has changed: {done.stderr}"
    assert [ast.literal_eval(line) for line in done.stdout.splitlines()] == [
        [False, None],
        [True, f"Bearer {'a' * 64}"],
        [True, f"Bearer {'b' * 64}"],
        [False, None],
    ], "Config.initialize and AuthenticationTokenLoader.reset_cache no longer make Ray read RAY_AUTH_* anew"


TITLED = """
from pathlib import Path
from ray._raylet import setproctitle

setproctitle("ray::DashboardAgent")
print(Path("/proc/self/cmdline").read_bytes().split(b"\\0")[0].decode())
print(Path("/proc/self/environ").read_bytes().replace(b"\\0", b" ").decode(errors="replace"))
"""


def test_a_process_of_ray_with_a_title_can_still_be_told_by_its_environment(tmp_path):
    """By which a later start finds what a killed driver has left."""
    own = {**marks(tmp_path), **os.environ}  # a title is written over what comes first
    done = subprocess.run([sys.executable, "-c", TITLED], capture_output=True, text=True, env=own, check=True)
    title, _, environment = done.stdout.partition("\n")  # a variable may hold several lines
    assert title == "ray::DashboardAgent", "setproctitle of ray._raylet no longer gives a process a title"
    assert f"={tmp_path} " in environment, "Ray's setproctitle no longer heeds SPT_NOENV"
