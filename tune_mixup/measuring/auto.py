"""What `auto` means for a sweep: numbers, decided when it starts and kept in its record for when it is resumed."""

from collections.abc import Sequence

from tune_mixup.activity import doing
from tune_mixup.measuring.largest import largest
from tune_mixup.measuring.nodes import HEAD, HOST, Node, asking_for, gpu_types, of_type, slots
from tune_mixup.measuring.packing import OutOfMemory, Packed, Packing, Threading, choose_threads, pack
from tune_mixup.measuring.probe import NodeProbe, Place, Run
from tune_mixup.sweep_config import SweepConfig


def check_resources(config: SweepConfig, nodes: Sequence[Node]) -> None:
    """Raise ValueError when no trial can ever run; whatever `auto` comes to, a GPU or a CPU must be there."""
    if config.gpus_per_trial == "auto" and not gpu_types(nodes):
        raise ValueError(
            "gpus_per_trial: got auto, but there is no GPU here; use --gpus-per-trial 0 or a cluster's --address"
        )
    slots(nodes, cpus=config.cpus, gpus=config.gpus)


def least_room(config: SweepConfig, nodes: Sequence[Node]) -> int:
    """Trials that run at once whatever `auto` comes to."""
    if "auto" in (config.cpus_per_trial, config.gpus_per_trial):
        return 1
    return at_once(config, slots(nodes, cpus=config.cpus, gpus=config.gpus))


def at_once(config: SweepConfig, room: int) -> int:
    """Trials that run at once where there is room for `room` of them."""
    return min(room, config.concurrent or room, config.trials)


def decide(config: SweepConfig, nodes: Sequence[Node], known: Packed, *, run: Run) -> Packed:
    """Measure what is `auto` and not known yet: GPUs of each type once, threads on the node with the most CPUs.

    `run` takes the probes to their nodes.
    Raises ValueError when the space's largest setting has a fault, or does not fit in a host's memory.
    """
    gpus, cpus = dict(known.gpus), known.cpus
    if config.gpus_per_trial == "auto" or known.gpus:
        for gpu_type in gpu_types(nodes):
            if gpu_type not in gpus:
                gpus[gpu_type] = _pack(config, of_type(nodes, gpu_type), gpu_type, run)
    if config.cpus_per_trial == "auto":
        cpus = _choose_threads(config, max(nodes, key=lambda node: node.get("CPU", 0)), run)
    return Packed(gpus=gpus, cpus=cpus)


@doing("measuring how many trials fit on a GPU")
def _pack(config: SweepConfig, nodes: Sequence[Node], gpu_type: str, run: Run) -> Packing:
    cpus = min(node.get("CPU", 0) / node["GPU"] for node in nodes)
    """Beside each GPU, where they are scarcest."""
    taken = min(2 * config.cpus, max(1.0, float(int(cpus))))
    place = Place(cpus=taken, gpus=1, where=asking_for(gpu_type))
    probe = NodeProbe(run, largest(config), config.threads, place)
    return pack(probe, most=max(1, int(cpus / config.cpus + 1e-9)))


@doing("measuring how many CPU threads a trial needs")
def _choose_threads(config: SweepConfig, node: Node, run: Run) -> Threading:
    setting, cores = largest(config), int(node["CPU"])
    where = {key: 0.001 for key in node if key.startswith(HOST) and key != HEAD}
    place = Place(cpus=cores, gpus=0, where=where)
    memory = int(node["memory"]) if "memory" in node else None
    try:
        return choose_threads(lambda threads: NodeProbe(run, setting, threads, place, memory), cores=cores)
    except OutOfMemory:
        raise ValueError(
            "cpus_per_trial: got auto, but the space's largest setting does not fit in the memory of a host; make the "
            "model or training.batch_size smaller"
        ) from None
