"""The forward pass of validation and of prediction, which must be one and the same."""

import torch
from torch import Tensor

from tune_mixup.training.step import Step


@torch.no_grad()
def logits(step: Step, images: Tensor) -> Tensor:
    """Logits float32 [N, K] of images uint8 [N, C, H, W], on the step's device, in batches of `eval_batch_size`.

    In evaluation mode and without augmentation; precision and layout are those of training. The images may be on
    another device: then one batch at a time is copied.
    """
    step.model.eval()
    parts = []
    with step.kernels():
        for batch in torch.split(images, step.config.training.eval_batch_size):
            with step.autocast():
                parts.append(step.forward(step.inputs(batch.to(step.device))).float())
    return torch.cat(parts)
