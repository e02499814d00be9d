"""What a self-measurement found: rates and ratios, variant by variant and round by round."""

from dataclasses import dataclass, field
from statistics import median

from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.variants import Variant

MIN_ROUNDS = 3
"""Fewer rounds say nothing about a variant."""


@dataclass
class Tried:
    """What came of a variant."""

    variant: Variant
    rates: list[float] = field(default_factory=list)
    """Images per second of all its trials, round by round."""
    ratios: list[float] = field(default_factory=list)
    """The same over those of the trial as given in the same round."""
    fault: str = ""
    """Why there is nothing more."""

    @property
    def images_per_s(self) -> float:
        """Median over the rounds."""
        return median(self.rates)


@dataclass(frozen=True)
class Findings:
    """What a self-measurement found; the first of `tried` is the trial as given."""

    device: str
    ceilings: Ceilings
    parts: Parts
    num_train: int
    """Images of an epoch."""
    tried: list[Tried]
    took_s: float
