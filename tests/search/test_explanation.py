"""What `explain` reads from the record, against what the sessions recorded and said."""

import pytest
from fake_worker import create, plan, work
from optuna.distributions import CategoricalDistribution

from tune_mixup.search.control import is_control
from tune_mixup.search.explanation import explain_sweep, explain_trial
from tune_mixup.search.session import Session

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def swept(tmp_path):
    config = plan(trials=40, control_fraction=0.25, sampler="random")
    record = create(tmp_path, config)
    session = Session.open(record, config)
    work(session, faults=True)
    return record, session


def test_a_sweep_is_explained_as_it_was_decided(swept):
    record, session = swept
    found = explain_sweep(record)
    assert (found["scheduler"], found["metric"], found["reports_smoothed"]) == ("asha", "val_accuracy", 5)
    assert [one["trial"] for one in found["trials"]] == list(range(40))
    for one in found["trials"]:
        trial = record.study.trial(one["trial"])
        assert one["state"] == trial.state.name and one["epoch"] == (trial.last_step or 0)
        assert one["control"] == is_control(one["trial"], seed=0, fraction=0.25)
        assert one["reason"] == trial.user_attrs["reason"]
        plain = trial.params["mixing.name"] == "erm"
        assert (one["strength"] is None) == plain == (one["group"] == "no mixing")
    assert {one["state"] for one in found["trials"]} == {"COMPLETE", "PRUNED", "FAIL"}
    mixed = [one for one in found["trials"] if one["strength"] is not None]
    for one in mixed:  # the strata are the cuts that are shown
        above = [name["name"] for name in found["strata"] if name["up_to"] is None or one["strength"] <= name["up_to"]]
        assert one["group"] == above[0]
    complete = [one for one in mixed if one["state"] == "COMPLETE"]
    assert (found["strata_checked"]["trials"], found["strata_checked"]["correlation"]) == (len(complete), None)
    assert [row["rung"] for row in found["control"]] == [1, 3]
    control = session.deciding.control
    assert found["control"][0]["correlation"] == control.table(control.spared)[0].correlation


def test_a_trial_is_explained_by_every_decision_on_it(swept):
    record, _ = swept
    stopped = next(trial for trial in record.study.asked() if trial.state.name == "PRUNED")
    found = explain_trial(record, stopped.number)
    decisions = record.study.facts(stopped.number).decisions
    assert found["decisions"] == [one.plain() for one in decisions] and decisions[-1].stop
    assert found["reason"] == found["decisions"][-1]["why"] and found["rungs"] == [1, 3]
    with pytest.raises(ValueError, match="trial: got 40, but the sweep 's' has begun no such trial"):
        explain_trial(record, 40)


def test_a_sweep_without_strata_has_none_to_show(tmp_path):
    space = plan().space.fix({"mixing.name": "erm"})
    config = plan(space=space, trials=4, sampler="random")
    record = create(tmp_path, config)
    work(Session.open(record, config))
    found = explain_sweep(record)
    assert (
        found["strata"] == [] and found["strata_checked"] is None and {one["group"] for one in found["trials"]} == {""}
    )
    assert CategoricalDistribution(("erm", "mixup")) not in space.free.values()
    assert found["chance_best_stopped"] is None or 0 <= found["chance_best_stopped"] <= 1
