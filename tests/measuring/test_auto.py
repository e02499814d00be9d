"""Sweeps whose trials share GPUs, or have threads, by measurement: on logical GPUs and with made-up measurements."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_worker import plan
from optuna.distributions import FloatDistribution
from ray import cloudpickle

from tune_mixup import sweep
from tune_mixup.cluster import trainable
from tune_mixup.cluster.sweep import resume
from tune_mixup.cluster.trainable import MixupTrainable
from tune_mixup.measuring import auto
from tune_mixup.measuring.packing import Load, OutOfMemory, Packed, Packing
from tune_mixup.measuring.probe import RayProbe
from tune_mixup.record import tables
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search_space import SearchSpace

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
A, B = ({"CPU": 8, "GPU": 2, f"accelerator_type:{name}": 1} for name in "AB")


@pytest.fixture
def asked(monkeypatch):
    """Every trial takes 19 of 80 GB and does not hinder its neighbours; what was asked of the probes."""
    asked = []

    def measure(self, copies):
        asked.append((self, copies))
        return Load(0.01, 19 * GB, 80 * GB)

    monkeypatch.setattr(RayProbe, "measure", measure)
    return asked


def test_each_type_of_gpu_is_measured_once_alone_and_with_a_twin(asked):
    config = plan(space=SPACE, gpus_per_trial="auto", cpus_per_trial=2.0)
    decision = auto.decide(config, [A, B, A, {"CPU": 64}], Packed())
    assert {gpu_type: packing.per_gpu for gpu_type, packing in decision.gpus.items()} == {"A": 2, "B": 2}
    assert [(probe.where, copies) for probe, copies in asked] == [
        ({"accelerator_type:A": 0.001}, 1), ({"accelerator_type:A": 0.001}, 2),
        ({"accelerator_type:B": 0.001}, 1), ({"accelerator_type:B": 0.001}, 2),
    ]  # fmt: skip
    probe = asked[0][0]
    assert (probe.threads, probe.cpus, probe.gpus) == (2, 4.0, 1), "four CPUs beside each GPU, two for each trial"
    one_more = auto.decide(config, [A, {**A, "accelerator_type:C": 1, "accelerator_type:A": 0}], decision)
    assert one_more == decision


def test_what_is_known_is_not_measured_again(asked):
    known = Packed(gpus={"A": Packing(per_gpu=3, words="three")})
    config = known.applied(plan(space=SPACE, gpus_per_trial="auto"))
    assert auto.decide(config, [A], known) == known and not asked
    assert auto.decide(config, [A, B], known).gpus["A"] == known.gpus["A"] and len(asked) == 2
    assert auto.decide(plan(space=SPACE, gpus_per_trial=0.5), [A], Packed()) == Packed() and len(asked) == 2


def test_threads_are_measured_on_the_node_with_the_most_cpus(asked):
    nodes = [
        {"CPU": 2, "node:1.1.1.1": 1},
        {"CPU": 4, "node:2.2.2.2": 1, "node:__internal_head__": 1, "memory": 99 * GB},
    ]
    decision = auto.decide(plan(space=SPACE, cpus_per_trial="auto"), nodes, Packed())
    assert decision.cpus.threads == 2, "four at once have no room"
    assert [(probe.threads, copies) for probe, copies in asked] == [(1, 1), (2, 1), (2, 2), (4, 1)]
    assert {(probe.cpus, probe.gpus, probe.memory_bytes) for probe, _ in asked} == {(4, 0, 99 * GB)}
    assert asked[0][0].where == {"node:2.2.2.2": 0.001}


def test_a_host_that_is_too_small_is_one_line(monkeypatch):
    def measure(self, copies):
        raise OutOfMemory

    monkeypatch.setattr(RayProbe, "measure", measure)
    with pytest.raises(ValueError, match="^cpus_per_trial: got auto, but the space's largest setting does not fit"):
        auto.decide(plan(space=SPACE, cpus_per_trial="auto"), [{"CPU": 2}], Packed())


def test_there_must_be_a_gpu_to_share():
    with pytest.raises(ValueError, match="^gpus_per_trial: got auto, but there is no GPU here"):
        auto.check_resources(plan(gpus_per_trial="auto"), [{"CPU": 2}])
    with pytest.raises(ValueError, match="largest node has 0.5"):
        auto.check_resources(plan(cpus_per_trial="auto"), [{"CPU": 0.5}])


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
def test_out_of_memory_lowers_the_number_on_a_gpu_and_is_no_failure(tmp_path, monkeypatch, asked, ray_session):
    cloudpickle.register_pickle_by_value(__import__(__name__))
    monkeypatch.setattr(trainable, "MixupTrainable", Hungry)
    monkeypatch.setattr(RayProbe, "measure", lambda self, copies: Load(0.01, 17 * GB, 80 * GB))
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
    assert heard[0].message.startswith("4 on a GPU: the largest setting takes 17 GB of 80 GB and 10 ms a step, with a")
    assert record.folder.config()["gpus_per_trial"] == 0.25
    assert Packed.parse(record.study.sweep_facts().packing).gpus[""].per_gpu == 1
    assert heard[-1].gpu_hours_used > 0

    def measure(self, copies):
        raise AssertionError("measured again")

    monkeypatch.setattr(RayProbe, "measure", measure)
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
