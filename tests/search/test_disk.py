import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.search import disk
from tune_mixup.search.disk import LEADERS, Held, Keeper, NoRoom, check_space, in_words, plan_drops
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import SweepConfig

COMPLETE, PRUNED, FAIL, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING
BOTH = {"checkpoint.pt": 10, "checkpoint.previous.pt": 20}


def test_the_order_in_which_checkpoints_go():
    trials = [
        Held(0, COMPLETE, 0.9, BOTH), Held(1, PRUNED, None, BOTH), Held(2, COMPLETE, 0.5, {"checkpoint.pt": 10}),
        Held(3, RUNNING, None, BOTH), Held(4, FAIL, None, {"checkpoint.pt": 10}),
        Held(5, COMPLETE, 0.7, {"checkpoint.pt": 10}), Held(6, COMPLETE, 0.6, {}),
        Held(7, COMPLETE, 0.8, {"checkpoint.pt": 10}), Held(8, COMPLETE, 0.4, {"checkpoint.pt": 10}),
    ]  # fmt: skip
    assert [(drop.number, drop.file) for drop in plan_drops(trials, 10**9)] == [
        (0, "checkpoint.previous.pt"), (1, "checkpoint.previous.pt"),  # what ended trials have beside their newest
        (1, "checkpoint.pt"), (4, "checkpoint.pt"),  # then stopped and failed ones
        (8, "checkpoint.pt"), (2, "checkpoint.pt"),  # then complete ones but the best three, the worst first
    ]  # fmt: skip
    assert [drop.number for drop in plan_drops(trials, 21)] == [0, 1]
    assert plan_drops(trials, 0) == []


