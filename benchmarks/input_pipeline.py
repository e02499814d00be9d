"""Images per second of the input pipeline: whole batches as tensors against one image at a time with Pillow.

    python benchmarks/input_pipeline.py

10,000 random images of CIFAR's size; random crop with padding 4, flip, normalisation to float32, batches of 128. One
thread for tensors; the DataLoader's worker process comes on top and may use another core, which favours the baseline.
Both pipelines take turns, and a round's ratio compares with the faster of the two DataLoaders of that round.
"""

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from evidence import write
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tune_mixup.data.augment import Augment, augment_batch, normalise, prepare
from tune_mixup.data.batches import epoch_batches

COUNT, BATCH, ROUNDS, EPOCHS = 10_000, 128, 7, 5
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
AUGMENT = Augment(crop_padding=4, flip=True)


class OneByOne(Dataset):
    """Images [N, H, W, C] as torchvision's own data sets give them: to Pillow, then through the transforms."""

    def __init__(self, pixels: np.ndarray, targets: list[int]) -> None:
        self.pixels, self.targets = pixels, targets
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[i])), self.targets[i]


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


def loader_epoch(loader: DataLoader) -> int:
    count = 0
    for inputs, _ in loader:
        count += len(inputs)
    return count


def images_per_s(epoch: Callable[[], int], epochs: int) -> tuple[float, float]:
    """Per second of wall time, and per second that this process spent on a processor (a busy machine changes less)."""
    began, cpu_began = time.perf_counter(), time.process_time()
    count = sum(epoch() for _ in range(epochs))
    return count / (time.perf_counter() - began), count / (time.process_time() - cpu_began)


def main() -> None:
    load_before = os.getloadavg()[0]
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the baseline's transforms draw from the global generator
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    targets = torch.arange(COUNT) % 10
    baseline = OneByOne(pixels, targets.tolist())
    options = {"batch_size": BATCH, "shuffle": True, "drop_last": True}
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
    rounds = [{name: images_per_s(epoch, epochs) for name, (epoch, epochs) in pipelines.items()} for _ in range(ROUNDS)]
    walls = [{name: wall for name, (wall, _) in row.items()} for row in rounds]
    ratios = [row["batched"] / max(row["dataloader_0_workers"], row["dataloader_1_worker"]) for row in walls]
    cpu_ratios = [row["batched"][1] / row["dataloader_0_workers"][1] for row in rounds]
    epoch_s = COUNT / statistics.median(row["batched"] for row in walls)
    results = {
        "images": COUNT,
        "batch_size": BATCH,
        "rounds": ROUNDS,
        "load_average_before": round(load_before, 1),
        "images_per_s": {name: spread([row[name] for row in walls], 0) for name in pipelines},
        "ratio_to_the_faster_dataloader": spread(ratios, 1),
        "ratio_per_cpu_second_to_0_workers": spread(cpu_ratios, 1),
        "prepare_s": round(shuffled.prepare_s, 4),
        "prepare_in_epochs": round(shuffled.prepare_s / epoch_s, 2),
    }
    print(write("input_pipeline", results).read_text())


def spread(values: list[float], digits: int) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


if __name__ == "__main__":
    main()
