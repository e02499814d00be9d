"""One setting, said twice on a command line: in every verb and for every option neither of the two wins."""

import pytest
import typer
from typer.core import TyperOption

from tune_mixup.cli import VERBS, app
from tune_mixup.cli.options import parse_settings
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

SETTINGS = {
    "--name": ["sweep.name"],
    "--trials": ["sweep.trials"],
    "--time-budget": ["sweep.time_budget_s"],
    "--gpu-hours": ["sweep.gpu_hours"],
    "--concurrent": ["sweep.concurrent"],
    "--max-failures": ["sweep.max_failures"],
    "--trial-timeout": ["sweep.trial_timeout_s"],
    "--disk-budget": ["sweep.disk_budget"],
    "--max-epochs": ["training.epochs", "sweep.max_epochs"],
    "--metric": ["sweep.metric"],
    "--sampler": ["sweep.sampler.name", "sweep.sampler"],
    "--scheduler": ["sweep.stopping.name", "sweep.stopping", "sweep.scheduler"],
    "--seed": ["seed"],
    "--cpus-per-trial": ["sweep.cpus_per_trial"],
    "--gpus-per-trial": ["sweep.gpus_per_trial"],
    "--data-root": ["data.root"],
    "--data": ["data.name"],
}
"""Each option that stands for a setting -> the settings that are the same."""
OF_SWEEPS = {"--seed": ["sweep.seed"]}
"""What the option is besides, where a verb takes a sweep's."""
NO_SETTING = {
    "--set", "--help", "--json", "--all", "--samples", "--root", "--address", "--from", "--space", "--config", "--rank",
    "--threads", "--out", "--top", "--format", "--to", "--force", "--order", "--seeds", "--mixers", "--examples",
    "--seconds", "--port", "--watch", "--trial", "--follow", "--yes", "--wide", "--columns", "--until-sure",
    "--error", "--margin", "--by", "--finalists", "--plan",
}  # fmt: skip
"""Options of the command itself: what it reads, where it writes, how it shows."""
VALUES = {
    "--time-budget": ("2h", 60), "--trial-timeout": ("2h", 60), "--disk-budget": ("1GB", "2GB"),
    "--metric": ("val_nll", "val_accuracy"), "--sampler": ("random", "qmc"), "--scheduler": ("median", "none"),
    "--name": ("one", "two"), "--data-root": ("/a", "/b"), "--data": ("digits", "synthetic"),
}  # fmt: skip
"""Two values; for the other options 1 and 2."""
START = {
    "check": ["check", "quickstart"],
    "sweep": ["sweep", "quickstart"],
    "train": ["train", "--space", "quickstart", "--out", "out"],
    "gallery": ["gallery", "--to", "a.png"],
    "bench": ["bench"],
    "evaluate": ["evaluate", "quickstart"],
    "ablate": ["ablate", "generalized_mixup"],
}
"""How the verbs begin that have `--set`."""


def options(verb):
    (command,) = (one for name, one in typer.main.get_command(app()).commands.items() if name == verb)
    return [one for one in command.params if isinstance(one, TyperOption)]


ALL = {verb.__name__: [option.opts[0] for option in options(verb.__name__)] for verb in VERBS}
PAIRS = [
    (verb, option, key)
    for verb, names in ALL.items()
    if "--set" in names
    for option in names
    if option in SETTINGS
    for key in (*SETTINGS[option], *(OF_SWEEPS.get(option, []) if verb in ("check", "sweep") else []))
]


def test_each_option_is_known_here():
    assert {option for names in ALL.values() for option in names} - NO_SETTING == set(SETTINGS)
    assert {verb for verb, names in ALL.items() if "--set" in names} == set(START)
    assert len(PAIRS) > 40


@pytest.mark.parametrize(("verb", "option", "key"), PAIRS)
def test_an_option_and_a_setting_for_the_same_thing(command, tmp_path, verb, option, key):
    one, other = VALUES.get(option, (1, 2))
    for value in (one, other):  # equal or not
        words = command.refused(*START[verb], option, one, "--set", f"{key}={value}")
        if f"{key} is a section" in words:  # it could not be given alone either
            continue
        assert "give one of the two" in words or "keep one of the two" in words
        assert option.strip("-").replace("-", "_").removesuffix("_") in words.replace("-", "_")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ALL)
