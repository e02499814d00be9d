"""How many trials fit a cluster at once, and a clear word when none does."""

from collections.abc import Mapping, Sequence

Node = Mapping[str, float]
"""What one living node offers: CPU, GPU, memory in bytes, `accelerator_type:X` for its GPUs, `node:IP` for itself."""
TYPE = "accelerator_type:"
HOST, HEAD = "node:", "node:__internal_head__"
ANY_TYPE = ""
"""The type of all GPUs where not every node says its own."""


def slots(nodes: Sequence[Node], *, cpus: float, gpus: float) -> int:
    """Trials of `cpus` and `gpus` that run at once: each fits on one node, a fraction of a GPU on one GPU.

    Raises ValueError when not even one fits.
    """
    total = fitting(nodes, cpus=cpus, gpus=gpus)
    if total:
        return total
    if gpus and not any(node.get("GPU", 0) for node in nodes):
        raise ValueError(
            f"gpus_per_trial: got {gpus:g}, but there is no GPU here; use --gpus-per-trial 0 or a cluster's --address"
        )
    largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
    raise ValueError(
        f"a trial needs {cpus:g} CPUs and {gpus:g} GPUs, but the largest node has {largest.get('CPU', 0):g} and "
        f"{largest.get('GPU', 0):g}; lower --cpus-per-trial or --gpus-per-trial"
    )


def fitting(nodes: Sequence[Node], *, cpus: float, gpus: float) -> int:
    """As `slots`, but 0 when none fits."""
    return sum(_on_node(node, cpus, gpus) for node in nodes)


def gpu_types(nodes: Sequence[Node]) -> list[str]:
    """The types of GPU of a cluster; one type, `ANY_TYPE`, as soon as some node does not say which it has.

    A trial can ask Ray for a type, but not for a GPU without one.
    """
    types = {_gpu_type(node) for node in nodes if node.get("GPU", 0) > 0}
    return [ANY_TYPE] if ANY_TYPE in types else sorted(types)


def without_type(nodes: Sequence[Node]) -> str:
    """What it means, in a line, that some nodes do not say which GPUs they have; empty where all do, or none."""
    with_gpus = [node for node in nodes if node.get("GPU", 0) > 0]
    silent = [host(node) for node in with_gpus if _gpu_type(node) == ANY_TYPE]
    if not silent or len(with_gpus) == 1:
        return ""
    return (
        f"{', '.join(silent)}: Ray does not know which GPUs are there (NVML failed when it was started?), so all GPUs "
        "of the cluster count as one type, and auto measures one of them for all"
    )


def host(node: Node) -> str:
    """The address of a node, to name it by."""
    address = next((key.removeprefix(HOST) for key in sorted(node) if key.startswith(HOST) and key != HEAD), "")
    return f"host {address}" if address else "a host"


def of_type(nodes: Sequence[Node], gpu_type: str) -> list[Node]:
    """The nodes with GPUs of one of `gpu_types`."""
    return [node for node in nodes if node.get("GPU", 0) > 0 and gpu_type in (ANY_TYPE, _gpu_type(node))]


def asking_for(gpu_type: str) -> dict[str, float]:
    """What to ask Ray for beside GPUs, so that they are of this type."""
    return {} if gpu_type == ANY_TYPE else {TYPE + gpu_type: 0.001}


def _gpu_type(node: Node) -> str:
    return next((key.removeprefix(TYPE) for key in sorted(node) if key.startswith(TYPE)), ANY_TYPE)


def _on_node(node: Node, cpus: float, gpus: float) -> int:
    by_cpu = int(node.get("CPU", 0) / cpus + 1e-9)
    if gpus == 0:
        return by_cpu
    return min(by_cpu, int(node.get("GPU", 0)) * int(1 / gpus + 1e-9))
