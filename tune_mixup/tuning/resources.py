"""How many trials fit a cluster at once, and a clear word when none does."""

from collections.abc import Mapping, Sequence

Node = Mapping[str, float]
"""What one living node offers: CPU, GPU."""


def slots(nodes: Sequence[Node], *, cpus: float, gpus: float) -> int:
    """Trials of `cpus` and `gpus` that run at once: each fits on one node, a fraction of a GPU on one GPU.

    Raises ValueError when not even one fits.
    """
    total = sum(_on_node(node, cpus, gpus) for node in nodes)
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


def _on_node(node: Node, cpus: float, gpus: float) -> int:
    by_cpu = int(node.get("CPU", 0) / cpus + 1e-9)
    if gpus == 0:
        return by_cpu
    per_gpu = int(1 / gpus + 1e-9) if gpus <= 1 else 1 / gpus
    return min(by_cpu, int(int(node.get("GPU", 0)) * per_gpu + 1e-9))
