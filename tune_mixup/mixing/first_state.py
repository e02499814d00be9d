"""The state of a mixer with which training begins."""

import torch
from torch import Generator, nn

from tune_mixup.mixing.base import Mixer, State


def first_state(
    mixer: Mixer, model: nn.Module, num_classes: int, *, device: torch.device, generator: Generator
) -> State:
    """What `init` gives, after a look at the network's first weights; arguments as there."""
    return mixer.follow(model, mixer.init(num_classes, device=device, generator=generator))
