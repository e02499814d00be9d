"""The registries of losses, optimizers and schedules keep the promises of `tune_mixup.testing`."""

import pytest

from tune_mixup.loss import LOSSES, Decoupled, SigmoidBce
from tune_mixup.optimizer import OPTIMIZERS, Sgd
from tune_mixup.schedule import SCHEDULES, Constant, Cosine, MultiStep
from tune_mixup.testing import LossContract, OptimizerContract, ScheduleContract

LOSS_SETTINGS = {name: loss() for name, loss in LOSSES.items()} | {
    "two_hot": SigmoidBce(targets="two_hot"),
    "averaged": SigmoidBce(sum_classes=False, label_smoothing=0.1),
    "decoupled by share": Decoupled(eta=1.0, power=1.0, label_smoothing=0.2),
    "decoupled off": Decoupled(eta=0.0, label_smoothing=0.2),
}
OPTIMIZER_SETTINGS = {name: optimizer() for name, optimizer in OPTIMIZERS.items()} | {
    "nesterov": Sgd(nesterov=True),
    "plain sgd": Sgd(momentum=0.0, weight_decay=0.0),
}
SCHEDULE_SETTINGS = {name: schedule() for name, schedule in SCHEDULES.items()} | {
    "cosine per step": Cosine(per="step", warmup_epochs=2.5, final_lr_fraction=0.1),
    "constant after a warm-up": Constant(warmup_epochs=4),
    "milestones in epochs": MultiStep(milestones=(1, 3, 6)),
    "many milestones": MultiStep(milestones=(0.01, 0.02, 0.5, 0.99), factor=0.9),
}


class TestLosses(LossContract):
    @pytest.fixture(autouse=True, params=LOSS_SETTINGS)
    def settings(self, request):
        self.part = LOSS_SETTINGS[request.param]


class TestOptimizers(OptimizerContract):
    @pytest.fixture(autouse=True, params=OPTIMIZER_SETTINGS)
    def settings(self, request):
        self.part = OPTIMIZER_SETTINGS[request.param]


class TestSchedules(ScheduleContract):
    @pytest.fixture(autouse=True, params=SCHEDULE_SETTINGS)
    def settings(self, request):
        self.part = SCHEDULE_SETTINGS[request.param]
