"""What a trial was set to, from its folder where that is whole, else from the study."""

from typing import Any

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.sweep_config import SweepConfig


def settings_of(record: SweepRecord, number: int) -> dict[str, Any]:
    """The whole configuration of a trial as nested plain values, as `TrialConfig` parses them.

    The folder's is the first choice: it has the defaults of the version that trained the trial. Raises ValueError when
    neither is there, as for a trial at a point that is no valid configuration.
    """
    folder = record.folder.trial(number)
    if folder.has_whole_config():
        return folder.read_config()
    trial = SweepConfig.from_record(record.folder.config()).trial(record.study.trial(number).params)
    seed = record.study.facts(number).replicate_seed
    return (trial if seed is None else trial.replace(seed=seed)).plain()
