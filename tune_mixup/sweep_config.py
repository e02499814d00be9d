"""The configuration of a sweep: what is searched, for how long, with what, judged by what."""

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Unpack

from pydantic import ByteSize, Field, model_validator
from typing_extensions import override

from tune_mixup.ablation import ARM, Ablation
from tune_mixup.amounts import Amount, Seconds, check_resources
from tune_mixup.config import TrialConfig
from tune_mixup.distributions import choices, size
from tune_mixup.faults import shown
from tune_mixup.importing import import_paths, imported, is_import_path
from tune_mixup.metrics import METRICS, Direction, directions, outside_name
from tune_mixup.options import Options
from tune_mixup.outside import importing_from, module_files, module_folders
from tune_mixup.plain_values import plain_by_key
from tune_mixup.record.names import check_name
from tune_mixup.schema import flatten, nest, suggest
from tune_mixup.search_space import Params, SearchSpace
from tune_mixup.space_checks import (
    Invalid,
    added_metrics,
    check_data_named,
    check_ranges,
    examples,
    invalid_points,
    most_epochs,
    objectives,
    trial_at,
    with_assumed,
    without_max_epochs,
)
from tune_mixup.space_files import load_space
from tune_mixup.stopping.base import Objective, StoppingRule
from tune_mixup.sweep_parts import (
    FLAT,
    Parts,
    checked_defaults,
    grouped,
    naming_defaults,
    over_defaults,
    plain_numbers,
    together,
)

OBJECTIVES = directions(METRICS)
"""What a sweep can optimise -> maximize or minimize; `_median` is over the last `training.median_epochs` epochs."""


