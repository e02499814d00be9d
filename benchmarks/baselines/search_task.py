"""One search, stated once for all who run it: the same points, budget and rungs, and one form of what came out."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import TrainingData
from tune_mixup.search_space import SearchSpace
from tune_mixup.training.fitting import load_fitting


@dataclass(frozen=True)
class SearchTask:
    """What is searched and how trials are stopped; whoever runs it has two slots of one thread each by default."""

    space: SearchSpace
    """Its baselines are the points to try, in this order; there are as many as trials."""
    max_epochs: int
    grace_epochs: int = 1
    reduction_factor: int = 3
    slots: int = 2
    """Trials at a time."""
    loader_workers: int = 0
    """Worker processes of each DataLoader of a published loop."""
    gpus: float = 0.0
    """Share of a GPU for each trial."""
    time_budget_s: float | None = None
    """Wall seconds after which nothing goes on; None: until all trials have ended."""
    seed: int = 0
    """Of the search algorithm; trials have the seed that the space fixes."""

    def config(self, point: dict[str, Any]) -> TrialConfig:
        """The trial at a point."""
        return TrialConfig.from_dotted(self.space.fixed, {"training.epochs": self.max_epochs}, point)

    def data(self) -> TrainingData:
        """What every trial trains on, on the CPU: all have one seed, hence one split."""
        return load_fitting(self.config(self.space.baselines[0]), device=torch.device("cpu"))

    def first(self, trials: int) -> "SearchTask":
        """The same with the first points only."""
        return replace(self, space=self.space.replace(baselines=self.space.baselines[:trials]))


class Finish(NamedTuple):
    """A trial that was stopped at a rung or reached its last epoch; others do not count."""

    at_s: float
    """Unix time of its last report."""
    epochs: int
    accuracy: float
    """On the validation split, after the last epoch."""
    trained_s: float
    """Seconds that its epochs took, validation included."""
