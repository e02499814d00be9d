"""What is empty in a stopping rule's settings: a number from the sweep's begin on, which its record keeps."""

import pytest
from fake_worker import SPACE, create
from optuna.distributions import IntDistribution

from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.seats import Seats
from tune_mixup.sweep_config import SweepConfig, plan

RULES = ["asha", "hyperband", "median"]


def config_of(rule="asha", epochs=27, trials=20, **settings):
    space = SPACE.fix({"training.epochs": epochs})
    return plan(space, name="s", trials=trials, stopping={"name": rule, **settings})


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("epochs", "grace"), [(3, 1), (12, 4), (27, 9), (54, 18), (100, 18), (240, 20)])
def test_grace_follows_from_the_epochs(rule, epochs, grace):
    config = config_of(rule, epochs)
    assert config.stopping.grace_epochs == grace == config.stopping.rungs(epochs)[0]
    assert config_of(rule, epochs, grace_epochs=2).stopping.grace_epochs == 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("trials", "share"), [(20, 0), (159, 0), (160, 0.05), (1000, 0.05)])
def test_the_control_group_begins_where_it_can_learn_something(rule, trials, share):
    assert config_of(rule, trials=trials).stopping.share_spared == share
    assert config_of(rule, trials=trials, control_fraction=0.2).stopping.share_spared == 0.2
    assert config_of(rule, trials=trials, control_fraction=0.0).stopping.share_spared == 0


def test_a_space_with_epochs_to_search_takes_the_longest_training():
    space = SPACE.replace(
        fixed={"data.name": "synthetic"}, free={**SPACE.free, "training.epochs": IntDistribution(9, 30)}, baselines=()
    )
    assert plan(space, name="s").stopping.grace_epochs == 10


@pytest.mark.parametrize("rule", RULES)
def test_a_sweep_that_is_extended_keeps_every_seat(rule, tmp_path):
    config = config_of(rule, trials=100)
    record = create(tmp_path, config)
    extended = SweepConfig.from_record(SweepRecord.open(record.path).folder.config()).replace(trials=300)
    trial = config.trial(SPACE.baselines[0])
    before, after = Seats(config), Seats(extended)
    assert [before.of(number, trial) for number in range(100)] == [after.of(number, trial) for number in range(100)]
    assert not any(after.of(number, trial).spared for number in range(300))
    assert any(Seats(config_of(rule, trials=300)).of(number, trial).spared for number in range(100))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("epochs", "rungs"),  # by what an empty grace was: 10 % of the epochs, but 10, or a third if less; at least 5
    [(9, [5]), (12, [5]), (27, [9]), (50, [10, 30]), (100, [10, 30]), (200, [20, 60])],
)
def test_a_record_without_the_numbers_keeps_the_rungs_that_it_had(rule, epochs, rungs, tmp_path):
    record = create(tmp_path, config_of(rule, epochs, trials=10))
    written = record.folder.config()
    before = {**written["stopping"], "grace_epochs": None, "control_fraction": 0.05}  # as a sweep wrote them
    record.folder.write_config({key: value for key, value in written.items() if key != "format"} | {"stopping": before})
    old = SweepConfig.from_record(record.folder.config())
    assert old.stopping.rungs(epochs) == rungs and old.stopping.share_spared == 0.05
    record.folder.write_config(old.replace(trials=30).model_dump(mode="json"))  # as `resume` does
    again = SweepConfig.from_record(record.folder.config())
    assert again.stopping == old.stopping and again.rule() == old.rule()
