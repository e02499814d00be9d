import pytest

from tune_mixup.measuring.nodes import asking_for, gpu_types, host, of_type, slots, without_type


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([{"CPU": 2}], 1, 0, 2),
        ([{"CPU": 2}], 0.5, 0, 4),
        ([{"CPU": 8, "GPU": 2}], 0.5, 0.25, 8),
        ([{"CPU": 8, "GPU": 2}], 1, 0.3, 6),  # three to a GPU: a fraction never straddles two
        ([{"CPU": 8, "GPU": 2}], 1, 0.6, 2),
        ([{"CPU": 3, "GPU": 2}], 1, 0.25, 3),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}, {"CPU": 2}], 1, 0.5, 4),
        ([{}, {"CPU": 4, "GPU": 1}], 1, 0.1, 4),
        ([{"CPU": 1}, {"CPU": 1}], 0.1, 0, 20),
    ],
)
def test_trials_that_fit(nodes, cpus, gpus, expected):
    assert slots(nodes, cpus=cpus, gpus=gpus) == expected


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "words"),
    [
        ([{"CPU": 2}], 1, 0.25, ["gpus_per_trial", "no GPU here"]),
        ([{"CPU": 2}, {"CPU": 2}], 4, 0, ["4 CPUs", "largest node has 2"]),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 2, "GPU": 1}], 9, 0.5, ["9 CPUs and 0.5", "largest node has 8 and 1"]),
        ([], 1, 0, ["largest node has 0"]),
    ],
)
def test_what_can_never_run_is_refused(nodes, cpus, gpus, words):
    with pytest.raises(ValueError) as caught:
        slots(nodes, cpus=cpus, gpus=gpus)
    assert all(word in str(caught.value) for word in words), str(caught.value)


A, B = {"CPU": 8, "GPU": 2, "accelerator_type:A": 1}, {"CPU": 8, "GPU": 1, "accelerator_type:B": 1}
PLAIN = {"CPU": 4}


@pytest.mark.parametrize(
    ("nodes", "types"),
    [
        ([PLAIN], {}),
        ([A, B, A, PLAIN], {"A": [A, A], "B": [B]}),
        ([{**PLAIN, "accelerator_type:C": 1}, A], {"A": [A]}),  # its GPUs are not Ray's
        ([{"CPU": 1, "GPU": 1}, PLAIN], {"": [{"CPU": 1, "GPU": 1}]}),
        ([A, {"CPU": 1, "GPU": 1}], {"": [A, {"CPU": 1, "GPU": 1}]}),  # nobody can ask for the one without a type
    ],
)
def test_types_of_gpu_and_their_nodes(nodes, types):
    assert gpu_types(nodes) == list(types)
    assert {gpu_type: of_type(nodes, gpu_type) for gpu_type in types} == types


def test_a_type_is_asked_for_by_a_trace_of_its_resource():
    assert asking_for("A") == {"accelerator_type:A": 0.001} and asking_for("") == {}


def test_a_node_is_named_by_its_address():
    assert host({"CPU": 1, "node:10.0.0.7": 1, "node:__internal_head__": 1}) == "host 10.0.0.7"
    assert host({"CPU": 1, "node:__internal_head__": 1}) == host({}) == "a host"


SILENT = {"CPU": 8, "GPU": 1, "node:10.0.0.9": 1}


@pytest.mark.parametrize(("nodes", "told"), [([A, SILENT], True), ([A, B, PLAIN], False), ([SILENT, PLAIN], False)])
def test_a_node_that_does_not_say_which_gpus_it_has_makes_all_of_them_one_type(nodes, told):
    line = without_type(nodes)
    assert bool(line) == told and "\n" not in line
    if told:
        assert line.startswith("host 10.0.0.9: Ray does not know which GPUs are there (NVML failed")
        assert line.endswith("auto measures one of them for all") and gpu_types(nodes) == [""]
