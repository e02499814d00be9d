"""Where an image draws the eye, or the model's attention: maps float32 [B, H, W], >= 0, that need no other library.

A map's scale means nothing; only comparisons within one image do. `SALIENCY` lists the measures that a method can be
told by name; another one is a function and a line there.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from tune_mixup.mixing.fine_grained import fine_grained, fine_grained_of_floats, stretched
from tune_mixup.schema import suggest

BLUR = 2.5 / 64
"""Standard deviation of the final blur as a share of each side: the paper's 2.5 pixels on 64 x 64 maps."""
SMALLEST_AMPLITUDE = 0.01
"""Frequencies weaker than this share of the image's mean amplitude count as this strong. A drawing has some that are
exactly 0, whose logarithms would drown everything else."""


def spectral_residual(images: Tensor) -> Tensor:
    """What is unexpected about the spectrum of each image [B, C, H, W], seen as a map over its pixels.

    Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007, equations 8 to 12, on the mean of the
    channels and at full resolution: log amplitudes minus their 3 x 3 averages, with the phases as they were,
    transformed back, squared and blurred. Other than there, the image is mirrored at its edges first: to a Fourier
    transform the left edge is the right one's neighbour, and the jump between them would be the most salient place of
    every third image of CIFAR-10.
    """
    height, width = images.shape[-2:]
    spectrum = torch.fft.fft2(_mirrored(_mirrored(images.float().mean(1), dim=-2), dim=-1))
    amplitude = spectrum.abs()
    floor = SMALLEST_AMPLITUDE * amplitude.mean((-2, -1), keepdim=True).clamp_min(1e-12)  # a black image
    log_amplitude = torch.maximum(amplitude, floor).log()
    average = _of_three(_of_three(log_amplitude, dim=-2), dim=-1)
    # exp(log|F| - average) F / |F| without a division by |F|
    unexpected = torch.fft.ifft2(spectrum * (-average).exp()).abs().square()[:, :height, :width]
    with torch.autocast(images.device.type, enabled=False):  # argmax must not depend on the precision of training
        blurred: Tensor = _gaussian_weights(height, unexpected) @ unexpected @ _gaussian_weights(width, unexpected)
    return blurred


def input_gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The root mean square over channels of the gradient of the cross-entropy with respect to each pixel.

    Simonyan et al., "Deep Inside Convolutional Networks", arXiv:1312.6034, in the form that PuzzleMix uses. `inputs`
    [B, C, H, W], `targets` [B, K]. An extra forward and backward pass in evaluation mode: running statistics, gradients
    of the parameters and the model's mode stay as they are.
    """
    pixels = inputs.detach().requires_grad_()
    with evaluating(model):
        with torch.enable_grad():
            logits: Tensor = model(pixels)
        # The derivative by each image's logits, for no other image of the batch has a say. Where the model is certain,
        # single precision would round the one of the right class to 0, and half precision all that comes of it: hence
        # double, and backward at unit scale.
        slope = logits.detach().double().softmax(1) - targets
        scale = slope.abs().amax(1, keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
        (gradient,) = torch.autograd.grad(logits, pixels, (slope / scale).to(logits.dtype))
    return gradient.float().square().mean(1).sqrt() * scale[:, :, None].float()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In the block the model is in evaluation mode; afterwards each layer is in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _spectral_residual(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return spectral_residual(images)


def _fine_grained(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Of bytes again: a method does not know by what numbers its images were normalised."""
    return fine_grained(stretched(images))


def _float_bytes(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return fine_grained_of_floats(images)


Measure = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From the model, images [B, C, H, W] and targets [B, K] to maps [B, H, W]; no host sync, no trace in the model."""
SALIENCY: dict[str, Measure] = {
    "spectral_residual": _spectral_residual,
    "gradient": input_gradient,
    "fine_grained": _fine_grained,
    "float_bytes": _float_bytes,
}


def _known(name: str) -> str:
    if name not in SALIENCY:
        raise ValueError(f"got {name!r}, which is not known{suggest(name, list(SALIENCY))}")
    return name


SaliencyName = Annotated[str, AfterValidator(_known)]
"""A key of `SALIENCY`."""


def peak(saliency: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column, int64 [B] each, of the largest entry of each map [B, H, W]."""
    place = saliency.flatten(1).argmax(1)
    width = saliency.shape[-1]
    return place // width, place % width


def _mirrored(values: Tensor, *, dim: int) -> Tensor:
    return torch.cat([values, values.flip(dim)], dim)


def _of_three(values: Tensor, *, dim: int) -> Tensor:
    """The mean of each value and its two neighbours along `dim`, which wraps around as spectra do."""
    return (values.roll(-1, dim) + values + values.roll(1, dim)) / 3


def _gaussian_weights(length: int, like: Tensor) -> Tensor:
    """A symmetric matrix [length, length] that blurs vectors, with nothing beyond their ends."""
    place = torch.arange(length, device=like.device, dtype=like.dtype)
    return (-0.5 * ((place - place[:, None]) / (BLUR * length)).square()).exp()
