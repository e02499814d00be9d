"""Finals on the fake worker: when they begin, who gets which seeds, after kills, in an extended sweep, side by side."""

import errno
import random
from collections import Counter

import pytest
from fake_worker import create, decisions, plan, row_of, step, value_of, work
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from tune_mixup.optuna_internals import WithStandIns
from tune_mixup.record.facts import Ending
from tune_mixup.record.files import StorageFault
from tune_mixup.record.journal import Journal
from tune_mixup.record.merit import Merits
from tune_mixup.record.study import facts_of
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search.explanation import explain_finals, explain_sweep, explain_trial
from tune_mixup.search.replay import replay
from tune_mixup.search.session import Session
from tune_mixup.statistics import additive
from tune_mixup.testing.kills import worked_through

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def final_plan(**changes):
    return plan(**{"sampler": "random", "scheduler": "none", "finalists": {}, **changes})


def swept(folder, config):
    record = create(folder, config)
    work(Session.open(record, config))
    return record


def finals_of(record):
    """Trial -> the seeds that its setting was trained on again, in the order in which they were begun."""
    found = {}
    for trial in record.study.asked():
        if (first := facts_of(trial).finalist) is not None:
            found.setdefault(first, []).append(facts_of(trial).replicate_seed)
    return found


def best_searched(record, count):
    """The trials with the best values among those of the search, by a plain sort."""
    searched = [t for t in record.study.asked() if facts_of(t).finalist is None and t.state == TrialState.COMPLETE]
    return [t.number for t in sorted(searched, key=lambda t: -t.value)][:count]


@pytest.mark.parametrize(
    ("trials", "searched", "seeds"),
    [
        (14, 14, []),  # C = 14 / 1.25 = 11.2 full runs are too few
        (15, 12, [1, 1, 1]),
        (20, 16, [2, 1, 1]),
        (40, 32, [3, 3, 2]),
        (60, 48, [3, 3, 2, 2, 2]),
    ],
)
def test_a_fifth_of_the_runs_goes_to_the_best_settings_on_the_same_fresh_seeds(tmp_path, trials, searched, seeds):
    record = swept(tmp_path, final_plan(trials=trials))
    asked = record.study.asked()
    assert len(asked) == trials and {trial.state for trial in asked} == {TrialState.COMPLETE}
    assert sum(facts_of(trial).finalist is None for trial in asked) == searched
    found = finals_of(record)
    assert list(found) == best_searched(record, len(seeds))
    assert [found[trial] for trial in found] == [list(range(1, count + 1)) for count in seeds]


def test_what_is_handed_on_is_the_best_mean_over_all_its_seeds(tmp_path):
    config = final_plan(trials=40)
    record = swept(tmp_path, config)
    values = {}
    for first, seeds in finals_of(record).items():
        settings = config.trial(record.study.trial(first).params)
        values[first] = {seed: value_of(settings.replace(seed=seed), 9) for seed in (0, *seeds)}
    means = additive(values).means  # which has tests of its own
    best = Merits.of(record).best()
    assert best.trial == max(means, key=means.get) and best.mean == pytest.approx(means[best.trial])
    assert [setting.trial for setting in Merits.of(record).ranked()][:3] == sorted(means, key=means.get, reverse=True)


def test_under_early_stopping_the_finals_have_their_share_of_the_epochs(tmp_path):
    record = swept(tmp_path, final_plan(trials=80, scheduler="asha"))
    asked = record.study.asked()
    epochs = Counter()
    for trial in asked:
        epochs[facts_of(trial).finalist is not None] += trial.last_step
    assert len(asked) == 80 and 0.15 < epochs[True] / (epochs[True] + epochs[False]) < 0.25
    for trial in asked:
        if facts_of(trial).finalist is not None:
            assert trial.state == TrialState.COMPLETE and not facts_of(trial).decisions


