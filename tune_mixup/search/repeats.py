"""Settings that were asked before: the same one is never trained twice on the same seed."""

from tune_mixup.config import TrialConfig
from tune_mixup.record.files import storage
from tune_mixup.record.names import trial_name
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord


class Repeats:
    """Which settings (identity and seed) a sweep has begun, and by which trial."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], int] = {}
        self._settings: dict[str, int] = {}

    def note(self, number: int, config: TrialConfig) -> None:
        """Trial `number` trains `config`; the first to do so counts."""
        key = (config.identity(), config.seed)
        self._first[key] = min(number, self._first.get(key, number))
        self._settings[key[0]] = min(number, self._settings.get(key[0], number))

    def setting(self, number: int, config: TrialConfig) -> int:
        """The first trial with the setting of trial `number`, on whatever seed; itself where there is none."""
        return min(number, self._settings.get(config.identity(), number))

    def is_known(self, config: TrialConfig) -> bool:
        """Whether the setting was trained on its seed."""
        return (config.identity(), config.seed) in self._first

    def earlier(self, number: int, config: TrialConfig) -> int | None:
        """The trial before `number` that trains the same setting on the same seed, if there is one."""
        first = self._first.get((config.identity(), config.seed), number)
        return first if first < number else None

    def fresh_seed(self, config: TrialConfig) -> int:
        """The smallest seed above the configuration's own that its setting was not trained on."""
        identity, seed = config.identity(), config.seed
        while (identity, seed) in self._first:
            seed += 1
        return seed


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
