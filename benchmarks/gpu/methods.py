"""What each mixing method leaves of plain mixup's images per second, and the memory that it takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import Result, Size
from benchmarks.gpu.timing import FAST, config, images_per_s, peak, stepper
from benchmarks.rows import row
from tune_mixup.training.step import runner_for
from tune_mixup.training.trainer import Trainer

BESIDE = "mixup"


def results(size: Size, *, net: str, method: str) -> Iterator[Result]:
    """One: the method in a captured step, where it can be captured, with bf16 and channels-last."""
    settings = {**FAST, "training.compile": "graph", "mixing.name": method}
    trainer = Trainer(config(size, size.nets[net], settings), device=size.device)
    captured = runner_for(trainer.config).captures
    yield {
        "net": net,
        "method": method,
        "captured": captured,
        **images_per_s(stepper(trainer), trainer.config.training.batch_size, size),
        **peak(size),
    }


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """The time of each method's step over that of mixup's, where that was measured, and memory in the note."""
    plain = {one["net"]: one for one in own if one["method"] == BESIDE}
    return [_row(one, plain.get(one["net"])) for one in own if one["method"] != BESIDE]


def _row(one: Result, plain: Result | None) -> dict[str, Any]:
    notes = ["A graph." if one["captured"] else "Eager steps."]
    if "peak_bytes" in one:
        beside = f", mixup's {plain['peak_bytes'] / 2**20:,.0f}" if plain is not None else ""
        notes.append(f"Most memory of tensors: {one['peak_bytes'] / 2**20:,.0f} MiB{beside}.")
    if plain is None:
        notes.append(f"{BESIDE} was not measured.")
    return row(
        f"{one['net']}: a step with {one['method']} against {BESIDE}'s",
        ours=one["images_per_s"],
        other=None if plain is None else plain["images_per_s"],
        unit="images/s",
        value=None if plain is None else plain["images_per_s"] / one["images_per_s"],
        value_unit="x",
        note=" ".join(notes),
    )
