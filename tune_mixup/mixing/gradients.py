"""A loss with its gradients by images and by weights, of one pass backward, for methods that need both.

The images' gradients say where the model looks, before anything is mixed; the weights' are a part of the training.
Asked for one after the other, they would take a second pass backward, or a graph that is kept for one, which compiled
networks refuse.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

from tune_mixup.loss import Loss


class Gradients(NamedTuple):
    """`loss` [], whose gradients by the weights are those of the pass; `saliency` float32 [B, H, W] >= 0."""

    loss: Tensor
    saliency: Tensor


class _Given(torch.autograd.Function):
    """A number whose gradients by some tensors are known."""

    @override
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *by: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @override
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(scale * gradient for gradient in ctx.gradients))


def loss_and_gradients(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> Gradients:
    """One forward pass of the model in the mode that it is in, and one backward, for `inputs` [B, C, H, W].

    Saliency is the root mean square over channels of the gradient with respect to each pixel. Weights that the loss
    does not reach have a gradient of 0.
    """
    pixels = inputs.detach().requires_grad_()
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        value = loss(model(pixels), targets)
    by_pixels, *by_weights = torch.autograd.grad(value, [pixels, *weights], materialize_grads=True)
    saliency = by_pixels.float().square().mean(1).sqrt()
    return Gradients(_Given.apply(value.detach(), by_weights, *weights), saliency)
