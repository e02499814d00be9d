"""From single precision to one graph with a compiled inside: images per second, and percent of the series limit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import Result, Settings, Size
from benchmarks.gpu.timing import FAST, MODES, config, images_per_s, peak, stepper
from benchmarks.rows import row
from tune_mixup.training.trainer import Trainer

RUNGS: dict[str, Settings] = {
    "fp32": {},
    "bf16, channels last": FAST,
    **{mode: {**FAST, "training.compile": mode} for mode in ("model", "step", "graph", "model+graph")},
}
"""A rung -> its settings; the last four are bf16 with channels-last and the fastest kernels too."""
TARGET = ("resnet18, batch 128", "model+graph")
SHARE = 60
"""Percent of the series limit that the target asks for."""


def results(size: Size, *, net: str, rungs: Sequence[str]) -> Iterator[Result]:
    """One for each rung of a network; one that this version does not know yet says so."""
    for rung in rungs:
        mode = RUNGS[rung].get("training.compile", "none")
        if mode not in MODES:
            yield {"net": net, "rung": rung, "unknown": f"training.compile has no {mode} here"}
            continue
        trainer = Trainer(config(size, size.nets[net], RUNGS[rung]), device=size.device)
        measured = images_per_s(stepper(trainer), trainer.config.training.batch_size, size)
        yield {"net": net, "rung": rung, **measured, **peak(size)}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Each rung; where the published loop of plain mixup was measured, also the best of its network against that."""
    limits = {net: known["limits"]["eager"] for one in found.get("ceilings", ()) for net, known in one["nets"].items()}
    made = [_rung(one, limits.get(one["net"])) for one in own]
    for published in found.get("plain mixup", ()):
        rates = {one["rung"]: one["images_per_s"] for one in own if one["net"] == published["net"] and "min" in one}
        made += [
            row(
                f"{published['net']}: {rung}, against the published loop of plain mixup",
                ours=rate,
                other=published["images_per_s"],
                unit="images/s",
                value=rate / published["images_per_s"],
                value_unit="x",
            )
            for rung, rate in rates.items()
        ]
    return made


def _rung(one: Result, limit: float | None) -> dict[str, Any]:
    wanted = SHARE if (one["net"], one["rung"]) == TARGET else None
    what = f"{one['net']}: {one['rung']}, share of the series limit"
    if limit is None or "unknown" in one:
        note = one.get("unknown", "The ceilings were not measured.")
        return row(
            what, ours=one.get("images_per_s"), unit="images/s", value=None, value_unit="%", at_least=wanted, note=note
        )
    return row(
        what,
        ours=one["images_per_s"],
        other=limit,
        unit="images/s",
        value=100 * one["images_per_s"] / limit,
        value_unit="%",
        at_least=wanted,
        note=f"{one['min']:,.0f} to {one['max']:,.0f} images/s.",
    )
