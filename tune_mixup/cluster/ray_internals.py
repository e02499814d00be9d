"""Ray's private parts that we use, in one place; `tests/cluster/test_ray_internals.py` says when a release changes one.

Ray is imported when it is needed: what it reads at its import must be set before.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


def live_trials(tune_controller: Any) -> "list[Trial]":
    """The trials of a run that have not ended."""
    return list(tune_controller.get_live_trials())


def actor_of(trial: "Trial") -> Any:
    """The actor that runs a trial; None when there is none."""
    return trial.temporary_state.ray_actor


def folder_option(path: Path) -> dict[str, Any]:
    """The argument of `ray.init` that says where a local Ray keeps its files and sockets."""
    return {"_temp_dir": str(path)}


def read_token_again() -> None:
    """Have Ray read RAY_AUTH_MODE and RAY_AUTH_TOKEN anew, which it otherwise does once per process.

    The mode first: a connection that is still being closed would look for a token that is gone.
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def cause_of_death(text: str) -> str:
    """Ray's page about a dead actor in a few words."""
    lowered = text.lower()
    if "running low on memory" in lowered or "memory monitor" in lowered:
        return "its worker was killed because the host ran out of memory"
    if "node has died" in lowered or "node died" in lowered or "node was terminated" in lowered:
        return "the host of its worker died"
    return "its worker died (killed, or out of the host's memory)"
