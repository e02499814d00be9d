"""Made-up learning curves of mixup: the stronger the mixing, the later accuracy rises, and the higher it ends."""

from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from optuna.distributions import FloatDistribution

from benchmarks.options import configured
from benchmarks.simulation import MEDIAN, Floats
from tune_mixup.config import TrialConfig
from tune_mixup.mixing.base import mean_minor_share
from tune_mixup.search.seats import Seats
from tune_mixup.search.strata import strength
from tune_mixup.space_files import load_space
from tune_mixup.sweep_config import SweepConfig

TRIALS, EPOCHS = 81, 200
"""Sweeps of as many trials, each of as many epochs at the full budget."""
SPACE = "mixup"
"""The search space, as shipped: alpha, learning rate, weight decay."""


class Curves(NamedTuple):
    """The law of the curves: accuracies in points, times in epochs."""

    ceiling: float = 95.0
    """Final accuracy of no mixing at the best learning rate and weight decay."""
    gain: float = 1.1
    """Added by the strongest mixing of the space, in proportion to the strength."""
    misfit: float = 2.0
    """Lost at the end of the range of learning rate or weight decay, with the square of the distance to the best."""
    luck: float = 0.1
    """SD of what a setting has beside that."""
    start: float = 10.0
    """Accuracy before the first epoch."""
    rise: float = 6.7
    """Time constant without mixing."""
    uneven: float = 0.003
    """SD of the logarithm of a trial's time constant, beside its strength."""
    noise: float = 0.14
    """SD of one epoch's accuracy."""


class Sweep(NamedTuple):
    """What every method gets alike: trials in the order in which they are asked."""

    settings: list[TrialConfig]
    true: Floats
    """Accuracy after the last epoch without noise, [trials], in points."""
    raw: Floats
    """Accuracy as measured after each epoch, [trials, epochs], in points."""
    median: Floats
    """Median of `raw` over the last `MEDIAN` epochs so far."""
    ends: Floats
    """Time from a trial's begin to the end of each epoch, [trials, epochs]; 1 is a usual epoch."""

    @property
    def accuracy(self) -> Floats:
        """`raw` as a table of one seed, [trials, 1, epochs]."""
        return self.raw[:, None]


@lru_cache(maxsize=2)
def settings_of(repeat: int) -> list[TrialConfig]:
    """The space's baseline and random points, as a sweep with `--sampler random` has them."""
    config = config_of(repeat)
    baselines = config.space.baselines
    # not the sweep's own seed: from that the strata are cut, and trials must not be the points they are cut at
    points = config.space.sample(TRIALS - len(baselines), seed=10_000 + repeat)
    return [config.trial(point) for point in (*baselines, *points)]


@lru_cache(maxsize=32)
def config_of(repeat: int, **options: Any) -> SweepConfig:
    """The configuration of a sweep with our defaults, save for `options`."""
    return configured(SPACE, trials=TRIALS, max_epochs=EPOCHS, sampler="random", seed=repeat, **options)


@lru_cache(maxsize=32)
def seats_of(repeat: int, **options: Any) -> Seats:
    """The seats of such a sweep, whose strata take a while to cut."""
    return Seats(config_of(repeat, **options))


def make_sweep(repeat: int, slower: float, law: Curves) -> Sweep:
    """Curves that rise as 1 - exp(-t / tau) to a final value; one `repeat` is the same but for `slower` and `law`."""
    rng = np.random.default_rng(repeat)
    settings = settings_of(repeat)
    mixing = np.array([strength(trial) or 0.0 for trial in settings]) / mean_minor_share(ends_of("mixing.alpha")[1])
    misfit = sum(
        (position(key, np.array([getattr(trial.optimizer, key.split(".")[1]) for trial in settings])) - best) ** 2
        for key, best in zip(("optimizer.lr", "optimizer.weight_decay"), rng.uniform(0.3, 0.7, 2), strict=True)
    )
    final = law.ceiling + law.gain * mixing - 4 * law.misfit * misfit + rng.normal(0, law.luck, TRIALS)
    tau = law.rise * (1 + slower * mixing) * np.exp(rng.normal(0, law.uneven, TRIALS))
    true = final[:, None] - (final[:, None] - law.start) * np.exp(-np.arange(1, EPOCHS + 1) / tau[:, None])
    raw = true + rng.normal(0, law.noise, true.shape)
    padded = np.concatenate([np.full((TRIALS, MEDIAN - 1), np.nan), raw], axis=1)
    median = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN, axis=1), axis=2)
    speed = np.exp(rng.normal(0, 0.1, (TRIALS, 1))) * np.exp(rng.normal(0, 0.02, true.shape))
    return Sweep(settings, true[:, -1], raw, median, speed.cumsum(axis=1))


@cache
def ends_of(key: str) -> tuple[float, float]:
    """The range of a free parameter."""
    distribution = load_space(SPACE).free[key]
    assert isinstance(distribution, FloatDistribution) and distribution.log
    return distribution.low, distribution.high


def position(key: str, values: Floats) -> Floats:
    """Where values lie in a parameter's range on its logarithmic scale, 0 to 1."""
    low, high = ends_of(key)
    return cast(Floats, np.log(values / low) / np.log(high / low))
