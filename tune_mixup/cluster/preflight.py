"""What is checked before a sweep begins or goes on: everything that can be known of it, the cheapest first."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from tune_mixup.activity import doing
from tune_mixup.cluster.probing import warn_of_gpus
from tune_mixup.config import TrialConfig
from tune_mixup.data.loading import forget_data
from tune_mixup.measuring.auto import check_resources, least_room
from tune_mixup.measuring.nodes import Node
from tune_mixup.search.disk import check_space
from tune_mixup.sweep_config import SweepConfig
from tune_mixup.words import said


class Found(NamedTuple):
    """What the data say of a sweep that fits them."""

    checkpoint_bytes: int
    """The most that a checkpoint takes."""
    data: dict[str, str]
    """The content of each data set: `Dataset.source()` -> fingerprint."""


def check_all(config: SweepConfig, nodes: Sequence[Node], root: Path, *, here: bool, data: bool = True) -> Found:
    """Check that trials can run on `nodes`, fit their data, unless these are not needed, and can be kept below `root`.

    `here`: the nodes are this host alone. Raises ValueError with the first fault, in one line.
    """
    check_resources(config, nodes)
    warn_of_gpus(config, nodes, here=here)
    found = check_data(config, here=here) if data else Found(0, {})
    check_space(root, config, checkpoint_bytes=found.checkpoint_bytes, concurrent=least_room(config, nodes))
    return found


@doing("checking the data")
def check_data(config: SweepConfig, *, here: bool) -> Found:
    """Load the data of every kind of trial once.

    On a worker, or in this process (`here`), as befits a Ray of this host only: a worker would have to import all of
    torch for it, and Ray gives no worker that has run a task to an actor.
    Raises ValueError with the first fault, in one line; data with another content than the configuration knows of are
    one. What takes long the first time, a download or decoding a folder
    of images, is then done before the trials start.
    """
    kinds = [trial.plain() for trial in _kinds(config)]
    if here:
        with torch.random.fork_rng(devices=[]):
            fault, checkpoint_bytes, data = _try(kinds)
    else:
        import ray

        fault, checkpoint_bytes, data = ray.get(ray.remote(num_cpus=config.cpus, max_retries=0)(_try).remote(kinds))
    if fault is not None:
        raise ValueError(fault)
    return Found(int(checkpoint_bytes), dict(data))


def _kinds(config: SweepConfig) -> Iterable[TrialConfig]:
    """One trial for each combination of what decides whether a configuration fits its data."""
    kinds: dict[str, TrialConfig] = {}
    for trial in config.examples():
        values = trial.plain()
        decisive = {section: _whole(values[section]) for section in ("data", "model", "mixing", "optimizer")}
        kinds.setdefault(json.dumps([decisive, trial.training.batch_size], sort_keys=True), trial)
    return kinds.values()


def _whole(settings: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in settings.items() if not isinstance(value, float)}


def _try(configs: list[dict[str, object]]) -> tuple[str | None, int, dict[str, str]]:
    """The first fault, the bytes of the largest checkpoint, and the fingerprint of each source of data."""
    forget_data()  # a process that has read them before would not see that they are gone
    try:
        return _look(configs)
    finally:
        forget_data()


def _look(configs: list[dict[str, object]]) -> tuple[str | None, int, dict[str, str]]:
    from tune_mixup.measuring.checkpoint_size import expected_bytes
    from tune_mixup.training.fitting import load_fitting

    largest, found = 0, {}
    for values in configs:
        config = TrialConfig.parse(values)
        try:
            data = load_fitting(config, device=torch.device("cpu"))
        except (ValueError, OSError) as error:
            return said(error, 1000), 0, {}
        found[config.data.source()] = data.fingerprint
        image = (data.channels, *data.size)
        largest = max(largest, expected_bytes(config, image=image, num_classes=data.num_classes))
    return None, largest, found
