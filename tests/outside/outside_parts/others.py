"""One part of every other kind."""

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from tune_mixup.data import Split
from tune_mixup.data.base import Dataset, Shape
from tune_mixup.loss import Loss
from tune_mixup.metrics import Metric
from tune_mixup.mixing.base import State
from tune_mixup.mixing.partners import Partners
from tune_mixup.models import Model, StagedNetwork
from tune_mixup.optimizer import Optimizer
from tune_mixup.schedule import Schedule


class Shifted(Partners):
    """Everybody meets the one `by` places further on."""

    by: int = Field(default=1, ge=0)
    """Places in the batch."""

    def draw(self, targets: Tensor, state: State, *, generator: Generator) -> Tensor:
        return torch.arange(len(targets), device=targets.device).roll(-self.by)


class Brier(Loss):
    """Squared distance of the probabilities from the targets."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        return (logits.float().softmax(1) - self.smoothed(targets)).square().sum(1).mean()


class Patches(Model):
    """One convolution."""

    min_side = 4
    num_stages = 1
    width: int = 8
    """Channels."""

    def build(self, *, channels: int, num_classes: int) -> StagedNetwork:
        stage = nn.Sequential(nn.Conv2d(channels, self.width, 3, padding=1), nn.ReLU())
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(self.width, num_classes))
        return StagedNetwork(nn.Identity(), [stage], head)


class Stripes(Dataset):
    """Horizontal and vertical stripes."""

    size: int = 8
    """Height and width in pixels."""

    def known_shape(self) -> Shape:
        return Shape(2, self.size, self.size)

    def read_train(self) -> tuple[Split, tuple[str, ...]]:
        return self._make(200), ("horizontal", "vertical")

    def read_test(self) -> Split:
        return self._make(40)

    def _make(self, count: int) -> Split:
        rows = (torch.arange(self.size) % 2 * 255).to(torch.uint8).expand(self.size, self.size)
        targets = torch.arange(count) % 2
        images = torch.where(targets[:, None, None, None] == 1, rows, rows.T)
        return Split(images, targets)


class Adagrad(Optimizer):
    """Adagrad."""

    lr: float = 0.1

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(self._groups(parameters), lr=self.lr)

    def decay_(self, parameters: list[nn.Parameter], *, lr: Tensor, weight_decay: Tensor) -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.add_(parameter.detach() * weight_decay)


class Linear(Schedule):
    """A straight line down to nothing."""

    def _decay(self, progress: float, total_epochs: int) -> float:
        return 1 - progress / total_epochs


def second(logits: Tensor, targets: Tensor) -> Tensor:
    """How often the second guess is right."""
    return (logits.topk(2, dim=1).indices[:, 1] == targets).float().mean()


SECOND = Metric(second, "minimize", "fraction")
ACCURACY = Metric(second, "maximize", "fraction")
SECOND_MEDIAN = Metric(second, "maximize", "fraction")
PER_ROW = Metric(lambda logits, targets: targets.float(), "maximize", "fraction")
