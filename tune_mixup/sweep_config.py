"""The configuration of a sweep: what is searched, for how long, with what, judged by what."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import BeforeValidator, ByteSize, Field, model_validator

from tune_mixup.config import TrialConfig
from tune_mixup.metrics import METRICS
from tune_mixup.schema import Schema, flatten, suggest
from tune_mixup.search_space import Params, SearchSpace
from tune_mixup.space_files import load_space

OBJECTIVES = {
    **{f"val_{name}": metric.direction for name, metric in METRICS.items()},
    **{f"val_{name}_median": metric.direction for name, metric in METRICS.items()},
}
"""What a sweep can optimise -> maximize or minimize; `_median` is over the last `training.median_epochs` epochs."""


def _refuse_pbt(scheduler: object) -> object:
    if scheduler == "pbt":
        raise ValueError(
            "got 'pbt', which changes a trial's settings while it trains, so that no trial could be repeated from its "
            "settings; must be asha, hyperband, median or none"
        )
    return scheduler


def _refuse_other_words(amount: object) -> object:
    number = isinstance(amount, (int, float)) and not isinstance(amount, bool) and math.isfinite(amount)
    if not number and amount != "auto":
        raise ValueError(f"got {amount!r}, must be a number, or auto to have it measured")
    return amount


Amount = Annotated[float | Literal["auto"], BeforeValidator(_refuse_other_words)]
"""A number, or `auto`: a probe of the space's largest setting decides when the sweep starts."""


class SweepConfig(Schema):
    """A sweep's promise: what is searched, for how long, with what, judged by what."""

    name: str
    """Name of the sweep, of its folder and of its Optuna study."""
    space: SearchSpace
    seed: int = Field(default=0, ge=0)
    """Seed of the sampler, and of every trial unless the space says otherwise."""
    metric: str = "val_accuracy_median"
    """The one number that ranks trials, on validation; its direction is known from its name."""
    trials: int = Field(default=20, ge=1)
    """Trials promised, stopped and failed ones included."""
    time_budget_s: float | None = Field(default=None, gt=0)
    """Wall seconds over all runs of the sweep, after which nothing new starts and running trials end as stopped."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU-hours over all runs of the sweep, stopped and failed trials included, after which it ends likewise."""
    repeats: Literal["replicate", "serve", "train"] = "replicate"
    """A setting that was asked before: train it on a fresh seed, take its result from the record, or train it again."""
    sampler: Literal["tpe", "random", "qmc", "gp", "cmaes", "grid"] = "tpe"
    """Who suggests the next point."""
    scheduler: Annotated[Literal["asha", "hyperband", "median", "none"], BeforeValidator(_refuse_pbt)] = "asha"
    """Who stops trials early."""
    grace_epochs: int | None = Field(default=None, ge=1)
    """No trial is stopped before this many epochs; empty: 10 % of the epochs, but 10, or a third where that is less; at
    least 5."""
    reduction_factor: int = Field(default=3, ge=2)
    """Of the trials at a rung, one in this many goes on."""
    strata: Literal["strength", "none"] = "strength"
    """Whom a trial is compared with at a rung: those of like mixing strength, or all."""
    smoothing: int | None = Field(default=None, ge=1)
    """Reports over whose median a rung decides; empty: 5, or 1 for `_median` metrics, which are medians already."""
    control_fraction: float = Field(default=0.05, ge=0, le=1)
    """Share of the trials that are never stopped, to measure what stopping does: 0 to 1; at least 2 of the first 20."""
    cpus_per_trial: Amount = 1.0
    """Logical CPUs per trial, also its number of threads (at least one); `auto`: measured, for trials without a GPU."""
    gpus_per_trial: Amount = 0.0
    """GPUs per trial: a fraction up to 1, or a whole number; `auto`: measured for each type of GPU."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at the same time; empty: as many as the resources hold."""
    max_failures: int = Field(default=3, ge=0)
    """How often a trial whose worker died or hung is started again from its checkpoint."""
    trial_timeout_s: float | None = Field(default=None, gt=0)
    """Seconds without a report after which a trial's worker is taken to hang and killed; empty: never."""
    disk_budget: ByteSize | None = Field(default=None, gt=0)
    """Bytes that the sweep's folder may take, as a number or a text such as 20GB; empty: as many as the disk has."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        check_name(self.name)
        if self.metric not in OBJECTIVES:
            raise ValueError(
                f"metric: got {self.metric!r}, which is not reported{suggest(self.metric, list(OBJECTIVES))}"
            )
        if self.smoothing is not None and self.smoothing > 1 and self.metric.endswith("_median"):
            raise ValueError(
                f"smoothing: got {self.smoothing}, but {self.metric} is a median of epochs already; set "
                "training.median_epochs instead, or take the metric without _median"
            )
        if self.gpu_hours is not None and not self.gpus_per_trial:
            raise ValueError(f"gpu_hours: got {self.gpu_hours:g}, but trials use no GPU; give gpus_per_trial too")
        if self.cpus_per_trial == "auto" and self.gpus_per_trial:
            raise ValueError("cpus_per_trial: got auto, but trials use a GPU; give a number (1 will do)")
        for field, amount in (("cpus_per_trial", self.cpus_per_trial), ("gpus_per_trial", self.gpus_per_trial)):
            if amount == "auto":
                continue
            if amount < 0 or (amount == 0 and field == "cpus_per_trial"):
                least = "greater than 0" if field == "cpus_per_trial" else "0 or more"
                raise ValueError(f"{field}: got {amount:g}, must be {least}, or auto")
            if amount > 1 and amount != int(amount):
                raise ValueError(f"{field}: got {amount}, must be at most 1 or a whole number; use {round(amount)}")
        return self

    @property
    def cpus(self) -> float:
        """CPUs of a trial; as long as they are not decided on, one."""
        return 1.0 if isinstance(self.cpus_per_trial, str) else self.cpus_per_trial

    @property
    def gpus(self) -> float:
        """GPUs of a trial; as long as they are not decided on, a whole one."""
        return 1.0 if isinstance(self.gpus_per_trial, str) else self.gpus_per_trial

    @property
    def threads(self) -> int:
        """CPU threads of a trial."""
        return max(1, int(self.cpus))

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Whether more or less of the metric is better."""
        return OBJECTIVES[self.metric]

    @property
    def reports_smoothed(self) -> int:
        """Reports over whose median a rung decides."""
        if self.smoothing is not None:
            return self.smoothing
        return 1 if self.metric.endswith("_median") else 5

    def trial(self, params: Params) -> TrialConfig:
        """The configuration of the trial at a point of the space. Raises ValueError naming each bad key."""
        return TrialConfig.from_dotted({"seed": self.seed}, self.space.fixed, params)

    def check(self) -> None:
        """Try every baseline, both ends and every choice of the space. Raises ValueError for the first that fails."""
        for point in self.space.probes():
            self._check_trial(self.trial(point))
        if self.sampler == "grid":
            for point in self.space.grid():
                self._check_trial(self.trial(point))

    def _check_trial(self, trial: TrialConfig) -> None:
        """Raise ValueError for settings of a trial that do not go with the sweep's."""
        training = trial.training
        if training.compile == "graph" and not self.gpus_per_trial:
            raise ValueError(
                "training.compile: got 'graph', which captures a CUDA graph, but trials use no GPU; give "
                "gpus_per_trial too, or take step, model or none"
            )
        if training.eval == "rungs" and self.scheduler == "median":
            raise ValueError(
                "training.eval: got 'rungs', but the median rule compares after every epoch; take epochs, or asha"
            )
        if training.eval == "rungs" and self.reports_smoothed > training.median_epochs:
            raise ValueError(
                f"training.eval: got 'rungs', which validates for {training.median_epochs} epochs up to each rung, but "
                f"a rung decides by {self.reports_smoothed} reports; lower smoothing or raise training.median_epochs"
            )


