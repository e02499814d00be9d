"""Real learning curves for searching without training: a grid of generalized mixup on Fashion-MNIST, three seeds.

    python -m benchmarks.recorded_curves record [--root DIR]     # an hour of two cores; the same command goes on

105 settings of learning rate, alpha and gamma, each axis evenly spaced on a logarithmic scale, from far too low to too
high a learning rate and from next to no mixing to strong mixing. `tiny_resnet` with 4 channels, 27 epochs of 1,001
images (no crop, no flip: the trials are short), validated on 999. A seed draws its own images, so that curves of one
seed are paired. The sweep is this project's own: sampler grid, nothing stopped early.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import CategoricalDistribution

from benchmarks.simulation import Floats
from tune_mixup.search_space import SearchSpace

TABLE = Path(__file__).resolve().parent / "data" / "fashion_curves.parquet"
EPOCHS, SEEDS = 27, (0, 1, 2)
AXES = {
    "optimizer.lr": tuple(round(0.01 * 2.5**step, 6) for step in range(7)),
    "mixing.alpha": tuple(round(0.05 * 3.0**step, 6) for step in range(5)),
    "mixing.gamma": tuple(round(0.125 * 4.0**step, 6) for step in range(3)),
}
"""Parameter -> its values, each a fixed multiple of the one before."""
SPACE = SearchSpace(
    fixed={
        "data.name": "fashion_mnist",
        "data.train_limit": 2000,
        "data.validation_fraction": 0.5,
        "data.batches": "stratified",
        "data.augment.crop_padding": 0,
        "data.augment.flip": False,
        "model.name": "tiny_resnet",
        "model.width": 4,
        "mixing.name": "generalized_mixup",
        "training.epochs": EPOCHS,
        "training.batch_size": 50,
    },
    free={
        "seed": CategoricalDistribution(SEEDS),  # first, so that an unfinished table has whole grids
        **{key: CategoricalDistribution(values) for key, values in AXES.items()},
    },
    defaults={"sampler": "grid", "scheduler": "none", "metric": "val_accuracy"},
)
MEASURED = {"val_accuracy": 5, "val_nll": 4, "val_ece": 4, "train_loss": 4, "epoch_s": 3}
"""Columns beside parameters, seed and epoch -> decimals kept; epochs that diverged have only the last one."""


class Table(NamedTuple):
    """The curves as arrays; settings are in the order of the grid."""

    settings: list[dict[str, float]]
    """Parameter -> value."""
    accuracy: Floats
    """Validation accuracy [settings, seeds, epochs], 0 to 1; 0 in an epoch that diverged and after it."""
    about: dict[str, Any]
    """How the table was made: command, settings, machine, versions, date."""


def read_table() -> Table:
    """The recorded table. Raises FileNotFoundError where it is not."""
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    read = parquet.read_table(TABLE)
    frame = read.to_pandas().sort_values([*AXES, "seed", "epoch"])
    shape = (*(len(values) for values in AXES.values()), len(SEEDS), EPOCHS)
    assert len(frame) == np.prod(shape), "the table must hold every epoch of every setting and seed"
    first = frame[(frame["seed"] == SEEDS[0]) & (frame["epoch"] == 1)]
    settings = [{key: float(row[key]) for key in AXES} for row in first.to_dict("records")]
    accuracy = frame["val_accuracy"].fillna(0.0).to_numpy(np.float64).reshape(len(settings), len(SEEDS), EPOCHS)
    return Table(settings, accuracy, json.loads(read.schema.metadata[b"about"]))


def record(root: Path, data_root: Path) -> Path:
    """Run the sweep, or go on with it, and write the table. Returns its path."""
    from tune_mixup.cluster.sweep import resume, sweep
    from tune_mixup.search.standing import Progress

    def say(progress: Progress) -> None:
        if " COMPLETE" in progress.message or " FAIL" in progress.message:
            print(f"{sum(progress.states[name] for name in ('COMPLETE', 'FAIL'))} of {progress.trials}: "
                  f"{progress.message}", flush=True)  # fmt: skip

    path = root / "fashion-curves"
    if path.exists():
        made = resume(path, concurrent=2, listener=say)
    else:
        settings = {"data.root": str(data_root)}
        made = sweep(SPACE, settings, root=root, name=path.name, concurrent=2, listener=say)
    return _write(made.trials(), made.epochs())


def _write(trials: Any, epochs: Any) -> Path:
    """The rows of all epochs with their settings, zstd; how it was made goes into the file's own metadata."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    from benchmarks.evidence import machine, versions

    points = trials[["trial", "seed", *AXES]]
    frame = points.merge(epochs[["trial", "epoch", *MEASURED]], on="trial").sort_values(["seed", *AXES, "epoch"])
    frame = _to_the_end(frame.drop(columns="trial").round(MEASURED))
    about = {
        "command": "python -m benchmarks.recorded_curves record",
        "fixed": SPACE.fixed,
        "axes": AXES,
        "seeds": SEEDS,
        "trial_s": round(float(epochs.groupby("trial")["epoch_s"].sum().median()), 2),
        "machine": machine(),
        "versions": versions(),
    }
    kinds = {"epoch": "int16", "seed": "int16", **{name: "float32" for name in MEASURED}}
    table = arrow.Table.from_pandas(frame.astype(kinds), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"about": json.dumps(about).encode()})
    TABLE.parent.mkdir(exist_ok=True)
    parquet.write_table(table, TABLE, compression="zstd", compression_level=19)
    return TABLE


def _to_the_end(frame: Any) -> Any:
    """A row for each of a trial's epochs, also for those that it did not come to because it diverged: all empty."""
    import pandas as pd

    keys = ["seed", *AXES]
    whole = frame[keys].drop_duplicates().merge(pd.DataFrame({"epoch": range(1, EPOCHS + 1)}), how="cross")
    return whole.merge(frame, on=[*keys, "epoch"], how="left")


def main() -> None:
    from benchmarks.real_data import data_root

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["record"])
    parser.add_argument("--root", type=Path, default=Path("sweeps"), help="where the sweep's folder lies")
    given = parser.parse_args()
    print(record(given.root, data_root()))


if __name__ == "__main__":
    main()
