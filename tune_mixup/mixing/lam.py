"""lam, the weight of a row's own example: its setting, its draws, and how much they mix on average."""

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Generator, Tensor

from tune_mixup.torch_internals import standard_gamma

Per = Literal["batch", "sample"]
"""What gets its own lam, and its own mask where there is one."""
SMALLEST_ALPHA = 1e-3
"""Below it lam is 0 or 1 but for one draw in fifty: swapping images is no mixing."""


def _drawable(alpha: float) -> float:
    if 0 < alpha < SMALLEST_ALPHA:
        raise ValueError(f"got {alpha}, must be 0 (plain training) or at least {SMALLEST_ALPHA}; lam would be 0 or 1")
    return alpha


Alpha = Annotated[float, Field(ge=0), AfterValidator(_drawable)]
"""Both parameters of lam's Beta distribution: 0 (no mixing), or from `SMALLEST_ALPHA` up; no unit."""


def sample_lam(
    alpha: float | Tensor, size: tuple[int, ...] = (), *, device: torch.device, generator: Generator
) -> Tensor:
    """lam ~ Beta(alpha, alpha), float32 of shape `size`; alpha = 0 gives 1, that is no mixing.

    `alpha` is a number, or float64 [] on the device and above 0; the draws are the same.

    Drawn as the logistic of a difference of log-gammas, with log Gamma(a) = log Gamma(a + 1) + log(U) / a, so that a
    small alpha neither underflows nor gives 0/0. No value is read on the host.
    """
    if not isinstance(alpha, Tensor) and alpha == 0:
        return torch.ones(size, device=device)
    shape = torch.ones((2, *size), dtype=torch.float64, device=device) + alpha
    uniform = torch.rand((2, *size), dtype=torch.float64, device=device, generator=generator)
    log_gamma = standard_gamma(shape, generator=generator).log()
    log_uniform = (1 - uniform).log()
    # The difference before the division: the quotients overflow for the smallest alpha, and inf - inf has no value.
    return torch.sigmoid(log_gamma[0] - log_gamma[1] + (log_uniform[0] - log_uniform[1]) / alpha).float()


def mean_minor_share(alpha: float) -> float:
    """E[min(lam, 1 - lam)] for lam ~ Beta(alpha, alpha): 1/2 - 2^(-2 alpha) / (alpha B(alpha, alpha)), in [0, 1/2).

    Written with the ratio Gamma(alpha + 1/2) / (sqrt(pi) Gamma(alpha + 1)), which neither overflows nor divides by 0.
    """
    if alpha < 1e6:
        log_ratio = math.lgamma(alpha + 0.5) - math.lgamma(alpha + 1) - math.log(math.pi) / 2
    else:  # there the difference of the two is all rounding
        log_ratio = -math.log(math.pi * (alpha + 0.25)) / 2
    return -math.expm1(log_ratio) / 2


def draw_size(per: Per, inputs: Tensor) -> tuple[int, ...]:
    """The shape of what is drawn once per batch, (), or once per sample, (B,), for inputs [B, ...]."""
    return () if per == "batch" else (len(inputs),)
