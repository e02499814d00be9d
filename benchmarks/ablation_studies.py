"""Ablations with planted effects, by the thousand: how often intervals hold, looks err and find, and what they save.

No model is trained. On each seed all arms share what the seed does, and each has noise of its own; a planted effect is
given in standard deviations of the paired differences. Arms are decided by the very rule that decides those of an
ablation, at looks after 5, 8, 12 and 20 seeds; the fixed design trains all arms on 20 seeds and looks once.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.rows import row
from tune_mixup.ablation import Ablation
from tune_mixup.paired import paired
from tune_mixup.search.ablation_plan import LOOKS
from tune_mixup.search.arm_rule import ArmRule

STUDIES = 1000
ERROR = 0.05
SEED_NOISE = 1.5
"""What a seed does to all arms, in standard deviations of an arm's own noise."""
SCENARIOS: Mapping[str, tuple[float, ...]] = {
    "five arms like the reference": (0.0, 0.0, 0.0, 0.0, 0.0),
    "one arm differs by 1 SD, four do not": (1.0, 0.0, 0.0, 0.0, 0.0),
    "two arms differ by 2 SD, three do not": (2.0, 2.0, 0.0, 0.0, 0.0),
    "all five differ by 2 SD": (2.0, 2.0, 2.0, 2.0, 2.0),
}
"""Name -> the effects of the arms beside the reference, in standard deviations of the paired differences."""


class Study(NamedTuple):
    """What became of one ablation."""

    different: tuple[bool, ...]
    """Arm by arm."""
    runs: int


def measure(studies: int = STUDIES, looks: tuple[int, ...] = LOOKS) -> dict[str, Any]:
    """Coverage at 8 and 20 pairs, then each scenario with looks and without."""
    began = time.perf_counter()
    rows = [*_coverage(studies)]
    for name, effects in SCENARIOS.items():
        sequential = [_study(effects, looks, seed) for seed in range(studies)]
        fixed = [_study(effects, looks[-1:], seed) for seed in range(studies)]
        share = sum(one.runs for one in sequential) / sum(one.runs for one in fixed)
        rows.append(_share(f"runs used of the fixed design's: {name}", share))
        wrong = [place for place, effect in enumerate(effects) if effect == 0]
        right = [place for place, effect in enumerate(effects) if effect != 0]
        if wrong:
            any_wrong = [[any(one.different[place] for place in wrong) for one in made] for made in (sequential, fixed)]
            rows.append(_share(f"studies that call an arm different that is not: {name}", *map(_mean, any_wrong)))
        if right:
            found = [[one.different[place] for one in made for place in right] for made in (sequential, fixed)]
            rows.append(_share(f"arms found that differ: {name}", *map(_mean, found)))
    return {"rows": rows, "studies": studies, "looks": list(looks), "seconds": time.perf_counter() - began}


def _share(what: str, ours: float, fixed: float | None = None) -> dict[str, Any]:
    """A share with looks, and with the one look of the fixed design."""
    other = None if fixed is None else 100 * fixed
    return row(what, ours=100 * ours, other=other, unit="%", value=100 * ours, value_unit="%")


def _mean(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def _coverage(studies: int) -> list[dict[str, Any]]:
    """How often 95 % intervals hold the planted effect, and how often p is below 5 % where there is none."""
    rows = []
    for pairs in (8, 20):
        held, errors = {"by_t": 0, "by_bootstrap": 0}, 0
        for seed in range(studies):
            drawn = _drawn((0.5, 0.0), pairs, seed)
            found = paired(dict(enumerate(drawn["a0"])), dict(enumerate(drawn["full"])))
            for name, interval in (("by_t", found.by_t), ("by_bootstrap", found.by_bootstrap)):
                held[name] += interval is not None and interval.low <= 0.5 <= interval.high
            none = paired(dict(enumerate(drawn["a1"])), dict(enumerate(drawn["full"])))
            errors += none.p is not None and none.p < 0.05
        for name, words in (("by_t", "paired t"), ("by_bootstrap", "BCa")):
            rows.append(
                _share(f"95 % {words} intervals of {pairs} pairs that hold the difference", held[name] / studies)
            )
        rows.append(_share(f"sign-flip tests of {pairs} pairs below 5 % where nothing differs", errors / studies))
    return rows


def _study(effects: tuple[float, ...], looks: tuple[int, ...], seed: int) -> Study:
    """One ablation, looked at as a sweep would be."""
    others = tuple(f"a{place}" for place in range(len(effects)))
    rule = ArmRule(Ablation(reference="full", looks=looks, error=ERROR), others)
    drawn = _drawn(effects, looks[-1], seed)
    found, trained = (), dict.fromkeys(drawn, looks[-1])
    for look in looks:
        left = [arm for arm in drawn if trained[arm] == looks[-1]]
        if not left:
            break
        now = rule.look(look, drawn, found)
        found += now
        trained |= {one.arm: look for one in now if one.verdict != "open"}
    called = {one.arm for one in found if one.verdict == "different"}
    return Study(tuple(arm in called for arm in others), sum(trained.values()))


def _drawn(effects: tuple[float, ...], seeds: int, seed: int) -> dict[str, list[float]]:
    """Arm -> its value on each seed; paired differences have a standard deviation of 1."""
    random = np.random.default_rng(seed)
    of_seeds = random.normal(size=seeds) * SEED_NOISE * math.sqrt(0.5)
    arms = {"full": 0.0, **{f"a{place}": effect for place, effect in enumerate(effects)}}
    return {arm: list(effect + of_seeds + random.normal(size=seeds) * math.sqrt(0.5)) for arm, effect in arms.items()}
