"""Places on GPUs: sessions without Ray whose trials share GPUs of one or two types."""

import pytest
from fake_worker import create, plan, step

from tune_mixup.measuring.packing import Packed, Packing
from tune_mixup.record.facts import SweepFacts
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.session import Session
from tune_mixup.search.shares import FixedShares, PackedShares, Place, room, shares_for

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

ONE = [{"CPU": 8, "GPU": 1}]
TWO = [{"CPU": 8, "GPU": 1, "accelerator_type:slow": 1}, {"CPU": 8, "GPU": 1, "accelerator_type:fast": 1}]
FOUR = Packed(gpus={"": Packing(per_gpu=4, step_s=0.01, words="four")})
MIXED = Packed(
    gpus={"slow": Packing(per_gpu=2, step_s=0.03, words="two"), "fast": Packing(per_gpu=3, step_s=0.01, words="three")}
)
OOM = "OutOfMemoryError: CUDA out of memory."


def start(tmp_path, decision, nodes):
    config = decision.applied(plan(gpus_per_trial="auto", scheduler="none", trials=12))
    record = create(tmp_path, config)
    record.study.note_sweep(SweepFacts(packing=decision.model_dump(mode="json")))
    return session_of(record, config, nodes)


def session_of(record, config, nodes, listener=None):
    decision = Packed.parse(record.study.sweep_facts().packing or {})
    return Session.open(record, config, shares=shares_for(record, config, nodes, decision), listener=listener)


def begin_all(session):
    begun = []
    while (begin := session.next()) is not None:
        begun.append(begin)
    return begun


def finish(session, number):
    session.complete(number, {"epoch": 1, "failed": "ValueError: no"})


def test_without_a_decision_every_trial_has_the_share_that_was_given(tmp_path):
    config = plan(gpus_per_trial=0.5)
    record = create(tmp_path, config)
    assert isinstance(shares_for(record, config, ONE, Packed()), FixedShares)
    begun = begin_all(session_of(record, config, ONE))
    assert [begin.place for begin in begun] == [Place(0.5, "")] * 10, "Ray lets them wait, as ever"
    assert room(config, ONE, Packed()) == 2


def test_no_more_trials_begin_than_have_a_place(tmp_path):
    session = start(tmp_path, FOUR, ONE)
    assert room(session.config, ONE, FOUR) == 4
    begun = begin_all(session)
    assert [begin.place for begin in begun] == [Place(0.25, "")] * 4, "one type of GPU need not be asked for"
    finish(session, 2)
    assert [begin.number for begin in begin_all(session)] == [4]
    session.died(1, "its worker died")
    assert [begin.number for begin in begin_all(session)] == [1]


def test_cpus_may_be_what_is_scarce(tmp_path):
    session = start(tmp_path, FOUR, [{"CPU": 3, "GPU": 1}])
    assert room(session.config, [{"CPU": 3, "GPU": 1}], FOUR) == len(begin_all(session)) == 3
    with pytest.raises(ValueError, match="largest node has 0.5 and 1"):
        room(session.config, [{"CPU": 0.5, "GPU": 1}], FOUR)


def test_each_type_of_gpu_has_its_share_and_the_fastest_is_taken_first(tmp_path):
    session = start(tmp_path, MIXED, TWO)
    assert room(session.config, TWO, MIXED) == 5
    places = [begin.place for begin in begin_all(session)]
    assert places == [Place(0.3333, "fast")] * 3 + [Place(0.5, "slow")] * 2
    finish(session, 3)
    finish(session, 1)
    assert [begin.place.gpu_type for begin in begin_all(session)] == ["fast", "slow"]
    assert [session.shares.of(number) for number in range(7)] == [0.3333] * 3 + [0.5, 0.5, 0.3333, 0.5]


def test_gpu_hours_are_counted_by_the_share_that_a_trial_has(tmp_path):
    session = start(tmp_path, MIXED, TWO)
    begin_all(session)
    for number in (0, 3):
        session.report(number, {"epoch": 1, "val_accuracy": 0.5, "epoch_s": 3600.0})
    assert session.ledger.gpu_hours() == pytest.approx(0.3333 + 0.5)


def test_out_of_memory_means_fewer_on_that_type_from_then_on_and_is_no_failure(tmp_path):
    heard = []
    session = start(tmp_path, MIXED, TWO)
    session.listener = lambda progress: heard.append(progress.message)
    begun = begin_all(session)
    assert step(session, begun[0], 1)
    session.out_of_memory(0, OOM)
    assert heard[-1] == (
        f"t0000: {OOM} on 0.3333 of a GPU; it goes on from its checkpoint with 0.5, which all trials have from now on "
        "on fast"
    )
    assert (
        "deaths" not in session.record.study.trial(0).user_attrs
        and not session.record.study.trial(0).state.is_finished()
    )
    assert session.next() is None, "two others are there, which is as many as may be now"
    session.out_of_memory(1, OOM)  # it still had the old share: nothing is lowered once more
    again = session.next()
    assert (again.number, again.place) == (1, Place(0.5, "fast"))
    noted = Packed.parse(session.record.study.sweep_facts().packing or {})
    assert {gpu_type: packing.per_gpu for gpu_type, packing in noted.gpus.items()} == {"slow": 2, "fast": 2}
    assert noted.gpus["fast"].words == "2 on a GPU, since trial 0 ran out of memory with 0.3333"
    assert session.shares.of(2) == 0.3333, "who runs keeps what it has"
    session.out_of_memory(1, OOM)
    assert Packed.parse(session.record.study.sweep_facts().packing or {}).gpus["fast"].per_gpu == 1


def test_alone_on_a_gpu_out_of_memory_is_the_trials_failure(tmp_path):
    session = start(tmp_path, Packed(gpus={"": Packing(per_gpu=2, words="two")}), ONE)
    number = session.next().number
    session.out_of_memory(number, OOM)
    assert session.next().place == Place(1.0, "")
    session.out_of_memory(number, OOM)
    trial = session.record.study.trial(number)
    assert trial.state.name == "FAIL" and trial.user_attrs["reason"] == f"{OOM} on 1 GPU"
    assert session.next().number == 1, "its place is free again"


def test_a_resumed_sweep_goes_on_with_what_the_record_holds(tmp_path):
    session = start(tmp_path, FOUR, ONE)
    begun = begin_all(session)
    assert step(session, begun[0], 1)
    session.out_of_memory(0, OOM)
    record = SweepRecord.open(session.record.path)
    config = Packed.parse(record.study.sweep_facts().packing or {}).applied(session.config)
    assert config.gpus_per_trial == 0.3333
    again = session_of(record, config, ONE)
    assert [(begin.number, begin.place) for begin in begin_all(again)] == [(n, Place(0.3333, "")) for n in range(3)]


def test_shares_of_gpus_that_are_gone_do_no_harm(tmp_path):
    session = start(tmp_path, MIXED, TWO[:1])
    assert isinstance(session.shares, PackedShares)
    assert [begin.place for begin in begin_all(session)] == [Place(0.5, "")] * 2
