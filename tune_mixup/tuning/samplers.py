"""Who suggests the next point: Optuna's samplers, made anew for each draw so that they hold no state of their own."""

import hashlib
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from tune_mixup.config import SweepConfig


def make_sampler(config: SweepConfig, number: int, key: str = "") -> BaseSampler:
    """The sweep's sampler for parameter `key` of trial `number`.

    Its draws depend on the record, the sweep's seed, the trial and the parameter, never on the process: a resumed
    sweep asks what the unbroken one would have asked.
    """
    digest = hashlib.blake2b(f"{config.seed}/{number}/{key}".encode(), digest_size=4).digest()
    seed = int.from_bytes(digest, "little")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group` and QMC are
        match config.sampler:
            case "tpe":
                return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
            case "gp":
                return GPSampler(seed=seed, warn_independent_sampling=False)
            case "cmaes":
                return CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "qmc":  # one scrambled sequence for the whole sweep; the study counts how far it has come
                return QMCSampler(scramble=True, seed=config.seed, warn_independent_sampling=False)
            case "random" | "grid":
                return RandomSampler(seed=seed)
