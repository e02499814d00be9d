"""K trials in one: their weights stacked, one batch for each, every layer computed for all of them at once.

`torch.func.vmap` lowers the stacked convolutions to grouped ones. Members differ in weights, images, lam and learning
rate; the losses are summed, so that each member's gradient is its own.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


class FusedGroup:
    """SGD with momentum on K networks of one architecture."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        *,
        lr: Tensor,
        momentum: float,
        weight_decay: float,
        autocast: torch.dtype | None = None,
    ) -> None:
        """`lr` is float [K]; `autocast` the precision of the forward pass, None for the weights' own."""
        parameters, self.buffers = stack_module_state(list(models))
        self.parameters = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
        self.velocity = [torch.zeros_like(tensor) for tensor in self.parameters.values()]
        self.momentum, self.weight_decay, self.autocast = momentum, weight_decay, autocast
        self.lr = [lr.reshape(-1, *[1] * (tensor.ndim - 1)) for tensor in self.velocity]
        self._skeleton = copy.deepcopy(models[0]).to("meta").train()

    def step(self, inputs: Tensor, targets: Tensor, *, lam: Tensor, partner: Tensor) -> Tensor:
        """One step of mixup on inputs [K, B, C, H, W], soft targets [K, B, classes], lam [K], partner int64 [K, B].

        Returns the losses before it, [K].
        """
        device = inputs.device.type
        with torch.autocast(device, dtype=self.autocast or torch.float32, enabled=self.autocast is not None):
            losses: Tensor = vmap(self._loss)(self.parameters, self.buffers, inputs, targets, lam, partner)
        gradients = list(torch.autograd.grad(losses.sum(), list(self.parameters.values())))
        with torch.no_grad():
            weights = list(self.parameters.values())
            torch._foreach_add_(gradients, weights, alpha=self.weight_decay)
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
            torch._foreach_sub_(weights, torch._foreach_mul(self.velocity, self.lr))
        return losses.detach()

    def _loss(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        inputs: Tensor,
        targets: Tensor,
        lam: Tensor,
        partner: Tensor,
    ) -> Tensor:
        mixed = lam * inputs + (1 - lam) * inputs[partner]
        wanted = lam * targets + (1 - lam) * targets[partner]
        logits = functional_call(self._skeleton, (parameters, buffers), (mixed,))
        return nn.functional.cross_entropy(logits.to(wanted.dtype), wanted)
