"""Models, data sets, losses, optimizers, schedules, samplers and stopping rules that break one promise each."""

import random
import time
from dataclasses import dataclass, field

import torch
from optuna.samplers import RandomSampler
from pydantic import Field, PrivateAttr
from torch import nn

from tune_mixup.data import Split
from tune_mixup.data.base import Shape
from tune_mixup.data.synthetic import Synthetic
from tune_mixup.loss import CrossEntropy
from tune_mixup.models.base import Model, StagedNetwork, pooled_linear
from tune_mixup.optimizer import Sgd
from tune_mixup.record.facts import Decision
from tune_mixup.samplers.base import Sampler
from tune_mixup.schedule import Constant, Cosine
from tune_mixup.stopping.asha import Asha, AshaRule
from tune_mixup.stopping.base import Seat, Stopping, StoppingRule

# Models


class RightModel(Model):
    min_side = 4
    num_stages = 2

    def stages(self, channels):
        return [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()), nn.Conv2d(8, 8, 3, padding=1)]

    def build(self, *, channels, num_classes):
        return StagedNetwork(
            nn.Conv2d(channels, 8, 3, padding=1), self.stages(channels), pooled_linear(8, num_classes)
        )  # fmt: skip


class WrongCount(RightModel):
    num_stages = 3


class OneSize(RightModel):
    def build(self, *, channels, num_classes):
        head = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))
        network = StagedNetwork(nn.Conv2d(channels, 8, 3, padding=1), self.stages(channels), head)
        network(torch.zeros(1, channels, 4, 4))
        return network


class ElevenOutputs(RightModel):
    def build(self, *, channels, num_classes):
        return super().build(channels=channels, num_classes=11)


class Unused(RightModel):
    def build(self, *, channels, num_classes):
        network = super().build(channels=channels, num_classes=num_classes)
        network.stages[0].spare = nn.Parameter(torch.ones(1))
        return network


class OverTheBatch(nn.Module):
    def forward(self, features):
        return features - features.mean(0, keepdim=True)


class LooksAtTheBatch(RightModel):
    def stages(self, channels):
        return [*super().stages(channels)[:1], OverTheBatch()]


class TakesAnySize(RightModel):
    def check_size(self, height, width):
        pass


class Past(StagedNetwork):
    def forward(self, inputs, *, edits=None):
        return super().forward(inputs, edits=edits) + self.head(self.stem(inputs))


class Shortcut(RightModel):
    def build(self, *, channels, num_classes):
        plain = super().build(channels=channels, num_classes=num_classes)
        return Past(plain.stem, list(plain.stages), plain.head)


class EditsAndMore(StagedNetwork):
    def forward(self, inputs, *, edits=None):
        return super().forward(inputs, edits=edits) + (1 if edits else 0)


class EditsCount(RightModel):
    def build(self, *, channels, num_classes):
        plain = super().build(channels=channels, num_classes=num_classes)
        return EditsAndMore(plain.stem, list(plain.stages), plain.head)


class WritesInPlace(RightModel):
    def stages(self, channels):
        return [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)]


class PythonsWeights(RightModel):
    def build(self, *, channels, num_classes):
        network = super().build(channels=channels, num_classes=num_classes)
        nn.init.constant_(network.stages[1].weight, random.random())
        return network


class ConstantWeights(RightModel):
    def build(self, *, channels, num_classes):
        network = super().build(channels=channels, num_classes=num_classes)
        for stage in network.stages:
            for weight in stage.parameters():
                nn.init.constant_(weight, 0.1)
        return network


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = float(torch.rand(1))

    def forward(self, features):
        return features * self.scale


class NotInTheWeights(RightModel):
    def stages(self, channels):
        first, second = super().stages(channels)
        return [first, nn.Sequential(second, Counting())]


class Doubles(nn.Module):
    def forward(self, features):
        return features.float() * 1.0


class ForcesFloat32(RightModel):
    def build(self, *, channels, num_classes):
        plain = super().build(channels=channels, num_classes=num_classes)
        return StagedNetwork(plain.stem, list(plain.stages), nn.Sequential(plain.head, Doubles()))


# Data sets


class RightData(Synthetic):
    num_classes: int = 3
    num_train: int = 60
    num_test: int = 12
    size: int = 6


class FloatImages(RightData):
    def read_test(self):
        images, targets = super().read_test()
        return Split(images.float() / 255, targets)


class OneBasedLabels(RightData):
    def read_train(self):
        (images, targets), names = super().read_train()
        return Split(images, targets + 1), names


class OtherTestSize(RightData):
    def read_test(self):
        images, targets = super().read_test()
        return Split(images[:, :, :5], targets)


class SameNames(RightData):
    def read_train(self):
        return super().read_train()[0], ("a", "b", "a")


class OtherShape(RightData):
    def known_shape(self):
        return Shape(3, 6, 7)


class AnewEachTime(RightData):
    def read_test(self):
        images, targets = super().read_test()
        return Split(images + torch.randint(2, images.shape, dtype=torch.uint8, generator=_FRESH), targets)


_FRESH = torch.Generator()


class ByTheClock(RightData):
    def known_fingerprint(self):
        return f"{time.monotonic_ns():016x}"


class TrainsOnTheTest(RightData):
    def read_test(self):
        (images, targets), _ = super().read_train()
        return Split(images[:5], targets[:5])


class Twice(RightData):
    def read_train(self):
        (images, targets), names = super().read_train()
        return Split(torch.cat([images, images]), torch.cat([targets, targets])), names


