"""A CPU worker's heap, kept (`tune_mixup.tuning.worker_environment`) against glibc's defaults.

    python -m benchmarks run --only heap

Training epochs of the project's own trainer on one thread, each variant in processes of its own, which take turns:
glibc reads its settings when a process starts. Faults are pages that the kernel had to hand out, and zero, in training.
"""

import json
import resource
import sys
from statistics import median
from typing import Any

from benchmarks.children import in_child
from benchmarks.rows import row
from tune_mixup.cluster.worker_environment import KEPT_HEAP

CASES = {
    "tiny_resnet, width 16, batch 128, 3x32x32": {"data.channels": 3, "data.size": 32},
    "tiny_resnet, width 16, batch 128, 1x28x28": {"data.channels": 1, "data.size": 28},
}
STEPS = 12
"""Of an epoch."""
EPOCHS = 3
"""Timed, after one to warm up."""


def measure(rounds: int = 5) -> dict[str, Any]:
    """Images per second, page faults and peak memory of both variants, per round."""
    cases, rows = {}, []
    for case, settings in CASES.items():
        found: dict[str, list[dict[str, float]]] = {"kept": [], "default": []}
        for round_ in range(rounds):
            for variant in ("kept", "default") if round_ % 2 else ("default", "kept"):
                found[variant].append(in_child("benchmarks.heap", settings, kept_heap=variant == "kept"))
        ratios = {
            key: [kept[key] / default[key] for kept, default in zip(found["kept"], found["default"], strict=True)]
            for key in ("images_per_s", "images_per_cpu_s")
        }
        middle = {
            variant: {key: median(one[key] for one in runs) for key in runs[0]} for variant, runs in found.items()
        }
        faults, peaks = ([middle[variant][key] for variant in ("kept", "default")] for key in ("faults", "peak_mb"))
        rows.append(
            row(
                f"kept heap against glibc's defaults, {case}",
                ours=middle["kept"]["images_per_s"],
                other=middle["default"]["images_per_s"],
                unit="images/s",
                value=median(ratios["images_per_s"]),
                value_unit="x",
                note=f"{_spread(ratios['images_per_s'])}; per CPU second x{median(ratios['images_per_cpu_s']):.2f}; "
                f"page faults per step {faults[0]:.0f} against {faults[1]:.0f}, peak memory {peaks[0]:.0f} against "
                f"{peaks[1]:.0f} MB",
            )
        )
        cases[case] = {"ratios": ratios, **found}
    return {"rows": rows, "cases": cases, "environment": KEPT_HEAP, "epochs": EPOCHS, "steps": STEPS}


def _spread(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _train(settings: dict[str, Any]) -> dict[str, float]:
    from tune_mixup.config import TrialConfig
    from tune_mixup.training.threads import set_threads
    from tune_mixup.training.trainer import Trainer

    set_threads(1)
    batch_size = 128
    config = TrialConfig.from_dotted(
        {
            "data.name": "synthetic",
            "data.num_train": round(1.1 * STEPS * batch_size),
            "data.batches": "shuffled",
            "mixing.name": "mixup",
            "model.name": "tiny_resnet",
            "model.width": 16,
            "training.batch_size": batch_size,
            **settings,
        }
    )
    trainer = Trainer(config, device="cpu")
    trainer.train_epoch()
    before = resource.getrusage(resource.RUSAGE_SELF)
    rates = [trainer.train_epoch()["images_per_s"] for _ in range(EPOCHS)]
    after = resource.getrusage(resource.RUSAGE_SELF)
    user_s, system_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {
        "images_per_s": median(rates),
        "faults": (after.ru_minflt - before.ru_minflt) / (EPOCHS * STEPS),
        "images_per_cpu_s": EPOCHS * STEPS * batch_size / (user_s + system_s),
        "user_s": user_s,
        "system_s": system_s,
        "peak_mb": after.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_train(json.loads(sys.argv[1]))))
