"""What may be said about a sweep beside its space: each option is declared once, for Python and for the command line.

The type is what Python takes. A `Flag` makes it an option of `sweep` and `check` too, and of `resume` where it is part
of the promise; an option without one is a setting on the command line: `--set sweep.KEY=VALUE`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from tune_mixup.faults import shown

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
"""Of durations, with their seconds, in the order in which they are written."""


def as_text(text: str, option: str) -> str:
    """The text itself, which a setting of another type in Python can read."""
    return text


def parse_duration(text: str, option: str) -> float:
    """Seconds, > 0, of a duration such as 90s, 15m, 2.5h, 1h30m or 1d. Raises ValueError that names `option` else.

    An empty `option` is not named.
    """
    pattern = "".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit, _ in UNITS)
    parts = re.fullmatch(pattern, text)
    amounts = [float(part or 0) for part in parts.groups()] if parts else []
    total = sum(size * amount for (_, size), amount in zip(UNITS, amounts, strict=False))
    if not 0 < total < float("inf"):
        where = f"{option}: " if option else ""
        raise ValueError(f"{where}got {shown(text)}, must be a duration above zero such as 90s, 15m, 2h, 1h30m or 1d")
    return total


def parse_amount(text: str, option: str) -> float | Literal["auto"]:
    """A number, or `auto`. Raises ValueError that names `option` for anything else."""
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option}: got {shown(text)}, must be a number, or auto to have it measured") from None


@dataclass(frozen=True)
class Flag:
    """How the command line asks for an option."""

    metavar: str
    """What its value looks like."""
    help: str
    read: Callable[[str, str], Any] | None = None
    """Makes the value of the text and the flag's name; None where the type does."""
    name: str | None = None
    """The flag where it is not the option's name with hyphens, without the two in front."""
    least: int | None = None
    """The least that the setting takes, where that is a whole number: known before the setting's class is loaded."""


class Promise(TypedDict, total=False):
    """The fields of `SweepConfig` that may change when a sweep is resumed: they change no decision that was made."""

    trials: Annotated[int, Flag("N", "Trials in all, stopped and failed ones included. Default: the space's.", least=1)]
    time_budget_s: Annotated[
        float, Flag("2h", "Stop after this much wall time: 90s, 15m, 2h, 1h30m, 1d.", parse_duration, "time-budget")
    ]
    gpu_hours: Annotated[float, Flag("X", "Stop after this many GPU-hours, stopped and failed trials included.")]
    concurrent: Annotated[int, Flag("N", "Trials at the same time. Default: as many as fit the resources.", least=1)]
    max_failures: Annotated[int, Flag("N", "Retries of a trial whose worker died or hung. Default: 3.", least=0)]
    trial_timeout_s: Annotated[
        float, Flag("15m", "Kill and retry a trial that has not reported for so long.", parse_duration, "trial-timeout")
    ]
    disk_budget: Annotated[
        int | str, Flag("20GB", "What the sweep's folder may take. Default: what the disk has.", as_text)
    ]


class Options(Promise, total=False):
    """What a caller may say about a sweep beside its space: fields of `SweepConfig`, and short forms of some.

    A sampler or a rule is given by its name, or with settings of its own: `stopping={"grace_epochs": 2}`, or an object
    of its class.
    """

    name: Annotated[str, Flag("NAME", "Name of the sweep. Default: the space's.")]
    max_epochs: Annotated[int, Flag("N", "Epochs of a trial that is not stopped early.", least=1)]
    metric: Annotated[str, Flag("METRIC", "What ranks trials. Default: val_accuracy_median.")]
    sampler: Annotated[
        Any, Flag("NAME", "Who suggests the next point: tpe (default), random, qmc, gp, cmaes or grid.", as_text)
    ]
    scheduler: Annotated[
        str,
        Flag(
            "NAME",
            "Who stops trials early: asha (default), hyperband, median or none. Its settings: --set "
            "sweep.stopping.KEY=VALUE.",
        ),
    ]
    stopping: Any
    repeats: str
    outside: str
    seed: Annotated[int, Flag("N", "Base of all random numbers. Default: 0.")]
    cpus_per_trial: Annotated[
        float | Literal["auto"],
        Flag("X", "CPUs of a trial: a fraction up to 1, a whole number, or auto. Default: 1.", parse_amount),
    ]
    gpus_per_trial: Annotated[
        float | Literal["auto"],
        Flag(
            "X",
            "Share of a GPU of a trial, at most 1; 0.25 puts four on one, auto as many as pay. Default: 0.",
            parse_amount,
        ),
    ]


def said(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something; None is for those that were not given."""
    return {key: value for key, value in options.items() if value is not None}
