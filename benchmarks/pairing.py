"""What generalized mixup costs beside mixup, on one CPU thread: drawing partners, counting confusions, ending epochs.

    python benchmarks/pairing.py

Compared with (1) the same pairing one sample at a time (`sequential_pairing` in tests/mixing/mixing_reference.py),
(2) the released code's shape of loop, tensor look-ups and one choice per class, and (3) a training step of
preact_resnet18 on 32 x 32 images in fp32. Costs of an epoch's end are spread over the batches of an epoch of 45,000
images. Variants take turns; medians are reported.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from evidence import write
from torch import Tensor

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.birkhoff import POOL_SIZE, permutation_pool
from tune_mixup.mixing.confusion import pairing_matrix, soft_counts
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.pairing import draw_birkhoff, draw_independent, draw_sequential
from tune_mixup.models import MODELS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "mixing"))
from mixing_reference import confusion_like, sequential_pairing  # noqa: E402 - the tests' slow versions are not installed

NUM_TRAIN = 45_000
SETUPS = ((10, 250), (100, 1000))
POOL_SIZES = (128, 256, 512, 1024, 2048)
ROUNDS = 9
GAMMA = 1.0
CPU = torch.device("cpu")


def released_loop(matrix: Tensor, classes: Tensor, rng: np.random.Generator) -> list[int]:
    """The shape of the released code, rows put right: per class a look-up per sample that is left, then one choice."""
    partner = [-1] * len(classes)
    left = list(range(len(classes)))
    by_class = classes.argsort().reshape(len(matrix), -1).tolist()
    for group, members in enumerate(by_class):
        weights = np.array([float(matrix[group, classes[j]]) for j in left])
        drawn = rng.choice(left, size=len(members), replace=False, p=weights / weights.sum())
        for member, j in zip(members, drawn.tolist(), strict=True):
            partner[member] = j
        chosen = set(drawn.tolist())
        left = [j for j in left if j not in chosen]
    return partner


def in_turns(variants: dict[str, tuple[int, Callable[[], Any]]], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds per call of each variant: `rounds` times all in turn, each a given number of calls at once."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _, run in variants.values():
        run()
    for _ in range(rounds):
        for name, (calls, run) in variants.items():
            began = time.perf_counter()
            for _ in range(calls):
                run()
            seconds[name].append((time.perf_counter() - began) / calls)
    return {
        name: {"median_s": median(times), "min_s": min(times), "max_s": max(times), "rounds": rounds}
        for name, times in seconds.items()
    }


def stratified_targets(num_classes: int, batch_size: int) -> Tensor:
    classes = torch.arange(num_classes).repeat(batch_size // num_classes)
    return classes[torch.randperm(batch_size, generator=torch.Generator().manual_seed(0))]


def measure_draws(num_classes: int, batch_size: int) -> dict[str, dict[str, Any]]:
    confusion = torch.tensor(confusion_like(num_classes))
    pairing = pairing_matrix(confusion, GAMMA, diagonal=1 / num_classes, power_diagonal=True)
    classes = stratified_targets(num_classes, batch_size)
    made, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    pool = permutation_pool(pairing, generator=made)
    logits = torch.randn(batch_size, num_classes, generator=made)
    partner = torch.randperm(batch_size, generator=made)
    mixer, without_pool = GeneralizedMixup(gamma=GAMMA), GeneralizedMixup(gamma=GAMMA, pairing="independent")
    state = {
        **mixer.init(num_classes, device=CPU, generator=made),
        "counts": confusion - torch.eye(num_classes) / num_classes,
    }
    numbers, plain = pairing.numpy(), classes.tolist()
    return in_turns(
        {
            "mixup_draw": (200, lambda: torch.randperm(batch_size, generator=made)),
            "birkhoff_draw": (200, lambda: draw_birkhoff(pool, classes, generator=made)),
            "sequential_draw": (5, lambda: draw_sequential(pairing, classes, generator=made)),
            "independent_draw": (20, lambda: draw_independent(pairing, classes, generator=made)),
            "soft_counts": (50, lambda: soft_counts(logits, classes, classes[partner], torch.tensor(0.3))),
            "end_epoch": (2, lambda: mixer.end_epoch(state, epoch=0, generator=made)),
            "end_epoch_without_pool": (2, lambda: without_pool.end_epoch(state, epoch=0, generator=made)),
            "reference_per_sample": (1, lambda: sequential_pairing(numbers, plain, rng)),
            "reference_released_loop": (1, lambda: released_loop(pairing, classes, rng)),
        },
        ROUNDS,
    )


def measure_step(num_classes: int, batch_size: int, rounds: int) -> dict[str, Any]:
    """A whole training step: mixup, forward, backward, SGD."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS["preact_resnet18"]().build(channels=3, num_classes=num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch_size, 3, 32, 32, generator=made)
    targets = torch.eye(num_classes)[stratified_targets(num_classes, batch_size)]
    mixer = Mixup()

    def step() -> None:
        output = mixer.step(model, inputs, targets, {}, epoch=0, generator=made, loss=CrossEntropy())
        optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        optimizer.step()

    return in_turns({"step": (1, step)}, rounds)["step"]


