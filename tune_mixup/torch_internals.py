"""What we use of torch and torch does not document; `tests/test_torch_internals.py` holds a test for each."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def standard_gamma(shape: Tensor, *, generator: Generator) -> Tensor:
    """Gamma(a, 1) for each a of `shape`, floating point [...], all > 0.

    `torch.distributions.Gamma` draws by the same kernel, but from the global generator only.
    """
    return torch._standard_gamma(shape, generator=generator)


def scale_(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply each tensor in place by `factor`, float32 [], with one kernel for all where there is one."""
    torch._foreach_mul_([*tensors], factor)


def add_scaled_(tensors: Sequence[Tensor], others: Sequence[Tensor], factor: Tensor) -> None:
    """Add `factor`, float32 [], times the tensor of the same place in `others` to each tensor, in place."""
    torch._foreach_add_([*tensors], torch._foreach_mul([*others], factor))
