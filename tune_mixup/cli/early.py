"""What can be known of a command before torch, Ray, Optuna and pandas are imported, which takes seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_mixup.cli.options import sweep_path


def check_sweep(space: str, settings: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise ValueError for a space that is not there, and for a slip of the pen in what is said of the sweep.

    What a space's own file may add, such as a metric, is looked at later.
    """
    check_trial(space, settings)
    from tune_mixup.outline import check_metric, check_settings
    from tune_mixup.record.names import check_name
    from tune_mixup.schema import nest
    from tune_mixup.space_names import is_shipped, space_file

    parts = {"sweep.sampler.name": options.get("sampler"), "sweep.stopping.name": options.get("scheduler")}
    check_settings(nest({key: name for key, name in parts.items() if isinstance(name, str)}))
    file = space_file(space)
    if "training.metrics" not in settings and is_shipped(file) and "training.metrics" not in file.read_text("utf-8"):
        check_metric(options.get("metric", ""))
    if (name := sweep_name(space, settings, options)) is not None:
        check_name(name)


def sweep_name(space: str, settings: Mapping[str, Any], options: Mapping[str, Any]) -> str | None:
    """What the sweep will be called, as far as it is known: a space's own file may give a name among its defaults.

    Raises ValueError for a space that is not there.
    """
    from tune_mixup.space_names import is_shipped, space_file

    file = space_file(space)
    for given in (options.get("name"), settings.get("sweep.name")):
        if given is not None:
            return given if isinstance(given, str) else None
    return file.stem if is_shipped(file) else None


def check_trial(space: str | None, settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a space that is not there, and for a slip of the pen in settings of a trial, or a sweep.

    A space's own file may add parts to those that we know, so settings are looked at later where one is given.
    """
    from tune_mixup.outline import check_settings
    from tune_mixup.schema import nest
    from tune_mixup.space_names import is_shipped, space_file

    if space is None or is_shipped(space_file(space)):
        check_settings(nest(settings))


def check_places(name: str | None, root: Path, from_: str | None) -> None:
    """Raise ValueError unless a sweep called `name` can be made in `root`, and `from_` is a sweep, if it is given."""
    from tune_mixup.record.targets import check_root

    if from_ is not None:
        try:
            sweep_path(from_, root)
        except ValueError as error:
            raise ValueError(f"--from: {error}") from None
    check_root(root)
    from tune_mixup.record.folder import SweepFolder

    if name is not None:
        SweepFolder.check_free(root, name)
