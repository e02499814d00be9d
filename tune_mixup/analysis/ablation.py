"""What an ablation says so far: each arm beside the reference on the same seeds, and what is known of their difference.

Numbers come from the record alone. A failed training is shown and makes no pair; it is in no average.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from tune_mixup.ablation import Ablation
from tune_mixup.analysis.fitting import Column, draw, filled
from tune_mixup.paired import RESAMPLES, Difference, Interval, holm, least_p, paired
from tune_mixup.record.facts import ArmLook
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.arms import arms_of, values_of
from tune_mixup.search.looks import POWER, seeds_to_resolve
from tune_mixup.sweep_config import SweepConfig

GIVING_UP = ("effect", "p", "seeds to resolve", "95 % by BCa", "beats reference", "SD")
"""Columns that make room on a narrow screen, the least wanted first."""


@dataclass(frozen=True)
class Row:
    """An arm."""

    arm: str
    values: dict[int, float]
    """Seed -> the metric at the end."""
    failed: tuple[int, ...]
    """Seeds on which its training failed."""
    mean: float | None
    sd: float | None
    """Of its values over seeds."""
    difference: Difference | None
    """Less the reference; None for the reference itself."""
    beats: float | None
    """The chance to be better than the reference on a seed, ties counted half."""
    beats_within: Interval | None
    holm_p: float | None
    """Its p, adjusted for the number of arms."""
    seeds_to_resolve: int | None
    """How many seeds would find a difference of the margin, going by what was measured."""
    look: ArmLook | None
    """What the looks have come to; None before the first, and for a reference that goes on."""
    known: str
    """In words."""


@dataclass(frozen=True)
class Comparison:
    """All arms, the reference first."""

    name: str
    metric: str
    direction: str
    ablation: Ablation
    rows: tuple[Row, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        rows = []
        for row in self.rows:
            least = None if row.difference is None else row.difference.least_p
            look = None if row.look is None else row.look.plain()
            rows.append({**asdict(row), "failed": list(row.failed), "least_p": least, "look": look})
        ablation = self.ablation.model_dump(mode="json")
        return {"name": self.name, "metric": self.metric, "direction": self.direction, **ablation, "arms": rows}

    def lines(self, width: int | None = None) -> Iterator[str]:
        """A table for people, and how to read it."""
        others = self.rows[1:]
        reference = self.ablation.reference
        yield f"{self.name}: {self.metric} of each arm, and its difference to {reference} on the same seeds"
        yield ""
        differences = [row.difference or paired({}, {}) for row in self.rows]
        cells = {
            "arm": [row.arm for row in self.rows],
            "seeds": [f"{len(row.values)}" for row in self.rows],
            "failed": [", ".join(map(str, row.failed)) for row in self.rows],
            "mean": [_number(row.mean) for row in self.rows],
            "SD": [_number(row.sd, 2) for row in self.rows],
            "difference": [_number(one.mean, 3, sign=True) for one in differences],
            "95 % by t": [_interval(one.by_t) for one in differences],
            "95 % by BCa": [_interval(one.by_bootstrap) for one in differences],
            "p": [_number(one.p, 2) for one in differences],
            "p after Holm": [_number(row.holm_p, 2) for row in self.rows],
            "beats reference": [
                "" if row.beats is None else f"{row.beats:.2f} {_interval(row.beats_within)}" for row in self.rows
            ],
            "effect": [_number(one.effect, 2, sign=True) for one in differences],
            "seeds to resolve": [_number(row.seeds_to_resolve, 9) for row in self.rows],
        }
        if not any(cells["failed"]):
            del cells["failed"]
        drawn = draw([Column(head, tuple(texts)) for head, texts in cells.items()], width, GIVING_UP)
        yield from drawn.lines
        if drawn.left_out:
            yield filled(f"not shown, for want of room: {', '.join(one.head for one in drawn.left_out)}", width)
        yield ""
        yield from (filled(f"{row.arm}: {row.known}", width) for row in others)
        yield ""
        yield from (filled(line, width) for line in self._notes(others))

    def _notes(self, others: Sequence[Row]) -> Iterator[str]:
        pairs = [row.difference.pairs for row in others if row.difference is not None and row.difference.pairs]
        if pairs:
            most = max(pairs)
            least, after = least_p(most), min(1.0, least_p(most) * len(others))
            yield (
                f"p is that of all sign flips, or of {RESAMPLES} random ones; {most} pairs can give none below "
                f"{least:.2g}, and after Holm none below {after:.2g}."
            )
        ablation = self.ablation
        yield (
            f"Seeds to resolve: for a difference of {ablation.margin:g} with a power of {POWER:.0%}. An arm is called "
            f"different by its looks alone (after {', '.join(map(str, ablation.looks))} seeds), at an error of "
            f"{ablation.error:g} over all arms and looks. Intervals and p are those of a number of seeds that was "
            "fixed beforehand: where an arm was decided early they make too much of it."
        )


def compare(record: SweepRecord) -> Comparison:
    """What the record says. Raises ValueError where it is of no ablation, and RuntimeError where its gate is shut."""
    config = SweepConfig.from_record(record.folder.config())
    ablation = config.ablation
    if ablation is None:
        raise ValueError(f"{record.name} is no ablation; start one with `tune-mixup ablate PLAN`")
    values = values_of(record.study.asked(), config)
    looks = {one.arm: one for one in record.study.sweep_facts().looks}
    _check_gate(record, ablation, values)
    order = [ablation.reference, *(arm for arm in arms_of(config) if arm != ablation.reference)]
    differences = {arm: paired(values[arm], values[ablation.reference]) for arm in order[1:]}
    tested = {arm: one.p for arm, one in differences.items() if one.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    rows = [_row(arm, values[arm], differences.get(arm), adjusted.get(arm), looks.get(arm), config) for arm in order]
    return Comparison(record.name, config.metric, config.direction, ablation, tuple(rows))


def _check_gate(record: SweepRecord, ablation: Ablation, values: dict[str, dict[int, float | None]]) -> None:
    if (gate := ablation.gate) is None:
        return
    found = [one for one in values[gate.arm].values() if one is not None]
    if found and gate.low <= fmean(found) <= gate.high:
        return
    seen = f"a mean of {fmean(found):.4g} on {len(found)} seeds" if found else "no value yet"
    raise RuntimeError(
        f"the baseline {gate.arm} has {seen}, must be from {gate.low:g} to {gate.high:g}; nothing is reported against "
        f"it, so look at its trainings in {record.folder.trials}"
    )


def _row(
    arm: str,
    values: dict[int, float | None],
    difference: Difference | None,
    holm_p: float | None,
    look: ArmLook | None,
    config: SweepConfig,
) -> Row:
    ablation = config.ablation
    assert ablation is not None
    found = {seed: one for seed, one in sorted(values.items()) if one is not None}
    more = config.direction == "maximize"
    beats, within, needed = None, None, None
    if difference is not None and difference.wins is not None and difference.wins_within is not None:
        low, high = difference.wins_within
        beats = difference.wins if more else 1 - difference.wins
        within = Interval(low, high) if more else Interval(1 - high, 1 - low)
    if difference is not None and difference.sd:
        needed = seeds_to_resolve(ablation.margin, difference.sd, ablation.error / (len(arms_of(config)) - 1))
    return Row(
        arm=arm,
        values=found,
        failed=tuple(sorted(seed for seed, one in values.items() if one is None)),
        mean=fmean(found.values()) if found else None,
        sd=stdev(found.values()) if len(found) > 1 else None,
        difference=difference,
        beats=beats,
        beats_within=within,
        holm_p=holm_p,
        seeds_to_resolve=needed,
        look=look,
        known=_known(difference, look, ablation, more=more),
    )


def _known(difference: Difference | None, look: ArmLook | None, ablation: Ablation, *, more: bool) -> str:
    """What is known of an arm in words."""
    if difference is None:
        return "the others are compared with it"
    lost = (
        f"; no pairs on seeds {', '.join(map(str, difference.lost))}, where a training failed"
        if difference.lost
        else ""
    )
    if look is None:
        return f"{difference.pairs} pairs, and no look yet{lost}"
    if look.verdict == "failed":
        return look.why
    if difference.mean is None:
        return f"nothing to compare{lost}"
    if look.verdict == "different":
        better = "better" if (difference.mean > 0) == more else "worse"
        return f"{better} than {ablation.reference}, after {look.seeds} seeds{lost}"
    if look.verdict == "futile":
        return f"given up after {look.seeds} seeds: these show no difference, and more would hardly{lost}"
    if look.seeds < ablation.looks[-1]:
        return f"not decided after {look.seeds} seeds, it goes on{lost}"
    return f"no difference is shown by {difference.pairs} pairs, which is not to say that there is none{lost}"


def _number(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    return "" if value is None else format(value, f"{'+' if sign else ''}.{digits}g")


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"({interval.low:.2g}, {interval.high:.2g})"
