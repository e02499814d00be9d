"""The step that a process keeps from one trial to the next: capturing a graph takes seconds, as a trial may."""

import weakref

import torch
from torch import Tensor

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import TrainingData
from tune_mixup.training import runners
from tune_mixup.training.step import Step, runner_for


class Kept:
    """The process's captured step, and the trial that uses it or used it last."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._user: weakref.ref[object] | None = None

    def take(self, config: TrialConfig, data: TrainingData, device: torch.device, *, user: object) -> Step | None:
        """The step for `user`, where it is free and fits; one that is free and does not fit is closed."""
        free = self._user is None or self._user() is None
        if self._step is not None and free and self._step.fits(config, data, device):
            self._user = weakref.ref(user)
            return self._step
        self.forget()
        return None

    def keep(self, step: Step, *, user: object) -> None:
        """Keep the step that `user` trains by."""
        self._step, self._user = step, weakref.ref(user)

    def give_back(self, user: object) -> bool:
        """Whether it was the step of `user`, who needs it no more."""
        mine = self._user is not None and self._user() is user
        if mine:
            self._user = None
        return mine

    def forget(self) -> None:
        """Close the step, unless a trial still uses it, and let go of it."""
        if self._step is not None and (self._user is None or self._user() is None):
            self._step.close()
        self._step = self._user = None
        runners.release()


KEPT = Kept()


def step_for(config: TrialConfig, data: TrainingData, device: torch.device, *, batches: Tensor, user: object) -> Step:
    """The step of the trial that `user` trains: a new one, or the process's captured one, once nobody uses that.

    A trial that differs from the one before in alphas, gammas, learning rate, weight decay, schedule or epochs has
    its graph captured already. `batches` as `Step` takes them. Raises ValueError for a graph without a GPU.
    """
    if not runner_for(config).captures:
        step = Step(config, data, device, batches=batches)
    else:
        if device.type not in runners.DEVICES:
            mode = config.training.compile
            raise ValueError(
                f"training.compile: got {mode!r}, which captures a CUDA graph, but the trial runs on the "
                f"{device.type}; use step, model or none"
            )
        warm = KEPT.take(config, data, device, user=user)
        step = warm or Step(config, data, device, batches=batches)
        KEPT.keep(step, user=user)
    step.take(config)
    return step


def done_with(step: Step, *, user: object) -> None:
    """`user` needs its step no more: the process keeps a captured one, any other is closed."""
    if not KEPT.give_back(user):
        step.close()


def forget() -> None:
    """Let go of the captured step, whose memory another trial may need."""
    KEPT.forget()
