import pytest

from tune_mixup.tuning.resources import slots


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([{"CPU": 2}], 1, 0, 2),
        ([{"CPU": 2}], 0.5, 0, 4),
        ([{"CPU": 8, "GPU": 2}], 0.5, 0.25, 8),
        ([{"CPU": 8, "GPU": 2}], 1, 0.3, 6),  # three to a GPU: a fraction never straddles two
        ([{"CPU": 8, "GPU": 2}], 1, 0.6, 2),
        ([{"CPU": 3, "GPU": 2}], 1, 0.25, 3),
        ([{"CPU": 8, "GPU": 4}], 1, 2, 2),
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
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], 1, 2, ["2 GPUs", "largest node has 8 and 1"]),
        ([], 1, 0, ["largest node has 0"]),
    ],
)
def test_what_can_never_run_is_refused(nodes, cpus, gpus, words):
    with pytest.raises(ValueError) as caught:
        slots(nodes, cpus=cpus, gpus=gpus)
    assert all(word in str(caught.value) for word in words), str(caught.value)
