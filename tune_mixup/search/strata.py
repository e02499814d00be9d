"""Who is compared with whom: trials of like mixing strength, for strong mixing starts slowly and wins late.

The strength of a setting is E[min(lam, 1 - lam)] times the share of mixed batches (`Mixer.strength`), known before the
first epoch. The space's own strengths are cut into thirds where they differ enough for that to matter; a method without
mixing stands apart.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tune_mixup.config import TrialConfig
from tune_mixup.sweep_config import SweepConfig

NUM_DRAWS = 300
"""Points of the space from which the thirds are taken."""
NAMES = {1: ("mixing",), 2: ("weak mixing", "strong mixing"), 3: ("weak mixing", "medium mixing", "strong mixing")}
PLAIN = "no mixing"
ALIKE = 0.05
"""Strengths no farther apart are not cut: where strong mixing rises 20 % more slowly over the strengths of the space
`mixup`, which is the most that was made up in docs/early_stopping.md, these differ by 3 %, at which strata bought
nothing."""


@dataclass(frozen=True)
class Strata:
    """Cut points on the strength: a trial is in the first stratum whose cut it does not exceed."""

    cuts: tuple[float, ...] = ()
    whole: bool = True
    """All trials are one group, which has no name."""
    nominal: bool = False
    """Strengths go by the lam that methods draw, as in sweeps of before."""

    @classmethod
    def of(cls, config: SweepConfig) -> "Strata":
        """Terciles of the strengths in the sweep's space, the same ones in every process."""
        if not config.stopping.by_strength:
            return cls()
        nominal = config.stopping.by_nominal_strength
        strengths = [strength(trial, nominal=nominal) for trial in _trials(config)]
        mixed = [value for value in strengths if value is not None]
        cuts = terciles(mixed) if mixed and max(mixed) - min(mixed) > ALIKE else ()
        return cls(cuts, whole=len(cuts) == 0 and len(mixed) in (0, len(strengths)), nominal=nominal)

    def strength(self, trial: TrialConfig) -> float | None:
        """The mixing strength that a trial's stratum goes by."""
        return strength(trial, nominal=self.nominal)

    def name(self, trial: TrialConfig) -> str:
        """The stratum of a trial; empty where there is but one."""
        if self.whole:
            return ""
        value = self.strength(trial)
        return PLAIN if value is None else NAMES[len(self.cuts) + 1][bisect_left(self.cuts, value)]


def strength(trial: TrialConfig, *, nominal: bool = False) -> float | None:
    """The mixing strength of a setting, 0 to 1/2; None for plain training, whatever it is called."""
    simplest = trial.mixing.simplest()
    return simplest.mean_strength(nominal=nominal)


def terciles(values: Sequence[float]) -> tuple[float, ...]:
    """Where values are cut into thirds, as nearly as repeated values allow; each cut is a value of the lower part."""
    counts = Counter(values)
    *distinct, _ = sorted(counts) if counts else [0.0]
    below = dict(zip(distinct, accumulate(counts[value] for value in distinct), strict=True))
    if not below:
        return ()
    nearest = {min(below, key=lambda value: abs(3 * below[value] - third * len(values))) for third in (1, 2)}
    return tuple(sorted(nearest))


def _trials(config: SweepConfig) -> list[TrialConfig]:
    trials = []
    for point in config.space.sample(NUM_DRAWS, seed=config.seed):
        try:
            trials.append(config.trial(point))
        except ValueError:  # a corner of the space that does not fit together; a trial there fails by itself
            continue
    return trials