class SweepConfig(Parts):
    """A sweep's promise: what is searched, for how long, with what, judged by what."""

    name: str
    """Name of the sweep, of its folder and of its Optuna study."""
    space: SearchSpace
    seed: int = Field(default=0, ge=0)
    """Seed of the sampler, and of every trial unless the space says otherwise."""
    metric: str = "val_accuracy_median"
    """The one number that ranks trials, on validation; its direction is known from its name."""
    trials: int = Field(default=20, ge=1, le=1_000_000)
    """Trials promised, stopped and failed ones included."""
    time_budget_s: Seconds | None = Field(default=None, gt=0)
    """Wall seconds over all runs of the sweep, or a text such as 1h30m, after which nothing new starts and running
    trials end as stopped."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU-hours over all runs of the sweep, stopped and failed trials included, after which it ends likewise."""
    repeats: Literal["replicate", "serve", "train"] = "replicate"
    """A setting that was asked before: train it on a fresh seed, take its result from the record, or train it again."""
    outside: Literal["drop", "clip", "refuse"] = "drop"
    """A trial outside the space, where the sweep begins with those of another: leave it out, move it to the nearest
    point, or refuse to begin."""
    cpus_per_trial: Amount = 1.0
    """Logical CPUs per trial, also its number of threads (at least one); `auto`: measured, for trials without a GPU."""
    gpus_per_trial: Amount = 0.0
    """Share of a GPU per trial, at most 1: a trial trains on one; `auto`: measured for each type of GPU."""
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at the same time; empty: as many as the resources hold."""
    max_failures: int = Field(default=3, ge=0)
    """How often a trial whose worker died or hung is started again from its checkpoint."""
    trial_timeout_s: Seconds | None = Field(default=None, gt=0)
    """Seconds (or 15m) without a report after which a trial's worker is taken to hang and killed; empty: never."""
    disk_budget: ByteSize | None = Field(default=None, gt=0)
    """Bytes that the sweep's folder may take, as a number or a text such as 20GB; empty: as many as the disk has."""

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested plain values; what the stopping rule leaves empty becomes the number that it stands for.

        Raises ValueError with one line that names each bad key with dots.
        """
        config = cls._unsettled(values)
        stopping = config.stopping.settled(epochs=lambda: most_epochs(config.space), trials=config.trials)
        return config.model_copy(update={"stopping": stopping})

    @classmethod
    def _unsettled(cls, values: Mapping[str, Any]) -> Self:
        for key in values:
            if key in FLAT:
                raise ValueError(f"sweep.{key}: is sweep.{FLAT[key]} now; set that")
        given = dict(values)
        parts = Parts.parse({key: given.pop(key) for key in Parts.model_fields if key in given})
        return super(Parts, cls).parse({**given, **dict(parts)})

    ablation: Ablation | None = None
    """How its arms are compared where the sweep is an ablation."""
    data: dict[str, str] = {}
    """The content that trials train on: `Dataset.source()` -> fingerprint, noted when the sweep begins."""
    modules: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Files of the modules from outside that parts are in, and folders of packages: workers need them, and `resume`."""

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that a sweep's record holds, in today's format or in the first one.

        A rule's setting that is empty stands for what it did before sweeps noted the number. The first format has
        beside the rule's name the settings of all rules; those that are not the rule's are left out. More than one GPU
        per trial, once accepted, is one: no trial has trained on more. Modules from outside that it names are imported
        from where they lay when the sweep began, and stay imported.
        """
        given = {key: value for key, value in values.items() if key != "format"}
        given = given if "format" in values else grouped(given)
        given.setdefault("finalists", {"share": 0.0})  # the sweep was promised before there were any
        gpus = given.get("gpus_per_trial")
        if isinstance(gpus, (int, float)) and gpus > 1:
            given["gpus_per_trial"] = 1.0
        with importing_from(module_folders(given.get("modules", ()))):
            for path in sorted({text for text in import_paths(given).values()}):
                imported(path)
            try:
                config = cls._unsettled(given)
                stopping = config.stopping.settled_before(epochs=lambda: most_epochs(config.space))
                return config.model_copy(update={"stopping": stopping})
            except ValueError as error:
                file = f"sweep.yaml of the sweep {shown(str(given.get('name')))}"
                raise ValueError(f"{file} holds what is refused ({error}); restore it from a copy") from None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        check_name(self.name)
        if self.metric not in (known := objectives(self.space)):
            raise ValueError(f"metric: got {shown(self.metric)}, which is not reported{suggest(self.metric, [*known])}")
        try:
            self.stopping.check(self.objective)
        except ValueError as error:
            raise ValueError(f"sweep.stopping.{error}") from None
        try:
            self.finalists.check(trials=self.trials, finite=self.sampler.finite, settings=self._settings())
        except ValueError as error:
            raise ValueError(f"sweep.finalists.{error}") from None
        check_resources(self.cpus_per_trial, self.gpus_per_trial, gpu_hours=self.gpu_hours)
        if self.ablation is not None:
            arms, seeds = (choices(self.space.free[key]) or () for key in (ARM, "seed"))
            self.ablation.check(arms, seeds=len(seeds), trials=self.trials)
        return self

    def _settings(self) -> int | None:
        """How many settings the space has, seeds apart, or a few more; None where some parameter is continuous."""
        sizes = [size(held) for key, held in self.space.free.items() if key != "seed"]
        return None if None in sizes else math.prod(each or 0 for each in sizes)

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
    def direction(self) -> Direction:
        """Whether more or less of the metric is better."""
        return objectives(self.space)[self.metric]

    @property
    def objective(self) -> Objective:
        """The metric as the stopping rule sees it."""
        return Objective(self.metric, self.direction, is_median=self.metric.endswith("_median"))

    @property
    def reports_smoothed(self) -> int:
        """Reports over whose median a rung decides."""
        return self.stopping.reports_smoothed(self.objective)

    def rule(self) -> StoppingRule:
        """The stopping rule at work, told of nothing yet."""
        return self.stopping.rule(self.objective, epochs=next(self.examples()).training.epochs)

    def trial(self, params: Params) -> TrialConfig:
        """The configuration of the trial at a point of the space. Raises ValueError naming each bad key."""
        return self._with_content(trial_at(self.space, params, seed=self.seed))

    def examples(self) -> Iterator[TrialConfig]:
        """Trials that stand for the whole space, at least one. Raises ValueError where no point is valid."""
        return map(self._with_content, examples(self.space, seed=self.seed))

    def _with_content(self, trial: TrialConfig) -> TrialConfig:
        return trial.of_data(self.data.get(trial.data.source(), trial.data.fingerprint))

    def invalid_points(self) -> Invalid:
        """How many random points of the space are no valid configuration, so that their trials fail."""
        return invalid_points(self.space, seed=self.seed)

    def check(self) -> Self:
        """Try every baseline, both ends and every choice of the space: itself, or ValueError for the first that fails.

        Also for a sampler that would learn next to nothing, and finals that can't be: such sweeps of before go on.
        """
        if self.sampler.learns and not self.sampler.learns_from_stopped and self.stopping.stops:
            raise ValueError(
                f"sweep.sampler.name: got {self.sampler.name!r}, which learns only from trials that were trained to "
                f"the end, but {self.stopping.name} stops most of them before; take tpe, or --scheduler none"
            )
        self.finalists.check_wanted(trials=self.trials, finite=self.sampler.finite)
        grid = self.space.grid() if self.sampler.finite else ()
        for point in itertools.chain(self.space.baselines, self.space.corners(), grid):
            self._check_trial(self.trial(point))
        return self

    def _check_trial(self, trial: TrialConfig) -> None:
        """Raise ValueError for settings of a trial that do not go with the sweep's."""
        training = trial.training
        if trial.data.measured_split == "test":
            raise ValueError(
                "data.validation_fraction: got 0, which leaves nothing to rank trials by but the test split; hold out "
                "more than 0, or take 0 with `train` or with `evaluate` once the sweep is done"
            )
        if training.compile == "graph" and not self.gpus_per_trial:
            raise ValueError(
                "training.compile: got 'graph', which captures a CUDA graph, but trials use no GPU; give "
                "gpus_per_trial too, or take step, model or none"
            )
        if training.eval == "rungs" and self.stopping.needs_every_epoch:
            raise ValueError(
                f"training.eval: got 'rungs', but the {self.stopping.name} rule compares after every epoch; take "
                "epochs, or another rule"
            )
        if training.eval == "rungs" and self.reports_smoothed > training.median_epochs:
            raise ValueError(
                f"training.eval: got 'rungs', which validates for {training.median_epochs} epochs up to each rung, but "
                f"a rung decides by {self.reports_smoothed} reports; lower sweep.stopping.smoothing or raise "
                "training.median_epochs"
            )