TRIALS = st.lists(
    st.tuples(
        st.sampled_from([COMPLETE, PRUNED, FAIL, RUNNING]),
        st.floats(0, 1),
        st.dictionaries(st.sampled_from(["checkpoint.pt", "checkpoint.previous.pt"]), st.integers(1, 100)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=200)
@given(TRIALS, st.integers(-10, 1500))
def test_enough_goes_and_never_what_is_needed(drawn, excess):
    trials = [
        Held(n, state, score if state == COMPLETE else None, files) for n, (state, score, files) in enumerate(drawn)
    ]
    drops = plan_drops(trials, excess)
    kept = sorted((t for t in trials if t.state == COMPLETE), key=lambda t: (t.score, -t.number))[-LEADERS:]
    needed = {(t.number, file) for t in trials if t.state == RUNNING for file in t.files}
    needed |= {(t.number, "checkpoint.pt") for t in kept}
    assert not needed & {(drop.number, drop.file) for drop in drops}
    assert len({(drop.number, drop.file) for drop in drops}) == len(drops)
    sizes = {(t.number, file): size for t in trials for file, size in t.files.items()}
    freed, droppable = (
        sum(drop.size for drop in drops),
        sum(sizes.values()) - sum(sizes[key] for key in needed & sizes.keys()),
    )
    assert freed >= min(excess, droppable)
    assert not drops or freed - drops[-1].size < excess, "more went than was asked for"


SIZE = 50_000
CONFIG = SweepConfig(
    name="s",
    space=SearchSpace(fixed={"data.name": "synthetic"}, free={"optimizer.lr": FloatDistribution(0.01, 0.1)}),
    metric="val_accuracy",
)


@pytest.fixture
def record(tmp_path):
    return SweepRecord.create(tmp_path, "s", CONFIG.model_dump(mode="json"), direction="maximize")


def begin(record, states=("checkpoint.pt", "checkpoint.previous.pt", "checkpoint.damaged.pt")):
    number = record.study.optuna.ask(dict(CONFIG.space.free)).number
    folder = record.folder.trial(number)
    folder.path.mkdir()
    for name in states:
        (folder.path / name).write_bytes(bytes(SIZE))
    folder.append_epoch({"epoch": 1, "val_accuracy": 0.5})
    return number


def end(record, number, state, value=0.5):
    record.study.report(number, 1, value)
    record.study.finish(number, Outcome(state, "so"))


def files(record, number):
    return [path.name for path in record.folder.trial(number).checkpoints()]


def test_without_a_budget_trials_keep_what_their_end_calls_for(record):
    numbers = [begin(record) for _ in range(5)]
    for number, state in zip(numbers, (COMPLETE, PRUNED, FAIL), strict=False):
        end(record, number, state)
    Keeper(record, CONFIG, checkpoint_bytes=SIZE)  # at once, for what a killed process had no time to delete
    assert [files(record, number) for number in numbers[:3]] == [["checkpoint.pt"], [], []]
    keeper = Keeper(record, CONFIG, checkpoint_bytes=SIZE)
    for number in numbers[3:]:
        keeper.begin(number)
    end(record, 3, PRUNED)
    keeper.ended(3)
    keeper.ended(4)  # its worker died, it will be tried again
    assert files(record, 3) == [] and len(files(record, 4)) == 3
    assert record.folder.trial(3).read_epochs() == [{"epoch": 1, "val_accuracy": 0.5}]


def used(record):
    return sum(512 * path.lstat().st_blocks for path in (record.path, *record.path.rglob("*")))


def test_a_budget_holds_with_what_running_trials_may_still_write(record, monkeypatch):
    monkeypatch.setattr(disk, "RECORD_BYTES", 100_000)
    budget = used(record) + 100_000 + 9 * SIZE
    keeper = Keeper(record, CONFIG.replace(disk_budget=budget), checkpoint_bytes=SIZE)
    for value in (0.1, 0.9, 0.2, 0.8, 0.7, 0.6, 0.3):
        number = begin(record, states=())
        keeper.begin(number)
        assert used(record) + 3 * SIZE <= budget
        for name in ("checkpoint.pt", "checkpoint.previous.pt", "checkpoint.next.pt"):
            (record.folder.trial(number).path / name).write_bytes(bytes(SIZE))
        assert used(record) <= budget
        keeper.report(number)
        end(record, number, COMPLETE, value)
        keeper.ended(number)
    kept = [number for number in range(7) if files(record, number)]
    assert set(kept) >= {1, 3, 4} and len(kept) < 7, kept
    assert set(kept) == set(sorted(range(7), key=lambda n: -(0.1, 0.9, 0.2, 0.8, 0.7, 0.6, 0.3)[n])[: len(kept)]) | {6}


def test_what_a_budget_cannot_hold_is_said_and_nothing_needed_goes(record, monkeypatch):
    monkeypatch.setattr(disk, "RECORD_BYTES", 100_000)
    keeper = Keeper(record, CONFIG.replace(disk_budget=used(record) + 100_000 + 5 * SIZE), checkpoint_bytes=SIZE)
    first = begin(record)
    keeper.begin(first)
    with pytest.raises(NoRoom, match=r"disk budget of .* is used up.*at least .* --disk-budget SIZE"):
        keeper.begin(begin(record, states=()))
    assert len(files(record, first)) == 3


def test_a_sweep_that_the_disk_cannot_hold_does_not_start(tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    check_space(tmp_path / "new" / "root", CONFIG, checkpoint_bytes=1000, concurrent=2)
    with pytest.raises(ValueError, match=r"GB free, but 2 trials at once keep 3 states of up to .* fewer --concurrent"):
        check_space(tmp_path, CONFIG, checkpoint_bytes=free // 5, concurrent=2)
    with pytest.raises(ValueError, match=r"disk_budget: got 10 MB, but 2 trials .*, and 13.2 MB with the weights"):
        check_space(tmp_path, CONFIG.replace(disk_budget=10**7), checkpoint_bytes=10**6, concurrent=2)
    check_space(tmp_path, CONFIG.replace(disk_budget=14 * 10**6), checkpoint_bytes=10**6, concurrent=2)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234567, "1.3 MB"), (20 * 10**9, "20 GB")]
)
def test_sizes_in_words(size, words):
    assert in_words(size) == words
