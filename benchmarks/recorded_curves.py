"""Real learning curves for searching without training: tables of a grid of generalized mixup, several seeds each.

105 settings of learning rate, alpha and gamma, each axis evenly spaced on a logarithmic scale, from far too low to too
high a learning rate and from next to no mixing to strong mixing. `tiny_resnet` with 4 channels, 27 epochs (no crop, no
flip: the trials are short). A seed draws its own images, so that curves of one seed are paired. `curve_maker.py` makes
the tables.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.simulation import Floats

FOLDER = Path(__file__).resolve().parent / "data"
EPOCHS = 27
AXES = {
    "optimizer.lr": tuple(round(0.01 * 2.5**step, 6) for step in range(7)),
    "mixing.alpha": tuple(round(0.05 * 3.0**step, 6) for step in range(5)),
    "mixing.gamma": tuple(round(0.125 * 4.0**step, 6) for step in range(3)),
}
"""Parameter -> its values, each a fixed multiple of the one before."""
COMMON = {
    "data.validation_fraction": 0.5,
    "data.batches": "stratified",
    "data.augment.crop_padding": 0,
    "data.augment.flip": False,
    "model.name": "tiny_resnet",
    "model.width": 4,
    "mixing.name": "generalized_mixup",
    "training.epochs": EPOCHS,
    "training.batch_size": 50,
    "training.compile": "model",
}
"""What all tables have in common. Compiled, for an epoch then takes two thirds of the time."""
MEASURED = {"val_accuracy": 5, "val_nll": 4, "train_loss": 4}
"""Columns beside parameters, seed and epoch -> decimals kept; epochs that diverged have none of them."""
TESTED = {"test_accuracy": 5}
"""The same for what only the last epoch has, and only in tables of data with a large test split."""
KEYS = ["seed", *AXES, "epoch"]


class Table(NamedTuple):
    """The curves as arrays; settings are in the order of the grid."""

    settings: list[dict[str, float]]
    """Parameter -> value."""
    accuracy: Floats
    """Validation accuracy [settings, seeds, epochs], 0 to 1; 0 in an epoch that diverged and after it."""
    about: dict[str, Any]
    """How the table was made: command, settings, machine, versions, date."""
    tested: Floats | None = None
    """Accuracy [settings, seeds] after the last epoch on many images that no search sees, the same for all seeds."""

    @property
    def final(self) -> Floats:
        """What a training is worth, [settings, seeds]: `tested`, or else accuracy after the last epoch."""
        return self.accuracy[:, :, -1] if self.tested is None else self.tested


def read_table(path: Path) -> Table:
    """A recorded table, with the seeds that all settings were trained on. Raises FileNotFoundError where it is not."""
    frame, about = read_rows(path)
    settings = frame[list(AXES)].drop_duplicates().sort_values(list(AXES))
    whole = frame.groupby("seed").size() == len(settings) * EPOCHS
    frame = frame[frame["seed"].isin(whole.index[whole])].sort_values([*AXES, "seed", "epoch"])
    shape = (len(settings), whole.sum(), EPOCHS)
    accuracy = frame["val_accuracy"].fillna(0.0).to_numpy(np.float64).reshape(shape)
    tested = frame["test_accuracy"]
    points = [{key: float(row[key]) for key in AXES} for row in settings.to_dict("records")]
    return Table(
        points,
        accuracy,
        about,
        tested.fillna(0.0).to_numpy(np.float64).reshape(shape)[:, :, -1] if tested.notna().any() else None,
    )


def describe(table: Table) -> dict[str, Any]:
    """What decides how hard a table is: how far its settings lie apart, and how far seeds move one, in points.

    `seed_sd` is the standard deviation of what one seed is worth among the better half of the settings (poor ones
    vary far more, and nobody takes one for the best), with what moves all settings of a seed alike taken out.
    """
    final = 100 * table.final
    settings, seeds = final.shape
    means = np.sort(final.mean(axis=1))[::-1]
    rivals = final[np.argsort(-final.mean(axis=1), kind="stable")[: settings // 2]]
    rest = rivals - rivals.mean(axis=1, keepdims=True) - rivals.mean(axis=0) + rivals.mean()
    return {
        "settings": settings,
        "seeds": seeds,
        "best": round(float(means[0]), 3),
        "median": round(float(np.median(means)), 3),
        "best_tenth_spread": round(float(means[0] - means[settings // 10 - 1]), 3),
        "seed_sd": round(float(np.sqrt((rest**2).sum() / ((len(rivals) - 1) * (seeds - 1)))), 3),
    }


def read_rows(path: Path) -> tuple[Any, dict[str, Any]]:
    """What a file holds, a row for each epoch of each trial, and how it was made."""
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    read = parquet.read_table(path)
    frame = read.to_pandas().reindex(columns=[*KEYS, *MEASURED, *TESTED])
    return frame, json.loads(read.schema.metadata[b"about"])


def write_rows(path: Path, frame: Any, about: Mapping[str, Any]) -> None:
    """Write the rows with `about` in the file's own metadata, compressed.

    The file is replaced as a whole, so that who is killed while writing leaves the last one that was whole.
    """
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    measured = MEASURED | TESTED
    frame = frame.reindex(columns=[*KEYS, *measured]).round(measured).sort_values(KEYS)
    kinds = {"epoch": "int16", "seed": "int16", **{name: "float32" for name in measured}}
    table = arrow.Table.from_pandas(frame.astype(kinds), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"about": json.dumps(about).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    parquet.write_table(table, fresh, compression="zstd", compression_level=19)
    fresh.replace(path)
