"""The best configurations of a sweep as a file, and back: exported, read and parsed gives equal configurations."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tune_mixup.analysis.formats import FORMATS, Document
from tune_mixup.analysis.leaderboard import direction, leaderboard, rows
from tune_mixup.record.files import write_atomically
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.schema import flatten, nest
from tune_mixup.search.settings import settings_of

VALIDATION_ONLY = (
    "All metrics are on the validation split that the search itself used, so the best of many trials looks better than "
    "it is; `tune-mixup evaluate` retrains on fresh seeds and opens the test split."
)
PACKAGES = ("tune_mixup", "torch", "torchvision", "ray", "optuna", "numpy")


def export(record: SweepRecord, top: int, to: Path) -> int:
    """Write the whole configurations of the best `top` COMPLETE trials (all, if fewer) to `to`; returns how many.

    The suffix says how: .yaml, .json, .csv or .parquet. An existing file is replaced at once or not at all. Raises
    ValueError for another suffix, for `top` below 1, and when no trial is COMPLETE; nothing is written then.
    """
    written = FORMATS.get(to.suffix.lower())
    if written is None:
        raise ValueError(f"{to}: got the suffix {to.suffix!r}, must be one of {', '.join(FORMATS)}")
    if top < 1:
        raise ValueError(f"top: got {top}, must be at least 1")
    document = _document(record, top)
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(to, lambda file: written.write(file, document))
    return len(document["configurations"])


def read_configurations(path: Path) -> list[dict[str, Any]]:
    """The configurations in an exported file, best first, or the one in a plain YAML or JSON file.

    Each is nested plain values, to be parsed by `TrialConfig`; a plain file may have nested or dotted keys. Raises
    ValueError when the file is of another kind or damaged, FileNotFoundError when there is none.
    """
    suffix = ".yaml" if path.suffix.lower() == ".yml" else path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path}: got the suffix {path.suffix!r}, must be one of {', '.join(FORMATS)}")
    try:
        with open(path, "rb") as file:
            values = FORMATS[suffix].read(file)
        if isinstance(values, Mapping) and "configurations" in values:
            values = [entry["config"] for entry in values["configurations"]]
        elif isinstance(values, Mapping):
            values = [values]
        if not isinstance(values, list) or not values or not all(isinstance(v, Mapping) and v for v in values):
            raise ValueError("it holds no configuration")
        return [nest(flatten(value)) for value in values]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: can't be read as configurations ({error}); give a file that `tune-mixup export` wrote, or a "
            "plain YAML file of settings such as mixing.alpha: 0.4"
        ) from None


def _document(record: SweepRecord, top: int) -> Document:
    best = [row for row in rows(leaderboard(record)) if row["state"] == "COMPLETE"][:top]
    if not best:
        raise ValueError(
            f"no trial of the sweep {record.name!r} is COMPLETE, so there is nothing to export; go on with "
            f"`tune-mixup resume {record.name}`, with more --trials if all have ended"
        )
    metric = record.folder.config()["metric"]
    return {
        "sweep": record.name,
        "metric": metric,
        "direction": direction(record),
        "rule": f"COMPLETE trials (trained to the full budget) only, by {metric} at their last epoch, best first.",
        "note": VALIDATION_ONLY,
        "versions": _versions(),
        "configurations": [
            {
                "rank": row["rank"],
                "trial": row["trial"],
                "epoch": row["epoch"],
                "metrics": {key: value for key, value in row.items() if key.startswith("val_")},
                "config": settings_of(record, row["trial"]),
            }
            for row in best
        ],
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # a checkout that runs without being installed
            versions[package] = "unknown"
    return versions
