"""The setting of a search space that needs the most memory, which is what has to fit."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from tune_mixup.config import TrialConfig
from tune_mixup.data.base import Shape
from tune_mixup.models import AnyModel
from tune_mixup.search_space import Params
from tune_mixup.sweep_config import SweepConfig

UNKNOWN, CHANNELS = Shape(10, 32, 32), 3
"""The shape that is assumed where only the images can tell; any will do, since settings are only compared."""
DECISIVE = ("data.", "model.", "training.")
"""Where the parameters are that the measure depends on."""


def largest(config: SweepConfig) -> TrialConfig:
    """The trial of the space with the largest `expected_memory`.

    The largest of the baselines and corners; from there each parameter in turn takes the value, of those that the
    corners have, that needs the most, unless others exist only beside the value that it has.
    """
    points = list(config.space.probes())
    parents = config.space.parents()
    best = max(points, key=lambda point: _memory(config, point))
    for key in config.space.free:
        if key in best and key not in parents and key.startswith(DECISIVE):
            values = {repr(point[key]): point[key] for point in points if key in point}
            best = max((best, *({**best, key: value} for value in values.values())), key=lambda it: _memory(config, it))
    return config.trial(best)


def _memory(config: SweepConfig, point: Params) -> int:
    try:
        return expected_memory(config.trial(point)) if config.space.allows(point) else -1
    except ValueError:  # values that do not go together
        return -1


def expected_memory(config: TrialConfig) -> int:
    """About how many bytes a training step needs: weights with gradients and momentum, and what every layer puts out.

    What a mixing method needs beside them is left out.
    """
    values, weights = _sizes(config.model, config.data.seen_shape() or UNKNOWN)
    return 4 * (config.training.batch_size * values + 3 * weights)


@functools.cache
def _sizes(model: AnyModel, shape: Shape) -> tuple[int, int]:
    """How many numbers all layers put out for one image, and how many weights they have: a pass without any data."""
    values = 0

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal values
        values += output.numel()

    with torch.device("meta"), torch.no_grad():
        network = model.build(channels=CHANNELS, num_classes=model.num_classes or shape.num_classes).eval()
        for layer in network.modules():
            if not list(layer.children()):
                layer.register_forward_hook(count)
        network(torch.empty(1, CHANNELS, shape.height, shape.width))
    return values, sum(weight.numel() for weight in network.parameters())
