import pytest
import torch
from optuna.distributions import FloatDistribution

from benchmarks.baselines import optuna_pool, plain_tune
from benchmarks.baselines.search_task import SearchTask
from benchmarks.contenders import ours
from benchmarks.race import FREE, search_task
from benchmarks.rivals import Rival
from tune_mixup.search_space import SearchSpace

FIXED = {
    "data.name": "synthetic",
    "data.num_train": 60,
    "data.size": 8,
    "mixing.name": "mixup",
    "model.width": 1,
    "training.batch_size": 20,
}
TASK = SearchTask(
    space=SearchSpace(
        fixed=FIXED,
        free={"mixing.alpha": FloatDistribution(0.1, 1.0), "optimizer.lr": FloatDistribution(0.001, 0.4)},
        baselines=[{"mixing.alpha": 0.5, "optimizer.lr": 0.001 + 0.1 * number} for number in range(3)],
    ),
    max_epochs=3,
)


@pytest.fixture
def global_state_kept():
    """Trials in this process set threads and, in the baselines, use the global generator."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


def check(finished):
    """Every point was tried once, for the epochs that the rungs at 1 and 3 allow, and told in the order of time."""
    assert len(finished) == 3 and finished == sorted(finished)
    assert {one.epochs for one in finished} <= {1, 3} and max(one.epochs for one in finished) == 3
    assert all(0 <= one.accuracy <= 1 and one.trained_s > 0 for one in finished)


@pytest.mark.slow
def test_plain_tune_runs_the_task(ray_session, tmp_path):
    check(plain_tune.search(TASK, storage=tmp_path))


@pytest.mark.slow
def test_the_pool_runs_the_task(tmp_path):
    check(optuna_pool.search(TASK, storage=tmp_path))


@pytest.mark.slow
def test_ours_runs_the_task(ray_session, tmp_path, global_state_kept):
    check(ours(TASK, tmp_path / "plain"))


def test_points_of_a_race_depend_on_its_seed_and_lie_in_the_space(monkeypatch, tmp_path):
    (tmp_path / "FashionMNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("TUNE_MIXUP_DATA", str(tmp_path))
    first, again, other = (search_task(seed).space.baselines for seed in (0, 0, 1))
    assert first == again != other and len(first) == 24
    for point in first:
        assert all(FREE[key].low <= value <= FREE[key].high for key, value in point.items())


def test_a_rival_answers_calls_and_says_when_one_failed():
    with Rival() as rival:
        assert rival(pow, 2, 10) == 1024
        rival.start(int, "no number")
        with pytest.raises(RuntimeError, match="above"):
            rival.result()
