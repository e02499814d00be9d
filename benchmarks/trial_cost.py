"""What a trial costs beside its training: searcher, scheduler, record, Ray and the change of trials in a warm worker.

    python benchmarks/trial_cost.py

Two sweeps of one-epoch trials on 200 synthetic images, a short and a long one, in the same Ray session and with the
same number of slots: the difference of their wall times over the difference of their trials has no start-up in it.
From it goes the time that the trials' own epochs took, as the trials report it.
"""

import tempfile
import time

import ray
from evidence import write

from tune_mixup import sweep

SETTINGS = {
    "data.name": "synthetic",
    "data.num_train": 200,
    "data.num_test": 20,
    "data.size": 8,
    "data.batches": "shuffled",
    "mixing.name": "mixup",
    "model.name": "tiny_resnet",
    "model.width": 2,
    "training.batch_size": 90,
}
SHORT, LONG, ROUNDS = 8, 48, 5


def measure(root: str, trials: int, slots: int, name: str) -> tuple[float, float]:
    """Wall seconds of a sweep, and the seconds that its trials spent training and validating."""
    began = time.perf_counter()
    record = sweep(
        "mixup",
        SETTINGS,
        root=root,
        name=name,
        trials=trials,
        max_epochs=1,
        concurrent=slots,
        sampler="tpe",
        scheduler="asha",
    )
    wall = time.perf_counter() - began
    frame = record.trials()
    assert (frame["state"] == "COMPLETE").all() and len(frame) == trials
    return wall, float(frame["epoch_s"].sum())


def main() -> None:
    results = {}
    with tempfile.TemporaryDirectory() as root:
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        for slots in (1, 2):
            costs = []
            for round_ in range(ROUNDS):
                short, short_busy = measure(root, SHORT, slots, f"short-{slots}-{round_}")
                long, long_busy = measure(root, LONG, slots, f"long-{slots}-{round_}")
                costs.append((long - short - (long_busy - short_busy) / slots) / (LONG - SHORT))
            costs.sort()
            results[f"{slots}_slots"] = {
                "seconds_per_trial_median": costs[ROUNDS // 2],
                "seconds_per_trial": costs,
                "target": 0.3,
                "trials": LONG - SHORT,
            }
        ray.shutdown()
    print(write("trial_cost", results))
    for slots, result in results.items():
        print(f"{slots}: {result['seconds_per_trial_median']:.3f} s per trial (target <= 0.3)")


if __name__ == "__main__":
    main()
