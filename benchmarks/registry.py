"""Every cell of the benchmarks. A cell's module is imported when it runs: where a GPU is lent there may be no Ray."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Need = Literal["cpu", "gpu", "ray", "data"]
Found = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    title: str
    """What is measured against what."""
    about_s: int
    """How long it takes on two idle cores or, where it needs a GPU, on one H100."""
    module: str
    """Where its `measure` is, below this package."""
    needs: frozenset[Need] = frozenset({"cpu"})
    """`data` is Fashion-MNIST on the disk, and CIFAR-10 beside it, see `real_data`."""
    target: str = ""
    """What it should come to; the rows say whether it did."""
    by_default: bool = True
    """Whether it belongs to the set that runs without a name; others run when named, or with `--all`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Of `measure`, where two cells share a module."""
    of_parts: bool = False
    """Whether its `measure` takes `limit_s`, seconds that it keeps to itself by dropping what matters least, and
    `journal`, a file of JSON lines to which its parts append what they find."""
    takes_syne_tune: bool = False
    """Whether its `measure` takes `syne_tune`, the interpreter of an environment that has Syne Tune, or None."""
    headlines: tuple[str, ...] = ()
    """The measurements among its rows that the README shows."""

    @property
    def on_gpu(self) -> bool:
        """Whether it belongs to the GPU set."""
        return "gpu" in self.needs


RAY: frozenset[Need] = frozenset({"cpu", "ray"})
RAY_AND_DATA: frozenset[Need] = frozenset({"cpu", "ray", "data"})
GPU: frozenset[Need] = frozenset({"gpu"})

CELLS: dict[str, Cell] = {
    "input_pipeline": Cell(
        "crop, flip and normalise, batched against DataLoader with Pillow",
        about_s=30,
        module="input_pipeline",
        target="13 times",
        headlines=("crop, flip and normalise 32 x 32 images, one thread, against DataLoader with Pillow",),
    ),
    "residence": Cell(
        "images on the device or once on the host: speed, memory and start, against torchvision and DataLoader",
        about_s=240,
        module="residence",
        target="one more trial takes 10 % of the memory",
        by_default=False,
        headlines=(
            "crop, flip and normalise 64 x 64 images on the host, streamed, against torchvision and DataLoader",
            "memory of one more trial's images, one mapped copy on the host against one each",
        ),
    ),
    "decoding": Cell(
        "image files decoded once, against torchvision's decoder",
        about_s=60,
        module="decoding",
        target="1.5 times its time",
        headlines=tuple(
            f"decoding JPEG files of {what} pixels once, all cores, against torchvision's decoder: time"
            for what in ("64 x 64", "375 x 500 to 224 x 224")
        ),
    ),
    "pairing": Cell(
        "generalized mixup's whole overhead over mixup, against loops over samples",
        about_s=45,
        module="pairing",
        target="2 % of a step of preact_resnet18, 5 % of tiny_resnet; 100 and 200 times the loops",
        headlines=(
            "generalized mixup's overhead over mixup, K=100, B=1000, of a step of `preact_resnet18`",
            "generalized mixup's overhead over mixup, K=100, B=1000, of a step of `tiny_resnet`",
            "the same work against loops over samples, K=10, B=250",
            "the same work against loops over samples, K=100, B=1000",
        ),
    ),
    "ladder": Cell(
        "from the published loop to the fast path on a CPU, a rung at a time",
        about_s=150,
        module="ladder",
        needs=frozenset({"cpu", "data"}),
    ),
    "trial_cost": Cell(
        "a short trial beside its training, against plain Ray Tune",
        about_s=90,
        module="trial_cost",
        needs=RAY,
        target="7 times; 0.25 s",
        headlines=("a short trial beside its training, against plain Ray Tune",),
    ),
    "report_cost": Cell(
        "an epoch's report through searcher, scheduler and record",
        about_s=15,
        module="report_cost",
        needs=RAY,
        target="2 ms",
        headlines=("an epoch's report through searcher, scheduler and record",),
    ),
    "search_cost": Cell(
        "what the search itself costs at 100, 1,000 and 10,000 trials",
        about_s=130,
        module="search_cost",
        target="2 ms an ask and a report; opening in twice Optuna's load",
        by_default=False,
    ),
    "checkpointing": Cell(
        "checkpoints as a share of training time",
        about_s=60,
        module="checkpointing",
        target="2 %",
        headlines=(
            "checkpoints' share of training time, `tiny_resnet`",
            "checkpoints' share of training time, `resnet18`",
        ),
    ),
    "race": Cell(
        "24 configurations under ASHA, against plain Ray Tune and Optuna with a pool",
        about_s=1400,
        module="race",
        needs=RAY_AND_DATA,
        target="4 times the trials per hour at the same accuracy",
        headlines=(
            "24 configurations under ASHA, trials per hour, against plain Ray Tune",
            "24 configurations under ASHA, trials per hour, against Optuna pool",
            "the same, best validation accuracy, against plain Ray Tune",
            "the same, best validation accuracy, against Optuna pool",
        ),
    ),
    "worker_memory": Cell(
        "memory of one more concurrent trial, against plain Ray Tune",
        about_s=110,
        module="worker_memory",
        needs=RAY_AND_DATA,
        target="60 %",
        headlines=("worker memory of one more concurrent trial, against plain Ray Tune without loader processes",),
    ),
    "cli_import": Cell("`tune-mixup --help` in a fresh process", about_s=10, module="cli_import", target="0.4 s"),
    "honest_search": Cell(
        "what whole searches hand on, on training seeds that they have not seen, at equal epochs",
        about_s=1800,
        module="honest_search",
        needs=RAY,
        by_default=False,
        takes_syne_tune=True,
        target="random's 40 full runs in half of their epochs; better than tuned Ray",
        headlines=tuple(
            f"{table}{what}"
            for table in ("fashion_mnist", "digits", "cifar10")
            for what in (
                ": epochs to what random's 40 full runs come to on unseen seeds, random / ours",
                ", 40 full runs' epochs: accuracy on unseen seeds of what is handed on, against Ray's ASHA, tuned",
            )
        ),
    ),
    "mixers": Cell(
        "each mixing method's training step against mixup's, and solvers alone against a graph cut for each problem",
        about_s=1300,
        module="mixers",
        target="1.03 times; 1.05 to 1.1 where features are mixed; 1.4 to 3 where the network is asked",
        by_default=False,
        headlines=tuple(
            f"a training step with {method} against mixup's, preact_resnet18, batch 128, cpu"
            for method in ("resizemix", "manifold_mixup")
        ),
    ),
    "mixers_compiled": Cell(
        "the same steps with torch.compile",
        about_s=1800,
        module="mixers",
        arguments={"compiled": True},
        by_default=False,
    ),
    "five_epochs": Cell(
        "every mixing method for five epochs on 5,000 CIFAR-10 images",
        about_s=900,
        module="five_epochs",
        needs=frozenset({"cpu", "data"}),
        by_default=False,
        of_parts=True,
    ),
    "driver_memory": Cell(
        "the driver's memory over 2,000 trials",
        about_s=300,
        module="driver_memory",
        needs=RAY,
        by_default=False,
        headlines=tuple(
            f"the driver's memory over 2000 trials of 10 reports, scheduler {name}" for name in ("none", "asha")
        ),
    ),
    "early_stopping": Cell(
        "early stopping on simulated slow starters, against Ray's ASHA",
        about_s=400,
        module="early_stopping",
        needs=RAY,
        target="0.05 points lost at 26 % of the epochs",
        by_default=False,
        headlines=tuple(
            f"{what}, simulated, slow start strong, against Ray's ASHA with its defaults"
            for what in ("best trial lost to early stopping", "epochs trained of full budgets")
        ),
    ),
    "fashion_mnist_sweep": Cell(
        "a whole sweep on real images",
        about_s=300,
        module="fashion_mnist_sweep",
        needs=RAY_AND_DATA,
        by_default=False,
        headlines=("12 trials of 9 epochs on 10,000 Fashion-MNIST images, epochs trained",),
    ),
    "ablation_studies": Cell(
        "ablations with planted effects: coverage, error, power, and what looks save against a fixed number of seeds",
        about_s=600,
        module="ablation_studies",
        by_default=False,
    ),
    "gpu_lean": Cell(
        "captured steps on a GPU against eager ones, and what each rung of the fast path brings",
        about_s=460,
        module="gpu.half_hour",
        needs=GPU,
        target="no difference; 60 % of the series limit",
        arguments={"cell": "gpu_lean"},
        of_parts=True,
    ),
    "gpu_sharing": Cell(
        "several trials on one GPU: processes, MPS, streams; larger and smaller networks; what auto predicts",
        about_s=460,
        module="gpu.half_hour",
        needs=frozenset({"gpu", "ray"}),
        arguments={"cell": "gpu_sharing"},
        of_parts=True,
    ),
    "gpu_sweep": Cell(
        "faults on a GPU, and a sweep of two minutes against plain Ray Tune",
        about_s=470,
        module="gpu.half_hour",
        needs=frozenset({"gpu", "ray"}),
        target="6 times the trials per GPU-hour with actors reused",
        arguments={"cell": "gpu_sweep"},
        of_parts=True,
    ),
    "gpu_methods": Cell(
        "what each mixing method leaves of plain mixup's images per second on a GPU, and the memory that it takes",
        about_s=400,
        module="gpu.half_hour",
        needs=GPU,
        by_default=False,
        arguments={"cell": "gpu_methods"},
        of_parts=True,
    ),
}
"""Name of the cell, and of its file in results/ -> measurement, in the order in which they run."""


def measure(
    name: str, *, limit_s: float | None = None, journal: Path | None = None, syne_tune: str | None = None
) -> Iterator[Found]:
    """Run one cell in this process; all that it has found so far, anew whenever that has grown.

    `limit_s` and `journal` are for a cell of parts, `syne_tune` for one that takes it.
    """
    cell = CELLS[name]
    more: dict[str, Any] = {"limit_s": limit_s, "journal": journal} if cell.of_parts else {}
    if cell.takes_syne_tune:
        more["syne_tune"] = syne_tune
    found = importlib.import_module(f"{__package__}.{cell.module}").measure(**cell.arguments, **more)
    if isinstance(found, dict):
        yield found
    else:
        yield from found
