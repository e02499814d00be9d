"""What can be known of a command before torch, Ray, Optuna and pandas are imported, which takes seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_mixup.cli.options import sweep_path


def check_sweep(space: str, settings: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise ValueError for a space that is not there, and for a slip of the pen in what is said of the sweep."""
    parts = {"sweep.sampler.name": options.get("sampler"), "sweep.stopping.name": options.get("scheduler")}
    check_trial(space, {**{key: name for key, name in parts.items() if isinstance(name, str)}, **settings})
    from tune_mixup.outline import check_metric
    from tune_mixup.record.names import check_name

    if "training.metrics" not in settings:
        check_metric(options.get("metric", ""))
    check_name(options.get("name", Path(space).stem))


def check_trial(space: str | None, settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a space that is not there, and for a slip of the pen in settings of a trial, or a sweep.

    A space's own file may add parts to those that we know, so settings are looked at later where one is given.
    """
    from tune_mixup.outline import check_settings
    from tune_mixup.schema import nest
    from tune_mixup.space_names import is_shipped, space_file

    if space is None or is_shipped(space_file(space)):
        check_settings(nest(settings))


def check_places(name: str, root: Path, from_: str | None) -> None:
    """Raise ValueError unless a sweep called `name` can be made in `root`, and `from_` is a sweep, if it is given."""
    from tune_mixup.record.targets import check_root

    if from_ is not None:
        try:
            sweep_path(from_, root)
        except ValueError as error:
            raise ValueError(f"--from: {error}") from None
    check_root(root)
    from tune_mixup.record.folder import SweepFolder

    SweepFolder.check_free(root, name)
