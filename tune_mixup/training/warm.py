"""The step that a process keeps from one trial to the next: capturing a graph takes seconds, as a trial may."""

import weakref

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import TrainingData
from tune_mixup.mixing.traced import structure
from tune_mixup.training import graph
from tune_mixup.training.step import Step, is_captured

_warm: list[tuple[object, Step, weakref.ref[object]]] = []
"""The process's captured step, what it was captured for, and the trial that uses it."""


def step_for(config: TrialConfig, data: TrainingData, device: torch.device, *, user: object) -> Step:
    """The step of the trial that `user` trains: a new one, or the process's captured one, once nobody uses that.

    A trial that differs from the one before in alphas, gammas, learning rate, weight decay, schedule or epochs has
    its graph captured already. Raises ValueError for `compile: graph` without a GPU.
    """
    if not is_captured(config):
        step = Step(config, data, device)
    else:
        if device.type not in graph.DEVICES:
            raise ValueError(
                f"training.compile: got 'graph', which captures a CUDA graph, but the trial runs on the {device.type}; "
                "use step, model or none"
            )
        key = (_structure(config), id(data), device)
        fitting = [kept for known, kept, last in _warm if known == key and last() is None]
        _warm.clear()  # before another is captured: it holds memory
        step = fitting[0] if fitting else Step(config, data, device)
        _warm.append((key, step, weakref.ref(user)))
    step.take(config)
    return step


def forget() -> None:
    """Let go of the captured step, whose memory another trial may need."""
    _warm.clear()


def _structure(config: TrialConfig) -> object:
    """What trials have in common that one captured step can serve."""
    training = config.training.replace(epochs=1, eval="epochs", eval_batch_size=1, median_epochs=1)
    optimizer = config.optimizer.replace(lr=1.0, weight_decay=0.0)
    mixing = structure(config.mixing.canonical())
    return (
        training,
        optimizer,
        config.model,
        config.data.augment,
        config.loss,
        type(config.mixing.canonical()),
        mixing,
    )
