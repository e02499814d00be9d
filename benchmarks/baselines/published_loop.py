"""One trial as published mixup code trains it: DataLoader, one image at a time, fp32, reading values every step.

Network, split, normalisation, batches of an epoch, optimizer settings and schedule are ours, so that accuracies can be
compared. Images go through Pillow and torchvision's transforms in `workers` processes; lam is drawn by NumPy on the
host; loss and counts are read after each step; generalized mixup's bookkeeping is `confusion_loops`. A GPU gets
pinned memory and cuDNN's benchmark.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import transforms

from benchmarks.baselines import confusion_loops
from tune_mixup.config import TrialConfig
from tune_mixup.data.augment import Augment
from tune_mixup.data.base import Split
from tune_mixup.data.loading import TrainingData
from tune_mixup.data.rows import Images
from tune_mixup.mixing.generalized_mixup import GeneralizedMixup
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.optimizer import Sgd
from tune_mixup.training.fitting import draw_batches

PADDING_MODES = {"zeros": "constant", "reflect": "reflect"}


class OneByOne(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's own data sets give them: an array to Pillow, then through the transforms."""

    def __init__(self, split: Split[Images], transform: transforms.Compose) -> None:
        pixels = split.images[:].permute(0, 2, 3, 1).contiguous().numpy()
        self.pixels = pixels.squeeze(3) if pixels.shape[3] == 1 else pixels
        self.targets = split.targets.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[i])), self.targets[i]


def pipeline(mean: list[float], std: list[float], *, size: tuple[int, int], augment: Augment) -> transforms.Compose:
    """torchvision's transforms with the meaning of `augment`."""
    steps: list[Any] = []
    if augment.crop_padding:
        mode = PADDING_MODES[augment.padding_mode]
        steps.append(transforms.RandomCrop(size, padding=augment.crop_padding, padding_mode=mode))
    if augment.flip:
        steps.append(transforms.RandomHorizontalFlip())
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean, std)])


class Batches(Sampler[list[int]]):
    """The batches of the epoch that comes next."""

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        self.config, self.data = config, data
        self.epoch = 0

    def __iter__(self) -> Iterator[list[int]]:
        return iter(draw_batches(self.config, self.data, self.epoch).tolist())

    def __len__(self) -> int:
        return len(draw_batches(self.config, self.data, self.epoch))


class PublishedLoop:
    """A trial of mixup or generalized mixup with SGD; `train_epoch` trains, validates and reports."""

    def __init__(
        self, config: TrialConfig, data: TrainingData, *, workers: int, device: torch.device | str = "cpu"
    ) -> None:
        """`data` on the CPU, as `load_fitting` makes it. Seeds torch's global generator, which the transforms use."""
        assert isinstance(config.mixing, Mixup | GeneralizedMixup) and isinstance(config.optimizer, Sgd)
        self.config, self.data, self.device = config, data, torch.device(device)
        torch.manual_seed(config.seed)
        self.rng = np.random.default_rng(config.seed)
        torch.backends.cudnn.benchmark = self.device.type == "cuda"
        self.model = config.model.build(channels=data.channels, num_classes=data.num_classes).to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=config.optimizer.lr,
            momentum=config.optimizer.momentum,
            nesterov=config.optimizer.nesterov,
            weight_decay=config.optimizer.weight_decay,
        )
        epochs = config.training.epochs
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda epoch: config.schedule.lr_factor(min(epoch, epochs - 1), epochs)
        )
        options: dict[str, Any] = {
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "pin_memory": self.device.type == "cuda",
        }
        mean, std = data.mean.flatten().tolist(), data.std.flatten().tolist()
        seen = OneByOne(data.train, pipeline(mean, std, size=data.size, augment=config.data.augment))
        held_out = OneByOne(data.validation, pipeline(mean, std, size=data.size, augment=Augment()))
        self.batches = Batches(config, data)
        self.train_loader = DataLoader(seen, batch_sampler=self.batches, **options)
        # validated in this process: a second set of workers costs more than it saves on so few images
        validation_options = options | ({"num_workers": 0, "persistent_workers": False} if len(held_out) < 5000 else {})
        self.validation_loader = DataLoader(held_out, batch_size=config.training.eval_batch_size, **validation_options)
        classes = data.num_classes
        self.confusion = torch.full((classes, classes), 1 / classes)
        self.epoch = 0

    def train_epoch(self) -> dict[str, float]:
        """epoch, train_loss, train_accuracy, val_loss, val_accuracy, images_per_s (of the training part)."""
        began = time.perf_counter()
        self.batches.epoch = self.epoch
        loss, accuracy, count = self._train()
        report = {"train_loss": loss, "train_accuracy": accuracy, "images_per_s": count / (time.perf_counter() - began)}
        self.scheduler.step()
        self.epoch += 1
        return {"epoch": self.epoch, **report, **self.evaluate()}

    def evaluate(self) -> dict[str, float]:
        """Mean loss and accuracy on the validation split."""
        self.model.eval()
        loss, correct, count = 0.0, 0, 0
        with torch.no_grad():
            for inputs, targets in self.validation_loader:
                inputs, targets = inputs.to(self.device), targets.to(self.device)
                outputs = self.model(inputs)
                loss += self.criterion(outputs, targets).item() * len(targets)
                correct += int(outputs.argmax(1).eq(targets).sum().item())
                count += len(targets)
        return {"val_loss": loss / count, "val_accuracy": correct / count}

    def state_dict(self) -> dict[str, Any]:
        """What it takes to go on."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}

    def _train(self) -> tuple[float, float, int]:
        mixing, classes = self.config.mixing, self.data.num_classes
        assert isinstance(mixing, Mixup | GeneralizedMixup)
        by_confusion = mixing if isinstance(mixing, GeneralizedMixup) else None
        if by_confusion is not None:
            matrix = confusion_loops.balance(self.confusion, by_confusion.gamma_at(self.epoch))
            counts = torch.zeros(classes, classes)
        self.model.train()
        total_loss, correct, count, steps = 0.0, 0.0, 0, 0
        for inputs, targets in self.train_loader:
            inputs = inputs.to(self.device, non_blocking=True)
            targets = targets.to(self.device, non_blocking=True)
            lam = float(self.rng.beta(mixing.alpha, mixing.alpha)) if mixing.alpha > 0 else 1.0
            if by_confusion is not None:
                partner = confusion_loops.draw_partners(matrix, targets, self.rng)
            else:
                partner = torch.randperm(len(targets)).to(self.device)
            other = targets[partner]
            outputs = self.model(lam * inputs + (1 - lam) * inputs[partner])
            loss = lam * self.criterion(outputs, targets) + (1 - lam) * self.criterion(outputs, other)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if by_confusion is not None:
                counts += confusion_loops.count_confusions(outputs.detach(), targets, other, lam)
            total_loss += loss.item()
            predicted = outputs.argmax(1)
            correct += lam * predicted.eq(targets).cpu().sum().item()
            correct += (1 - lam) * predicted.eq(other).cpu().sum().item()
            count += len(targets)
            steps += 1
        if by_confusion is not None:
            diagonal = 1 / classes if by_confusion.diagonal == "uniform" else by_confusion.diagonal
            self.confusion = confusion_loops.end_epoch(
                self.confusion, counts, mu=by_confusion.mu, diagonal=float(diagonal)
            )
        return total_loss / steps, correct / count, count
