"""What a method does on average: draws that lie as evenly as can be, put through its own arithmetic.

The points are Sobol's, the same ones each time; the mean over 1024 of them is off by less than 0.002 for every method
that ships. Images are taken to be of 32 x 32 pixels, since settings do not tell the size; boxes are made of whole
pixels, and are a little larger on larger images.
"""

import torch
from torch import Tensor

from tune_mixup.mixing.boxes import SIDE

NUM_DRAWS = 1024


def uniform(num: int) -> tuple[Tensor, ...]:
    """`num` numbers for each draw, uniform in (0, 1): float64 [N] each."""
    engine = torch.quasirandom.SobolEngine(num)  # type: ignore[no-untyped-call]
    points = engine.draw(NUM_DRAWS, dtype=torch.float64)
    return (points + 0.5 / NUM_DRAWS).unbind(1)


def beta(alpha: float, share: Tensor) -> Tensor:
    """lam ~ Beta(alpha, alpha) where `share` float64 [N] of its draws are smaller: float32 [N]; 1 for alpha 0."""
    if alpha == 0:
        return torch.ones_like(share, dtype=torch.float32)
    from scipy.special import betaincinv  # here, because it takes a quarter of a second

    # Rounded to float32 as the larger share, as `sample_lam` rounds it: some draws are 1, far more are nearly 0.
    return (1 - torch.from_numpy(betaincinv(alpha, alpha, share.numpy()))).float()


def pixel(share: Tensor) -> Tensor:
    """A row or a column drawn uniformly: int64 [N]."""
    return (share * SIDE).long()


def mean_minor(lam: Tensor) -> float:
    """The mean of min(lam, 1 - lam) over draws [N]."""
    return float(torch.minimum(lam, 1 - lam).double().mean())
