"""What a sweep's files and trials are called."""

import re
import shlex
from pathlib import Path

from tune_mixup.faults import near, shown

SWEEP = "sweep.yaml"
EVALUATIONS = "evaluations"
"""The folder in a sweep's own of the sweeps that retrain its settings."""
_RETRAINING = re.compile(
    r"([0-9]+)-trials-([0-9]+)-seeds-(whole-)?(?:([0-9.e-]+)-error-([0-9.e-]+)-margin-)?[0-9a-f]{8}"
)
SCRATCH = "tm-tune-"
"""How the names of folders begin that Ray writes to while a sweep runs."""


def trial_name(number: int) -> str:
    """What a trial is called everywhere: t0007."""
    return f"t{number:04d}"


def trial_number(text: str, option: str) -> int:
    """The number of a trial that a person names: 7, t0007, t7, T7. Raises ValueError that names `option` otherwise."""
    found = re.fullmatch(r"[tT]?([0-9]{1,9})", text.strip())
    if found is None:
        raise ValueError(f"{option}: got {shown(text)}, must be a trial's number or name, such as 7 or {trial_name(7)}")
    return int(found[1])


def check_name(name: str) -> None:
    """Raise ValueError unless `name` can be a folder and a study."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            f"name: got {shown(name)}, must be letters, digits, '.', '_' and '-' only (no path separators), at most "
            "100, and start with a letter or digit"
        )


def is_sweep(path: Path) -> bool:
    """Whether a sweep's folder is at `path`."""
    try:
        return (path / SWEEP).exists()
    except OSError:  # such as a name that is longer than any file's
        return False


def check_sweep_there(path: Path) -> None:
    """Raise ValueError, with the names of those beside it, where no sweep's folder is at `path`."""
    path = path.expanduser().resolve()
    if not is_sweep(path):
        others = sorted(child.parent.name for child in path.parent.glob(f"[!.]*/{SWEEP}"))
        there = f"; there are: {', '.join(others[:20])}" if others else "; start one with `tune-mixup sweep`"
        if (meant := near(path.name, others)) is not None:
            there = f"; did you mean {meant}?"
        raise ValueError(f"there is no sweep named {shown(path.name)} in {path.parent}{there}")


def retraining_name(
    trials: int, seeds: int, mark: str, *, whole: bool = False, race: tuple[float, float] | None = None
) -> str:
    """What the sweep is called that retrains the settings of so many trials on so many seeds each.

    `whole`: on all training images. `race`: error and margin of a race among them, of which this is a part. `mark`
    tells what is retrained.
    """
    until_sure = "" if race is None else f"{race[0]}-error-{race[1]}-margin-".replace("+", "")
    return f"{trials}-trials-{seeds}-seeds-{'whole-' if whole else ''}{until_sure}{mark}"


def command_for(verb: str, path: Path, rest: str = "") -> str:
    """What to type to go on with the sweep in `path`: its name, and its root where that is not the default.

    One that retrains another's settings is gone on with by evaluating that one again.
    """
    retraining = _RETRAINING.fullmatch(path.name)
    if retraining is not None and path.parent.name == EVALUATIONS:
        top, seeds, whole, error, margin = retraining.groups()
        settings = "" if whole is None else " --set data.validation_fraction=0"
        race = "" if error is None else f" --until-sure --error {error} --margin {margin}"
        return command_for("evaluate", path.parent.parent, f" --top {top} --seeds {seeds}{race}{settings}")
    root = path.expanduser().resolve().parent
    where = "" if root == Path("sweeps").resolve() else f" --root {shlex.quote(str(root))}"
    return f"tune-mixup {verb} {path.name}{where}{rest}"


def named(given: str | Path) -> Path:
    """The path that a person names, `~` being the home folder. An empty text is refused: it would mean this folder."""
    text = str(given)
    if not text.strip():
        raise ValueError(f"got {shown(text)}, must be a path; give . for the current folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"got {shown(text)}, whose home folder is not known; write the path in full") from error