def check_name(name: str) -> None:
    """Raise ValueError unless `name` can be a folder and a study."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            f"name: got {name!r}, must be letters, digits, '.', '_' and '-' only (no path separators), at most 100, "
            "and start with a letter or digit"
        )


class Promise(TypedDict, total=False):
    """The fields of `SweepConfig` that may change when a sweep is resumed: they change no decision that was made."""

    trials: int
    time_budget_s: float
    gpu_hours: float
    concurrent: int
    max_failures: int
    trial_timeout_s: float
    disk_budget: int | str


class Options(Promise, total=False):
    """What a caller may say about a sweep beside its space: fields of `SweepConfig`, and the epochs of a trial."""

    name: str
    max_epochs: int
    repeats: str
    metric: str
    sampler: str
    scheduler: str
    grace_epochs: int
    reduction_factor: int
    strata: str
    smoothing: int
    control_fraction: float
    seed: int
    cpus_per_trial: float | Literal["auto"]
    gpus_per_trial: float | Literal["auto"]


def plan(
    space: str | Path | SearchSpace, settings: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> SweepConfig:
    """The checked configuration of a sweep: the space with `settings` (dotted keys) fixed, and the options given.

    A setting `sweep.KEY` is a field of the sweep's own configuration, such as `sweep.grace_epochs`.

    The name defaults to the space's, other options to the space's `defaults`, the trials of a grid to its points.
    Raises ValueError with one line that names each fault.
    """
    loaded = space if isinstance(space, SearchSpace) else load_space(space)
    named = {} if isinstance(space, SearchSpace) else {"name": Path(space).stem}
    given = {**named, **loaded.defaults, **{key: value for key, value in options.items() if value is not None}}
    fixed = flatten(settings or {})
    given |= {key.removeprefix("sweep."): fixed.pop(key) for key in list(fixed) if key.startswith("sweep.")}
    if (max_epochs := given.pop("max_epochs", None)) is not None:
        fixed["training.epochs"] = max_epochs
    loaded = loaded.fix(fixed)
    if given.get("sampler") == "grid":
        given.setdefault("trials", sum(1 for _ in loaded.grid()))
    config = SweepConfig.parse({**given, "space": loaded})
    config.check()
    return config
