"""An ablation at work, without Ray and without training: looks, trials that are spared, kills at every write."""

import math
import random

import pytest
from optuna.distributions import CategoricalDistribution

from tune_mixup.ablation import Ablation, Gate
from tune_mixup.record.facts import Ending
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.arms import arms_of, values_of
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig, plan
from tune_mixup.testing.kills import create, killed_after_each_write
from tune_mixup.testing.made_up_sweep import work

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
ARMS = {
    "full": {"mixing.name": "mixup", "mixing.alpha": 1.0, "optimizer.lr": 0.1},
    "erm": {"mixing.name": "erm", "optimizer.lr": 0.1},
    "slow": {"mixing.name": "mixup", "mixing.alpha": 1.0, "optimizer.lr": 0.001},
}


def ablation(seeds=6, looks=(3, 6), arms=ARMS, **changes):
    space = SearchSpace(
        fixed={"data.name": "synthetic", "training.epochs": 1},
        free={
            "seed": CategoricalDistribution(tuple(range(seeds))),
            "arm": CategoricalDistribution(tuple(arms)),
        },
        bundles={"arm": arms},
    )
    config = plan(space, name="a", sampler="grid", scheduler="none", repeats="train", metric="val_accuracy")
    return config.replace(ablation=Ablation(reference="full", looks=looks, **changes))


def shape(record):
    """Arm -> what became of it on each seed, by the first letter of the state."""
    found = {}
    for trial in record.study.asked():
        found.setdefault(trial.params["arm"], []).append(trial.state.name[0])
    return {arm: "".join(states) for arm, states in found.items()}


def value(arm, seed):
    """Of `full` it wobbles, `erm` is the same but for noise, `slow` is far worse on every seed."""
    noise = random.Random(f"{arm}/{seed}").uniform(-0.01, 0.01)
    return 0.5 + 0.05 * math.sin(seed) + {"full": 0.0, "erm": noise, "slow": -0.2 + 0.001 * noise}[arm]


def worked(session, slots=1, order=None):
    """Train whatever may begin on some slots; trials end in the order of their numbers, or in a random one."""
    running, begun = set(), []
    while True:
        while len(running) < slots and (begin := session.next()) is not None:
            running.add(begin.number)
            begun.append(begin.number)
        if not running:
            return begun
        number = order.choice(sorted(running)) if order else min(running)
        running.remove(number)
        point, folder = session.record.study.trial(number).params, session.record.folder.trial(number)
        folder.path.mkdir(parents=True)
        row = {"epoch": 1, "val_accuracy": value(point["arm"], point["seed"]), "diverged": 0}
        folder.append_epoch(row)
        session.end(number, row, Ending(kind="completed"))


def run(tmp_path, config):
    record = create(tmp_path, config)
    worked(Session.open(record, config))
    return record


def test_trials_come_seed_by_seed_and_a_decided_arm_is_asked_no_more(tmp_path):
    record = run(tmp_path, ablation())
    asked = [(trial.params["seed"], trial.params["arm"]) for trial in record.study.asked()]
    assert asked == [(seed, arm) for seed in range(6) for arm in ARMS]
    assert shape(record) == {"full": "CCCPPP", "erm": "CCCPPP", "slow": "CCCPPP"}
    looks = [(one.seeds, one.arm, one.verdict) for one in record.study.sweep_facts().looks]
    assert looks == [(3, "erm", "futile"), (3, "slow", "different"), (3, "full", "done")]
    spared = record.study.facts(10)
    assert spared.stopped == spared.reason and spared.reason.startswith("not trained, since erm was decided: t ")
    assert spared.decisions[0].by == "look" and not record.folder.trial(10).path.exists()


def test_the_reference_goes_on_with_the_arms_that_are_left(tmp_path):
    record = run(tmp_path, ablation(futility=0.0))
    assert shape(record) == {"full": "CCCCCC", "erm": "CCCCCC", "slow": "CCCPPP"}
    looks = [(one.seeds, one.arm, one.verdict) for one in record.study.sweep_facts().looks]
    assert looks == [(3, "erm", "open"), (3, "slow", "different"), (6, "erm", "open")]
    given = values_of(record.study.asked(), ablation())
    assert given["erm"] == {seed: value("erm", seed) for seed in range(6)}
    assert [*given["slow"]] == [0, 1, 2]


