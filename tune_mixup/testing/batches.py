"""What the suites feed parts with: generators, a small network with stages, and batches."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing.base import Mixer, State
from tune_mixup.mixing.first_state import first_state
from tune_mixup.models.base import StagedNetwork, pooled_linear

CPU = torch.device("cpu")


class Batch(NamedTuple):
    """inputs float [B, C, H, W], one-hot targets float32 [B, K], and the mixer's state."""

    inputs: Tensor
    targets: Tensor
    state: State


def generator(seed: int = 0) -> torch.Generator:
    """A generator of the CPU."""
    return torch.Generator().manual_seed(seed)


def linear(num_inputs: int, num_classes: int) -> StagedNetwork:
    """Linear layers as stages; their weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stages: list[nn.Module] = [nn.Linear(num_inputs, 8), nn.Linear(8, 8), nn.Identity()]
        return StagedNetwork(nn.Flatten(), stages, nn.Linear(8, num_classes))


def linear_for(inputs: Tensor, num_classes: int) -> StagedNetwork:
    """`linear` for images like `inputs` [B, C, H, W]."""
    return linear(inputs[0].numel(), num_classes)


def convolutional(inputs: Tensor, num_classes: int) -> StagedNetwork:
    """Convolutions as stages, for images like `inputs` [B, C, H, W]; their weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stages: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU()),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Sequential(nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()),
        ]
        return StagedNetwork(nn.Conv2d(inputs.shape[1], 6, 3, padding=1), stages, pooled_linear(12, num_classes))


def network_for(batch: Batch) -> StagedNetwork:
    """`linear` for a batch, in the precision of its inputs."""
    return linear_for(batch.inputs, batch.targets.shape[1]).to(batch.inputs.dtype)


def trained_batch(
    mixer: Mixer,
    num_classes: int = 5,
    *,
    size: int | None = None,
    channels: int = 3,
    height: int = 8,
    width: int = 6,
    dtype: torch.dtype = torch.float32,
    build: Callable[[Tensor, int], StagedNetwork] = linear_for,
) -> Batch:
    """A batch, and the state after two epochs of one step, so that nothing is as evenly spread as at the beginning.

    `size` is B; where the mixer needs every class equally often, the nearest that is possible. `build` makes
    the network for inputs and a number of classes.
    """
    if mixer.needs_stratified_batches:
        classes = torch.arange(num_classes).repeat(max(1, (size or 4 * num_classes) // num_classes))
        classes = classes[torch.randperm(len(classes), generator=generator(1))]
    else:
        classes = torch.randint(num_classes, (size or 13,), generator=generator(1))
    inputs = torch.randn(len(classes), channels, height, width, generator=generator(2)).to(dtype)
    targets = torch.eye(num_classes)[classes]
    model = build(inputs, num_classes)
    image = (channels, height, width)
    state = first_state(mixer, model, num_classes, image=image, device=CPU, generator=generator(3))
    for epoch in range(2):
        output = mixer.step(
            model,
            inputs.float(),
            targets,
            state,
            epoch=epoch,
            generator=generator(5 + epoch),
            loss=CrossEntropy(),
        )
        state = mixer.end_epoch(output.state, epoch=epoch, generator=generator(7 + epoch))
    return Batch(inputs, targets, state)


def copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that a later change of the tensors does not reach."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that are not what they were, bit for bit."""
    return [name for name, tensor in before.items() if name not in after or not torch.equal(tensor, after[name])]
