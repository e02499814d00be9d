"""What each mixing method costs beside plain mixup: a whole training step, and the mixing alone.

A step is mixing, forward, loss, backward and SGD on preact_resnet18 with 100 images of 32 x 32 pixels in fp32. Every
method of the registry takes its turn in each round, three of them between two steps of mixup, whose mean they are
divided by; the median of these ratios is reported. On a shared machine steps vary by more than mixing costs, so the
mixing alone is timed too, many calls at a time: `blend_ratio` is 1 + (its time - mixup's) / mixup's step. Features are
mixed inside of the network, which shows in the step only. What methods that ask the network do without it is in
`solvers`. `mixers_compiled` times steps through torch.compile.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import solvers
from benchmarks.rows import row
from tune_mixup.loss import CrossEntropy
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.base import BatchMixer, Mixer, State
from tune_mixup.mixing.first_state import first_state
from tune_mixup.models import MODELS
from tune_mixup.seeding import generator

NUM_CLASSES = 10
"""Because generalized mixup needs each equally often in a batch."""
SETTINGS: dict[str, Mixer] = {name: mixer.parse({}) for name, mixer in MIXERS.items()} | {
    "saliencymix, gradient": MIXERS["saliencymix"].parse({"saliency": "gradient"}),
    "fmix, per sample": MIXERS["fmix"].parse({"per": "sample"}),
    "comixup, clean images too": MIXERS["comixup"].parse({"clean_lam": 1.0}),
}
TARGETS = {
    **dict.fromkeys(("cutmix", "smoothmix", "gridmix", "resizemix", "fmix"), 1.03),
    "manifold_mixup": 1.05,
    "alignmixup": 1.1,
    "attentivemix": 1.4,
    "puzzlemix": 2.3,
    **dict.fromkeys(("comixup", "comixup, clean images too", "automix", "samix"), 3.0),
}
ASK_NETWORK = frozenset({"saliencymix, gradient", "attentivemix", "puzzlemix", "comixup", "comixup, clean images too"})
"""Whose mixing is timed by whole steps alone: as many calls as the others have would take minutes."""
BETWEEN = 3
"""Steps of other methods between two of mixup."""
BLENDS = 20
"""Calls at a time when the mixing alone is measured."""


class Step:
    """A training step of one method; all methods train the same network."""

    def __init__(
        self,
        mixer: Mixer,
        model: nn.Module,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: tuple[Tensor, Tensor],
    ):
        """`network` is the model, or the model compiled."""
        self.mixer, self.network, self.optimizer, self.batch = mixer, network, optimizer, batch
        self.device = batch[0].device
        self.loss = CrossEntropy()
        self.generator = generator(0, "mix", device=self.device)
        made = generator(0, "init")
        image = tuple(batch[0].shape[1:])
        self.state: State = first_state(mixer, model, NUM_CLASSES, image=image, device=self.device, generator=made)

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
    """Each run's seconds over the mean of the mixup runs before and after it, and the seconds of all mixup runs.

    Mixup itself is not among the former. Which methods stand together, and in which order, changes with each round.
    """
    others = [name for name in runs if name != "mixup"]
    ratios: dict[str, list[float]] = {name: [] for name in others}
    bases = [seconds(runs["mixup"], device)]
    for round_ in range(rounds):
        turn = others[round_ % len(others) :] + others[: round_ % len(others)]
        for first in range(0, len(turn), BETWEEN):
            spent = {name: seconds(runs[name], device) for name in turn[first : first + BETWEEN]}
            bases.append(seconds(runs["mixup"], device))
            for name, run_s in spent.items():
                ratios[name].append(2 * run_s / (bases[-2] + bases[-1]))
        print(f"round {round_ + 1} of {rounds}: a step of mixup takes {bases[-1]:.3f} s", flush=True)
    return ratios, bases


def summarise(ratios: dict[str, list[float]], bases: list[float], blends: dict[str, list[float]]) -> dict[str, Any]:
    step_s = median(bases)
    blend_s = {name: median(spent) / BLENDS for name, spent in blends.items()}
    results: dict[str, Any] = {}
    for name, found in ratios.items():
        results[name] = {"step_ratio": median(found), "step_ratios": sorted(found), "target": TARGETS.get(name)}
        results[name]["meets_target"] = None if name not in TARGETS else median(found) <= TARGETS[name]
        if name in blend_s:
            results[name]["blend_ms"] = 1e3 * blend_s[name]
            results[name]["blend_ratio"] = 1 + (blend_s[name] - blend_s["mixup"]) / step_s
    return {"mixup_step_s": step_s, "methods": results}


def measure(
    *,
    compiled: bool = False,
    device_name: str = "cpu",
    model_name: str = "preact_resnet18",
    batch_size: int = 100,
    rounds: int = 5,
    methods: Sequence[str] = tuple(SETTINGS),
) -> dict[str, Any]:
    """`batch_size` must be a multiple of `NUM_CLASSES`; `methods` are keys of `SETTINGS`."""
    device = torch.device(device_name)
    torch.set_num_threads(1)
    torch.manual_seed(0)

    model = MODELS[model_name].parse({}).build(channels=3, num_classes=NUM_CLASSES).to(device).train()
    network: Any = torch.compile(model) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    classes = torch.arange(NUM_CLASSES, device=device).repeat(batch_size // NUM_CLASSES)
    inputs = torch.randn(len(classes), 3, 32, 32, device=device)
    batch = inputs, torch.eye(NUM_CLASSES, device=device)[classes]
    names = ["mixup", *(name for name in methods if name != "mixup")]
    steps = {name: Step(SETTINGS[name], model, network, optimizer, batch) for name in names}

    mixing = {
        name: steps[name] for name in names if name not in ASK_NETWORK and isinstance(steps[name].mixer, BatchMixer)
    }
    blend_s = in_turns({name: step.blend for name, step in mixing.items()}, rounds, device)
    for name in names if compiled or device.type != "cpu" else names[:1]:
        steps[name]()  # whatever the first step of a kind sets up
        print(f"{name} is warm", flush=True)
    ratios, bases = between_mixup(dict(steps), rounds, device)
    setup = {
        "model": model_name,
        "batch_size": len(inputs),
        "num_classes": NUM_CLASSES,
        "rounds": rounds,
        "device": device.type,
        "compiled": compiled,
    }
    found = {**setup, **summarise(ratios, bases, blend_s)}
    solved = [] if compiled else solvers.rows(device, num_images=batch_size, rounds=rounds)
    return {"rows": [*rows(found), *solved], **found}


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A method's step against mixup's, and what its mixing alone takes."""
    how = f"{found['model']}, batch {found['batch_size']}, {found['device']}{', compiled' if found['compiled'] else ''}"
    return [
        row(
            f"a training step with {method} against mixup's, {how}",
            ours=1e3 * one["step_ratio"] * found["mixup_step_s"],
            other=1e3 * found["mixup_step_s"],
            unit="ms",
            value=one["step_ratio"],
            value_unit="x",
            at_most=one["target"],
            note=f"The mixing alone takes {one['blend_ms']:.2f} ms, so by it {one['blend_ratio']:.3f} times."
            if "blend_ratio" in one
            else "",
        )
        for method, one in found["methods"].items()
    ]
