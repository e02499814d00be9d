"""Options that several verbs share, and how their texts become values."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from tune_mixup.record.names import is_sweep

if TYPE_CHECKING:
    from tune_mixup.sweep_config import Options

Space = Annotated[str, typer.Argument(help="A space that ships (quickstart, mixup, ...) or the path of a .py file.")]
Name = Annotated[str, typer.Argument(help="Name of the sweep under --root, or the path of its folder.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Fix a setting by its dotted key: mixing.alpha=0.4. Repeatable."),
]
DataRoot = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where data sets live; else TUNE_MIXUP_DATA, else ~/data.")
]
Root = Annotated[Path, typer.Option(metavar="DIR", help="Where sweeps live.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Base of all random numbers. Default: 0.")]
MaxEpochs = Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial that is not stopped early.")]
Sampler = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who suggests the next point: tpe (default), random, qmc, gp, cmaes or grid."),
]
Trials = Annotated[
    int | None, typer.Option(metavar="N", help="Trials in all, stopped and failed ones included. Default: the space's.")
]
TimeBudget = Annotated[
    str | None, typer.Option(metavar="2h", help="Stop after this much wall time: 90s, 15m, 2h, 1h30m.")
]
GpuHours = Annotated[
    float | None, typer.Option(metavar="X", help="Stop after this many GPU-hours, stopped and failed trials included.")
]
DiskBudget = Annotated[
    str | None, typer.Option(metavar="20GB", help="What the sweep's folder may take. Default: what the disk has.")
]
TrialTimeout = Annotated[
    str | None, typer.Option(metavar="15m", help="Kill and retry a trial that has not reported for so long.")
]
MaxFailures = Annotated[
    int | None,
    typer.Option(metavar="N", help="Retries of a trial whose worker died or hung. Default: 3."),
]
Concurrent = Annotated[
    int | None, typer.Option(metavar="N", help="Trials at the same time. Default: as many as fit the resources.")
]
CpusPerTrial = Annotated[
    str | None,
    typer.Option(metavar="X", help="CPUs of a trial: a fraction up to 1, a whole number, or auto. Default: 1."),
]
GpusPerTrial = Annotated[
    str | None,
    typer.Option(
        metavar="X", help="GPUs of a trial, likewise; 0.25 puts four on one, auto as many as pay. Default: 0."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="An existing Ray cluster (auto, or HOST:PORT). Default: a local one."),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]


def parse_settings(assignments: Sequence[str] | None, data_root: str | None = None) -> dict[str, Any]:
    """The settings of `--set` by dotted key, over `data_root` as `data.root`; of two for a key the last one wins.

    Values are YAML (1.2 core schema) scalars, lists or mappings. Raises ValueError for an assignment without `=` or
    key, and for a value that is no YAML.
    """
    from tune_mixup.reading import parse_yaml
    from tune_mixup.schema import flatten

    settings: dict[str, Any] = {} if data_root is None else {"data.root": data_root}
    for assignment in assignments or ():
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(f"--set: got {assignment!r}, must be KEY=VALUE, such as mixing.alpha=0.4")
        try:
            value = parse_yaml(text)
        except ValueError as error:
            raise ValueError(f"--set {key}: got {text!r}, which is no YAML value ({error}); put it in quotes") from None
        settings.update(flatten({key: value}))
    return settings


def parse_duration(text: str | None, option: str) -> float | None:
    """Seconds, > 0, of a duration such as 90s, 15m, 2h or 1h30m; None of None.

    Raises ValueError that names `option` for anything else.
    """
    if text is None:
        return None
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text)
    hours, minutes, seconds = (float(part or 0) for part in parts.groups()) if parts else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total < float("inf"):
        raise ValueError(f"{option}: got {text!r}, must be a duration above zero such as 90s, 15m, 2h or 1h30m")
    return total


def parse_amount(text: str | None, option: str) -> float | Literal["auto"] | None:
    """A number or `auto`; None of None. Raises ValueError that names `option` for anything else."""
    if text is None or text == "auto":
        return cast("Literal['auto'] | None", text)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option}: got {text!r}, must be a number, or auto to have it measured") from None


def sweep_options(given: Mapping[str, Any]) -> "Options":
    """The options that were given on the command line; those left out keep their defaults."""
    return cast("Options", {key: value for key, value in given.items() if value is not None})


def sweep_path(name: str, root: Path) -> Path:
    """The folder of a sweep given by its name under `root`, or by a path (with a separator, or to a sweep's folder)."""
    path = Path(name).expanduser()
    is_path = len(path.parts) > 1 or path.is_absolute() or name in (".", "..")
    if is_path or (not (root / name).exists() and is_sweep(path)):
        return path
    return root.expanduser() / name


def command_for(verb: str, path: Path, rest: str = "") -> str:
    """What to type to go on with the sweep in `path`: its name, and its root where that is not the default."""
    root = path.expanduser().resolve().parent
    where = "" if root == Path("sweeps").resolve() else f" --root {shlex.quote(str(root))}"
    return f"tune-mixup {verb} {path.name}{where}{rest}"
