"""All weights of a network as one vector, so that a mixer's state can hold a copy of the network, or its average."""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn


@torch.no_grad()
def flat_weights(model: nn.Module) -> Tensor:
    """All weights of a network, and then its running statistics, one after the other: float32 [P], a copy."""
    return torch.cat([tensor.reshape(-1).float() for _, tensor in _numbers(model)])


def num_weights(model: nn.Module) -> int:
    """P: how many numbers `flat_weights` has."""
    return sum(tensor.numel() for _, tensor in _numbers(model))


def named_weights(model: nn.Module, weights: Tensor, *, for_training: bool = False) -> dict[str, Tensor]:
    """The weights [P] as the tensors of `model`, by name, each of its type and layout.

    `for_training` gives copies of running statistics and counts, which a pass in training mode writes over. Only these:
    a tensor that shares its memory with one that was written over can't be differentiated through any more.
    """
    numbers = dict(_numbers(model))
    sizes = [tensor.numel() for tensor in numbers.values()]
    num_learned = len(list(model.parameters()))
    learned = sum(sizes[:num_learned])
    kept: dict[str, Tensor] = {}
    for dtype in dict.fromkeys(tensor.dtype for tensor in numbers.values()):
        flat = weights.to(dtype)
        parts = list(torch.split(flat, sizes))
        if for_training:
            parts[num_learned:] = torch.split(flat[learned:].clone(), sizes[num_learned:])
        for (name, tensor), part in zip(numbers.items(), parts, strict=True):
            if tensor.dtype == dtype:
                kept[name] = _laid_out(part.view(tensor.shape), tensor)
    if for_training:
        kept |= {name: count.clone() for name, count in model.named_buffers() if name not in numbers}
    return kept


def _numbers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The named tensors of a network that hold numbers, not counts."""
    named = chain(model.named_parameters(), model.named_buffers())
    return ((name, tensor) for name, tensor in named if tensor.is_floating_point())


def _laid_out(values: Tensor, like: Tensor) -> Tensor:
    """`values` in the memory layout of `like`."""
    if like.ndim == 4 and not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last):
        return values.contiguous(memory_format=torch.channels_last)
    return values