def measure_pools(num_classes: int) -> list[dict[str, float]]:
    """Seconds and rounding error of pools by size, beside the noise that an epoch's own draws have anyway."""
    confusion = torch.tensor(confusion_like(num_classes))
    pairing = pairing_matrix(confusion, 0.25, diagonal=1 / num_classes, power_diagonal=True)
    made = torch.Generator().manual_seed(0)
    noise = float((pairing * (1 - pairing) / (NUM_TRAIN / num_classes)).mean().sqrt())
    rows = []
    for size in POOL_SIZES:
        times, squares = [], []
        for _ in range(5):
            began = time.perf_counter()
            pool = permutation_pool(pairing, generator=made, size=size)
            times.append(time.perf_counter() - began)
            pairs = torch.arange(num_classes) * num_classes + pool
            share = torch.bincount(pairs.flatten(), minlength=num_classes**2).reshape(pairing.shape) / size
            squares.append(float((share - pairing).square().mean()))
        rounding = float(np.mean(squares)) ** 0.5
        rows.append(
            {
                "size": size,
                "median_s": median(times),
                "rounding_rms": rounding,
                "epoch_noise_rms": noise,
                "added_variance_share": (rounding / noise) ** 2,
            }
        )
    return rows


def summarise(draws: dict[str, dict[str, Any]], step: dict[str, Any], num_batches: int) -> dict[str, float]:
    """Generalized mixup's cost per step beyond mixup's, as a share of a step, and the speed-ups of its draws."""
    seconds = {name: timing["median_s"] for name, timing in draws.items()}
    summary = {}
    for name in ("birkhoff", "sequential", "independent"):
        epoch_end = seconds["end_epoch" if name == "birkhoff" else "end_epoch_without_pool"] / num_batches
        added = seconds[f"{name}_draw"] + seconds["soft_counts"] + epoch_end - seconds["mixup_draw"]
        summary[f"{name}_overhead_share_of_step"] = added / step["median_s"]
    for reference in ("per_sample", "released_loop"):
        slow = seconds[f"reference_{reference}"]
        summary |= {
            f"{name}_times_faster_than_{reference}": slow / seconds[f"{name}_draw"]
            for name in ("birkhoff", "sequential", "independent")
        }
        # The pool and the balancing are part of the birkhoff draw's price; the references have none.
        whole = seconds["birkhoff_draw"] + seconds["end_epoch"] / num_batches
        summary[f"birkhoff_with_epoch_end_times_faster_than_{reference}"] = slow / whole
    return summary


def main() -> None:
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "targets": {"birkhoff_overhead_share_of_step": 0.02, "birkhoff_times_faster_than_per_sample": 50},
        "num_train": NUM_TRAIN,
        "pool_size": POOL_SIZE,
    }
    for num_classes, batch_size in SETUPS:
        num_batches = NUM_TRAIN // batch_size
        draws = measure_draws(num_classes, batch_size)
        step = measure_step(num_classes, batch_size, rounds=5 if batch_size <= 250 else 2)
        results[f"{num_classes}_classes_batch_{batch_size}"] = {
            "summary": summarise(draws, step, num_batches),
            "draws": draws,
            "preact_resnet18_step": step,
            "batches_per_epoch": num_batches,
            "pools": measure_pools(num_classes),
        }
    path = write("pairing", results)
    print(path.read_text())


if __name__ == "__main__":
    main()
