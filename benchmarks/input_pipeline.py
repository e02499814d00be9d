"""Images per second of the input pipeline: whole batches as tensors against one image at a time with Pillow.

10,000 random images of CIFAR's size; random crop with padding 4, flip, normalisation to float32, batches of 128. One
thread for tensors; the DataLoader's worker process comes on top and may use another core, which favours the baseline.
Both pipelines take turns, and a round's ratio compares with the faster of the two DataLoaders of that round.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.baselines.published_loop import OneByOne, pipeline
from benchmarks.rows import row
from tune_mixup.data.augment import Augment, augment_batch, normalise, prepare
from tune_mixup.data.base import Split
from tune_mixup.data.batches import epoch_batches

COUNT, BATCH, ROUNDS, EPOCHS = 10_000, 128, 7, 5
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
AUGMENT = Augment(crop_padding=4, flip=True)
TARGET = 13


class Batched:
    """Epochs as the trainer draws them."""

    def __init__(self, images: torch.Tensor, targets: torch.Tensor, *, stratified: bool) -> None:
        self.targets, self.stratified = targets, stratified
        self.mean, self.std = (torch.tensor(values).reshape(-1, 1, 1) for values in (MEAN, STD))
        self.generator = torch.Generator().manual_seed(0)
        began = time.perf_counter()
        self.prepared = prepare(images, AUGMENT)
        self.prepare_s = time.perf_counter() - began

    def epoch(self) -> int:
        """Makes every batch of an epoch; returns the number of images."""
        batches = epoch_batches(
            self.targets,
            batch_size=130 if self.stratified else BATCH,
            num_classes=10,
            stratified=self.stratified,
            unbalanced="drop",
            generator=self.generator,
        )
        for index in batches:
            images = augment_batch(self.prepared, index, size=(32, 32), augment=AUGMENT, generator=self.generator)
            inputs, targets = normalise(images, self.mean, self.std), self.targets[index]
        assert inputs.shape == (len(targets), 3, 32, 32)
        return batches.numel()


def loader_epoch(loader: DataLoader[Any]) -> int:
    count = 0
    for inputs, _ in loader:
        count += len(inputs)
    return count


def images_per_s(epoch: Callable[[], int], epochs: int) -> tuple[float, float]:
    """Per second of wall time, and per second that this process spent on a processor (a busy machine changes less)."""
    began, cpu_began = time.perf_counter(), time.process_time()
    count = sum(epoch() for _ in range(epochs))
    return count / (time.perf_counter() - began), count / (time.process_time() - cpu_began)


def measure(count: int = COUNT, rounds: int = ROUNDS) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the baseline's transforms draw from the global generator
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    targets = torch.arange(count) % 10
    baseline = OneByOne(Split(images, targets), pipeline(list(MEAN), list(STD), size=(32, 32), augment=AUGMENT))
    options: dict[str, Any] = {"batch_size": BATCH, "shuffle": True, "drop_last": True}
    alone = DataLoader(baseline, num_workers=0, **options)
    with_worker = DataLoader(baseline, num_workers=1, persistent_workers=True, **options)
    shuffled, stratified = (Batched(images, targets, stratified=choice) for choice in (False, True))

    pipelines: dict[str, tuple[Callable[[], int], int]] = {
        "batched": (shuffled.epoch, EPOCHS),
        "batched_stratified": (stratified.epoch, EPOCHS),
        "dataloader_0_workers": (lambda: loader_epoch(alone), 1),
        "dataloader_1_worker": (lambda: loader_epoch(with_worker), 1),
    }
    for epoch, _ in pipelines.values():
        epoch()
    turns = [{name: images_per_s(epoch, epochs) for name, (epoch, epochs) in pipelines.items()} for _ in range(rounds)]
    walls = [{name: wall for name, (wall, _) in turn.items()} for turn in turns]
    fastest = [max(turn["dataloader_0_workers"], turn["dataloader_1_worker"]) for turn in walls]
    ratios = [turn["batched"] / other for turn, other in zip(walls, fastest, strict=True)]
    cpu_ratios = [turn["batched"][1] / turn["dataloader_0_workers"][1] for turn in turns]
    ours = statistics.median(turn["batched"] for turn in walls)
    return {
        "rows": [
            row(
                "crop, flip and normalise 32 x 32 images, one thread, against DataLoader with Pillow",
                ours=ours, other=statistics.median(fastest), unit="images/s", value=statistics.median(ratios),
                value_unit="x", at_least=TARGET,
                note=f"Medians of {rounds} turns; ratios from {min(ratios):.1f} to {max(ratios):.1f}, against the "
                "faster of no and one worker process in each.",
            )
        ],
        "images": count,
        "batch_size": BATCH,
        "rounds": rounds,
        "images_per_s": {name: spread([turn[name] for turn in walls], 0) for name in pipelines},
        "ratio_to_the_faster_dataloader": spread(ratios, 1),
        "ratio_per_cpu_second_to_0_workers": spread(cpu_ratios, 1),
        "prepare_s": round(shuffled.prepare_s, 4),
        "prepare_in_epochs": round(shuffled.prepare_s * ours / count, 2),
    }  # fmt: skip


def spread(values: list[float], digits: int) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }
