"""What a sweep would refuse before it begins, tried without one: nothing is started, and nothing stays written."""

import tempfile
from pathlib import Path

from tune_mixup.cluster.connection import private_nodes
from tune_mixup.measuring.auto import check_resources
from tune_mixup.record.folder import SweepFolder
from tune_mixup.record.names import named
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.warm_start import import_trials
from tune_mixup.sweep_config import SweepConfig


def dry_run(
    config: SweepConfig,
    *,
    root: Path | str = "sweeps",
    address: str | None = None,
    warm_start: Path | str | None = None,
) -> str:
    """What the sweep would begin with, in one line; empty without a `warm_start`.

    Raises ValueError as `sweep` does, with two exceptions: data are not looked at, for that may download them, and a
    cluster is not asked what it has.
    """
    root = named(root)
    SweepFolder.check_free(root, config.name)
    source = SweepRecord.open(warm_start) if warm_start is not None else None
    if (nodes := private_nodes(address)) is not None:
        check_resources(config, nodes)
    if source is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        values = config.model_dump(mode="json")
        record = SweepRecord.create(Path(folder), config.name, values, direction=config.direction)
        return import_trials(record, config, source).words(source.name)
