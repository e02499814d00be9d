"""The plan of an ablation: a base, the arms that differ from it, the seeds, and how they are compared.

A plan becomes a sweep over a finite space of seeds and arms, with all that sweeps have: record, resuming, display.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from optuna.distributions import CategoricalDistribution
from pydantic import Field, field_validator, model_validator

from tune_mixup.ablation import ARM, Ablation, Gate
from tune_mixup.bundles import Bundle
from tune_mixup.config import TrialConfig
from tune_mixup.faults import shown, suggest
from tune_mixup.given_files import read_file, text_of
from tune_mixup.plain_values import alike
from tune_mixup.reading import parse_yaml
from tune_mixup.schema import Schema, flatten
from tune_mixup.search.looks import boundaries, looks_up_to
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig, plan

LOOKS = (5, 8, 12, 20)
MOST_BYTES = 1_000_000
"""How large the file of a plan may be."""
MOST_ARMS = 200


class Base(Schema):
    """What all arms begin with: give one of the two."""

    space: str | None = None
    """A search space, for its first baseline: the name of one that ships, or the path of a `.py` file."""
    config: str | None = None
    """A file of settings, such as an exported best or a recipe."""
    rank: int | None = Field(default=None, ge=1)
    """Which of an exported file's; empty: the first."""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.space is None) == (self.config is None):
            raise ValueError(f"got {'neither' if self.space is None else 'both'} of space and config, must be one")
        return self


class Arms(Schema):
    """What the arms are, in one of five ways. Settings have dotted keys, and a text for `mixing.name` or the like
    begins that section anew."""

    named: dict[str, Bundle] = {}
    """Arm -> its settings on top of the base."""
    leave_one_out: dict[str, Bundle] = {}
    """Ingredient of the base -> the settings that take it out. Arms: `full`, and `without` each."""
    add_one_in: dict[str, Bundle] = {}
    """Ingredient -> the settings that put it in. Arms: `base`, and `with` each."""
    path: dict[str, Bundle] = {}
    """Step -> its settings, on top of all steps before. Arms: `base`, and `to` each."""
    grid: dict[str, dict[str, Bundle]] = {}
    """Factor -> its level -> the settings of the level. Arms: all combinations."""

    def settings(self) -> dict[str, dict[str, Any]]:
        """Arm -> its settings on top of the base, in order."""
        given = [key for key, arms in self if arms]
        if len(given) != 1:
            ways = ", ".join(type(self).model_fields)
            raise ValueError(f"arms: got {' and '.join(given) or 'none'}, must be one of {ways}")
        if self.grid:
            return dict(self._combinations())
        if self.leave_one_out:
            return {"full": {}, **{f"without {key}": one for key, one in self.leave_one_out.items()}}
        if self.add_one_in:
            return {"base": {}, **{f"with {key}": one for key, one in self.add_one_in.items()}}
        if self.path:
            return dict(self._steps())
        return dict(self.named)

    def _steps(self) -> Iterator[tuple[str, dict[str, Any]]]:
        settings: dict[str, Any] = {}
        yield "base", settings
        for step, given in self.path.items():
            settings = {**settings, **given}
            yield f"to {step}", settings

    def _combinations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for levels in itertools.product(*(factor.items() for factor in self.grid.values())):
            name = ", ".join(f"{factor} {level}" for factor, (level, _) in zip(self.grid, levels, strict=True))
            settings: dict[str, Any] = {}
            for _, given in levels:
                settings |= given
            yield name, settings


class AblationPlan(Schema):
    """What an ablation's file says."""

    base: Base
    settings: Bundle = {}
    """On top of the base, in all arms, by dotted key; a key `sweep.KEY` is a setting of the sweep."""
    arms: Arms
    reference: str | None = None
    """The arm that the others are compared with; empty: the first."""
    seeds: int
    """How many seeds each arm is trained on; each is a block that crosses all arms."""
    first_seed: int = Field(default=0, ge=0)
    looks: Annotated[tuple[int, ...], Field(strict=False)] = LOOKS
    """Numbers of seeds after which arms may be decided; those below `seeds` count, and all seeds are the last."""
    error: float = Field(default=0.05, gt=0, lt=1)
    """The chance to call any difference where there is none, over all arms and looks."""
    futility: float = Field(default=0.1, ge=0, lt=1)
    """An arm is given up where all seeds would show a difference with less than this chance; 0: never."""
    margin: float = Field(default=0.005, gt=0)
    """The difference that is worth finding, in points of the metric."""
    gate: Gate | None = None
    """Nothing is reported unless the baseline's mean is within these limits."""
    metric: str = "val_accuracy_median"
    """What the arms are compared by, on validation."""

    @field_validator("seeds")
    @classmethod
    def _pairs(cls, seeds: int) -> int:
        if not 2 <= seeds <= 1000:
            raise ValueError(
                f"got {seeds}, must be 2 to 1000: arms are compared by their differences on the same seeds"
            )
        return seeds

    def planned(self, base: TrialConfig, name: str, settings: Mapping[str, Any] | None = None) -> SweepConfig:
        """The sweep that runs the plan, `settings` of the sweep (`sweep.KEY`) on top.

        Raises ValueError in one line for arms that can't be compared, and as the planning of any sweep does.
        """
        arms = {arm: _on_top(base, arm, settings) for arm, settings in self.arms.settings().items()}
        reference = self.reference if self.reference is not None else next(iter(arms))
        _check(arms, reference)
        flat = {
            arm: {key: one for key, one in flatten(config.plain()).items() if key != "seed"}
            for arm, config in arms.items()
        }
        first = flat[reference]
        fixed = {k: one for k, one in first.items() if all(k in arm and alike(arm[k], one) for arm in flat.values())}
        space = SearchSpace(
            fixed=fixed,
            free={
                "seed": CategoricalDistribution(range(self.first_seed, self.first_seed + self.seeds)),
                ARM: CategoricalDistribution(tuple(arms)),
            },
            bundles={ARM: {arm: {k: one for k, one in all_.items() if k not in fixed} for arm, all_ in flat.items()}},
        )
        given = {key: one for key, one in self.settings.items() if key.startswith("sweep.")}
        config = plan(
            space,
            {**given, **(settings or {})},
            name=name,
            metric=self.metric,
            sampler="grid",
            scheduler="none",
            repeats="train",
        )
        ablation = Ablation(
            reference=reference,
            looks=looks_up_to(self.seeds, self.looks),
            error=self.error,
            futility=self.futility,
            margin=self.margin,
            gate=self.gate,
        )
        try:
            boundaries(ablation.looks, self.error / (len(arms) - 1))
        except ValueError as error:
            raise ValueError(f"error: {error}") from None
        return config.replace(ablation=ablation)

    def of_trials(self) -> dict[str, Any]:
        """The settings that all arms have on top of the base."""
        return {key: one for key, one in self.settings.items() if not key.startswith("sweep.")}