def test_a_setting_of_the_finals_is_told_to_no_rule_and_counts_for_no_rung(tmp_path):
    config = final_plan(trials=60, scheduler="asha", strata="none", control_fraction=0)
    record = swept(tmp_path, config)
    again = Session.open(SweepRecord.open(record.path), config)
    known = {trial for rung in again.deciding.rule._rungs.values() for trial in rung.values}
    finals = {t.number for t in record.study.asked() if facts_of(t).finalist is not None}
    assert known and finals and not known & finals
    events = list(replay(record))
    assert {event.again for event in events if event.kind == "decide"} == {True}
    assert {event.trial for event in events if event.kind == "ask" and event.again is None} == finals
    assert all(event.again for event in events if event.kind == "ask" and event.trial not in finals)
    assert sum(row["trials"] for row in explain_sweep(record)["complete"][:1]) == sum(
        t.state == TrialState.COMPLETE for t in record.study.asked() if t.number not in finals
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_finals_killed_at_any_write_come_out_as_if_nothing_had_happened(tmp_path, scheduler):
    config = final_plan(trials=20, scheduler=scheduler, finalists={"min_search": 5.0, "share": 0.3})
    whole = create(tmp_path / "whole", config)
    _, writes = worked_through(whole, config)
    assert len(finals_of(whole)) == 3
    for write in range(1, writes + 1, 4 if scheduler == "none" else 5):
        record = create(tmp_path / str(write), config)
        assert not worked_through(record, config, kill_at=write)[0]
        worked_through(record, config)
        assert decisions(record) == decisions(whole), f"killed at write {write} of {writes}"
        assert record.study.sweep_facts() == whole.study.sweep_facts()


def test_a_larger_promise_searches_on_and_counts_the_fresh_seeds_there_are(tmp_path):
    config = final_plan(trials=20)
    record = swept(tmp_path, config)
    before = finals_of(record)
    assert sum(map(len, before.values())) == 4
    work(Session.open(SweepRecord.open(record.path), larger := config.replace(trials=60)))
    record = SweepRecord.open(record.path)
    found, asked = finals_of(record), record.study.asked()
    assert len(asked) == 60 and sum(map(len, found.values())) == 12
    assert [facts_of(trial).finalist is not None for trial in asked[16:20]] == [True] * 4
    assert not any(facts_of(trial).finalist is not None for trial in asked[20:52])
    # the five best of 48 have two or three seeds each, the same ones, whatever they had before
    best = best_searched(record, 5)
    wasted = sum(len(seeds) for trial, seeds in before.items() if trial not in best)
    kept = [found[trial] for trial in best]
    assert all(seeds == list(range(1, len(seeds) + 1)) for seeds in kept) and sum(map(len, kept)) == 12 - wasted
    assert max(map(len, kept)) - min(map(len, kept)) <= 1
    assert len(record.study.sweep_facts().finals) == 2
    assert Session.open(record, larger).next() is None


def extended(folder, by, *, wins):
    """The record of a sweep of 20 trials that was promised some more; its trial 20 `wins` the search, or is worst."""
    record = swept(folder, final_plan(trials=20))
    session = Session.open(SweepRecord.open(record.path), final_plan(trials=20 + by))
    while (begin := session.next()) is not None:
        lift = 0.0 if begin.number != 20 else 0.5 if wins else -0.5
        for epoch in range(1, 10):
            row = row_of(begin.config, epoch)
            row["val_accuracy"] += lift
            if epoch < 9:
                session.report(begin.number, row)
        session.end(begin.number, row, Ending(kind="completed"))
    return SweepRecord.open(record.path)


@pytest.mark.parametrize(
    ("by", "wins", "finals"),
    [
        (1, False, [False]),
        (1, True, [False]),  # nothing is left for it
        (2, False, [False, False]),
        (2, True, [False, True]),
        (3, False, [False, False, True]),  # of 23 five are fresh runs, and four there were
    ],
)
def test_few_added_trials_hold_finals_again_only_where_they_change_who_is_in_them(tmp_path, by, wins, finals):
    record = extended(tmp_path, by, wins=wins)
    added = record.study.asked()[20:]
    assert [facts_of(trial).finalist is not None for trial in added] == finals
    found, explained = finals_of(record), explain_finals(record)
    assert len(explained["rounds"]) == 1 + any(finals)
    assert explained["searched_since"] == (0 if any(finals) else by)
    if by == 2 and wins:
        assert found[20] == [1]  # the first of the seeds of the others
    has_none = "t0020 has none" if wins and not any(finals) else ""
    assert has_none in explained["missing"] and bool(explained["missing"]) == bool(has_none)


def cut_short(folder, scores):
    """The record of a sweep of 20 trials whose three finalists came to so many fresh scores each before it was cut."""
    config = final_plan(trials=20)
    record = create(folder, config)
    session, left = Session.open(record, config), None
    while (begin := session.next()) is not None:
        if (first := record.study.facts(begin.number).finalist) is not None:
            left = dict(zip(best_searched(record, 3), scores, strict=True)) if left is None else left
            if not left[first]:
                continue  # it still runs when the sweep is cut
            left[first] -= 1
        for epoch in range(1, 9):
            session.report(begin.number, row_of(begin.config, epoch))
        session.end(begin.number, row_of(begin.config, 9), Ending(kind="completed"))
    return record


@pytest.mark.parametrize(
    ("scores", "lacking"),
    [((2, 1, 1), None), ((0, 1, 0), ("none", 1, "none")), ((2, 0, 1), (2, "none", 1)), ((0, 0, 0), ("none",) * 3)],
)
def test_finals_that_were_cut_short_are_marked(tmp_path, scores, lacking):
    record = cut_short(tmp_path, scores)
    missing = explain_finals(record)["missing"]
    if lacking is None:
        assert missing == ""
        return
    each = ", ".join(f"t{trial:04d} has {n}" for trial, n in zip(best_searched(record, 3), lacking, strict=True))
    assert missing == (
        f"The finals are not over, and the order may change: of scores on fresh seeds {each}. "
        f"`tune-mixup resume s --root {tmp_path}` goes on, with more --trials or time if these are used up."
    )
    # who has a fresh score comes first: what the others are worth was only seen by the search
    with_scores = [trial for trial, n in zip(best_searched(record, 3), scores, strict=True) if n]
    ranked = [setting.trial for setting in Merits.of(record).ranked()]
    assert set(ranked[: len(with_scores)]) == set(with_scores)
    assert ranked[len(with_scores) :] == [t for t in best_searched(record, 16) if t not in with_scores]


def test_a_failed_finalist_lacks_nothing(tmp_path):
    record, _ = swept_with_one_that_fails(tmp_path, 20)
    assert explain_finals(record)["missing"] == ""


def test_no_more_are_finalists_than_there_are_runs(tmp_path):
    record = swept(tmp_path, final_plan(trials=15, finalists={"number": 5}))
    assert [len(seeds) for seeds in finals_of(record).values()] == [1, 1, 1]
    assert record.study.sweep_facts().finals[0].number == 3 and explain_finals(record)["missing"] == ""


def test_side_by_side_no_slot_waits_for_the_last_of_the_search(tmp_path):
    config, rng = final_plan(trials=30), random.Random(0)
    record = create(tmp_path, config)
    session, running, idle = Session.open(record, config), {}, 0
    while True:
        while len(running) < 4 and (begin := session.next()) is not None:
            running[begin.number] = (begin, 0)
        if not running:
            break
        begun = len(record.study.asked())
        idle += len(running) < 4 and begun < 30
        begin, epoch = running.pop(rng.choice(sorted(running)))
        if step(session, begin, epoch + 1):
            running[begin.number] = (begin, epoch + 1)
    assert idle == 0 and len(record.study.asked()) == 30
    assert sum(map(len, finals_of(record).values())) == 6
    began = [t.number for t in record.study.asked() if facts_of(t).finalist is not None]
    assert began == list(range(24, 30))


def test_of_a_budget_of_gpu_hours_the_cost_of_the_finals_is_held_back(tmp_path):
    """40 full runs of 9 epochs of 0.1 GPU-hours: 32 are for the search, 8 for the finals."""
    config = final_plan(trials=1000, gpus_per_trial=1.0, gpu_hours=36.0)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    while (begin := session.next()) is not None:
        for epoch in range(1, 10):
            row = {**row_of(begin.config, epoch), "epoch_s": 360.0}
            if epoch == 9:
                session.end(begin.number, row, Ending(kind="completed"))
            elif session.report(begin.number, row):
                session.end(begin.number, row, Ending(kind="stopped"))
                break
    found = finals_of(record)
    asked = record.study.asked()
    fresh = [value for row in explain_finals(record)["settings"] for value in row["values"]]
    cut = [t for t in asked if facts_of(t).finalist is not None and t.state == TrialState.PRUNED]  # by the budget
    assert fresh.count(None) == len(cut)
    assert sum(facts_of(trial).finalist is None for trial in asked) in (31, 32)
    assert sum(map(len, found.values())) in (8, 9) and len(found) == 3
    assert 39 <= len(asked) <= 41


def test_baselines_come_before_any_final(tmp_path):
    space = plan().space
    points = tuple({"mixing.name": "erm", "optimizer.lr": 0.01 + number / 100} for number in range(18))
    config = final_plan(trials=18, space=space.replace(baselines=points))
    record = swept(tmp_path, config)
    assert not finals_of(record) and [t.params["optimizer.lr"] for t in record.study.asked()] == [
        pytest.approx(point["optimizer.lr"]) for point in points
    ]


def test_seeds_that_the_search_may_draw_are_not_fresh(tmp_path):
    space = plan().space
    config = final_plan(
        trials=20, space=space.replace(free={**space.free, "seed": CategoricalDistribution((0, 3, 7))}, baselines=())
    )
    record = swept(tmp_path, config)
    assert {seed for seeds in finals_of(record).values() for seed in seeds} == {8, 9}


def test_where_nothing_was_trained_to_the_end_the_search_goes_on(tmp_path):
    config = final_plan(trials=15)
    record = create(tmp_path, config)
    session = Session.open(record, config)
    while (begin := session.next()) is not None:
        session.end(begin.number, None, Ending(kind="failed", why="ValueError: no"))
    assert len(record.study.asked()) == 15 and not finals_of(record)


def swept_with_one_that_fails(folder, trials):
    """The record of a sweep whose best setting diverges on every fresh seed, and its trial."""
    config = final_plan(trials=trials)
    record = create(folder, config)
    session, failing = Session.open(record, config), None
    while (begin := session.next()) is not None:
        first = record.study.facts(begin.number).finalist
        failing = first if failing is None else failing
        if first is not None and first == failing:
            session.end(begin.number, {"epoch": 3, "diverged": 1}, Ending(kind="diverged"))
            continue
        for epoch in range(1, 9):
            session.report(begin.number, row_of(begin.config, epoch))
        session.end(begin.number, row_of(begin.config, 9), Ending(kind="completed"))
    return record, failing


def test_a_finalist_that_fails_on_its_fresh_seed_is_behind_all_others(tmp_path):
    record, first = swept_with_one_that_fails(tmp_path, 20)
    ranked = Merits.of(record).ranked()
    assert first == best_searched(record, 1)[0]
    assert [one.is_finalist for one in ranked[:3]] == [True, True, False]
    assert ranked[-1].trial == first and ranked[-1].failed == 1
    assert not any(row["handed_on"] for row in explain_finals(record)["settings"] if row["trial"] == first)


def test_without_a_share_there_are_none_and_old_records_have_none(tmp_path):
    for name, finalists in (("none", {"share": 0.0}), ("old", None)):
        changes = {} if finalists is None else {"finalists": finalists}
        record = swept(tmp_path / name, plan(sampler="random", scheduler="none", trials=20, **changes))
        assert not finals_of(record) and not record.study.sweep_facts().finals


def test_a_grid_trains_all_its_points(tmp_path):
    free = {"optimizer.lr": CategoricalDistribution(tuple(0.01 + number / 100 for number in range(20)))}
    space = plan().space.replace(free=free, conditions={}, baselines=())
    record = swept(tmp_path, final_plan(sampler="grid", trials=20, space=space))
    assert not finals_of(record) and len({t.params["optimizer.lr"] for t in record.study.asked()}) == 20
    found = explain_finals(record)
    assert found["rounds"] == [] and found["finite"] and found["share"] == 0


def test_finals_are_explained(tmp_path):
    record = swept(tmp_path, final_plan(trials=20))
    found = explain_finals(record)
    assert [row["trial"] for row in found["settings"]] == [s.trial for s in Merits.of(record).ranked()[:3]]
    assert [row["handed_on"] for row in found["settings"]] == [True, False, False]
    for row in found["settings"]:
        assert row["search"] == record.study.trial(row["trial"]).value
    first = found["settings"][[len(row["seeds"]) for row in found["settings"]].index(2)]  # that has all the seeds
    assert first["mean"] == pytest.approx((first["search"] + sum(first["values"])) / 3)
    assert "after 16 trials, about 16 full runs' worth of epochs; its best 3 settings" in found["rounds"][0]["why"]
    last = explain_trial(record, 19)
    assert last["finalist"] in finals_of(record) and last["rungs"] == [] and last["group"] == ""


def test_progress_tells_of_the_setting_and_its_seeds(tmp_path):
    config = final_plan(trials=20)
    record = create(tmp_path, config)
    told = []
    session = Session.open(record, config, listener=told.append)
    work(session)
    best = Merits.of(record).best()
    last = told[-1]
    assert (last.best_trial, last.best_value, last.best_seeds) == (best.trial, best.mean, len(best.values))
    assert told[5].finals == "" and last.finals == "the best 3 settings on fresh seeds: 4 runs begun, 0 to come"
    assert any("begins: a finalist, the setting of t" in one.message for one in told)
    assert last.epochs == last.full_epochs == 180 and last.states["WAITING"] == 0


def test_samplers_are_not_shown_finalists(tmp_path):
    """A sweep that is extended asks for what one without finals would, whose trials have the same numbers."""
    config = final_plan(sampler="tpe", trials=20)
    record = swept(tmp_path / "finals", config)
    finals = {t.number for t in record.study.asked() if facts_of(t).finalist is not None}
    work(Session.open(SweepRecord.open(record.path), config.replace(trials=40)))
    asks = [event for event in replay(record) if event.kind == "ask" and event.again is not None]
    assert len(finals) == 4 and len(asks) == 32 and all(event.again for event in asks)

    without = create(tmp_path / "without", config)
    work(Session.open(without, config.replace(trials=16, finalists=config.finalists.replace(share=0.0))))
    shown = Session.open(SweepRecord.open(record.path), config.replace(trials=40)).asking
    assert {number for number, other in shown._stand_ins.items() if other is None} >= finals
    study = WithStandIns(record.study.optuna, shown._stand_ins)
    points = [t.params for t in study.get_trials(deepcopy=False)][:16]
    assert points == [t.params for t in without.study.asked()]
    assert not any("finalist" in t.user_attrs for t in study.get_trials(deepcopy=False))


def test_one_that_fails_on_a_fresh_seed_gets_no_more_of_them(tmp_path):
    record, failing = swept_with_one_that_fails(tmp_path, 40)
    found = finals_of(record)
    assert len(found.pop(failing)) == 1 and sorted(map(len, found.values())) == [3, 4]


@pytest.mark.parametrize("which", ["the end of the search", "a finalist"])
def test_a_disk_that_is_full_where_the_finals_begin_loses_nothing(tmp_path, monkeypatch, which):
    config = final_plan(trials=20)
    whole = swept(tmp_path / "whole", config)
    record = create(tmp_path / "full", config)
    append = Journal.append_logs

    def full(journal, logs):
        if ("finals" if which == "the end of the search" else "finalist") in str(logs):
            raise StorageFault(errno.ENOSPC, "No space left on device", str(record.path))
        append(journal, logs)

    with monkeypatch.context() as broken, pytest.raises(StorageFault, match="No space left"):
        broken.setattr(Journal, "append_logs", full)
        work(Session.open(record, config))
    assert not finals_of(SweepRecord.open(record.path))
    work(Session.open(SweepRecord.open(record.path), config))
    assert decisions(SweepRecord.open(record.path)) == decisions(whole)
