"""Requests and answers come through a line of JSON as they were."""

import json

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.messages import (
    ANSWERS,
    REQUESTS,
    CeilingsFound,
    EpochSeen,
    Fault,
    FindCeilings,
    FindParts,
    PartsFound,
    Train,
    Trained,
    Watch,
    read_answer,
    read_request,
)
from tune_mixup.measuring.packing import Load

TRIAL = {
    "config": TrialConfig.from_dotted({"model.width": 3, "mixing.name": "mixup", "mixing.alpha": 0.3}),
    "threads": 2,
}
ASKED = [
    FindCeilings(**TRIAL),
    FindParts(**TRIAL, steps=5, seconds=0.1),
    Train(**TRIAL, steps=7, seconds=0),
    Watch(**TRIAL, gpu=True),
]
ANSWERED = [
    CeilingsFound(device="cpu", ceilings=Ceilings(1e12, 2.5e10)),
    PartsFound(num_train=90, parts=Parts(*(0.1 * place for place in range(9)))),
    Trained(images_per_s=1 / 3),
    EpochSeen(began=1.7e9, load=Load(0.25, 10**9, 2**40)),
    Fault(words="got 'x', must be \"y\""),
    Fault(words="no room", out_of_memory=True),
]


@pytest.mark.parametrize("request_", ASKED)
def test_requests_come_through(request_):
    line = request_.line()
    assert "\n" not in line and read_request(line) == request_


@pytest.mark.parametrize("answer", ANSWERED)
def test_answers_come_through(answer):
    line = answer.line()
    assert "\n" not in line and read_answer(line) == answer and type(read_answer(line)) is type(answer)


def test_every_kind_has_its_class():
    assert {one.kind: type(one) for one in ASKED} == REQUESTS
    assert {one.kind: type(one) for one in ANSWERED} == ANSWERS


def test_how_a_line_looks():
    assert json.loads(Trained(images_per_s=2.5).line()) == {"trained": {"images_per_s": 2.5}}


def test_a_configuration_that_is_none_is_refused():
    with pytest.raises(ValueError, match="^seed: got -1"):
        read_request(json.dumps({"train": {"config": {"seed": -1}, "threads": 1, "steps": 1, "seconds": 0}}))
