"""What passes between driver, worker and record: frozen classes, each with a plain form that JSON can hold.

`plain()` leaves out what is empty, and `parse()` gives an equal object back. Keys that `parse` does not know are left
alone, for Ray and Optuna add their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, Self

from typing_extensions import override

from tune_mixup.record.trial_folder import Epoch


class Fact:
    """A frozen dataclass with a plain form."""

    def plain(self) -> dict[str, Any]:
        """The fields that are not empty, as JSON can hold them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {key: _plain(value) for key, value in values.items() if value is not None and value != ()}

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """From the plain form."""
        known = _names(cls)  # type: ignore[arg-type]
        return cls(**{key: _frozen(value) for key, value in values.items() if key in known})


@cache
def _names(fact: type[Fact]) -> frozenset[str]:
    return frozenset(field.name for field in fields(fact))  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, Fact):
        return value.plain()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# Driver to worker


@dataclass(frozen=True, kw_only=True)
class Assignment(Fact):
    """A trial for a worker to train."""

    number: int
    folder: str
    """The trial's folder."""
    stopping: str
    """The file that is there while the sweep is being interrupted."""
    threads: int
    """CPU threads of the trial."""
    rungs: tuple[int, ...] = ()
    """Epochs, from 1, after which its value may be needed."""
    gpus: float = 0.0
    """Its share of a GPU, at most 1."""
    gpu_type: str = ""
    """The type of GPU that it must have; empty for any."""
    heard: int = 0
    """The last epoch that the record knows of."""
    config: str
    """The `TrialConfig` as JSON: one text, because Ray keeps several copies of each value."""


# Worker to driver


@dataclass(frozen=True, kw_only=True)
class Ending(Fact):
    """What a trial's run ended by. Only a worker that dies says nothing."""

    kind: Literal[
        "completed",
        "stopped",
        "diverged",
        "failed",
        "out_of_memory",
        "storage_fault",
        "data_fault",
        "locked_out",
        "interrupted",
    ]
    """completed: it has trained to its end; stopped: as the driver had said; diverged: the loss is no number any more
    or has exploded; failed: by a fault of its own; out_of_memory: of its device; storage_fault: a disk is full or gone;
    data_fault: its data can't be read or have changed since the sweep began; locked_out: another process holds its
    folder; interrupted: the sweep is being stopped."""
    why: str | None = None
    """One line, where the kind does not say it all."""
    errno: int | None = None
    """Of a storage fault, as `OSError` has it."""
    file: str | None = None
    """What can't be read or written."""


@dataclass(frozen=True, kw_only=True)
class Report(Fact):
    """What a worker tells its driver after an epoch."""

    row: Epoch | None = None
    """The trainer's report of the epoch; empty when it ended before there was one."""
    ending: Ending | None = None
    """Empty as long as the trial goes on."""

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> "Report":
        ending = values.get("ending")
        return cls(row=values.get("row"), ending=None if ending is None else Ending.parse(ending))


# In the record


@dataclass(frozen=True, kw_only=True)
class Decision(Fact):
    """What was decided on a trial after an epoch, and by which numbers."""

    epoch: int
    stop: bool
    why: str
    """One line."""
    by: str
    """`rung`: a comparison at a rung; `median`: the median rule; `last`: the rule would have stopped it, but no other
    trial could be COMPLETE; `budget`: one of the sweep's was used up, which no replay repeats; `look`: its arm of an
    ablation was decided before it had begun; or the word of a rule from outside."""
    rung: int | None = None
    """The rung's epoch; None for what was not decided at a rung, as for the fields below."""
    value: float | None = None
    """The smoothed metric."""
    rank: int | None = None
    """1 for the best."""
    of: int | None = None
    """How many of the group have come to the rung."""
    cutoff: float | None = None
    """The worst value that goes on."""
    group: str | None = None

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> "Decision":
        """From the plain form; records of format 0 do not say by what it was decided."""
        if "by" in values:
            return super().parse(values)
        budget = "budget of" in values["why"]
        return super().parse({**values, "by": "rung" if "rung" in values else "budget" if budget else "median"})


