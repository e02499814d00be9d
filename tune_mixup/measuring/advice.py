"""What a self-measurement says to its user: where the time goes, and which changes are worth making."""

import math
from typing import NamedTuple

import numpy as np

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.findings import MIN_ROUNDS, Findings, Tried
from tune_mixup.training.trainer import SAVE_SHARE

MARGIN = 0.05
"""A change is worth making when it gains more than this share, and is faster in three of four rounds or more."""
MOST = 5
"""Changes that are named."""


class Change(NamedTuple):
    """Something to change, and what it gains."""

    what: str
    """What to write."""
    gain: float
    """Times as fast."""
    why: str
    """What to know before."""


class TimeShares(NamedTuple):
    """Where the time of a trial goes; each number is a share, from 0 to 1, unless it says otherwise."""

    loop_overhead: float
    """By how much a step of the training loop takes longer than the network alone: 0.03 for 3 %."""
    input: float
    """What gathering, cropping, flipping and normalising take of a step."""
    mixing: float
    """What mixing takes of a step."""
    evaluation: float
    """What validation takes of an epoch that has one."""
    end_epoch: float
    """What the mixer takes between two epochs, as a share of an epoch with a validation."""
    checkpoints: float
    """What checkpoints take of all the time."""
    arithmetic: float
    """The training loop's operations per second over those of a large product."""


def shares(found: Findings, config: TrialConfig) -> TimeShares:
    """From the medians."""
    parts, rate = found.parts, found.tried[0].images_per_s
    loop_s = parts.loop_s
    epoch_s = found.num_train / rate + parts.evaluation_s + parts.end_epoch_s
    apart = math.ceil(SAVE_SHARE * parts.save_s / epoch_s) * epoch_s
    return TimeShares(
        loop_overhead=parts.loop_overhead,
        input=parts.input_s / loop_s,
        mixing=parts.mixing_s / loop_s,
        evaluation=parts.evaluation_s / epoch_s,
        end_epoch=parts.end_epoch_s / epoch_s,
        checkpoints=parts.save_s / (apart + parts.save_s),
        arithmetic=parts.flops_per_image * config.training.batch_size / loop_s / found.ceilings.flops,
    )


def changes(found: Findings, config: TrialConfig) -> list[Change]:
    """At most `MOST`, the largest gain first; of settings that were tried together only what is fastest."""
    settings = [one for one in found.tried if one.variant.kind == "settings" and is_gain(one.ratios)]
    named = [
        Change(f"--set {one.variant.name.replace(' ', ' --set ')}", gain(one), one.variant.caution)
        for one in sorted(settings, key=gain, reverse=True)[:2]
    ]
    made = [*named, *_surroundings(found), *_evaluation(found, config)]
    return sorted(made, key=lambda change: -change.gain)[:MOST]


def gain(one: Tried) -> float:
    """How many times as fast as the trial as given: the median of the rounds; 0 for one without a turn."""
    return float(np.median(one.ratios)) if one.ratios else 0.0


def is_gain(ratios: list[float]) -> bool:
    """Whether a change with these gains, round by round, is worth making."""
    if len(ratios) < MIN_ROUNDS:
        return False
    quarter, middle = np.quantile(ratios, [0.25, 0.5])
    return bool(middle > 1 + MARGIN and quarter > 1)


def noise(rates: list[float]) -> float:
    """How far the middle half of the rounds spreads, as a share of the median."""
    low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
    return float((high - low) / middle)


def _surroundings(found: Findings) -> list[Change]:
    """Threads and trials at once: how the same settings are run."""
    tried = {kind: [one for one in found.tried if one.variant.kind == kind] for kind in ("threads", "copies")}
    made = []
    for one in sorted(tried["copies"], key=gain)[-1:] if found.device != "cpu" else []:
        if is_gain(one.ratios):
            made.append(Change(one.variant.name, gain(one), f"images of {one.variant.copies} trials at once"))
    for wide, many in zip(tried["threads"], tried["copies"], strict=False):
        against = [ours / theirs for ours, theirs in zip(wide.ratios, many.ratios, strict=False)]
        if is_gain(against):
            why = f"a trial on {wide.variant.threads} threads, against as many trials on one"
            made.append(Change(wide.variant.name, float(np.median(against)), why))
    return made


def _evaluation(found: Findings, config: TrialConfig) -> list[Change]:
    share = shares(found, config).evaluation
    if config.training.eval == "rungs" or share <= MARGIN:
        return []
    return [Change("--set training.eval=rungs", 1 / (1 - share), f"at most: validation is {share:.0%} of an epoch")]
