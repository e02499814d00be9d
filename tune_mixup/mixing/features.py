"""Mixing features inside of the network, where training may be of a lower precision than targets are."""

import torch
from torch import Tensor


def exact_in_features(lam: Tensor) -> Tensor:
    """lam as features of a lower precision can be weighed by: under autocast a whole number of 256ths, else as it is.

    lam and 1 - lam are then exact in bf16 and fp16, so that features and targets are mixed with the same numbers.
    """
    if not torch.is_autocast_enabled(lam.device.type):
        return lam
    return (lam * 256).round() / 256
