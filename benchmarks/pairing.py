"""What generalized mixup costs beyond mixup, on one CPU thread: drawing partners, counting confusions, ending epochs.

The whole of it per step, the epoch's end spread over the steps of an epoch of 45,000 images, is set against

1. the same work in the shape of the released code (`baselines/confusion_loops.py`): partners and counts sample by
   sample, and its matrix once per epoch (the release balances it anew for every batch; that is given beside it);
2. a training step (mixup, forward, backward, SGD) of preact_resnet18 and of tiny_resnet on 3 x 32 x 32 images in
   fp32. That of preact_resnet18 is timed with 50 images and scaled to the batch.

Other ways of drawing and the sizes of the pool of permutations are timed beside it. Variants take turns; medians.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.baselines import confusion_loops
from benchmarks.rows import row
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.birkhoff import POOL_SIZE, permutation_pool
from tune_mixup.mixing.confusion import pairing_matrix, soft_counts
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.mixing.pairing import draw_birkhoff, draw_independent, draw_sequential
from tune_mixup.models import MODELS

NUM_TRAIN = 45_000
SETUPS = ((10, 250), (100, 1000))
"""Classes and batch sizes of the released code's CIFAR-10 and CIFAR-100."""
TARGETS = {(10, 250): 100, (100, 1000): 200}
MODEL_TARGETS = {"preact_resnet18": 2, "tiny_resnet": 5}
"""Percent of a step."""
POOL_SIZES = (128, 256, 512, 1024, 2048)
ROUNDS = 9
STEP_ROUNDS = 5
LARGE_MODEL_BATCH = 50
GAMMA = 1.0
LAM = 0.3
CPU = torch.device("cpu")
TIMES = "median_s"


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
        name: {TIMES: median(times), "min_s": min(times), "max_s": max(times), "rounds": rounds}
        for name, times in seconds.items()
    }


def made_up_confusion(num_classes: int) -> Tensor:
    """A row-stochastic matrix, float64, with a few strong confusions per class and 1 / K on the diagonal."""
    eye = np.eye(num_classes)
    wrong = np.exp(2 * np.random.default_rng(0).normal(size=eye.shape)) * (1 - eye)
    return torch.tensor((1 - 1 / num_classes) * wrong / wrong.sum(1, keepdims=True) + eye / num_classes)


def stratified_targets(num_classes: int, batch_size: int) -> Tensor:
    classes = torch.arange(num_classes).repeat(batch_size // num_classes)
    return classes[torch.randperm(batch_size, generator=torch.Generator().manual_seed(0))]


def measure_draws(num_classes: int, batch_size: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Each part of a step's and an epoch's work, ours and in loops."""
    confusion = made_up_confusion(num_classes)
    pairing = pairing_matrix(confusion, GAMMA, diagonal=1 / num_classes, power_diagonal=True)
    classes = stratified_targets(num_classes, batch_size)
    made, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    pool = permutation_pool(pairing, generator=made)
    logits = torch.randn(batch_size, num_classes, generator=made)
    other = classes[torch.randperm(batch_size, generator=made)]
    mixer, without_pool = GeneralizedMixup(gamma=GAMMA), GeneralizedMixup(gamma=GAMMA, pairing="independent")
    counts = confusion - torch.eye(num_classes) / num_classes
    state = {**mixer.init(num_classes, device=CPU, generator=made), "counts": counts}
    released, released_counts = confusion.float(), counts.float()

    def end_released_epoch() -> Tensor:
        newest = confusion_loops.end_epoch(released, released_counts, mu=mixer.mu, diagonal=1 / num_classes)
        return confusion_loops.balance(newest, GAMMA)

    lam = torch.tensor(LAM)
    return in_turns(
        {
            "mixup_draw": (200, lambda: torch.randperm(batch_size, generator=made)),
            "birkhoff_draw": (200, lambda: draw_birkhoff(pool, classes, generator=made)),
            "sequential_draw": (5, lambda: draw_sequential(pairing, classes, generator=made)),
            "independent_draw": (20, lambda: draw_independent(pairing, classes, generator=made)),
            "soft_counts": (50, lambda: soft_counts(logits, classes, other, lam)),
            "end_epoch": (2, lambda: mixer.end_epoch(state, epoch=0, generator=made)),
            "end_epoch_without_pool": (2, lambda: without_pool.end_epoch(state, epoch=0, generator=made)),
            "released_draw": (1, lambda: confusion_loops.draw_partners(pairing.float(), classes, rng)),
            "released_counts": (1, lambda: confusion_loops.count_confusions(logits, classes, other, LAM)),
            "released_end_epoch": (1, end_released_epoch),
        },
        rounds,
    )


def measure_step(model_name: str, num_classes: int, batch_size: int, rounds: int) -> dict[str, Any]:
    """A whole training step: mixup, forward, backward, SGD."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS[model_name]().build(channels=3, num_classes=num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch_size, 3, 32, 32, generator=made)
    targets = torch.eye(num_classes)[torch.randint(num_classes, (batch_size,), generator=made)]
    mixer = Mixup()

    def step() -> None:
        output = mixer.step(model, inputs, targets, {}, epoch=0, generator=made, loss=CrossEntropy())
        optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        optimizer.step()

    return in_turns({"step": (1, step)}, rounds)["step"]


def measure_pools(num_classes: int) -> list[dict[str, float]]:
    """Seconds and rounding error of pools by size, beside the noise that an epoch's own draws have anyway."""
    pairing = pairing_matrix(made_up_confusion(num_classes), 0.25, diagonal=1 / num_classes, power_diagonal=True)
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
                TIMES: median(times),
                "rounding_rms": rounding,
                "epoch_noise_rms": noise,
                "added_variance_share": (rounding / noise) ** 2,
            }
        )
    return rows


