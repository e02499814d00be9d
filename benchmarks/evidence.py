"""Where a measurement ran and with what: results as dated JSON beside this file, in `results/`."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "torchvision", "torchaudio", "numpy", "scipy", "scikit-learn", "ray", "optuna", "pandas")


def write(name: str, results: dict[str, Any], folder: Path | None = None) -> Path:
    """Write `<name>.json` into `folder` (None: `results/`): date, command, machine, versions, results; its path.

    The file is replaced as a whole, so that a run that is killed while it writes leaves the last one that was whole.
    """
    path = path_of(name, folder)
    evidence = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks run {name}",
        "machine": machine(),
        "versions": versions(),
        "results": results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(evidence, indent=2) + "\n")
    fresh.replace(path)
    return path


def path_of(name: str, folder: Path | None = None) -> Path:
    """Where that is, whether or not it is there."""
    return (folder or RESULTS) / f"{name}.json"


def read(name: str) -> dict[str, Any]:
    """What `write` wrote. Raises FileNotFoundError for what has not been measured."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def machine() -> dict[str, Any]:
    """Processor, logical cores, load, memory in GiB, operating system; with torch loaded also its threads and the GPU.

    `load` is the mean number of busy processes over the last 5 minutes, this one included: more than `cores` means
    that the times are too long, though ratios taken in turns still hold.
    """
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[1], 2),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found["torch_threads"] = torch.get_num_threads()
        found["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return found


def versions() -> dict[str, str]:
    """Python and the installed ones of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
