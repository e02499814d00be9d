"""Races over made-up trainings, without Ray: which settings get which seeds, and what a kill leaves."""

import contextlib
import math

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from tune_mixup.cluster import evaluation
from tune_mixup.cluster import race as racing
from tune_mixup.record.facts import SweepFacts, TrialFacts
from tune_mixup.record.names import command_for
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.racing import Rule
from tune_mixup.search.session import Session
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig, plan
from tune_mixup.testing import made_up_sweep
from tune_mixup.testing.kills import create
from tune_mixup.testing.made_up_sweep import work

RATES = (0.02, 0.03, 0.04, 0.03)
"""Of the trials 0 to 3; the last has the setting of trial 1, on the next seed."""
SPACE = SearchSpace(
    fixed={"data.name": "synthetic", "mixing.name": "erm", "training.epochs": 2},
    free={"optimizer.lr": FloatDistribution(0.01, 0.1)},
)
RULE = Rule(3, most=12, error=0.05, margin=1e-6)


class Killed(BaseException):
    """The process is gone."""


class World:
    """What a training of a rate and a seed comes to, and which were done."""

    def __init__(self):
        self.level = {0.02: 0.3, 0.03: 0.5, 0.04: 0.9}
        self.noise = 0.01
        self.diverges = set()
        self.trained = []
        self.kill_at = None

    def row(self, config, epoch, *, faults=False):
        rate, seed = round(config.optimizer.lr, 6), config.seed
        if (rate, seed) in self.diverges:
            return {"epoch": epoch, "diverged": 1}
        if epoch == config.training.epochs:
            if len(self.trained) == self.kill_at:
                raise Killed
            self.trained.append((rate, seed))
        score = self.level[rate] + self.noise * math.sin(1000 * rate * seed)
        measured = {"accuracy": score, "nll": 1 - score, "accuracy_median": score - 0.125}
        split = config.data.measured_split
        return {"epoch": epoch, "diverged": 0} | {f"{split}_{key}": value for key, value in measured.items()}


@pytest.fixture
def world(monkeypatch):
    made = World()

    def go(record, config, then):
        work(Session.open(record, config))
        if then is not None:
            then(record)

    def start(config, *, root, address, listener, then=None):
        go(create(root, config), config, then)

    def resume(path, *, address, listener, then=None):
        record = SweepRecord.open(path)
        go(record, SweepConfig.from_record(record.folder.config()), then)

    def measure(retrainings):
        return {
            one.record.folder.trial(trial.number).path: {"accuracy": 0.25}
            for one in retrainings
            for trial in one.record.study.asked()
            if trial.state.name == "COMPLETE"
        }

    monkeypatch.setattr(made_up_sweep, "row_of", made.row)
    monkeypatch.setattr(evaluation, "start", start)
    monkeypatch.setattr(evaluation, "resume", resume)
    monkeypatch.setattr(racing, "connected_for", lambda config, address: contextlib.nullcontext())
    for module in (evaluation, racing):
        monkeypatch.setattr(module, "measure", measure)
    return made


@pytest.fixture
def swept(tmp_path, world):
    def sweep(trials=4, metric="val_accuracy"):
        config = plan(SPACE, name="gm", trials=trials, scheduler="none", metric=metric)
        points = tuple({"optimizer.lr": rate} for rate in RATES)
        config = config.replace(space=config.space.replace(baselines=points))
        record = create(tmp_path, config)
        work(Session.open(record, config))
        world.trained.clear()
        return SweepRecord.open(record.path)

    return sweep


def race(record, trials=(0, 1, 2), rule=RULE):
    return racing.race(record.path, trials, rule, listener=lambda progress: None)


def seeds_of(world, rate):
    return [seed for one, seed in world.trained if one == rate]


