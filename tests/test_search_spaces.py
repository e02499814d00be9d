"""The search spaces that ship: what is drawn from them is a trial, and they say what the published tables say."""

import math

import pytest
import yaml

from tune_mixup.config import TrialConfig
from tune_mixup.mixing import MIXERS
from tune_mixup.mixing.cutmix import CutMix
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.reading import dump_yaml, parse_yaml
from tune_mixup.space_files import load_space, shipped_spaces
from tune_mixup.sweep_config import plan

FOLDER = shipped_spaces()
SHIPPED = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
every_space = pytest.mark.parametrize("name", SHIPPED)


@every_space
def test_every_draw_is_a_trial(name):
    config = plan(name)
    drawn = config.space.sample(40, seed=config.seed)
    trials = [config.trial(point) for point in (*config.space.baselines, *drawn)]
    assert all(isinstance(trial, TrialConfig) for trial in trials)
    assert len({(trial.identity(), trial.seed) for trial in trials}) > 20


@every_space
def test_no_parameter_is_searched_in_vain(name):
    """Wherever it exists, another value of a parameter is another setting."""
    config = plan(name)
    drawn = config.space.sample(60, seed=config.seed)
    parents = {parent for needed in config.space.conditions.values() for parent in needed}
    for key in set(config.space.free) - parents - {"seed"}:
        values = list(dict.fromkeys(point[key] for point in drawn if key in point))[:2]
        for point in [point for point in drawn if key in point][:5]:
            settings = {config.trial({**point, key: value}).identity() for value in values}
            assert len(settings) == len(values), (key, point)


@every_space
def test_a_record_that_pyyaml_has_written_is_read_as_it_was(name):
    values = plan(name).model_dump(mode="json")
    for written in (yaml.safe_dump(values, sort_keys=False), dump_yaml(values)):
        assert parse_yaml(written) == values == yaml.safe_load(written)


@every_space
def test_every_space_says_how_to_run_it(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert text.startswith('"""')
    assert f"tune-mixup sweep {name}" in text.split('"""')[1]


def test_every_method_that_can_be_tuned_has_a_space_of_its_own():
    for name in set(MIXERS) - {"erm"}:
        space = load_space(name)
        assert space.fixed["mixing.name"] == name
        assert space.baselines


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        ("cutmix", {"alpha": (0.1, 2), "applied": (0.3, 1)}),
        ("manifold_mixup", {"alpha": (0.5, 4)}),
        ("attentivemix", {"alpha": (1, 4)}),
        ("alignmixup", {"alpha": (1, 2), "aligned": (0.3, 0.7), "epsilon": (0.05, 0.5)}),
        ("smoothmix", {"min_sigma": (0.1, 0.3), "max_sigma": (0.4, 0.7)}),
        ("saliencymix", {"alpha": (0.1, 2), "applied": (0.3, 1)}),
        ("gridmix", {"alpha": (0.2, 2), "min_holes": (2, 4), "max_holes": (6, 12)}),
        ("resizemix", {"min_tau": (0.07, 0.3), "max_tau": (0.6, 0.9)}),
        ("fmix", {"alpha": (0.2, 2), "decay": (1.5, 5)}),
        (
            "automix",
            {
                "alpha": (1, 2),
                "mask_weight": (0.05, 0.5),
                "mask_margin": (0, 0.2),
                "lam_margin": (0, 0.1),
                "momentum": (0.99, 0.9999),
            },
        ),
        ("samix", {"alpha": (1, 2), "mask_weight": (0.05, 0.5), "mask_margin": (0, 0.2), "lam_margin": (0, 0.1)}),
        ("puzzlemix", {"beta": (0.4, 2.4), "gamma": (0, 1), "eta": (0.05, 0.5), "t_eps": (0.2, 2)}),
        ("comixup", {"beta": (0.16, 0.48), "tau": (0.81, 0.84), "eta": (0.01, 0.2)}),
        ("generalized_mixup", {"gamma": (2**-4, 2), "mu": (0, 0.95)}),
    ],
)
def test_ranges_are_those_of_the_survey(name, ranges):
    space = load_space(name)
    found = {key: space.free[f"mixing.{key}"] for key in ranges}
    assert {key: (range_.low, range_.high) for key, range_ in found.items()} == ranges


