"""Sweeps that need a Ray of their own: `python auto_sweep.py threads|types FOLDER`."""

import json
import os
import sys
import time
from pathlib import Path

from optuna.distributions import FloatDistribution
from ray import cloudpickle, tune

from tune_mixup.cluster.connection import QUIET
from tune_mixup.cluster.messages import to_ray
from tune_mixup.record.facts import Ending, Report
from tune_mixup.search_space import SearchSpace

FIXED = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 200,
    "data.num_test": 8,
    "data.size": 8,
    "model.width": 2,
    "mixing.name": "mixup",
    "training.epochs": 2,
    "training.batch_size": 40,
}
SPACE = SearchSpace(fixed=FIXED, free={"optimizer.lr": FloatDistribution(0.01, 0.2, log=True)})
QUIETLY = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}


def threads(root):
    """Prints the first message of the sweep."""
    import ray

    from tune_mixup import sweep

    heard = []
    ray.init(address="local", num_cpus=2, object_store_memory=100 * 2**20, **QUIETLY)
    sweep(
        SPACE, name="threads", root=root, trials=2, scheduler="none", sampler="random", cpus_per_trial="auto",
        listener=heard.append,
    )  # fmt: skip
    print(json.dumps(heard[0].message))


class Noting(tune.Trainable):
    """Notes the type of the node that it is on and its share; waits until three have come."""

    def setup(self, config):
        self.folder = Path(config["folder"])

    def step(self):
        import ray

        context = ray.get_runtime_context()
        here = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
        gpu_type = next(key for key in here["Resources"] if key.startswith("accelerator_type:"))
        place = self.folder.with_suffix(".place")
        place.write_text(json.dumps([gpu_type.split(":")[1], self.config["gpus"]]))
        deadline = time.time() + 60
        while len(list(place.parent.glob("*.place"))) < 3 and time.time() < deadline:
            time.sleep(0.02)
        row = {"epoch": 2, "val_accuracy": 0.5, "diverged": 0}
        return to_ray(Report(row=row, ending=Ending(kind="completed")))

    def reset_config(self, new_config):
        self.setup(new_config)
        return True


def types(root):
    """A cluster of two nodes with a GPU each, of type A, where two trials share one, and of type B, where none do."""
    import ray
    from ray.cluster_utils import Cluster

    from tune_mixup import sweep
    from tune_mixup.cluster import trainable
    from tune_mixup.measuring.packing import Packed, Packing

    module = sys.modules["tune_mixup.cluster.sweep"]
    packed = {"A": Packing(per_gpu=2, step_s=0.01, words="two"), "B": Packing(per_gpu=1, step_s=0.02, words="one")}
    module.decide = lambda config, nodes, known: Packed(gpus=packed)
    cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    trainable.MixupTrainable = Noting
    node = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "resources": {"accelerator_type:A": 1}})
    cluster.add_node(**node, resources={"accelerator_type:B": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    sweep(
        SPACE, name="types", root=root, trials=6, scheduler="none", sampler="random", metric="val_accuracy",
        gpus_per_trial="auto",
    )  # fmt: skip
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    os.environ |= {**QUIET, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    {"threads": threads, "types": types}[sys.argv[1]](Path(sys.argv[2]))
