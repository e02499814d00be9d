"""Fixed trials whose curves are stored in `golden_losses.json`: whatever changes a number of theirs is noticed.

    python tests/training/golden_losses.py > tests/training/golden_losses.json

Run this only in a commit that says why numbers change. Curves are of one thread on the processor and the torch that the
file names; elsewhere they are the same to rounding.
"""

import json
import platform
import sys
from pathlib import Path

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.training.trainer import Trainer

KEPT = ("train_loss", "train_accuracy", "val_accuracy", "val_nll", "val_ece")
SMALL = {
    "data.name": "synthetic",
    "data.num_classes": 5,
    "data.num_train": 300,
    "data.size": 12,
    "data.channels": 3,
    "data.augment.crop_padding": 2,
    "data.augment.flip": True,
    "model.width": 8,
    "training.batch_size": 50,
    "training.epochs": 3,
}
CONFIGURATIONS = {
    "erm": {"mixing.name": "erm", "schedule.name": "multistep"},
    "mixup": {"mixing.name": "mixup", "mixing.alpha": 0.4},
    "cutmix_adamw": {"mixing.name": "cutmix", "optimizer.name": "adamw", "loss.label_smoothing": 0.1},
    "manifold_mixup": {"mixing.name": "manifold_mixup", "mixing.alpha": 2.0, "loss.name": "decoupled"},
    "fmix_deranged": {"mixing.name": "fmix", "mixing.partners.name": "deranged", "optimizer.nesterov": True},
    "generalized_mixup": {
        "mixing.name": "generalized_mixup",
        "mixing.gamma": 0.5,
        "mixing.growth_factor": 1.5,
        "mixing.step_size": 1,
        "data.batches": "stratified",
        "schedule.warmup_epochs": 1,
    },
    "mixture": {"mixing.name": "mixture", "mixing.repeats": 2, "loss.name": "sigmoid_bce"},
}


def curve(name: str) -> list[dict[str, float]]:
    """The stored metrics of each epoch of a configuration, trained on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        config = TrialConfig.from_dotted(SMALL, CONFIGURATIONS[name])
        return [{key: report[key] for key in KEPT} for report in Trainer(config, device="cpu").run()]
    finally:
        torch.set_num_threads(threads)


def machine() -> dict[str, str]:
    """What the last digits depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    about = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    words = [
        about.get("model name", platform.machine()),
        *(f"{key} {about.get(key)}" for key in ("cpu family", "model")),
    ]
    capability = torch.backends.cpu.get_cpu_capability()
    return {"processor": ", ".join((*words, capability)), "torch": torch.__version__.split("+")[0]}


if __name__ == "__main__":
    json.dump({**machine(), "curves": {name: curve(name) for name in CONFIGURATIONS}}, sys.stdout, indent=1)
    print()
