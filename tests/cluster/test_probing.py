"""Probes as Ray tasks, and sweeps whose trials share GPUs, or have threads, by measurement: on logical GPUs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from optuna.distributions import FloatDistribution
from ray import cloudpickle

from tune_mixup import sweep
from tune_mixup.cluster import probing, trainable
from tune_mixup.cluster.probing import on_node, warn_of_gpus
from tune_mixup.cluster.sweep import resume
from tune_mixup.cluster.trainable import MixupTrainable
from tune_mixup.config import TrialConfig
from tune_mixup.measuring.device import LOGICAL_GPUS
from tune_mixup.measuring.gpus import Gpu, Gpus
from tune_mixup.measuring.messages import Fault
from tune_mixup.measuring.packing import Load, OutOfMemory, Packed
from tune_mixup.measuring.probe import NodeProbe, Place
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

GB = 10**9
SPACE = SearchSpace(
    fixed={
        "data.name": "synthetic",
        "data.num_classes": 4,
        "data.num_train": 200,
        "data.num_test": 8,
        "data.size": 8,
        "model.width": 2,
        "mixing.name": "mixup",
        "training.epochs": 3,
        "training.batch_size": 40,
    },
    free={"optimizer.lr": FloatDistribution(0.01, 0.2, log=True)},
)
TINY = {
    "data.name": "synthetic",
    "data.num_classes": 4,
    "data.num_train": 4000,
    "data.num_test": 8,
    "data.size": 8,
    "data.batches": "stratified",
    "model.width": 2,
    "mixing.name": "generalized_mixup",
    "training.batch_size": 20,
}


def config_of(**changes):
    return TrialConfig.from_dotted(TINY, {key.replace("_", ".", 1): value for key, value in changes.items()})


def probe_at(config, *, cpus=1, gpus=0, memory_bytes=None):
    return NodeProbe(on_node, config, threads=1, place=Place(cpus=cpus, gpus=gpus, where={}), memory_bytes=memory_bytes)


@pytest.mark.slow
def test_a_fault_of_the_setting_is_one_line(ray_session):
    with pytest.raises(ValueError) as caught:
        probe_at(config_of(training_batch_size=3996)).measure(1)
    words = str(caught.value)
    assert words.startswith("the probe of the largest setting failed: batch size 3996 is larger") and "\n" not in words


@pytest.mark.slow
def test_on_ray_with_what_the_node_says_of_its_memory(ray_session):
    found = probe_at(config_of(), cpus=2, memory_bytes=123).measure(1)
    assert isinstance(found, Load) and found.memory_bytes == 123 and found.step_s > 0


MIG = Gpus(found=(Gpu("NVIDIA A100-SXM4-40GB", ("3g.20gb", "3g.20gb")),))


@pytest.mark.parametrize(
    ("gpus", "logical", "told"), [(0.25, "", True), ("auto", "", True), (0, "", False), (1, "1", False)]
)
def test_a_sweep_warns_of_its_gpus(monkeypatch, caplog, gpus, logical, told):
    monkeypatch.setenv(LOGICAL_GPUS, logical)
    monkeypatch.setattr(probing, "gpus_here", lambda: MIG)
    nodes = [{"CPU": 8, "GPU": 1, "node:10.0.0.7": 1}]
    warn_of_gpus(plan(SPACE, name="w", gpus_per_trial=gpus), nodes, here=True)
    assert len(caplog.messages) == told
    for line in caplog.messages:
        assert line.startswith(
            "host 10.0.0.7: GPU 0 (NVIDIA A100-SXM4-40GB) is cut into MIG slices, 2 of 3g.20gb (20 GB);"
        )


@pytest.mark.slow
def test_each_host_is_asked_by_ray(monkeypatch, caplog, ray_session):
    """A node without such an address makes the task wait in vain, which is told and does not stop the sweep."""
    import ray

    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.delenv(LOGICAL_GPUS)
    monkeypatch.setattr(probing, "gpus_here", found_there)
    (node,) = (node["Resources"] for node in ray.nodes())
    config = plan(SPACE, name="w", gpus_per_trial=0.25)
    monkeypatch.setattr(probing, "TIMEOUT_S", 20.0)
    warn_of_gpus(config, [node], here=False)
    assert len(caplog.messages) == 1 and "is cut into MIG slices, 2 of 3g.20gb (20 GB)" in caplog.messages[0]
    monkeypatch.setattr(probing, "TIMEOUT_S", 1.0)
    warn_of_gpus(config, [{"GPU": 1, "accelerator_type:A": 1, "node:10.9.9.9": 1}], here=False)
    assert "host 10.9.9.9: its GPUs can't be looked at (asking there failed: GetTimeoutError)" in caplog.messages[1]


def found_there():
    return MIG


def no_room(watch, copies):
    import ray

    (gpus,) = ray.get_runtime_context().get_accelerator_ids()["GPU"] or ("none",)
    return Fault(words=f"no room for {copies} on GPU {gpus}, {watch.threads} thread", out_of_memory=True)


def test_out_of_memory_reaches_the_driver(ray_session, monkeypatch):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(probing, "together", no_room)
    with pytest.raises(OutOfMemory, match="no room for 2 on GPU [01], 1 thread"):
        probe_at(config_of(), gpus=1).measure(2)


class Hungry(MixupTrainable):
    """Needs more than a quarter of a GPU after its first epoch; trial 3 more than any GPU has."""

    def _epoch(self):
        with open(self.folder.path.parent / f"{self.folder.path.name}.places", "a") as file:
            file.write(f"{self.config['gpus']:g}\n")
        if self.config["number"] == 3 or (self.trainer is not None and self.config["gpus"] <= 0.25):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return super()._epoch()


def places(record, number):
    return list(dict.fromkeys((record.path / "trials" / f"t{number:04d}.places").read_text().split()))


@pytest.mark.slow
def test_out_of_memory_lowers_the_number_on_a_gpu_and_is_no_failure(tmp_path, monkeypatch, ray_session):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(trainable, "MixupTrainable", Hungry)
    monkeypatch.setattr(NodeProbe, "measure", lambda self, copies, steps=None: Load(0.01, 17 * GB, 80 * GB))
    heard = []
    options = {"sampler": "random", "scheduler": "none", "max_failures": 0, "concurrent": 3, "gpu_hours": 1.0}
    record = sweep(
        SPACE, name="o", root=tmp_path, trials=5, gpus_per_trial="auto", listener=heard.append, **options
    ).record
    assert tables.trials(record)["state"].tolist() == ["COMPLETE"] * 3 + ["FAIL", "COMPLETE"]
    assert [places(record, number)[0] for number in range(3)] == ["0.25"] * 3
    assert [places(record, number)[1:] for number in range(3)] == [["0.3333"]] * 3
    assert places(record, 3)[-2:] == ["0.5", "1"], "it lowers the number down to one and fails then"
    assert tables.trials(record)["reason"][3].endswith("Tried to allocate 2 GiB. on 1 GPU")
    assert not any("deaths" in trial.user_attrs for trial in record.study.asked())
    assert heard[0].message.startswith("4 on a GPU: the largest setting takes 17 GB of 80 GB and 10 ms a step, with 2")
    assert record.folder.config()["gpus_per_trial"] == 0.25
    assert Packed.parse(record.study.sweep_facts().packing).gpus[""].per_gpu == 1
    assert heard[-1].gpu_hours_used > 0

    def measure(self, copies, steps=None):
        raise AssertionError("measured again")

    monkeypatch.setattr(NodeProbe, "measure", measure)
    longer = resume(record.path, trials=6)
    assert longer.trials()["state"].tolist()[5] == "COMPLETE" and places(longer.record, 5) == ["1"]


@pytest.mark.slow
def test_threads_of_a_real_sweep(tmp_path):
    """On a Ray of its own with two CPUs: what it costs to look, and that the numbers get everywhere."""
    script = Path(__file__).with_name("auto_sweep.py")
    done = subprocess.run([sys.executable, script, "threads", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = SweepRecord.open(tmp_path / "threads")
    decision = Packed.parse(record.study.sweep_facts().packing)
    assert decision.cpus.threads in (1, 2) and decision.gpus == {}
    assert record.folder.config()["cpus_per_trial"] == decision.cpus.threads
    assert (tables.trials(record)["state"] == "COMPLETE").all()
    assert json.loads(done.stdout.splitlines()[-1]) == decision.words()
    assert "threads a trial on 2 cores (trials at once: 2 with 1: " in decision.words()


@pytest.mark.slow
def test_two_types_of_gpu_have_two_shares(tmp_path):
    script = Path(__file__).with_name("auto_sweep.py")
    done = subprocess.run([sys.executable, script, "types", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = SweepRecord.open(tmp_path / "types")
    assert (tables.trials(record)["state"] == "COMPLETE").all()
    ran = [json.loads((record.path / "trials" / f"t{number:04d}.place").read_text()) for number in range(6)]
    assert sorted(map(tuple, ran[:3])) == [("A", 0.5), ("A", 0.5), ("B", 1.0)]
    assert set(map(tuple, ran)) == {("A", 0.5), ("B", 1.0)}
    assert record.folder.config()["gpus_per_trial"] == 1.0