def load_plan(name: str | Path) -> tuple[AblationPlan, Path]:
    """The plan that ships as `ablations/NAME.yaml`, or that is in a user's own file; and the file.

    Raises ValueError in one line where there is none, and for one that is no plan.
    """
    path = plan_file(name)
    try:
        values = parse_yaml(text_of(read_file(path, most_bytes=MOST_BYTES)))
        if not isinstance(values, Mapping):
            raise ValueError(f"got {shown(values)}, must be settings such as base, arms and seeds")
        return AblationPlan.parse(values), path
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}; give the path of a plan, or the name of one that ships") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def plan_file(name: str | Path) -> Path:
    """The file of the plan that ships as `name`, or a user's own file."""
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name).expanduser().absolute()
    shipped = shipped_plans()
    known = sorted(file.stem for file in shipped.glob("*.yaml"))
    if str(name) not in known:
        raise ValueError(
            f"there is no ablation {shown(str(name))}{suggest(str(name), known)}; your own is a .yaml file"
        )
    return shipped / f"{name}.yaml"


def shipped_plans() -> Path:
    """The folder of the plans that ship: inside the installed package, in a checkout beside it."""
    package = Path(__file__).absolute().parents[1]
    inside = package / "ablations"
    return inside if inside.is_dir() else package.parent / "ablations"


def _on_top(base: TrialConfig, arm: str, settings: Mapping[str, Any]) -> TrialConfig:
    """The base with an arm's settings; a section that is to hold another part begins anew."""
    if not arm.strip() or len(arm) > 100 or not arm.isprintable():
        raise ValueError(f"arms: got the name {shown(arm)}, must be 1 to 100 printable characters")
    kept = flatten(base.plain())
    for key, value in settings.items():
        section, dot, last = key.rpartition(".")
        if last == "name" and dot and kept.get(key) != value:
            kept = {other: one for other, one in kept.items() if not other.startswith(f"{section}.")}
    try:
        return TrialConfig.from_dotted(kept, settings)
    except ValueError as error:
        raise ValueError(f"arms.{arm}: {error}") from None


def _check(arms: Mapping[str, TrialConfig], reference: str) -> None:
    """Raise ValueError for arms that can't be compared."""
    if not 2 <= len(arms) <= MOST_ARMS:
        raise ValueError(f"arms: got {len(arms)}, must be 2 to {MOST_ARMS}: one is compared with the others")
    if reference not in arms:
        raise ValueError(f"reference: got {shown(reference)}, which is no arm{suggest(reference, list(arms))}")
    seen: dict[str, str] = {}
    for arm, config in arms.items():
        if config.seed != arms[reference].seed:
            raise ValueError(f"arms.{arm}: seed differs between arms, but each arm has all seeds; leave it out")
        if config.training.epochs != arms[reference].training.epochs:
            raise ValueError(
                f"arms.{arm}: training.epochs is {config.training.epochs}, but {arms[reference].training.epochs} in "
                f"{reference}; arms are compared at equal budgets, so leave it out"
            )
        written = repr(config.plain())
        if written in seen:
            raise ValueError(f"arms.{arm}: has the very settings of {seen[written]}; drop one of the two")
        seen[written] = arm


def same_training(arms: Mapping[str, TrialConfig]) -> list[tuple[str, str]]:
    """Pairs of arms whose settings differ, but which train alike: they show whether the code agrees with itself."""
    first: dict[str, str] = {}
    found = []
    for arm, config in arms.items():
        other = first.setdefault(config.identity(), arm)
        if other != arm:
            found.append((other, arm))
    return found