class NoClassTwo(RightData):
    def read_train(self):
        (images, targets), names = super().read_train()
        return Split(images, targets.clamp(max=1)), names

    def read_validation(self):
        return Split(*super().read_test())


class NoHash(RightData):
    files: list[str] = ["a"]


class NoHoldOut(RightData):
    def read_validation(self):
        images, targets = super().read_test()
        return Split(images[targets < 2], targets[targets < 2])


# Losses


class SumOfRows(CrossEntropy):
    def __call__(self, logits, targets):
        return super().__call__(logits, targets) * len(logits)


class InLowPrecision(CrossEntropy):
    def __call__(self, logits, targets):
        return -(targets.to(logits.dtype) * logits.log_softmax(1)).sum(1).mean()


class Overflows(CrossEntropy):
    def __call__(self, logits, targets):
        return -(targets * logits.float().softmax(1).log()).sum(1).mean()


class Uphill(CrossEntropy):
    def __call__(self, logits, targets):
        return (
            -logits.float().square().mean().detach() * 0
            - super().__call__(logits, targets).detach()
            + (logits.float().mean() * 0)
        )


class WritesTargets(CrossEntropy):
    def __call__(self, logits, targets):
        return super().__call__(logits, targets.clamp_(min=1e-3))


class OtherLoss(CrossEntropy):
    def canonical(self):
        return CrossEntropy(label_smoothing=0.5)


# Optimizers and schedules


class Halting(Sgd):
    def build(self, parameters):
        return super().build(list(parameters)[:1])


class Forgetful(torch.optim.SGD):
    def state_dict(self):
        return {**super().state_dict(), "state": {}}


class NotInTheCheckpoint(Sgd):
    def build(self, parameters):
        return Forgetful(self._groups(parameters), lr=self.lr, momentum=0.9)


class OwnRate(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = 0.1
        return super().step(closure)


class IgnoresTheRate(Sgd):
    def build(self, parameters):
        return OwnRate(self._groups(parameters), lr=self.lr, momentum=0.9)


class DecaysAll(Sgd):
    def build(self, parameters):
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


class NoDecayAlone(Sgd):
    def decay_(self, parameters, *, lr, weight_decay):
        pass


class Above(Constant):
    def _decay(self, progress, total_epochs):
        return 1.5


class InsideAnEpoch(Cosine):
    def lr_factor(self, progress_epochs, total_epochs):
        return 1 - 0.9 * progress_epochs / total_epochs


class FalseDrops(Constant):
    def drops(self, total_epochs):
        return (1,)


# Samplers


class Seedless(Sampler):
    def make(self, draw):
        return RandomSampler(seed=draw.seed)


class WithoutSeed(Sampler):
    def make(self, draw):
        return RandomSampler(seed=draw.trial)


class Unrepeatable(Sampler):
    def make(self, draw):
        return RandomSampler()


class LosesASetting(Sampler):
    offset: int = Field(default=0, exclude=True)

    def make(self, draw):
        return RandomSampler(seed=draw.own_seed() + self.offset)


class Shared(Sampler):
    _one: RandomSampler = PrivateAttr(default_factory=lambda: RandomSampler(seed=0))

    def make(self, draw):
        return self._one


class Outside(RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        value = super().sample_independent(study, trial, name, distribution)
        return value + 100 if isinstance(value, float) else value


class OutsideTheSpace(Sampler):
    def make(self, draw):
        return Outside(seed=draw.own_seed())


# Stopping rules


class Scripted(Stopping):
    def rule(self, objective, *, epochs):
        return ScriptedRule()


@dataclass
class ScriptedRule(StoppingRule):
    """Stops whoever is below the mean of all values that came before, in the order in which they came."""

    values: list[float] = field(default_factory=list)
    latest: dict[int, int] = field(default_factory=dict)

    def report(self, trial, epoch, value, seat):
        if epoch <= self.latest.get(trial, 0):
            return None
        self.latest[trial] = epoch
        self.values.append(value)
        recent = self.values[-4:-1]
        if seat.spared or not recent or value >= sum(recent) / len(recent):
            return None
        return Decision(epoch=epoch, stop=True, by="rung", why="below the last three")


class LosesItsPatience(Scripted):
    patience: int = Field(default=3, exclude=True)


class NoSparing(Asha):
    def rule(self, objective, *, epochs):
        return NoSparingRule(objective.direction, 3)


class NoSparingRule(AshaRule):
    def report(self, trial, epoch, value, seat):
        return super().report(trial, epoch, value, seat._replace(spared=False))


class CountsAgain(Asha):
    def rule(self, objective, *, epochs):
        return CountsAgainRule(objective.direction, 3)


class CountsAgainRule(AshaRule):
    def report(self, trial, epoch, value, seat):
        self._latest.pop(trial, None)
        return super().report(trial, epoch, value, seat)


class Forever(Asha):
    _rule: list[StoppingRule] = PrivateAttr(default_factory=list)

    def rule(self, objective, *, epochs):
        if not self._rule:
            self._rule.append(AshaRule(objective.direction, 3))
        return self._rule[0]


class TwoLines(Asha):
    def rule(self, objective, *, epochs):
        return TwoLinesRule()


class TwoLinesRule(StoppingRule):
    def report(self, trial, epoch, value, seat: Seat):
        return Decision(epoch=epoch, stop=False, by="rung", why="one\ntwo")


class FallingRungs(Asha):
    def rungs(self, epochs, drops=()):
        return [3, 1] if epochs > 4 else []


class ShareAboveOne(Asha):
    @property
    def share_spared(self):
        return 2.0