def test_the_same_option_twice(command, tmp_path, verb):
    flags = {option.opts[0] for option in options(verb) if option.is_flag or option.multiple}
    for option in set(ALL[verb]) - flags:
        for words in ((option, "1", option, "1"), (f"{option}=1", f"{option}=2"), (option, "1", f"{option}=2")):
            assert f"{option} is given twice; keep one of the two" in command.refused(verb, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_looks_like_an_option_is_none(command):
    assert "there is no sweep named 'gm' in" in command.refused("leaderboard", "gm", "--root", "--root")
    assert "there is no sweep named 'gm' in" in command.refused("leaderboard", "gm", "--root=--root")
    assert "there is no search space '--seed'" in command.refused("check", "--seed", "3", "--", "--seed")


@pytest.mark.parametrize(
    "assignments, key",
    [
        (["seed=1", "seed=1"], "seed"),
        (["seed=1", " seed =2"], "seed"),
        (["mixing.alpha=1", "mixing={alpha: 2}"], "mixing.alpha"),
        (["mixing={alpha: 2}", "mixing.alpha=1"], "mixing.alpha"),
        (["mixing={name: mixup}", "mixing={alpha: 2}"], "mixing"),
        (["data.augment={flip: true}", "data={augment.flip: false}"], "data.augment.flip"),
        (["mixing={alpha: 1, alpha: 2}"], "alpha"),
        (["data={augment: {flip: true}, augment.flip: false}"], "data.augment.flip"),
    ],
)
def test_set_twice(assignments, key):
    with pytest.raises(ValueError, match=rf"{key}'? (is given|stands) twice"):
        parse_settings(assignments)


def test_a_section_and_a_key_in_it(command):
    words = command.refused("check", "quickstart", "--set", "mixing=mixup", "--set", "mixing.alpha=1")
    assert "mixing has a value of its own, so it can't also be a section; drop one" in words
    words = command.refused("check", "quickstart", "--set", "mixing.alpha=1", "--set", "mixing=mixup")
    assert "mixing is a section, so it can't be set to 'mixup'" in words


def test_what_is_set_wins_over_a_space_and_a_file(command, tmp_path):
    (tmp_path / "a.yaml").write_text("optimizer: {lr: -1.0}\nmixing.name: erm")
    words = command.refused("train", "--config", "a.yaml", "--set", "optimizer.lr=-2.0", "--out", "out")
    assert "optimizer.lr: got -2.0" in words


def test_a_method_that_is_named_twice(command, tmp_path):
    assert "--mixers: erm is named twice" in command.refused("gallery", "--mixers", "erm,cutmix, erm", "--to", "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_and_a_table_have_one_format(command, start_sweep):
    start_sweep()
    assert "got --json and --format csv" in command.refused("leaderboard", "gm", "--json", "--format", "csv")
    assert command("leaderboard", "gm", "--json", "--format", "json") == 0


SPACE = SearchSpace(fixed={"data.name": "digits", "mixing.name": "mixup"}, free={})


@pytest.mark.parametrize(
    "settings, given, words",
    [
        ({"mixing.alpha": 0.4, "mixing": {"alpha": 0.9}}, {}, "mixing.alpha stands twice"),
        ({"training": {"epochs": 3}}, {"max_epochs": 4}, "max_epochs is given twice"),
        ({"sweep": {"trials": 3}}, {"trials": 3}, "trials is given twice"),
        ({"sweep.trials": 3, "sweep": {"trials": 3}}, {}, "sweep.trials stands twice"),
        ({}, {"scheduler": "asha", "stopping": {"name": "median"}}, "sweep.stopping.name stands twice"),
        ({"sweep.stopping.grace_epochs": 2}, {"stopping": {"grace_epochs": 3}}, "stopping.grace_epochs is given twice"),
        ({"seed": 4}, {"seed": 3}, "seed is given twice"),
        ({"sweep.modules": ["a.py"]}, {}, "sweep.modules: there is no such setting"),
        ({"sweep.space.fixed": {}}, {}, "sweep.space: there is no such setting"),
    ],
)
def test_in_python_too(settings, given, words):
    with pytest.raises(ValueError, match=words):
        plan(SPACE, settings, name="s", sampler="random", **given)


@pytest.mark.parametrize(
    "fixed, defaults, words",
    [
        ({"mixing.alpha": 0.4, "mixing": {"name": "mixup", "alpha": 0.9}}, {}, "mixing.alpha stands twice"),
        ({"training.epochs": 3}, {"max_epochs": 4}, "the space gives training.epochs, and max_epochs among its"),
        ({}, {"scheduler": "asha", "stopping.name": "median"}, "sweep.stopping.name stands twice"),
        ({}, {"max_epochs": 4, "nonsense": 1}, "nonsense: there is no such setting"),
        ({}, {"stopping.name": "asha", "stopping": {"name": "median"}}, "stopping.name stands twice"),
    ],
)
def test_in_a_space(fixed, defaults, words):
    with pytest.raises(ValueError, match=words):
        plan(
            SearchSpace(fixed={"data.name": "digits", **fixed}, free={}, defaults=defaults), name="s", sampler="random"
        )


def test_a_length_that_is_set_wins_over_a_spaces_default():
    space = SPACE.replace(defaults={"max_epochs": 4})
    for settings, given, epochs in (({}, {}, 4), ({"training.epochs": 6}, {}, 6), ({}, {"max_epochs": 5}, 5)):
        config = plan(space, settings, name="s", sampler="random", trials=2, **given)
        assert config.space.fixed["training.epochs"] == epochs
        again = plan(config.space, name="again", sampler="random", trials=2)
        assert again.space == config.space