@dataclass(frozen=True, kw_only=True)
class TrialFacts(Fact):
    """What the study notes of a trial beside its parameters and values."""

    decisions: tuple[Decision, ...] = ()
    """Oldest first."""
    reason: str | None = None
    """Why it ended."""
    deaths: tuple[str, ...] = ()
    """Why its workers died."""
    gpus: float | None = None
    """Its share of a GPU, where it differs from the sweep's."""
    served: int | None = None
    """The earlier trial whose result it has: the same setting on the same seed."""
    replicate_seed: int | None = None
    """The fresh seed that it was given because its setting had been asked for before."""
    setting: int | None = None
    """The first trial that was asked for with the same setting, seed apart, where that is another one."""
    finalist: int | None = None
    """The trial whose setting it trains again on a fresh seed; nothing stops it, and no rule is told of it."""
    drawn: Mapping[str, Any] | None = None
    """The whole point, where the space has constraints: noted before the first of its parameters is."""
    invalid: str | None = None
    """Why its point is no valid configuration; it was never trained."""
    imported: str | None = None
    """SWEEP/TRIAL that it was imported from; it is then no trial of this sweep."""

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> "TrialFacts":
        decisions = [Decision.parse(one) for one in values.get("decisions", ())]
        return super().parse({**values, "decisions": decisions})

    @property
    def stopped(self) -> str | None:
        """Why the trial must stop early, once that is decided."""
        return self.decisions[-1].why if self.decisions and self.decisions[-1].stop else None


@dataclass(frozen=True, kw_only=True)
class LongerGrace(Fact):
    """No rung before epoch `epochs`, for the trials from number `from_trial` on."""

    from_trial: int
    epochs: int
    why: str


@dataclass(frozen=True, kw_only=True)
class FinalRound(Fact):
    """The search was over and the finals began. Only a larger promise opens the search again."""

    trials: int
    """Trials promised by then, finalists' runs included."""
    time_budget_s: float | None = None
    gpu_hours: float | None = None
    number: int
    """How many settings are finalists."""
    first_seed: int
    """The first of the seeds that nothing was trained on before."""
    why: str
    """One line."""


@dataclass(frozen=True, kw_only=True)
class ArmLook(Fact):
    """What a look at an ablation has come to for one of the arms that were not decided before."""

    arm: str
    seeds: int
    """Of the look: all trainings on the first so many seeds had ended."""
    verdict: Literal["open", "different", "futile", "failed", "done"]
    """open: it goes on; different: from the reference, at the error that was allowed; futile: going on would hardly
    show a difference; failed: all its trainings; done: the reference, once all others are decided."""
    t: float | None = None
    """The paired t value; None where it was not looked at, since a training had failed or nothing varies."""
    bound: float | None = None
    """What it had to reach; None where the look spends no error."""
    level: float | None = None
    """The two-sided error of this comparison over all looks, after Holm."""
    why: str
    """One line."""


@dataclass(frozen=True, kw_only=True)
class SweepFacts(Fact):
    """What the study notes of the whole sweep."""

    grace: tuple[LongerGrace, ...] = ()
    """By how much the control group has lengthened the grace, oldest first."""
    packing: Mapping[str, Any] | None = None
    """How many trials share a GPU, and a trial's threads, as `measuring` has found."""
    checkpoint_bytes: int | None = None
    """The most that a checkpoint takes."""
    warm_start: str | None = None
    """What was imported from another sweep, in one line."""
    seeds_before: int | None = None
    """The largest seed that this other sweep had used, or one that it had begun with in its turn."""
    finals: tuple[FinalRound, ...] = ()
    """When the search was over, oldest first; more than one where the sweep was extended."""
    looks: tuple[ArmLook, ...] = ()
    """What the looks at an ablation's arms came to, oldest first."""

    @classmethod
    @override
    def parse(cls, values: Mapping[str, Any]) -> "SweepFacts":
        grace = [LongerGrace.parse(one) for one in values.get("grace", ())]
        finals = [FinalRound.parse(one) for one in values.get("finals", ())]
        looks = [ArmLook.parse(one) for one in values.get("looks", ())]
        return super().parse({**values, "grace": grace, "finals": finals, "looks": looks})
