"""Settings that were asked before: the same one is never trained twice on the same seed."""

from typing import NamedTuple

from tune_mixup.config import TrialConfig
from tune_mixup.record.files import storage
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord


class Asked(NamedTuple):
    """What is asked of a trial: a setting on a seed. An identity takes longer to work out than what is done here."""

    identity: str
    seed: int

    @classmethod
    def of(cls, config: TrialConfig) -> "Asked":
        """By a configuration."""
        return cls(config.identity(), config.seed)


class Repeats:
    """Which settings on which seeds a sweep has begun, and by which trial."""

    def __init__(self) -> None:
        self._first: dict[Asked, int] = {}
        self._settings: dict[str, int] = {}

    def note(self, number: int, asked: Asked) -> None:
        """Trial `number` trains what is asked; the first to do so counts."""
        self._first[asked] = min(number, self._first.get(asked, number))
        self._settings[asked.identity] = self.setting(number, asked)

    def setting(self, number: int, asked: Asked) -> int:
        """The first trial with the setting of trial `number`, on whatever seed; itself where there is none."""
        return min(number, self._settings.get(asked.identity, number))

    def is_known(self, asked: Asked) -> bool:
        """Whether the setting was trained on its seed."""
        return asked in self._first

    def earlier(self, number: int, asked: Asked) -> int | None:
        """The trial before `number` that trains the same setting on the same seed, if there is one."""
        first = self._first.get(asked, number)
        return first if first < number else None

    def fresh_seed(self, asked: Asked) -> int:
        """The smallest seed, from the one that is asked for on, that the setting was not trained on."""
        while asked in self._first:
            asked = asked._replace(seed=asked.seed + 1)
        return asked.seed


def serve(record: SweepRecord, number: int, config: TrialConfig) -> Outcome | None:
    """End a trial that is noted as served with the epochs and the end of the trial that was trained before.

    Repeating it after a kill changes nothing. None where the trial is to be trained.
    """
    earlier = record.study.facts(number).served
    if earlier is None:
        return None
    source, folder = record.study.trial(earlier), record.folder.trial(number)
    with storage(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_config(config.plain())
    folder.rewrite_epochs(record.folder.trial(earlier).read_epochs())
    for epoch, value in sorted(source.intermediate_values.items()):
        record.study.report(number, epoch, value)
    outcome = Outcome(source.state, f"the same setting and seed as {trial_name(earlier)}: its result")
    record.finish(number, outcome)
    return outcome
