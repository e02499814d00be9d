"""The best configurations of a sweep as a file; `configurations.py` reads it back."""

import io
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tune_mixup.analysis.formats import FORMATS, Document
from tune_mixup.analysis.leaderboard import direction, leaderboard, rule
from tune_mixup.analysis.rendering import rows
from tune_mixup.record.names import command_for
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.targets import check_file, write_file
from tune_mixup.search.explanation import missing_of_finals
from tune_mixup.search.settings import settings_of

VALIDATION_ONLY = (
    "All metrics are on validation splits of the training images, by which the best was chosen, so it looks better "
    "than it is; `tune-mixup evaluate` retrains on fresh seeds and opens the test split."
)
PACKAGES = ("tune_mixup", "torch", "torchvision", "ray", "optuna", "numpy")


def export(record: SweepRecord, top: int, to: Path | str, *, overwrite: bool = False) -> int:
    """Write the whole configurations of the best `top` settings (all, if fewer) to `to`; returns how many.

    They are those that were trained to the full budget, ranked as by `leaderboard`: by the mean over their seeds.

    The suffix says how: .yaml, .json, .csv or .parquet. An existing file is replaced whole or not at all. Raises
    ValueError for another suffix, for `top` below 1, for a file that exists (unless `overwrite`) or lies in a sweep,
    and when no trial is COMPLETE; nothing is written then.
    """
    check_file(to, overwrite=overwrite)
    suffix = Path(to).suffix
    written = FORMATS.get(suffix.lower())
    if written is None:
        raise ValueError(f"{to}: got the suffix {suffix!r}, must be one of {', '.join(FORMATS)}; rename it")
    if top < 1:
        raise ValueError(f"top: got {top}, must be at least 1")
    document = _document(record, top)
    content = io.BytesIO()
    written.write(content, document)
    if len(content.getvalue()) > written.most_bytes:
        raise ValueError(
            f"{to}: the best {len(document['configurations'])} take {len(content.getvalue()):,} bytes, but at most "
            f"{written.most_bytes:,} are read as {suffix}; give a smaller --top, or another suffix"
        )
    write_file(to, lambda file: file.write(content.getvalue()), overwrite=overwrite)
    return len(document["configurations"])


def _document(record: SweepRecord, top: int) -> Document:
    best = [row for row in rows(leaderboard(record)) if row["state"] == "COMPLETE"][:top]
    if not best:
        raise ValueError(
            f"no trial of the sweep {record.name!r} is COMPLETE, so there is nothing to export; go on with "
            f"`{command_for('resume', record.path)}`, with more --trials if all have ended"
        )
    metric = record.folder.config()["metric"]
    return {
        "sweep": record.name,
        "metric": metric,
        "direction": direction(record),
        "rule": f"{rule(record)} Only settings of COMPLETE trials are here.",
        "note": " ".join(filter(None, (VALIDATION_ONLY, missing_of_finals(record)))),
        "versions": _versions(),
        "configurations": [
            {
                "rank": row["rank"],
                "trial": row["trial"],
                "epoch": row["epoch"],
                "seeds": row["seeds"],
                "metrics": {key: value for key, value in row.items() if key.startswith("val_")},
                "standard_error": row["error"],
                "seen_by_search": row["search"],
                "tie_with_first": row["tie"],
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