def plan(
    space: str | Path | SearchSpace, settings: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> SweepConfig:
    """The checked configuration of a sweep: the space with `settings` (dotted keys) fixed, and the options given.

    A setting `sweep.KEY` is a field of the sweep's own configuration, such as `sweep.stopping.grace_epochs`.

    A metric of your own, `metric="my_package.my_module:TOP5"`, joins the `training.metrics` of every trial.

    The name defaults to the space's, other options to the space's `defaults`, the trials of a grid to its points.
    Raises ValueError with one line that names each fault.
    """
    loaded = space if isinstance(space, SearchSpace) else load_space(space)
    named = {} if isinstance(space, SearchSpace) else {"name": Path(space).stem}
    given, fixed = together(plain_numbers(options), plain_by_key(flatten(settings or {})))
    file = "" if isinstance(space, SearchSpace) else f"{space}: "
    usual = checked_defaults(loaded.defaults, SweepConfig.model_fields, file)
    assumed = nest(usual).keys() - nest(given).keys()
    given = over_defaults(given, {**named, **usual})
    if (max_epochs := given.pop("max_epochs", None)) is not None:  # a space's default
        loaded = without_max_epochs(loaded, max_epochs, file)
        fixed.setdefault("training.epochs", max_epochs)
    for key in ("space", "modules", "data", "ablation"):
        if key in given:
            raise ValueError(f"sweep.{key}: there is no such setting; a sweep's {key} is what it was started with")
    loaded = loaded.fix(fixed)
    check_data_named(loaded)
    check_ranges(loaded)
    loaded = with_assumed(loaded)
    if is_import_path(metric := given.get("metric")):
        added = dict.fromkeys([*added_metrics(loaded), metric])
        loaded = loaded.fix({"training.metrics": list(added)})
        given["metric"] = f"val_{outside_name(metric)}"
    if Parts.parse({key: given[key] for key in Parts.model_fields if key in given}).sampler.finite:
        given.setdefault("trials", sum(1 for _ in loaded.grid()))
    config = naming_defaults(lambda said: SweepConfig.parse({**said, "space": loaded}).check(), given, assumed, file)
    if not loaded.free and "trials" not in given:
        raise ValueError(
            "free: the space searches nothing, so all its trials are the same; free a parameter, say how many trials "
            "you want (--trials N), or train it once with `tune-mixup train`"
        )
    return config.replace(modules=tuple(module_files(config.model_dump(mode="json"))))