def test_the_benchmark_has_the_protocol_of_the_published_table():
    config = plan("benchmark_cifar10")
    assert config.metric == "val_accuracy_median"
    trials = [config.trial(point) for point in config.space.baselines]
    assert {trial.mixing.name for trial in trials} == set(MIXERS) - {"mixture"}
    for trial in trials:
        assert (trial.data.name, trial.model.name, trial.loss.name) == ("cifar10", "resnet18", "cross_entropy")
        assert (trial.optimizer.name, trial.optimizer.lr, trial.optimizer.momentum) == ("sgd", 0.1, 0.9)
        assert (trial.optimizer.weight_decay, trial.optimizer.nesterov) == (1e-4, False)
        assert (trial.schedule.name, trial.schedule.per, trial.schedule.warmup_epochs) == ("cosine", "epoch", 0)
        factors = [trial.schedule.lr_factor(float(epoch), 200) for epoch in (0, 50, 100, 150)]
        end = 0.5 if trial.mixing.name in ("automix", "samix") else 0.0
        cosine = [(1 + math.cos(math.pi * epoch / 200)) / 2 for epoch in (0, 50, 100, 150)]
        assert factors == pytest.approx([end + (1 - end) * factor for factor in cosine])
        assert (trial.training.epochs, trial.training.batch_size, trial.training.median_epochs) == (200, 100, 10)


ALPHAS = {"mixup": 1.0, "cutmix": 0.2, "manifold_mixup": 2.0, "saliencymix": 0.2, "gridmix": 0.2, "resizemix": 1.0}
LATER_ALPHAS = {"fmix": 0.2, "alignmixup": 2.0, "attentivemix": 2.0, "puzzlemix": 1.0, "comixup": 2.0}
LEARNED_ALPHAS = {"automix": 2.0, "samix": 2.0}


@pytest.mark.parametrize(("method", "alpha"), [*ALPHAS.items(), *LATER_ALPHAS.items(), *LEARNED_ALPHAS.items()])
def test_the_benchmark_starts_from_the_tables_settings(method, alpha):
    config = plan("benchmark_cifar10")
    (point,) = (point for point in config.space.baselines if point["mixing.name"] == method)
    expected = MIXERS[method](alpha=alpha)
    assert config.trial(point).mixing == expected


@pytest.mark.parametrize(
    ("method", "variant"),
    [
        *(("fmix", "official"), ("saliencymix", "official"), ("smoothmix", "openmixup"), ("gridmix", "openmixup")),
        ("puzzlemix", "published"),
    ],
)
def test_the_benchmark_can_be_run_with_the_published_semantics(method, variant):
    settings = {"mixing.name": method, "mixing.variant": variant, "mixing.partners.name": "deranged"}
    config = plan("benchmark_cifar10", settings)
    for point in config.space.sample(10, seed=config.seed):
        mixing = config.trial(point).mixing
        assert (mixing.name, mixing.variant, mixing.partners.name) == (method, variant, "deranged")


def test_the_mixtures_parameters_exist_with_their_members():
    config = plan("mixture")
    for point in config.space.sample(100, seed=config.seed):
        mixing = config.trial(point).mixing
        for label in ("cutmix", "resizemix"):
            assert (f"mixing.members.{label}.alpha" in point) == (point[f"mixing.weights.{label}"] > 0)
            assert (label in mixing.probabilities) == (point[f"mixing.weights.{label}"] > 0)
        assert sum(mixing.probabilities.values()) == pytest.approx(1)


def test_the_mixture_holds_the_published_example():
    config = plan("mixture")
    example = config.trial(config.space.baselines[0]).mixing
    assert example.probabilities == pytest.approx({"mixup": 0.4, "cutmix": 0.6})
    published = Mixture(
        members={"mixup": Mixup(alpha=0.1), "cutmix": CutMix(alpha=1.0)}, weights={"mixup": 0.4, "cutmix": 0.6}
    )
    assert example.canonical() == published.canonical()


def test_the_mixtures_weights_cover_the_simplex():
    """Every point of the triangle of three shares is within a sixth of one that can be drawn."""
    weights = load_space("mixture").free["mixing.weights.cutmix"].choices
    shares = [
        (1 / (1 + cutmix + resizemix), cutmix / (1 + cutmix + resizemix)) for cutmix in weights for resizemix in weights
    ]
    steps = 20
    for i in range(steps + 1):
        for j in range(steps + 1 - i):
            nearest = min(max(abs(m - i / steps), abs(c - j / steps)) for m, c in shares)
            assert nearest <= 1 / 6, (i / steps, j / steps)
