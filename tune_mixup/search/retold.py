"""A sweep that trains another one's settings again, told by the trials whose settings these are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tune_mixup.record.names import trial_name
from tune_mixup.search.standing import Listener, Progress

_NAME = re.compile(r"\bt\d{4,}\b")


@dataclass(frozen=True)
class Source:
    """Whose setting a trial trains again, and on which seed."""

    trial: int
    seed: int

    def words(self) -> str:
        """As t0007 (seed 3)."""
        return f"{trial_name(self.trial)} (seed {self.seed})"


@dataclass(frozen=True)
class Retold:
    """A listener that hears of `sources`, number in the retraining sweep -> source, where that sweep tells of its own.

    Trials that have no source keep their names.
    """

    listener: Listener
    name: str
    """What the retraining is called."""
    sources: Mapping[int, Source]

    def __call__(self, progress: Progress) -> None:
        """Tell the listener of the same event."""
        best = progress.best_trial
        self.listener(
            replace(
                progress,
                name=self.name,
                best_trial=None if best is None else self._trial(best),
                running=tuple(replace(one, trial=self._trial(one.trial)) for one in progress.running),
                message=_NAME.sub(self._name, progress.message),
            )
        )

    def _trial(self, number: int) -> int:
        source = self.sources.get(number)
        return number if source is None else source.trial

    def _number(self, number: int) -> int:
        return self.sources[number].trial if number in self.sources else number

    def _name(self, found: re.Match[str]) -> str:
        source = self.sources.get(int(found[0][1:]))
        return found[0] if source is None else source.words()
