"""The checks on the CPU, capturing replaced by calling: what is right passes, and what a graph gets wrong is found."""

import contextlib
from dataclasses import replace

import pytest
import torch

from benchmarks.gpu import TINY, checks, equality
from benchmarks.gpu.checks import CHECKS
from benchmarks.gpu.parts import PARTS
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.paired import PARTNERS
from tune_mixup.optimizer import OPTIMIZERS
from tune_mixup.training import runners, warm

CAPTURED = replace(TINY, captures=True)


@pytest.fixture
def captured(monkeypatch):
    """Makes steps capturable here; `captured(fault)` has each replay, and no step of the warm-up, end with `fault`."""
    faults = []

    def prepare(self, body, generators):
        for _ in range(runners.WARM_UP_STEPS):
            body()

    def run(self, body):
        body()
        for fault in faults:
            fault(body.__self__)

    monkeypatch.setattr(runners.Captured, "prepare", prepare)
    monkeypatch.setattr(runners.Captured, "run", run)
    monkeypatch.setattr(runners.Captured, "stream", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(runners, "DEVICES", ("cuda", "cpu"))
    monkeypatch.setattr(warm, "KEPT", warm.Kept())
    return faults.append


def wrong(check, **arguments):
    return [
        one["what"] for one in CHECKS[check](CAPTURED, **arguments) if one["value"] > one.get("at_most", one["value"])
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "check, arguments",
    [
        ("mixer", {"name": "generalized_mixup"}),
        ("optimizers", {"names": tuple(OPTIMIZERS)}),
        ("structures", {}),
        ("streams", {}),
        ("resume", {}),
        ("fed", {}),
        ("memory", {}),
    ],
)
def test_a_right_graph_passes(check, arguments, captured, one_thread):
    assert wrong(check, **arguments) == []


def a_weight_off_by_one_bit(step):
    weight = next(step.model.parameters()).data.flatten()
    weight[0] = torch.nextafter(weight[0], torch.tensor(torch.inf))


def a_buffer_that_stands_still(step):
    next(step.model.buffers()).zero_()


def a_state_off(step):
    next(iter(step.mixer_state.values())).add_(1e-6)


@pytest.mark.parametrize("fault", [a_weight_off_by_one_bit, a_buffer_that_stands_still, a_state_off])
def test_a_graph_that_gets_anything_wrong_is_found(fault, captured, one_thread):
    captured(fault)
    assert wrong("mixer", name="generalized_mixup") == ["generalized_mixup: graph against eager"]


def test_an_update_that_is_wrong_is_found(captured, one_thread):
    def twice_as_far(step):
        for parameter in step.model.parameters():
            parameter.data.add_(0.01)

    captured(twice_as_far)
    assert wrong("optimizers", names=("sgd",)) == ["sgd with weight decay: graph against eager"]


def test_a_graph_that_spoils_another_is_found(captured, one_thread, monkeypatch):
    """Two at once share something: each step adds to a weight of the step that ran before it, unless it is its own."""
    before = []

    def spoil(step):
        if before and before[-1] is not step:
            next(before[-1].model.parameters()).data.add_(1e-3)
        before.append(step)

    captured(spoil)
    assert wrong("streams") == ["mixup: two graphs at once, against in turn", "generalized_mixup: two graphs at once, "
                                "against in turn"]  # fmt: skip


def test_what_differs_is_counted_by_tensor():
    one = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3), "c": torch.tensor([torch.nan])}
    other = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(4), "c": torch.tensor([torch.nan]), "d": torch.zeros(1)}
    assert equality.differing(one, other) == 3  # b, the NaN, and d, which only one has
    assert equality.differing({"a": one["a"]}, {"a": other["a"]}) == 0


def test_the_distance_is_the_largest_of_the_relative_ones():
    one = {"model.a": torch.tensor([3.0, 4.0]), "model.b": torch.tensor([1.0]), "mixer.c": torch.tensor([9.0])}
    other = {"model.a": torch.tensor([3.0, 5.0]), "model.b": torch.tensor([2.0]), "mixer.c": torch.tensor([0.0])}
    assert equality.distance(one, other) == pytest.approx(0.5)  # 1 / |(3, 5)| is 0.17, 1 / 2 is 0.5


def test_every_method_rule_and_optimizer_is_checked():
    parts = [part.arguments for part in PARTS["gpu_lean"].values() if part.module == "checks"]
    assert [one["name"] for one in parts if one["check"] == "mixer"] == list(MIXERS)
    assert [one["name"] for one in parts if one["check"] == "partners"] == list(PARTNERS)
    assert [one["names"] for one in parts if one["check"] == "optimizers"] == [tuple(OPTIMIZERS)]
    assert {one["check"] for one in parts} == set(checks.CHECKS)
