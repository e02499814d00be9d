"""What is known of an ablation before anything runs: what it takes, and what it can and can't show."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tune_mixup.ablation import ARM
from tune_mixup.analysis.fitting import filled, hung
from tune_mixup.paired import least_p
from tune_mixup.search.ablation_plan import same_training
from tune_mixup.search.arms import arms_of
from tune_mixup.search.looks import POWER, boundaries, seeds_to_resolve
from tune_mixup.sweep_config import SweepConfig

RATIOS = (0.5, 1.0, 2.0, 4.0)
"""Standard deviations of paired differences that seeds are told for, in units of the margin."""


@dataclass(frozen=True)
class Foreseen:
    """An ablation that is planned."""

    name: str
    metric: str
    reference: str
    arms: Mapping[str, Mapping[str, Any]]
    """Arm -> the settings in which it differs from the others."""
    train_alike: tuple[tuple[str, str], ...]
    """Arms whose settings differ, but which train the same."""
    seeds: int
    runs: int
    """Trainings at most."""
    epochs: int
    """Of all these."""
    fewest_runs: int
    """Trainings where the first look decides all arms."""
    error: float
    error_per_arm: float
    """As long as no arm is decided."""
    looks: Mapping[int, float | None]
    """Seeds -> the paired t value that calls an arm different; None where nothing does."""
    least_p: float
    """The smallest p of a sign-flip test of so many pairs."""
    least_p_after_holm: float
    margin: float
    """The difference worth finding."""
    power: float
    seeds_by_sd: Mapping[float, int]
    """Standard deviation of paired differences -> seeds that find the margin with that power."""

    @classmethod
    def of(cls, config: SweepConfig) -> "Foreseen":
        """Of a planned ablation."""
        ablation, arms = config.ablation, arms_of(config)
        assert ablation is not None
        seeds, others = ablation.looks[-1], len(arms) - 1
        level = ablation.error / others
        trials = {arm: config.trial({"seed": config.seed, ARM: arm}) for arm in arms}
        bounds = zip(ablation.looks, boundaries(ablation.looks, level), strict=True)
        deviations = [ratio * ablation.margin for ratio in RATIOS]
        return cls(
            name=config.name,
            metric=config.metric,
            reference=ablation.reference,
            arms={arm: config.space.bundles[ARM][arm] for arm in arms},
            train_alike=tuple(same_training(trials)),
            seeds=seeds,
            runs=len(arms) * seeds,
            epochs=len(arms) * seeds * trials[ablation.reference].training.epochs,
            fewest_runs=len(arms) * ablation.looks[0],
            error=ablation.error,
            error_per_arm=level,
            looks={look: None if math.isinf(bound) else bound for look, bound in bounds},
            least_p=least_p(seeds),
            least_p_after_holm=min(1.0, least_p(seeds) * others),
            margin=ablation.margin,
            power=POWER,
            seeds_by_sd={sd: seeds_to_resolve(ablation.margin, sd, level) for sd in deviations},
        )

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def lines(self, width: int | None = None) -> Iterator[str]:
        """For people."""
        yield f"{self.name}: {len(self.arms)} arms on {self.seeds} seeds by {self.metric}"
        longest = max(map(len, self.arms))
        for arm in self.arms:
            yield from hung(f"  {arm:{longest}}  ", self._differing(arm), width)
        for one, other in self.train_alike:
            yield filled(f"  {one} and {other} train alike: what differs between them is not their doing", width)
        yield ""
        yield from (filled(line, width) for line in self._notes())

    def _differing(self, arm: str) -> str:
        """The settings in which an arm differs from the reference."""
        if arm == self.reference:
            return "the reference"
        own, reference = self.arms[arm], self.arms[self.reference]
        differing = (f"{key}={value}" for key, value in own.items() if key not in reference or reference[key] != value)
        return "  ".join(differing) or "without settings that the reference has"

    def _notes(self) -> Iterator[str]:
        yield (
            f"At most {self.runs} trainings, {self.epochs:,} epochs; {self.fewest_runs} trainings where the first look "
            "decides all arms."
        )
        looks = ", ".join(f"{n} ({'nothing' if t is None else f't of {t:.2f}'})" for n, t in self.looks.items())
        yield (
            f"Looks after seeds, and what calls an arm different: {looks}. The error of {self.error:g} over all arms "
            f"leaves {self.error_per_arm:.2g} for each, and more once some are called."
        )
        short = self.least_p_after_holm > self.error
        yield (
            f"{self.seeds} pairs can give no p below {self.least_p:.2g}, and after Holm none below "
            f"{self.least_p_after_holm:.2g}"
            + (f", so that no sign-flip test can come below {self.error:g}." if short else ".")
        )
        needed = ", ".join(f"{sd:.2g}: {seeds} seeds" for sd, seeds in self.seeds_by_sd.items())
        yield (
            f"A difference of {self.margin:g} is found with a power of {self.power:.0%} where paired differences have "
            f"a standard deviation of {needed}."
        )
        yield "Nothing was started and nothing written."
