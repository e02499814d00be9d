"""Weights in a lower precision: all of them are rounded by one call a step, and so are their gradients brought back.

autocast rounds each weight where it is used and brings each gradient back on its own, which is two small kernels a
layer. The numbers are the same.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tune_mixup.torch_internals import copy_

ROUNDED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weights and biases autocast rounds. A class derived from them may do other things with its weights and
is left to autocast: a layer that turns it off has to be such a class."""


class RoundedWeights:
    """Copies of a model's weights in `dtype`, which its layers use inside `rounded()`; none where it is float32."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self._masters: list[nn.Parameter] = []
        self._copies: list[nn.Parameter] = []
        self._gradients: dict[nn.Parameter, Tensor] = {}
        self._places: list[tuple[nn.Module, str, nn.Parameter, nn.Parameter]] = []
        if dtype == torch.float32:
            return
        copies: dict[nn.Parameter, nn.Parameter] = {}
        for layer in model.modules():
            if type(layer) not in ROUNDED:
                continue
            for name, master in layer.named_parameters(recurse=False):
                if name not in ("weight", "bias"):  # what old-style weight_norm makes the weight of
                    continue
                if master not in copies:
                    copies[master] = nn.Parameter(master.detach().to(dtype), requires_grad=master.requires_grad)
                self._places.append((layer, name, master, copies[master]))
        self._masters, self._copies = list(copies), list(copies.values())

    @contextlib.contextmanager
    def rounded(self) -> Iterator[None]:
        """Inside, the layers use the weights as they are now, rounded."""
        with torch.no_grad():
            copy_(self._copies, self._masters)
        for layer, name, _, copy in self._places:
            setattr(layer, name, copy)
        try:
            yield
        finally:
            for layer, name, master, _ in self._places:
                setattr(layer, name, master)

    def hand_back(self) -> None:
        """Give the gradients of the copies, after a backward pass, to the weights themselves, and forget them."""
        pairs = [(m, c) for m, c in zip(self._masters, self._copies, strict=True) if c.grad is not None]
        if not pairs:
            return
        for master, _ in pairs:
            if master not in self._gradients:
                self._gradients[master] = torch.empty_like(master)
        gradients = [self._gradients[master] for master, _ in pairs]
        copy_(gradients, [copy.grad for _, copy in pairs if copy.grad is not None])
        for (master, copy), gradient in zip(pairs, gradients, strict=True):
            # A weight that is also used where it is not rounded has a gradient of its own from there.
            master.grad = gradient if master.grad is None else master.grad + gradient
            copy.grad = None
