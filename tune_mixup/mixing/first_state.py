"""The state of a mixer with which training begins."""

import torch
from torch import Generator, nn

from tune_mixup.mixing.base import Mixer, State


def first_state(
    mixer: Mixer,
    model: nn.Module,
    num_classes: int,
    *,
    image: tuple[int, int, int],
    device: torch.device,
    generator: Generator,
) -> State:
    """What `init` gives, after a look at the network's first weights; `image` is C, H and W of the images."""
    state = mixer.init(num_classes, device=device, generator=generator)
    first = next(model.parameters(), None)
    inputs = torch.zeros(1, *image, device=device if first is None else first.device)
    return mixer.begin(model, state, inputs, generator=generator)
