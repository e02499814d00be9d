"""A 12-trial sweep of generalized mixup on real images, on a CPU: what it finds, and what early stopping saves.

Twelve trials of nine epochs on 10,000 training images (9,000 after the validation split) with `tiny_resnet`, two at a
time, one thread each.
"""

import tempfile
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.options import keyed
from benchmarks.real_data import data_root
from benchmarks.rows import row
from tune_mixup import load_sweep, sweep

SETTINGS = {
    "data.name": "fashion_mnist",
    "data.train_limit": 10_000,
    "model.name": "tiny_resnet",
    "training.batch_size": 100,
}
TRIALS, EPOCHS = 12, 9


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as root:
        began = time.perf_counter()
        record = sweep(
            "generalized_mixup",
            {**SETTINGS, "data.root": str(data_root()), **keyed({"grace_epochs": 1})},
            root=root,
            name="fashion",
            trials=TRIALS,
            max_epochs=EPOCHS,
            concurrent=2,
        )
        wall_s = time.perf_counter() - began
        frame = load_sweep(record.path).trials()
        epochs = record.epochs()
    complete = frame[frame["state"] == "COMPLETE"].sort_values("val_accuracy_median", ascending=False)
    best = complete.iloc[0]
    parameters = [key for key in frame.columns if key.startswith("mixing.")]
    print(frame[["trial", "state", "epoch", "val_accuracy_median", *parameters]].to_string())
    found = {
        "settings": {**SETTINGS, "trials": TRIALS, "epochs": EPOCHS, "grace_epochs": 1},
        "states": frame["state"].value_counts().to_dict(),
        "best_trial": int(best["trial"]),
        "best_val_accuracy": float(best["val_accuracy"]),
        "best_val_accuracy_median": float(best["val_accuracy_median"]),
        "best_parameters": best[parameters].dropna().to_dict(),
        "epochs_run": int(frame["epoch"].sum()),
        "epochs_full_grid": TRIALS * EPOCHS,
        "wall_s": wall_s,
        "images_per_s_per_trial_median": float(epochs["images_per_s"].median()),
    }
    return {"rows": rows(found), **found}


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The epochs that early stopping left, of those without it."""
    trained, full = found["epochs_run"], found["epochs_full_grid"]
    return [
        row(
            f"{TRIALS} trials of {EPOCHS} epochs on 10,000 Fashion-MNIST images, epochs trained",
            ours=trained,
            other=full,
            unit="epochs",
            value=100 * trained / full,
            value_unit="%",
            note=f"Best validation accuracy {found['best_val_accuracy']:.4f} after {found['wall_s']:.0f} s; the other "
            "number is that without early stopping.",
        )
    ]
