import pytest
from fake_worker import SPACE, plan
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.search.configurations import Configurations
from tune_mixup.search_space import SearchSpace

SPACES = {
    "conditional": SPACE,
    "seed": SearchSpace(
        fixed={"data": {"name": "synthetic"}, "optimizer.momentum": 0.5},
        free={"seed": IntDistribution(0, 9), "optimizer.lr": FloatDistribution(0.01, 0.4, log=True)},
    ),
    "seed that need not exist": SearchSpace(
        fixed={"data.name": "synthetic"},
        free={"mixing.name": CategoricalDistribution(("erm", "mixup")), "seed": IntDistribution(5, 9)},
        conditions={"seed": {"mixing.name": ("mixup",)}},
    ),
    "data": SearchSpace(
        free={"data.name": CategoricalDistribution(("synthetic", "digits")), "training.epochs": IntDistribution(9, 12)}
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_they_are_those_that_the_sweep_says(name):
    config = plan(space=SPACES[name], seed=3)
    made = Configurations(config)
    for point in config.space.sample(20, seed=1):
        expected = config.trial(point)
        assert made.at(point) == expected and made.at(point).identity() == expected.identity()
        assert made.at(point).plain() == expected.plain()


def test_the_content_of_the_data_is_known_of_each_trial():
    config = plan()
    source = config.trial(config.space.baselines[0]).data.source()
    made = Configurations(config.replace(data={source: "0123"}))
    assert [made.at(point).data.fingerprint for point in config.space.baselines] == ["0123", "0123"]


def test_a_point_that_is_no_configuration_is_refused_in_the_same_words():
    config = plan()
    made = Configurations(config)
    for point in ({"mixing.name": "mixup", "mixing.alpha": -1.0}, {"optimizer.lr": "much"}):
        said = []
        for at in (config.trial, made.at):
            with pytest.raises(ValueError) as raised:
                at(point)
            said.append(str(raised.value))
        assert said[0] == said[1]
        made.at(config.space.baselines[0])  # from here on what no parameter is in is known