def summarise(draws: dict[str, dict[str, Any]], num_batches: int) -> dict[str, float]:
    """Seconds per step of the whole work: ours by way of drawing, and the released loops'."""
    seconds = {name: timing[TIMES] for name, timing in draws.items()}
    summary = {}
    for name in ("birkhoff", "sequential", "independent"):
        epoch_end = seconds["end_epoch" if name == "birkhoff" else "end_epoch_without_pool"] / num_batches
        summary[name] = seconds[f"{name}_draw"] + seconds["soft_counts"] + epoch_end
    loops = seconds["released_draw"] + seconds["released_counts"]
    summary["released"] = loops + seconds["released_end_epoch"] / num_batches
    summary["released_balancing_each_batch"] = loops + seconds["released_end_epoch"]
    summary["mixup"] = seconds["mixup_draw"]
    return summary


def measure(rounds: int = ROUNDS, step_rounds: int = STEP_ROUNDS) -> dict[str, Any]:
    torch.set_num_threads(1)
    results: dict[str, Any] = {"num_train": NUM_TRAIN, "pool_size": POOL_SIZE}
    shares, speed = [], []
    for num_classes, batch_size in SETUPS:
        setup = f"K={num_classes}, B={batch_size}"
        num_batches = NUM_TRAIN // batch_size
        draws = measure_draws(num_classes, batch_size, rounds)
        steps = {
            "preact_resnet18": measure_step("preact_resnet18", num_classes, LARGE_MODEL_BATCH, step_rounds),
            "tiny_resnet": measure_step("tiny_resnet", num_classes, batch_size, step_rounds),
        }
        step_s = {name: found[TIMES] for name, found in steps.items()}
        step_s["preact_resnet18"] *= batch_size / LARGE_MODEL_BATCH
        whole = summarise(draws, num_batches)
        added = whole["birkhoff"] - whole["mixup"]
        for model, seconds in step_s.items():
            shares.append(
                row(
                    f"generalized mixup's overhead over mixup, {setup}, of a step of `{model}`",
                    ours=1e3 * added, other=1e3 * seconds, unit="ms", value=100 * added / seconds, value_unit="%",
                    at_most=MODEL_TARGETS[model],
                    note="Partners, confusion counts and the epoch's end, spread over its steps; one thread, fp32, "
                    "3 x 32 x 32.",
                )
            )  # fmt: skip
        parts = {name: 1e3 * timing[TIMES] for name, timing in draws.items()}
        speed.append(
            row(
                f"the same work against loops over samples, {setup}",
                ours=1e3 * whole["birkhoff"], other=1e3 * whole["released"], unit="ms",
                value=whole["released"] / whole["birkhoff"], value_unit="x", at_least=TARGETS[num_classes, batch_size],
                note=f"{setup}: the loops take {parts['released_draw']:.3g} ms to draw, {parts['released_counts']:.3g} "
                f"ms to count and {parts['released_end_epoch']:.3g} ms to balance, the latter once per epoch of "
                f"{num_batches} steps; with every batch, as released, it would be "
                f"{whole['released_balancing_each_batch'] / whole['birkhoff']:.0f} times. Ours: "
                f"{parts['birkhoff_draw']:.2g}, {parts['soft_counts']:.2g} and {parts['end_epoch']:.3g} ms.",
            )
        )  # fmt: skip
        results[f"{num_classes}_classes_batch_{batch_size}"] = {
            "seconds_per_step": whole, "draws": draws, "steps": steps, "batches_per_epoch": num_batches,
            "pools": measure_pools(num_classes),
        }  # fmt: skip
    return {"rows": [*shares, *speed], **results}
