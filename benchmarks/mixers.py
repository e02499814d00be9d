"""What each mixing method costs beside plain mixup: a whole training step, and the mixing alone.

    python benchmarks/mixers.py [--rounds 7] [--compile] [--device cuda]

A step is mixing, forward, loss, backward and SGD on preact_resnet18 with 128 images of 32 x 32 pixels in fp32. Every
method of the registry takes its turn in each round, between two steps of mixup whose mean its own is divided by; the
median of these ratios is reported. On a shared machine steps vary by more than mixing costs, so the mixing alone is
timed too, many calls at a time: `blend_ratio` is 1 + (its time - mixup's) / mixup's step. Features are mixed inside of
the network, which shows in the step only.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from evidence import write
from torch import Tensor, nn

from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import BatchMixer, Mixer, State
from tune_mixup.models import MODELS
from tune_mixup.seeding import generator

MODEL, BATCH_SIZE, NUM_CLASSES = "preact_resnet18", 128, 8
"""Eight classes, because generalized mixup needs each equally often in a batch."""
TARGETS = {
    **dict.fromkeys(("cutmix", "smoothmix", "gridmix", "resizemix", "fmix"), 1.03),
    "manifold_mixup": 1.05,
}
BLENDS = 20
"""Calls at a time when the mixing alone is measured."""


class Step:
    """A training step of one method; all methods train the same network."""

    def __init__(
        self, mixer: Mixer, network: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]
    ):
        self.mixer, self.network, self.optimizer, self.batch = mixer, network, optimizer, batch
        self.device = batch[0].device
        self.loss = CrossEntropy()
        self.generator = generator(0, "mix", device=self.device)
        self.state: State = mixer.init(NUM_CLASSES, device=self.device, generator=generator(0, "init"))

    def __call__(self) -> None:
        inputs, targets = self.batch
        output = self.mixer.step(
            self.network, inputs, targets, self.state, epoch=0, generator=self.generator, loss=self.loss
        )
        self.optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        self.optimizer.step()
        self.state = output.state

    def blend(self) -> None:
        assert isinstance(self.mixer, BatchMixer)
        for _ in range(BLENDS):
            self.mixer.blend(self.network, *self.batch, self.state, epoch=0, generator=self.generator)


def seconds(run: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def in_turns(runs: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each run in each round, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if round_ > 0:
                found[name].append(spent)
    return found


def between_mixup(
    runs: dict[str, Callable[[], None]], rounds: int, device: torch.device
) -> tuple[dict[str, list[float]], list[float]]:
    """Each run's seconds over the mean of the mixup runs before and after it, and the seconds of all mixup runs."""
    ratios: dict[str, list[float]] = {name: [] for name in runs}
    bases = []
    for name, run in runs.items():
        run()  # whatever the first call sets up
        print(f"{name} is warm", flush=True)
    for round_ in range(rounds):
        before = seconds(runs["mixup"], device)
        for name, run in runs.items():
            spent = seconds(run, device)
            after = seconds(runs["mixup"], device)
            ratios[name].append(2 * spent / (before + after))
            bases.append(before)
            before = after
        print(f"round {round_ + 1} of {rounds}", flush=True)
    return ratios, bases


def summarise(ratios: dict[str, list[float]], bases: list[float], blends: dict[str, list[float]]) -> dict[str, Any]:
    step_s = median(bases)
    blend_s = {name: median(spent) / BLENDS for name, spent in blends.items()}
    results: dict[str, Any] = {}
    for name, found in ratios.items():
        results[name] = {"step_ratio": median(found), "step_ratios": sorted(found), "target": TARGETS.get(name)}
        if name in blend_s:
            results[name]["blend_ms"] = 1e3 * blend_s[name]
            results[name]["blend_ratio"] = 1 + (blend_s[name] - blend_s["mixup"]) / step_s
    return {"mixup_step_s": step_s, "methods": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="run the network through torch.compile")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    torch.manual_seed(0)

    model = MODELS[MODEL].parse({}).build(channels=3, num_classes=NUM_CLASSES).to(device).train()
    network: Any = torch.compile(model) if arguments.compile else model
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    classes = torch.arange(NUM_CLASSES, device=device).repeat(BATCH_SIZE // NUM_CLASSES)
    inputs = torch.randn(BATCH_SIZE, 3, 32, 32, device=device)
    batch = inputs, torch.eye(NUM_CLASSES, device=device)[classes]
    steps = {name: Step(mixer.parse({}), network, optimizer, batch) for name, mixer in MIXERS.items()}

    blends = {name: step.blend for name, step in steps.items() if isinstance(step.mixer, BatchMixer)}
    blend_s = in_turns(blends, arguments.rounds, device)
    ratios, bases = between_mixup(dict(steps), arguments.rounds, device)
    results = summarise(ratios, bases, blend_s)
    name = "_".join(["mixers", device.type, *(["compiled"] if arguments.compile else [])])
    setup = {"model": MODEL, "batch_size": BATCH_SIZE, "num_classes": NUM_CLASSES, "rounds": arguments.rounds}
    print(write(name, {**setup, "device": device.type, "compiled": arguments.compile, **results}))
    for method, result in results["methods"].items():
        target = "" if result["target"] is None else f"  (target <= {result['target']})"
        print(
            f"{method:18} step {result['step_ratio']:.3f}  by the mixing alone {result['blend_ratio']:.3f}"
            f"  {result['blend_ms']:.2f} ms{target}"
        )


if __name__ == "__main__":
    main()
