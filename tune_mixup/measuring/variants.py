"""Other ways to run a trial that a self-measurement tries, each with what a user would write to have it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tune_mixup.config import TrialConfig
from tune_mixup.schema import flatten

AT_ONCE = 8
"""The most one-thread trials that are tried at once, and the most threads of one trial."""
COPIES_ON_GPU = (2, 4)
"""Trials at once on one GPU."""
COMPILED = ("step", "model+graph")
COMPILE_S = {"cpu": 60, "cuda": 40}
"""What torch.compile may take before the first step; it is tried where that is at most a third of the time given."""
ON_CPU: tuple[dict[str, Any], ...] = (
    {"training.channels_last": True},
    {"training.precision": "bf16"},
    {"training.compile": "step"},
)
ON_GPU: tuple[dict[str, Any], ...] = (
    {"training.precision": "tf32"},
    {"training.precision": "bf16"},
    {"training.precision": "bf16", "training.channels_last": True},
    {"training.deterministic": False},
    {"training.compile": "graph"},
    {"training.precision": "bf16", "training.channels_last": True, "training.compile": "graph"},
    {"training.compile": "step"},
    {"training.precision": "bf16", "training.channels_last": True, "training.compile": "model+graph"},
)
ROUNDING = ("training.precision", "training.deterministic")
"""Settings that change more than the last digits of a trial's numbers, or change them from run to run."""


@dataclass(frozen=True)
class Variant:
    """A trial's settings and surroundings."""

    name: str
    """What to write: settings as behind `--set`, or options of a sweep."""
    kind: Literal["given", "settings", "threads", "copies"]
    """What it differs in from the trial as given."""
    config: TrialConfig
    threads: int = 1
    copies: int = 1
    """Trials at once, in processes of their own."""
    caution: str = ""
    """What to know before it is used."""


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def variants(config: TrialConfig, *, device: str, seconds: float, threads: int = 1) -> tuple[list[Variant], list[str]]:
    """The trial as given, first, then what is tried beside it, what matters most before the rest; and what is left out.

    What would take too long to compile is left out, by name.
    """
    found = [Variant("as given", "given", config, threads)]
    at_once = min(AT_ONCE, cores())
    if device == "cpu" and at_once > 1:
        one = Variant(f"--cpus-per-trial {at_once}", "threads", config, at_once)
        found += [one, Variant(f"{at_once} trials at once", "copies", config, threads, at_once)]
    left_out = []
    for changes in ON_CPU if device == "cpu" else ON_GPU:
        name = " ".join(f"{key}={_plain(value)}" for key, value in changes.items())
        other = _changed(config, changes)
        if other is None:
            continue
        if changes.get("training.compile") in COMPILED and COMPILE_S[device] > seconds / 3:
            left_out.append(f"{name}, which takes --seconds {3 * COMPILE_S[device]}")
            continue
        caution = "other rounding: compare accuracies" if any(key in changes for key in ROUNDING) else ""
        found.append(Variant(name, "settings", other, threads, caution=caution))
    if device != "cpu":
        found += [
            Variant(f"--gpus-per-trial {1 / copies:g}", "copies", config, threads, copies) for copies in COPIES_ON_GPU
        ]
    return found, left_out


def _changed(config: TrialConfig, changes: Mapping[str, Any]) -> TrialConfig | None:
    """The configuration with the changes; None where it has them all, or they do not go together."""
    settings = flatten(config.plain())
    if all(settings[key] == value for key, value in changes.items()):
        return None
    try:
        return TrialConfig.from_dotted(settings, changes)
    except ValueError:
        return None


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
