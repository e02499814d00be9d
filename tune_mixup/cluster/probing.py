"""Probes on the nodes of a cluster, as Ray tasks: all that measuring needs of Ray."""

from collections.abc import Sequence

from tune_mixup.measuring import auto
from tune_mixup.measuring.messages import Fault, Watch
from tune_mixup.measuring.nodes import Node
from tune_mixup.measuring.packing import Load, Packed
from tune_mixup.measuring.probe import Place, together
from tune_mixup.sweep_config import SweepConfig


def decide(config: SweepConfig, nodes: Sequence[Node], known: Packed) -> Packed:
    """As `measuring.auto.decide`, on the nodes of the Ray that this process is connected to."""
    return auto.decide(config, nodes, known, run=on_node)


def on_node(watch: Watch, copies: int, place: Place) -> Load | Fault:
    """`together` as a task that holds the place's resources; a task whose worker dies is not repeated."""
    import ray

    task = ray.remote(num_cpus=place.cpus, num_gpus=place.gpus, resources=dict(place.where), max_retries=0)(together)
    found: Load | Fault = ray.get(task.remote(watch, copies))
    return found