@pytest.mark.parametrize("metric", ["val_accuracy", "val_nll"])
def test_a_winner_ends_the_race_and_the_test_split_is_opened_for_all(swept, world, metric):
    record = swept(metric=metric)
    raced = race(record)
    assert (raced.standing.verdict, raced.standing.left, raced.standing.seeds) == ("won", (2,), 5)
    for rate in (0.02, 0.03, 0.04):  # 0 is the sweep's, 1 the replicate's
        assert seeds_of(world, rate) == [2, 3, 4, 5, 6]
    assert raced.rows["trial"].tolist() == [0, 1, 2] and raced.rows["n"].tolist() == [5, 5, 5]
    mean = sum(0.9 + 0.01 * math.sin(40 * seed) for seed in range(2, 7)) / 5
    assert raced.rows["val_accuracy_mean"][2] == pytest.approx(mean)
    openings = record.folder.openings()
    assert [opening["trial"] for opening in openings] == [0, 1, 2] and len(openings[0]["retrained"]) == 5
    assert raced.words(metric).startswith(f"t0002 won after 5 seeds: its {metric} is better")
    assert raced.plain()["verdict"] == "won" and raced.plain()["left"] == [2]


def test_one_that_is_beaten_gets_no_more_seeds(swept, world):
    world.level[0.04], world.noise = 0.5, 0.1
    world.level[0.02] = -5.0
    raced = race(swept())
    assert raced.standing.verdict == "undecided" and set(raced.standing.left) == {1, 2}
    assert [len(seeds_of(world, rate)) for rate in (0.02, 0.03, 0.04)] == [5, 12, 12]
    assert raced.rows["n"].tolist() == [5, 12, 12] and raced.rows["failed"].tolist() == [0, 0, 0]


def test_equals_tie_within_the_margin(swept, world):
    world.level = dict.fromkeys(world.level, 0.5)
    raced = race(swept(), rule=Rule(3, most=8, error=0.05, margin=0.4))
    assert (raced.standing.verdict, raced.standing.seeds) == ("tied", 5)


def test_after_a_kill_at_any_training_the_race_goes_on_where_it_was(swept, world):
    world.level[0.04], world.noise = 0.5, 0.1
    world.level[0.02] = -5.0
    record = swept()
    for world.kill_at in (0, 1, 8, 9, 14, 15, 20, 21, 28):
        with pytest.raises(Killed):
            race(record)
        assert len(world.trained) == world.kill_at and not record.folder.openings()
    world.kill_at = None
    raced = race(record)
    assert raced.standing.verdict == "undecided" and len(record.folder.openings()) == 3
    assert len(world.trained) == len(set(world.trained)) == 5 + 12 + 12
    again = race(record)
    assert again.standing == raced.standing and len(world.trained) == 29, "the same command trains nothing again"


def test_what_was_trained_is_there_for_another_race_and_for_a_plain_evaluation(swept, world):
    record = swept()
    evaluation.evaluate(record.path, [0, 1, 2], seeds=3, listener=lambda progress: None)
    assert len(world.trained) == 9
    race(record)
    assert len(world.trained) == 15, "the first look has the three seeds of the evaluation"
    race(record, rule=Rule(3, most=20, error=0.04, margin=1e-6))
    assert len(world.trained) == 15 + 9, "its look after 5 spends nothing, so that it goes on to 8"


def test_an_evaluation_as_published_has_the_medians_of_the_test_metric(swept, world):
    record = swept()
    rows = evaluation.evaluate(record.path, [0, 2], seeds=2, whole=True, listener=lambda progress: None)
    assert world.trained == [(0.02, 2), (0.02, 3), (0.04, 2), (0.04, 3)]
    assert rows["test_accuracy_mean"].tolist() == [0.25, 0.25]  # as `measure` has it, after the last epoch
    for place, (rate, level) in enumerate(((0.02, 0.3), (0.04, 0.9))):
        medians = [level + 0.01 * math.sin(1000 * rate * seed) - 0.125 for seed in (2, 3)]
        assert rows["test_accuracy_median_mean"][place] == pytest.approx(sum(medians) / 2)
        assert rows["test_accuracy_median_sd"][place] == pytest.approx(abs(medians[0] - medians[1]) / 2**0.5)
    assert not any(name.startswith("val_") for name in rows) and "search_val_accuracy" in rows
    (whole,) = (one for one in record.folder.evaluations.iterdir() if one.is_dir())
    held = SweepConfig.from_record(SweepRecord.open(whole).folder.config())
    assert held.metric == "test_accuracy" and held.trial(held.space.baselines[0]).data.validation_fraction == 0
    assert [opening["trial"] for opening in record.folder.openings()] == [0, 2]
    assert "--top 2 --seeds 2 --set data.validation_fraction=0" in command_for("resume", whole)
    evaluation.evaluate(record.path, [0, 2], seeds=2, whole=True, listener=lambda progress: None)
    assert len(world.trained) == 4, "the same command trains nothing again"
    evaluation.evaluate(record.path, [0, 2], seeds=2, listener=lambda progress: None)
    assert len(world.trained) == 8, "but what holds something out is another training"


