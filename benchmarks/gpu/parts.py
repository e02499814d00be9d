"""What the cells of the half-hour, and the one beside it, are made of, in the order in which they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.paired import PARTNERS
from tune_mixup.optimizer import OPTIMIZERS


@dataclass(frozen=True)
class Part:
    """Something to measure in a process of its own."""

    title: str
    module: str
    """Where its `results` and `rows` are, below this package."""
    about_s: float
    """How long it takes on one H100, its start included."""
    worth: int
    """Parts of the least worth are dropped first, when the time is short."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Of `results`."""
    beside: bool = False
    """Whether it may run beside others that may: it times nothing."""

    @property
    def limit_s(self) -> float:
        """When it is killed."""
        return 30 + 2.5 * self.about_s


def _check(title: str, check: str, *, worth: int, about_s: float = 15, **arguments: Any) -> Part:
    return Part(title, "checks", about_s, worth, {"check": check, **arguments}, beside=True)


def _ladder(net: str, *rungs: str, worth: int, about_s: float) -> Part:
    return Part(f"{net}: {', '.join(rungs)}", "ladder", about_s, worth, {"net": net, "rungs": rungs})


def _sharing(net: str, way: str, *, worth: int, about_s: float) -> Part:
    return Part(f"{net}: several at a time, {way}", "sharing", about_s, worth, {"net": net, "way": way})


RESNET, LARGE, SMALL, WIDE = (
    "resnet18, batch 128",
    "resnet18, batch 512",
    "tiny_resnet, batch 128",
    "wide_resnet 28-10, batch 128",
)

LEAN: dict[str, Part] = {
    "facts": Part("what the machine is and has", "facts", 12, worth=9),
    "optimizers": _check("every optimizer under capture", "optimizers", worth=9, names=tuple(OPTIMIZERS)),
    "structures": _check("two structures in turn, collected, 200 replays", "structures", worth=9, about_s=25),
    "streams": _check("two captured steps on two streams at once", "streams", worth=9),
    "waiting": _check("no step waits for the host", "waiting", worth=8),
    "ceilings": Part("copy bandwidth and matrix products", "ceilings", 12, worth=9),
    "fp32": _ladder(RESNET, "fp32", worth=8, about_s=12),
    "bf16": _ladder(RESNET, "bf16, channels last", worth=9, about_s=12),
    "graph": _ladder(RESNET, "graph", worth=9, about_s=15),
    "model+graph": _ladder(RESNET, "model+graph", worth=9, about_s=75),
    "plain mixup": Part("published loop of plain mixup", "published", 22, 8, {"net": RESNET, "method": "mixup"}),
    "kernels": Part("the longest kernels and the idle share of a graph step", "kernels", 20, worth=8),
    **{f"mixer: {name}": _check(f"graph against eager: {name}", "mixer", worth=7, name=name) for name in MIXERS},
    **{f"partners: {name}": _check(f"partners drawn: {name}", "partners", worth=6, name=name) for name in PARTNERS},
    "resume": _check("resumed under graph", "resume", worth=6),
    "fed": _check("images streamed from the host", "fed", worth=7),
    "memory": _check("memory back after forget", "memory", worth=8, about_s=30),
    "layout": _check("bf16 with channels last under graph", "layout", worth=6),
    "speech": _check("VGG's speech form under graph", "speech", worth=5),
    "gradients": _check("gradients against the CPU", "gradients", worth=5),
    "fused": _check("fused members against single networks", "fused", worth=2),
    "model": _ladder(RESNET, "model", worth=4, about_s=60),
    "pytest": Part("tests marked gpu, where pytest is", "marked", 60, worth=3),
}
"""Needs only torch with torchvision, and the lean wheels."""
SHARING: dict[str, Part] = {
    "ceilings": Part("copy bandwidth and matrix products", "ceilings", 12, worth=9),
    "resnet18 512": _ladder(LARGE, "bf16, channels last", "graph", worth=7, about_s=18),
    "small": _ladder(SMALL, "bf16, channels last", "graph", "model+graph", worth=8, about_s=45),
    "wide": _ladder(WIDE, "bf16, channels last", "graph", worth=6, about_s=25),
    "small, processes": _sharing(SMALL, "processes", worth=8, about_s=30),
    "resnet18, processes": _sharing(RESNET, "processes", worth=9, about_s=35),
    "small, streams": _sharing(SMALL, "streams", worth=7, about_s=18),
    "resnet18, streams": _sharing(RESNET, "streams", worth=8, about_s=22),
    "resnet18, prediction": Part("what auto predicts", "prediction", 40, 7, {"net": RESNET}),
    "small, prediction": Part("what auto predicts, small net", "prediction", 40, 6, {"net": SMALL}),
    "generalized mixup": Part(
        "published loop of generalized mixup", "published", 40, 5, {"net": RESNET, "method": "generalized_mixup"}
    ),
    "small, fused": _sharing(SMALL, "fused", worth=2, about_s=20),
    "resnet18, MPS": _sharing(RESNET, "MPS", worth=6, about_s=40),
    "small, MPS": _sharing(SMALL, "MPS", worth=6, about_s=35),
}
"""What several trials make of a GPU. The daemon of MPS comes last: should it stay behind, nothing is timed after it."""
SWEEP: dict[str, Part] = {
    "faults": Part("faults of four trials at a quarter of a GPU", "faults", 75, worth=8),
    "ours": Part("our sweep", "sweep", 135, 9, {"contender": "ours"}),
    "plain, reused": Part(
        "plain Ray Tune, actors reused", "sweep", 130, 9, {"contender": "plain Ray Tune, actors reused"}
    ),
    "plain": Part("plain Ray Tune as it comes", "sweep", 130, 7, {"contender": "plain Ray Tune"}),
}
"""With Ray and Optuna."""
METHODS: dict[str, Part] = {
    name: Part(f"a step with {name}", "methods", 22, 9 if name == "mixup" else 7, {"net": RESNET, "method": name})
    for name in ("mixup", *(name for name in MIXERS if name != "mixup"))
}
"""Needs what the lean cell needs. Mixup comes first, for all others stand beside it."""
PARTS: dict[str, dict[str, Part]] = {
    "gpu_lean": LEAN,
    "gpu_sharing": SHARING,
    "gpu_sweep": SWEEP,
    "gpu_methods": METHODS,
}
"""Cell of the registry -> its parts."""
