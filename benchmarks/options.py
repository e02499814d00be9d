"""How the benchmarks speak of a sweep's rule and sampler: the one place that knows the package's keys for them."""

from collections.abc import Mapping
from typing import Any, cast

from tune_mixup.options import Options
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig, plan

KEYS = {
    "scheduler": "sweep.stopping.name",
    "sampler": "sweep.sampler.name",
    "grace_epochs": "sweep.stopping.grace_epochs",
    "reduction_factor": "sweep.stopping.reduction_factor",
    "strata": "sweep.stopping.strata",
    "smoothing": "sweep.stopping.smoothing",
    "control_fraction": "sweep.stopping.control_fraction",
    "finalists_share": "sweep.finalists.share",
}
"""What it is called here -> the key that fixes it."""
AS_OTHERS = {"smoothing": 1, "strata": "none", "control_fraction": 0.0, "finalists_share": 0.0}
"""What makes our rule compare as the others' do: single epochs, all trials with all, none spared or trained again."""


def keyed(options: Mapping[str, Any]) -> dict[str, Any]:
    """`options`, which are among `KEYS`, as settings of `sweep` and `plan`."""
    return {KEYS[name]: value for name, value in options.items()}


def configured(space: str | SearchSpace, **options: Any) -> SweepConfig:
    """The configuration of a sweep with our defaults, save for `options`: `KEYS` and whatever `plan` takes beside."""
    ours = {name: value for name, value in options.items() if name in KEYS}
    return plan(space, keyed(ours), **cast(Options, {name: options[name] for name in options.keys() - ours.keys()}))