@pytest.mark.parametrize("slots", [2, 4])
def test_side_by_side_the_same_is_decided(tmp_path, slots):
    """Whoever ends first: nothing beyond a look begins before all trainings up to it have ended."""
    config = ablation(futility=0.0)
    one = run(tmp_path / "one", config)
    many = create(tmp_path / "many", config)
    begun = worked(Session.open(many, config), slots, random.Random(slots))
    assert many.study.sweep_facts() == one.study.sweep_facts()
    assert shape(many) == shape(one) and begun == sorted(begun)


def test_who_comes_too_early_waits_for_the_look(tmp_path):
    config = ablation(futility=0.0)
    session = Session.open(create(tmp_path, config), config)
    begun = [session.next().number for _ in range(9)]
    assert begun == list(range(9)) and session.next() is None and session.record.study.sweep_facts().looks == ()
    again = Session.open(SweepRecord.open(session.record.path), config)
    assert [again.next().number for _ in range(9)] == begun and again.next() is None


def test_killed_at_any_write_it_decides_the_same():
    config = ablation(seeds=4, looks=(2, 4), futility=0.3)
    outcome = killed_after_each_write(config)
    assert outcome.killed == outcome.unbroken and outcome.kills > 50
    assert b"not trained, since erm was decided" in outcome.unbroken


def test_an_arm_that_always_fails_ends_and_is_no_value(tmp_path):
    config = ablation(arms={**ARMS, "broken": {**ARMS["erm"], "optimizer.lr": 0.39}})
    record = create(tmp_path, config)
    work(Session.open(record, config), faults=True)  # which fails at once at that rate
    assert shape(record)["broken"] == "FFFPPP"
    (look,) = [one for one in record.study.sweep_facts().looks if one.arm == "broken"]
    assert (look.verdict, look.seeds) == ("failed", 3)
    found = values_of(record.study.asked(), config)
    assert found["broken"] == {0: None, 1: None, 2: None} and None not in found["full"].values()


def test_it_ends_with_its_seeds_and_has_a_reference(tmp_path):
    config = ablation()
    assert config.trials == 18 and arms_of(config) == ("full", "erm", "slow")
    assert SweepConfig.from_record(run(tmp_path, config).folder.config()) == config
    for changes, words in (
        ({"trials": 19}, "trials: got 19, but 3 arms on 6 seeds are 18"),
        ({"ablation": config.ablation.replace(reference="ful")}, "reference: got 'ful', which is no arm; did you mean"),
        (
            {"ablation": config.ablation.replace(gate=Gate(arm="x", low=0, high=1))},
            "gate.arm: got 'x', which is no arm",
        ),
        ({"ablation": config.ablation.replace(looks=(3,))}, r"looks: got \[3\], must be numbers of seeds that rise"),
        ({"ablation": config.ablation.replace(looks=(3, 3, 6))}, "must be numbers of seeds that rise"),
        ({"ablation": config.ablation.replace(looks=(1, 6))}, "from at least 2 to all 6"),
    ):
        with pytest.raises(ValueError, match=words):
            config.replace(**changes)
    with pytest.raises(ValueError, match="low must be below high"):
        Gate(arm="erm", low=0.9, high=0.9)


def test_no_other_sweep_has_arms(tmp_path):
    config = plan(
        SearchSpace(fixed={"data.name": "synthetic"}, free={"optimizer.lr": CategoricalDistribution((0.1, 0.2))}),
        name="s", sampler="grid", scheduler="none",
    )  # fmt: skip
    assert arms_of(config) == () and config.ablation is None
    record = SweepRecord.create(tmp_path, "s", config.model_dump(mode="json"), direction="maximize")
    session = Session.open(record, config)
    assert session.arms.words() == "" and not session.arms.must_wait(0)


def test_a_process_killed_before_the_last_look_leaves_it_to_the_next(tmp_path, monkeypatch):
    config = ablation(seeds=3, looks=(3,))
    record = create(tmp_path, config)
    with monkeypatch.context() as killed:
        killed.setattr("tune_mixup.search.arms.Arms.finish", lambda self: None)
        worked(Session.open(record, config))
    assert record.study.sweep_facts().looks == ()
    Session.open(SweepRecord.open(record.path), config)
    looks = SweepRecord.open(record.path).study.sweep_facts().looks
    assert [(one.arm, one.verdict) for one in looks] == [("erm", "open"), ("slow", "different")]