def test_an_evaluation_that_the_version_before_began_is_found_again(swept, world):
    """Its name, with the mark, as commit 6bb04cf had it for these points."""
    record = swept(trials=2)
    for _ in range(2):
        evaluation.evaluate(record.path, [0, 1], seeds=2, listener=lambda progress: None)
        assert [one.name for one in record.folder.evaluations.iterdir() if one.is_dir()] == [
            "2-trials-2-seeds-cefc71fa"
        ]
    assert world.trained == [(0.02, 1), (0.02, 2), (0.03, 1), (0.03, 2)]


def test_a_setting_of_which_a_training_failed_is_out(swept, world, caplog):
    world.diverges = {(0.04, 3), (0.04, 4)}
    raced = race(swept())
    assert raced.standing.left == (1,) and raced.standing.verdict == "won"
    assert raced.rows["n"].tolist() == [5, 5, 1] and raced.rows["failed"].tolist() == [0, 0, 2]
    assert caplog.text.count("t0002 (seed 3) failed") == 1
    assert raced.words("m").endswith("at an error of 0.05. Settings of which a training failed are out.")


def test_when_all_fail_nothing_comes_out(swept, world):
    world.diverges = {(rate, 2) for rate in RATES}
    raced = race(swept())
    assert raced.standing.verdict == "none" and len(world.trained) == 6
    assert raced.rows["failed"].tolist() == [1, 1, 1]


def test_the_same_setting_does_not_race_against_itself(swept, world, caplog):
    record = swept()
    assert race(record, (1, 3, 2)).rows["trial"].tolist() == [1, 2]
    assert "t0003 does not race, since it has the setting of t0001" in caplog.text
    with pytest.raises(ValueError, match="got 1 setting, but a race takes two or more"):
        race(record, (1, 3))


def test_the_seeds_of_a_warm_starts_source_are_left_out(swept, world, caplog):
    record = swept()
    record.study.note_sweep(SweepFacts(seeds_before=90))
    race(record)
    assert seeds_of(world, 0.04) == [91, 92, 93, 94, 95] and not caplog.text


def test_where_nobody_has_noted_the_seeds_of_the_source_that_is_said(swept, world, caplog):
    record = swept()
    facts = TrialFacts(imported="old/t0003").plain()
    point = {"params": {"optimizer.lr": 0.05}, "distributions": SPACE.free}
    record.study.optuna.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs=facts, **point))
    evaluation.evaluate(record.path, [2], seeds=1, listener=lambda progress: None)
    assert "gm began with what old had learnt, whose seeds its record does not have; those from 2 on" in caplog.text


def test_a_look_tells_by_its_name_which_command_goes_on(swept, world, monkeypatch):
    record = swept()
    monkeypatch.chdir(record.path.parent.parent)
    race(record)
    looks = [one for one in record.folder.evaluations.iterdir() if one.is_dir()]
    root = f" --root {record.path.parent}"
    expected = f"tune-mixup evaluate gm{root} --top 3 --seeds 12 --until-sure --error 0.05 --margin 1e-06"
    assert len(looks) == 2 and {command_for("resume", one) for one in looks} == {expected}
