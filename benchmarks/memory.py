"""How much memory processes have, as the system counts it."""

from pathlib import Path


def pss_mb(pid: int) -> float:
    """Proportional set size in MB (10^6 bytes); 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
