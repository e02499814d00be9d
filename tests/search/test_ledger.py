"""What a sweep has used, over processes that die at any moment."""

import json

import pytest
from fake_worker import create, plan

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.ledger import Ledger
from tune_mixup.search.session import Session

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
HOUR = 3600.0


def gpu_plan(**changes):
    return plan(gpus_per_trial=0.5, gpu_hours=100.0, scheduler="none", **changes)


def row(epoch, *, epoch_s=HOUR):
    return {"epoch": epoch, "val_accuracy": 0.5, "epoch_s": epoch_s + epoch / 1000, "diverged": 0}


def write(record, number, rows):
    folder = record.folder.trial(number)
    folder.path.mkdir(parents=True, exist_ok=True)
    for one in rows:
        folder.append_epoch(one)


def test_epochs_that_only_the_worker_had_kept_are_billed_when_they_are_found(tmp_path):
    record = create(tmp_path, gpu_plan())
    begin = Session.open(record, gpu_plan()).next()
    write(record, begin.number, [row(epoch) for epoch in (1, 2, 3, 4)])  # and here the driver dies

    session = Session.open(SweepRecord.open(record.path), gpu_plan())
    assert session.ledger.gpu_hours() == pytest.approx(4 * 0.5, rel=1e-5)
    assert session.progress().gpu_hours_used == session.ledger.gpu_hours()
    again = Session.open(SweepRecord.open(record.path), gpu_plan())
    assert again.ledger.gpu_hours() == session.ledger.gpu_hours(), "they are billed once"


def test_a_driver_that_dies_between_two_writes_bills_each_epoch_once(tmp_path):
    record = create(tmp_path, gpu_plan())
    session = Session.open(record, gpu_plan())
    begin = session.next()
    rows = [row(epoch) for epoch in (1, 2, 3)]
    write(record, begin.number, rows)
    session.report(begin.number, rows[0])
    # Metered, but the driver dies before the study has the report.
    session.ledger.meter(begin.number, 2, epoch_s=rows[1]["epoch_s"], gpus=0.5)
    again = Session.open(SweepRecord.open(record.path), gpu_plan())
    assert again.ledger.gpu_s == pytest.approx(0.5 * sum(one["epoch_s"] for one in rows))


def test_an_epoch_that_is_trained_again_has_used_the_gpu_again(tmp_path):
    record = create(tmp_path, gpu_plan())
    session = Session.open(record, gpu_plan())
    begin = session.next()
    session.report(begin.number, row(1))
    session.report(begin.number, row(1))  # told twice
    session.report(begin.number, row(1, epoch_s=2 * HOUR))  # trained twice: the worker had died
    assert session.ledger.gpu_hours() == pytest.approx(0.5 * 3, rel=1e-5)


def test_the_bill_of_a_record_of_format_0_goes_on_without_a_gap_or_a_double(tmp_path):
    record = create(tmp_path, gpu_plan())
    session = Session.open(record, gpu_plan())
    begin = session.next()
    rows = [row(epoch) for epoch in (1, 2, 3)]
    write(record, begin.number, rows)
    for one in rows[:2]:
        session.report(begin.number, one)
    (record.path / "metered.jsonl").unlink()
    billed_s = 0.5 * (rows[0]["epoch_s"] + rows[1]["epoch_s"])
    (record.path / "runs.jsonl").write_text(json.dumps({"began": 1.0, "worked_s": 9.0, "gpu_s": billed_s}) + "\n")

    again = Session.open(SweepRecord.open(record.path), gpu_plan())
    assert again.ledger.gpu_s == pytest.approx(billed_s + 0.5 * rows[2]["epoch_s"])
    again.ledger.keep()
    assert Ledger(record, gpu_plan()).gpu_s == again.ledger.gpu_s and Ledger(record, gpu_plan()).before_s >= 9.0


def test_a_torn_last_line_is_left_out_and_billed_again(tmp_path):
    record = create(tmp_path, gpu_plan())
    session = Session.open(record, gpu_plan())
    begin = session.next()
    rows = [row(epoch) for epoch in (1, 2)]
    write(record, begin.number, rows)
    for one in rows:
        session.report(begin.number, one)
    path = record.path / "metered.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    with record.folder.working():
        again = Session.open(SweepRecord.open(record.path), gpu_plan())
    assert again.ledger.gpu_s == session.ledger.gpu_s
    assert Ledger(record, gpu_plan()).gpu_s == session.ledger.gpu_s


def test_trials_on_the_cpu_write_no_bill(tmp_path):
    config = plan(scheduler="none")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    session.report(session.next().number, row(1))
    assert not (record.path / "metered.jsonl").exists() and session.ledger.gpu_s == 0
