"""A sweep as its user meets it in Python: tables, the best trial, and its configuration."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from tune_mixup.record import tables
from tune_mixup.record.merit import Merits
from tune_mixup.record.names import command_for, is_sweep, trial_name
from tune_mixup.record.sweep_record import SweepRecord

if TYPE_CHECKING:
    import pandas as pd

    from tune_mixup.config import TrialConfig
    from tune_mixup.sweep_config import SweepConfig


@dataclass(frozen=True)
class Best:
    """The best setting of a sweep, of those that were trained to the end."""

    trial: int
    """The first trial with it."""
    value: float
    """Of the sweep's metric, on validation, at the last epoch: the mean over the setting's seeds."""
    epoch: int
    params: dict[str, Any]
    """The searched parameters by dotted key."""
    seeds: int = 1
    error: float | None = None
    """The standard error of the mean; None for one seed."""


class Sweep:
    """What `sweep`, `resume` and `load_sweep` return: reads the record each time it is asked, and writes nothing."""

    def __init__(self, record: SweepRecord) -> None:
        self.record = record

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.record.name

    @property
    def path(self) -> Path:
        """The sweep's folder."""
        return self.record.path

    @cached_property
    def config(self) -> "SweepConfig":
        """What was promised: space, budget, sampler, stopping rule."""
        from tune_mixup.sweep_config import SweepConfig

        return SweepConfig.from_record(self.record.folder.config())

    @property
    def metric(self) -> str:
        """What ranks the trials, on validation."""
        return self.config.metric

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Whether more or less of the metric is better."""
        return self.config.direction

    def trials(self) -> "pd.DataFrame":
        """One row per trial: trial, state, epoch, reason, the last epoch's metrics, and each parameter by dotted key.

        state is COMPLETE (trained to the end), PRUNED (stopped early), FAIL or RUNNING (unfinished; `resume` goes on).
        """
        return tables.trials(self.record)

    def epochs(self) -> "pd.DataFrame":
        """One row per trial and finished epoch: trial, epoch and all metrics."""
        return tables.epochs(self.record)

    def leaderboard(self, top: int | None = None, *, by: Literal["setting", "trial"] = "setting") -> "pd.DataFrame":
        """The settings in order of merit, or the trials; what was trained to the end alone has a rank."""
        from tune_mixup.analysis.leaderboard import leaderboard

        return leaderboard(self.record, top, by=by)

    @property
    def best(self) -> Best:
        """The best setting: the first of `leaderboard`. Raises ValueError while no trial is COMPLETE."""
        found = Merits.of(self.record).best()
        if found is None:
            raise ValueError(
                f"no trial of the sweep {self.name!r} is COMPLETE yet; go on with `{command_for('resume', self.path)}`"
            )
        trial = self.record.study.trial(found.trial)
        seeds, epoch = len(found.values), trial.last_step or 0
        return Best(found.trial, found.mean, epoch, dict(trial.params), seeds=seeds, error=found.error)

    @property
    def best_config(self) -> "TrialConfig":
        """The whole configuration of the best setting, on its first seed. Raises ValueError while there is none."""
        return self.trial_config(self.best.trial)

    def trial_config(self, number: int) -> "TrialConfig":
        """The whole configuration of a trial, from its folder, or from the study where that is damaged or missing."""
        from tune_mixup.config import TrialConfig
        from tune_mixup.outside import importing_from, module_folders
        from tune_mixup.search.settings import settings_of

        with importing_from(module_folders(self.config.modules)):
            return TrialConfig.parse(settings_of(self.record, number))

    @override
    def __repr__(self) -> str:
        states = Counter(trial.state.name for trial in self.record.study.asked())
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none begun"
        best = ""
        if states["COMPLETE"]:
            best = f"; best {trial_name(self.best.trial)}, {self.metric} {self.best.value:.4g}"
        return f"<Sweep {self.name!r}: {self.config.trials} trials ({counts}){best}; {self.path}>"


def load_sweep(sweep: Path | str) -> Sweep:
    """The sweep whose folder is at a path, or that has this name under `sweeps/`.

    Raises ValueError when there is none.
    """
    path = Path(sweep).expanduser()
    below = Path("sweeps") / path
    return Sweep(SweepRecord.open(below if not is_sweep(path) and is_sweep(below) else path))
