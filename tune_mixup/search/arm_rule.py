"""When an arm of an ablation is asked no more: it differs from the reference, or going on would hardly show that.

At each look every arm that is left is compared with the reference by the paired t of their scores. The error is split
over the arms before any of it is spent on looks: after Holm (1979), an arm that is called different hands its part on
to those that are not (Maurer and Bretz, 2013, Multiple testing in group sequential trials using graphical approaches,
Statistics in Biopharmaceutical Research 5). Giving up on an arm binds nobody: no bound counts on it, so the error holds
whether or not it is done.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from scipy import stats

from tune_mixup.ablation import Ablation
from tune_mixup.record.facts import ArmLook
from tune_mixup.search.looks import boundaries

_NORMAL = NormalDist()
Values = Mapping[str, Sequence[float | None]]
"""Arm -> its value on each seed, in order; None where its training failed."""


@dataclass(frozen=True)
class ArmRule:
    """The rule of an ablation whose arms beside the reference are `others`."""

    ablation: Ablation
    others: tuple[str, ...]

    def look(self, seeds: int, values: Values, before: Sequence[ArmLook]) -> tuple[ArmLook, ...]:
        """What the look after `seeds` seeds comes to, from the values up to then and the looks before.

        An arm that has failed on a seed, or whose reference has, is not decided on: what is missing may be what is bad.
        """
        decided = {one.arm: one.verdict for one in before if one.verdict != "open"}
        left = [arm for arm in self.others if arm not in decided]
        t = {arm: self._t(values[arm][:seeds], values[self.ablation.reference][:seeds]) for arm in left}
        level, different = self._different(seeds, t, sum(one == "different" for one in decided.values()))
        found = [self._said(arm, seeds, values[arm][:seeds], t[arm], level, arm in different) for arm in left]
        if seeds < self.ablation.looks[-1] and all(one.verdict != "open" for one in found):
            why = f"all other arms were decided after {seeds} seeds"
            found.append(ArmLook(arm=self.ablation.reference, seeds=seeds, verdict="done", why=why))
        return tuple(found)

    def bound(self, seeds: int, level: float) -> float:
        """What the absolute t value must reach at a look; inf where it spends nothing."""
        return boundaries(self.ablation.looks, level)[self.ablation.looks.index(seeds)]

    def _different(self, seeds: int, t: Mapping[str, float | None], already: int) -> tuple[float, set[str]]:
        """The arms that are called different at a look, and the error that each comparison has in the end."""
        different: set[str] = set()
        while True:
            level = self.ablation.error / max(1, len(self.others) - already - len(different))
            bound = self.bound(seeds, level)
            more = {arm for arm, one in t.items() if arm not in different and one is not None and abs(one) >= bound}
            if not more:
                return level, different
            different |= more

    def _said(
        self, arm: str, seeds: int, own: Sequence[float | None], t: float | None, level: float, different: bool
    ) -> ArmLook:
        if all(one is None for one in own):
            return ArmLook(arm=arm, seeds=seeds, verdict="failed", why=f"its trainings on all {seeds} seeds failed")
        if t is None:
            why = "it goes on: a training of it or of the reference failed, or the differences do not vary"
            return ArmLook(arm=arm, seeds=seeds, verdict="open", level=level, why=why)
        bound = self.bound(seeds, level)
        spent = "no difference is called yet" if math.isinf(bound) else f"bound {bound:.2f}"
        words = f"t {t:.2f} against {self.ablation.reference} after {seeds} seeds, {spent}"
        verdict, why = "open", f"{words}: it goes on"
        if different:
            verdict, why = "different", f"{words}: different at an error of {self.ablation.error:g} over all arms"
        elif seeds < self.ablation.looks[-1] and (chance := self.chance(seeds, t, level)) < self.ablation.futility:
            seen = f"all {self.ablation.looks[-1]} seeds would show a difference with a chance of {chance:.1%}"
            verdict, why = "futile", f"{words}: going on as so far, {seen}"
        return ArmLook(
            arm=arm,
            seeds=seeds,
            verdict=verdict,  # type: ignore[arg-type]
            t=t,
            bound=None if math.isinf(bound) else bound,
            level=level,
            why=why,
        )

    def chance(self, seeds: int, t: float, level: float) -> float:
        """The chance that the last look calls a difference on the side of `t`, if the true one is what was measured.

        That of a Brownian motion, with t values turned into normal ones by their p.
        """
        most = self.ablation.looks[-1]
        part = seeds / most
        last = _normal(self.bound(most, level), most)
        return 1 - _NORMAL.cdf((last - _normal(abs(t), seeds) / math.sqrt(part)) / math.sqrt(1 - part))

    def _t(self, own: Sequence[float | None], reference: Sequence[float | None]) -> float | None:
        pairs = [(a, b) for a, b in zip(own, reference, strict=True) if a is not None and b is not None]
        differences = [a - b for a, b in pairs]
        if len(pairs) < len(own) or (spread := stdev(differences)) == 0:
            return None
        return fmean(differences) * math.sqrt(len(differences)) / spread


def _normal(t: float, num: int) -> float:
    """The normal value with the tail of a t value of `num` differences."""
    return float(-stats.norm.ppf(max(stats.t.sf(t, num - 1), 1e-300)))
