"""What a sweep's files and trials are called."""

import shlex
from pathlib import Path

SWEEP = "sweep.yaml"
EVALUATIONS = "evaluations"
"""The folder in a sweep's own of the sweeps that retrain its settings."""
SCRATCH = "tm-tune-"
"""How the names of folders begin that Ray writes to while a sweep runs."""


def trial_name(number: int) -> str:
    """What a trial is called everywhere: t0007."""
    return f"t{number:04d}"


def trial_number(text: str) -> int:
    """The number of a trial that a person names: 7, t0007, t7, T7. Raises ValueError for anything else."""
    digits = text.strip().lower().removeprefix("t")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise ValueError(f"trial: got {text[:80]!r}, must be a trial's number or name; write 7 or {trial_name(7)}")
    return int(digits)


def is_sweep(path: Path) -> bool:
    """Whether a sweep's folder is at `path`."""
    return (path / SWEEP).exists()


def command_for(verb: str, path: Path, rest: str = "") -> str:
    """What to type to go on with the sweep in `path`: its name, and its root where that is not the default."""
    root = path.expanduser().resolve().parent
    where = "" if root == Path("sweeps").resolve() else f" --root {shlex.quote(str(root))}"
    return f"tune-mixup {verb} {path.name}{where}{rest}"


def named(given: str | Path) -> Path:
    """The path that a person names, `~` being the home folder. An empty text is refused: it would mean this folder."""
    text = str(given)
    if not text.strip():
        raise ValueError(f"got {text!r}, must be a path; give . for the current folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"got {text!r}, whose home folder is not known; write the path in full") from error
