"""What a sweep's files and trials are called."""

from pathlib import Path

SWEEP = "sweep.yaml"
SCRATCH = "tm-tune-"
"""How the names of folders begin that Ray writes to while a sweep runs."""


def trial_name(number: int) -> str:
    """What a trial is called everywhere: t0007."""
    return f"t{number:04d}"


def is_sweep(path: Path) -> bool:
    """Whether a sweep's folder is at `path`."""
    return (path / SWEEP).exists()
