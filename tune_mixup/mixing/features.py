"""Mixing features inside of the network, which has to let them out and may be of a lower precision than targets."""

import inspect
from typing import Literal

import torch
from torch import Tensor, nn


def check_forward(network: nn.Module, takes: Literal["edits", "until"], *, method: str) -> None:
    """Raises ValueError for a network whose own `forward` lacks that argument, by which `method` gets at features."""
    there = inspect.signature(network.forward).parameters.values()
    if not any(one.name == takes or one.kind is one.VAR_KEYWORD for one in there):
        raise ValueError(
            f"model: {type(network).__name__}.forward takes no {takes!r}, by which mixing.name={method} gets at the "
            "features; give it that argument as StagedNetwork.forward has it, or take a method that mixes inputs"
        )


def exact_in_features(lam: Tensor) -> Tensor:
    """lam as features of a lower precision can be weighed by: under autocast a whole number of 256ths, else as it is.

    lam and 1 - lam are then exact in bf16 and fp16, so that features and targets are mixed with the same numbers.
    """
    if not torch.is_autocast_enabled(lam.device.type):
        return lam
    return (lam * 256).round() / 256
