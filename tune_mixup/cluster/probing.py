"""Probes on the nodes of a cluster, as Ray tasks: all that measuring needs of Ray."""

import logging
import os
from collections.abc import Sequence

from tune_mixup.measuring import auto
from tune_mixup.measuring.device import LOGICAL_GPUS
from tune_mixup.measuring.gpus import TIMEOUT_S, Gpus, gpus_here, remarks
from tune_mixup.measuring.messages import Fault, Watch
from tune_mixup.measuring.nodes import HEAD, HOST, Node, host, without_type
from tune_mixup.measuring.packing import Load, Packed
from tune_mixup.measuring.probe import Place, together
from tune_mixup.sweep_config import SweepConfig


def decide(config: SweepConfig, nodes: Sequence[Node], known: Packed) -> Packed:
    """As `measuring.auto.decide`, on the nodes of the Ray that this process is connected to."""
    return auto.decide(config, nodes, known, run=on_node)


def warn_of_gpus(config: SweepConfig, nodes: Sequence[Node], *, here: bool) -> None:
    """Warn, a line each, of MIG slices, hosts with two types of GPU, and drivers that do not answer.

    They are asked on their hosts, or in this process (`here`), as befits a Ray of this host only.
    """
    if not config.gpus_per_trial or os.environ.get(LOGICAL_GPUS) == "1":
        return
    lines = [without_type(nodes)]
    for node in nodes:
        counted = node.get("GPU", 0)
        if counted or here:
            found = gpus_here() if here else _gpus_on(node)
            lines += remarks(host(node), found, counted=counted, share=config.gpus_per_trial)
    for line in filter(None, lines):
        logging.getLogger(__name__).warning(line)


def _gpus_on(node: Node) -> Gpus:
    import ray

    place = {key: 0.001 for key in node if key.startswith(HOST) and key != HEAD}
    task = ray.remote(num_cpus=0, resources=place, max_retries=0)(gpus_here)
    try:
        found: Gpus = ray.get(task.remote(), timeout=3 * TIMEOUT_S)
    except ray.exceptions.RayError as error:
        return Gpus(fault=f"asking there failed: {type(error).__name__}")
    return found


def on_node(watch: Watch, copies: int, place: Place) -> Load | Fault:
    """`together` as a task that holds the place's resources; a task whose worker dies is not repeated."""
    import ray

    task = ray.remote(num_cpus=place.cpus, num_gpus=place.gpus, resources=dict(place.where), max_retries=0)(together)
    found: Load | Fault = ray.get(task.remote(watch, copies))
    return found
