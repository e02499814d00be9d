"""Before any speed: whether captured steps train as eager ones do, alone, in turn and at once, and leave nothing.

Each check yields dicts of `what`, `value`, `at_most` (what is right) and `unit`; the tests marked `gpu` run the same.
"""

import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import Result, Size, arithmetic, left_behind
from benchmarks.gpu.equality import GRAPH, Trained, against_eager, distance, same, settings, state, train, trial
from benchmarks.gpu.side_by_side import streams
from benchmarks.gpu.timing import let_go, stepper, wait
from benchmarks.rows import row
from tune_mixup.training.trainer import Trainer

ROUNDING = 1e-3
"""Relative difference of weights after some steps that differ in the rounding of an update."""


def results(size: Size, *, check: str, **arguments: Any) -> Iterator[Result]:
    """What a check of `CHECKS` finds."""
    yield from CHECKS[check](size, **arguments)


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """One for each value, with what is right as its target."""
    made = []
    for one in own:
        right, note = one.get("at_most"), one.get("note", "")
        made.append(row(one["what"], value=one["value"], value_unit=one["unit"], at_most=right, note=note))
    return made


def mixer(size: Size, name: str) -> Iterator[Result]:
    """A mixing method, with its own defaults."""
    yield from against_eager(size, name, {"mixing.name": name})


def partners(size: Size, name: str) -> Iterator[Result]:
    """A rule that draws partners, for mixup and for CutMix, which cuts by rows too."""
    for method in ("mixup", "cutmix"):
        drawn = {"mixing.name": method, "mixing.partners.name": name}
        yield from against_eager(size, f"{method}, partners {name}", drawn)


def optimizers(size: Size, names: Sequence[str]) -> Iterator[Result]:
    """Every optimizer, with weight decay: equal up to the rounding of its update."""
    for name in names:
        decayed = {"optimizer.name": name, "optimizer.lr": 0.0009765625, "optimizer.weight_decay": 0.01}
        eager, captured = train(size, decayed), train(size, decayed, GRAPH)
        yield {
            "what": f"{name} with weight decay: graph against eager",
            "value": distance(captured, eager),
            "at_most": ROUNDING,
            "unit": "relative",
        }


def layout(size: Size) -> Iterator[Result]:
    """bf16 with channels-last, for a method that mixes images, one that mixes features and one that asks for both."""
    low = {"training.precision": "bf16", "training.channels_last": True}
    for name in ("generalized_mixup", "manifold_mixup", "mixture"):
        yield from against_eager(size, f"bf16, channels last, {name}", low, {"mixing.name": name})


def speech(size: Size) -> Iterator[Result]:
    """VGG's speech form on one channel, whose dropout draws from the device's own generator."""
    spoken = {"data.channels": 1, "model.name": "vgg11", "model.variant": "speech"}
    batch = {key: value for key, value in size.checked.items() if not key.startswith("model.")}
    yield from against_eager(replace(size, checked={**batch, **spoken}), "VGG's speech form")


def structures(size: Size) -> Iterator[Result]:
    """Two structures in turn: what replaces a graph, and what the collector then takes, must leave no trace."""
    steps = len(trial(size).data.train.targets) // size.checked["training.batch_size"]
    epochs = -(-size.replays // steps)
    kinds = ({"mixing.name": "generalized_mixup"}, {"mixing.name": "cutmix", "training.channels_last": True})
    eager = [train(size, kind, epochs=epochs) for kind in kinds]
    for turn, place in enumerate((0, 1, 0)):
        trainer = trial(size, kinds[place], GRAPH, epochs=epochs)
        gc.collect()
        what = f"turn {turn + 1}, {kinds[place]['mixing.name']}: {steps * epochs} replays after a collection"
        yield same(what, _to_the_end(trainer), eager[place])
        trainer.close()


def resume(size: Size) -> Iterator[Result]:
    """A trial that went on from its checkpoint in a graph that another has used, against one that nobody disturbed."""
    layers = ({"mixing.name": "generalized_mixup"}, GRAPH)
    whole = train(size, *layers)
    with tempfile.TemporaryDirectory() as folder:
        interrupted = Trainer(settings(size, *layers), folder=Path(folder), device=size.device)
        interrupted.train_epoch()
        interrupted.save_if_unsaved()
        interrupted.close()
        train(size, *layers, {"mixing.alpha": 0.5})
        resumed = Trainer(settings(size, *layers), folder=Path(folder), device=size.device)
        yield same("generalized mixup: resumed under graph, against never interrupted", _to_the_end(resumed), whole)


def memory(size: Size) -> Iterator[Result]:
    """What ten structures in turn leave behind once they are forgotten."""
    yield from left_behind.results(size)


def waiting(size: Size) -> Iterator[Result]:
    """Whether a step, once warm, makes the host wait for the device, by torch's own alarm."""
    for mode in ("none", "graph"):
        trainer = trial(size, {"mixing.name": "generalized_mixup", "training.compile": mode})
        trainer.train_epoch()
        steps, waits = stepper(trainer), 0
        steps(1)
        wait(size.device)
        if size.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            steps(1)
        except RuntimeError as error:
            waits, words = 1, str(error).splitlines()[0]
        finally:
            if size.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        note = words if waits else ""
        yield {"what": f"a step waits for the host, {mode}", "value": waits, "at_most": 0, "unit": "", "note": note}
        trainer.close()
        let_go()


def fed(size: Size) -> Iterator[Result]:
    """Images streamed from pinned memory of the host against those on the device, launched and captured."""
    with tempfile.TemporaryDirectory() as root:
        for name, mode in (("eager", {}), ("graph", GRAPH)):
            layers = ({"mixing.name": "generalized_mixup", "data.root": root}, mode)
            found = []
            for residence in ("host", "device"):
                trainer = trial(size, *layers, {"data.residence": residence})
                found.append(_to_the_end(trainer) | {"test nll": torch.tensor(trainer.test()["nll"])})
                trainer.close()
            yield same(f"images streamed from the host, {name}: against those on the device", *found)


def _to_the_end(trainer: Trainer) -> Trained:
    trainer.run()
    return state(trainer)


CHECKS: dict[str, Callable[..., Iterator[Result]]] = {
    "mixer": mixer,
    "partners": partners,
    "optimizers": optimizers,
    "layout": layout,
    "speech": speech,
    "structures": structures,
    "streams": streams,
    "resume": resume,
    "fed": fed,
    "memory": memory,
    "waiting": waiting,
    "gradients": arithmetic.gradients,
    "fused": arithmetic.fused,
}
"""Name -> check."""
