"""A 12-trial sweep of generalized mixup on real images, on a CPU: what it finds, and what early stopping saves.

    python benchmarks/fashion_mnist_sweep.py [DATA_ROOT]

DATA_ROOT holds FashionMNIST/raw; by default the folder shared/data beside the checkout. Twelve trials of nine epochs
on 10,000 training images (9,000 after the validation split) with `tiny_resnet`, two at a time, one thread each.
"""

import sys
import tempfile
import time
from pathlib import Path

from evidence import write

from tune_mixup import load_sweep, sweep

SETTINGS = {
    "data.name": "fashion_mnist",
    "data.train_limit": 10_000,
    "model.name": "tiny_resnet",
    "training.batch_size": 100,
}
TRIALS, EPOCHS = 12, 9


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    data_root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else beside
    with tempfile.TemporaryDirectory() as root:
        began = time.perf_counter()
        record = sweep(
            "generalized_mixup",
            {**SETTINGS, "data.root": str(data_root)},
            root=root,
            name="fashion",
            trials=TRIALS,
            max_epochs=EPOCHS,
            grace_epochs=1,
            concurrent=2,
        )
        wall_s = time.perf_counter() - began
        frame = load_sweep(record.path).trials()
        epochs = record.epochs()
    complete = frame[frame["state"] == "COMPLETE"].sort_values("val_accuracy_median", ascending=False)
    best = complete.iloc[0]
    parameters = [key for key in frame.columns if key.startswith("mixing.")]
    results = {
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
    print(write("fashion_mnist_sweep", results))
    print(frame[["trial", "state", "epoch", "val_accuracy_median", *parameters]].to_string())
    print(f"{results['epochs_run']} of {results['epochs_full_grid']} epochs, {wall_s:.0f} s")


if __name__ == "__main__":
    main()
