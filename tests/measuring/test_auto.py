"""What is measured where for `auto`, with made-up measurements in place of probes."""

import pytest
from fake_worker import plan
from optuna.distributions import FloatDistribution

from tune_mixup.measuring import auto
from tune_mixup.measuring.messages import Fault
from tune_mixup.measuring.packing import Load, Packed, Packing
from tune_mixup.measuring.probe import Place
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
ALONE = Load(0.01, 19 * GB, 80 * GB)
A, B = ({"CPU": 8, "GPU": 2, f"accelerator_type:{name}": 1} for name in "AB")


class Machine:
    """Every trial takes 19 of 80 GB and does not hinder its neighbours; what was asked of it is in `asked`."""

    def __init__(self, found=ALONE):
        self.found = found
        self.asked = []

    def __call__(self, watch, copies, place):
        self.asked.append((watch, copies, place))
        return self.found


def test_each_type_of_gpu_is_measured_once_alone_and_with_a_twin():
    machine = Machine()
    config = plan(space=SPACE, gpus_per_trial="auto", cpus_per_trial=2.0)
    decision = auto.decide(config, [A, B, A, {"CPU": 64}], Packed(), run=machine)
    assert {gpu_type: packing.per_gpu for gpu_type, packing in decision.gpus.items()} == {"A": 2, "B": 2}
    assert [(place.where, copies) for _, copies, place in machine.asked] == [
        ({"accelerator_type:A": 0.001}, 1), ({"accelerator_type:A": 0.001}, 2),
        ({"accelerator_type:B": 0.001}, 1), ({"accelerator_type:B": 0.001}, 2),
    ]  # fmt: skip
    watch, _, place = machine.asked[0]
    assert (watch.threads, watch.gpu) == (2, True)
    assert (place.cpus, place.gpus) == (4.0, 1), "four CPUs beside each GPU, two for each trial"
    one_more = auto.decide(config, [A, {**A, "accelerator_type:C": 1, "accelerator_type:A": 0}], decision, run=machine)
    assert one_more == decision


def test_what_is_known_is_not_measured_again():
    machine = Machine()
    known = Packed(gpus={"A": Packing(per_gpu=3, words="three")})
    config = known.applied(plan(space=SPACE, gpus_per_trial="auto"))
    assert auto.decide(config, [A], known, run=machine) == known and not machine.asked
    assert auto.decide(config, [A, B], known, run=machine).gpus["A"] == known.gpus["A"]
    assert [copies for _, copies, _ in machine.asked] == [1, 2, 3]
    fixed = plan(space=SPACE, gpus_per_trial=0.5)
    assert auto.decide(fixed, [A], Packed(), run=machine) == Packed() and len(machine.asked) == 3


def test_threads_are_measured_on_the_node_with_the_most_cpus():
    machine = Machine()
    nodes = [
        {"CPU": 2, "node:1.1.1.1": 1},
        {"CPU": 4, "node:2.2.2.2": 1, "node:__internal_head__": 1, "memory": 80 * GB},
    ]
    machine.found = Load(0.01, 19 * GB, 999 * GB)
    decision = auto.decide(plan(space=SPACE, cpus_per_trial="auto"), nodes, Packed(), run=machine)
    assert decision.cpus.threads == 2, "four at once have no room in what the node's workers may use"
    assert [(watch.threads, copies) for watch, copies, _ in machine.asked] == [(1, 1), (2, 1), (2, 2), (4, 1)]
    place = Place(cpus=4, gpus=0, where={"node:2.2.2.2": 0.001})
    assert all(asked == place and not watch.gpu for watch, _, asked in machine.asked)


def test_a_host_that_is_too_small_is_one_line():
    machine = Machine(Fault(words="the host ran out of memory", out_of_memory=True))
    with pytest.raises(ValueError, match="^cpus_per_trial: got auto, but the space's largest setting does not fit"):
        auto.decide(plan(space=SPACE, cpus_per_trial="auto"), [{"CPU": 2}], Packed(), run=machine)


def test_a_fault_of_the_largest_setting_is_one_line():
    machine = Machine(Fault(words="data.root: no such folder"))
    with pytest.raises(ValueError, match="^the probe of the largest setting failed: data.root: no such folder; give a"):
        auto.decide(plan(space=SPACE, gpus_per_trial="auto"), [A], Packed(), run=machine)


def test_there_must_be_a_gpu_to_share():
    with pytest.raises(ValueError, match="^gpus_per_trial: got auto, but there is no GPU here"):
        auto.check_resources(plan(gpus_per_trial="auto"), [{"CPU": 2}])
    with pytest.raises(ValueError, match="largest node has 0.5"):
        auto.check_resources(plan(cpus_per_trial="auto"), [{"CPU": 0.5}])
