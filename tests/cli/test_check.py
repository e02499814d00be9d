import importlib
import json
import re

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tune_mixup.cli.fields import explain_key
from tune_mixup.config import TrialConfig
from tune_mixup.distributions import contains
from tune_mixup.measuring import gpus
from tune_mixup.measuring.gpus import Gpu, Gpus
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.samplers import SAMPLERS
from tune_mixup.search_space import SearchSpace
from tune_mixup.space_files import load_space
from tune_mixup.stopping import STOPPING
from tune_mixup.sweep_config import OBJECTIVES, SweepConfig

SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={"data.name": "digits", "training.epochs": 7, "data.train_limit": 100},
    free={
        "mixing.alpha": FloatDistribution(0.125, 2, log=True),
        "mixing.name": CategoricalDistribution(("erm", "mixup")),
    },
    baselines=({"mixing.name": "erm"}, {"mixing.name": "mixup", "mixing.alpha": 0.5}),
    conditions={"mixing.alpha": {"mixing.name": ("mixup",)}},
)
"""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "mine.py").write_text(SPACE)
    return tmp_path / "mine.py"


def test_a_space_is_laid_out_and_nothing_is_written(command, space, tmp_path):
    assert command("check", space, "--set", "data.name=digits", "--max-epochs", 9) == 0
    lines = [" ".join(line.split()) for line in command.out.splitlines()]
    assert lines[0] == "mine: 20 trials of at most 9 epochs"
    for expected in (
        "training.epochs 9",
        "data.name digits",
        "data.train_limit 100",
        "mixing.name one of erm, mixup",
        "mixing.alpha 0.125 to 2, log scale",
        "Exists where mixing.name is mixup.",
        "1. mixing.name=erm",
        "2. mixing.name=mixup mixing.alpha=0.5",
        "Samples, random with seed 0",
    ):
        assert expected in lines
    assert " ".join(Mixup.model_fields["alpha"].description.split()) in " ".join(lines)
    assert command.err == "" and list(tmp_path.iterdir()) == [space]


@pytest.mark.parametrize(
    ("options", "line", "amounts"),
    [
        ([], "CPUs per trial: 1, GPUs: 0", [1.0, 0.0]),
        (["--cpus-per-trial", 2, "--gpus-per-trial", 0.25], "CPUs per trial: 2, GPUs: 0.25", [2.0, 0.25]),
        (["--gpus-per-trial", "auto"], "CPUs per trial: 1, GPUs: the share with which most", [1.0, "auto"]),
        (["--set", "sweep.cpus_per_trial=auto"], "CPUs per trial: the threads with which most", ["auto", 0.0]),
    ],
)
def test_what_a_trial_runs_on(command, space, options, line, amounts):
    options = [*options, "--address", "auto"]  # a cluster may have what this host has not
    assert command("check", space, *options) == 0
    assert any(printed.startswith(line) for printed in command.out.splitlines())
    assert command("check", space, "--json", *options) == 0
    found = json.loads(command.out)
    assert [found["cpus_per_trial"], found["gpus_per_trial"]] == amounts


def test_the_gpus_of_this_host_are_named(command, space, monkeypatch):
    mixed = Gpus(found=(Gpu("NVIDIA A100-SXM4-40GB", ("1g.5gb",) * 7), Gpu("Tesla T4"), Gpu("Tesla T4")))
    monkeypatch.setattr(gpus, "gpus_here", lambda: mixed)
    assert command("check", space, "--gpus-per-trial", 0.5, "--address", "auto") == 0
    lines = command.out.splitlines()
    assert "this host: 1 of NVIDIA A100-SXM4-40GB" in lines and "this host: 2 of Tesla T4" in lines
    assert any("7 of 1g.5gb (5 GB)" in line for line in lines)
    assert any("2 types of GPU" in line and "0.5 of a GPU is that share of any of them" in line for line in lines)
    assert command("check", space) == 0 and "this host" not in command.out
    monkeypatch.setattr(gpus, "gpus_here", lambda: Gpus(fault="nvidia-smi said: no"))
    assert command("check", space, "--gpus-per-trial", "auto", "--address", "auto") == 0
    assert "this host: its GPUs can't be looked at (nvidia-smi said: no)" in command.out


def test_samples_are_valid_points_and_depend_on_the_seed_only(command, space):
    def samples(*arguments):
        assert command("check", space, "--json", *arguments) == 0
        return json.loads(command.out)["samples"]

    drawn = samples("--samples", 30)
    alpha = FloatDistribution(0.125, 2, log=True)
    assert len(drawn) == 30 and {point["mixing.name"] for point in drawn} == {"erm", "mixup"}
    for point in drawn:
        assert ("mixing.alpha" in point) == (point["mixing.name"] == "mixup")
        assert contains(alpha, point.get("mixing.alpha", 1.0))
        TrialConfig.from_dotted(point)
    assert samples() == drawn[:5]
    assert samples("--seed", 1) != drawn[:5]
    assert samples("--samples", 0) == []


def test_json_has_all_of_it(command, space):
    assert command("check", space, "--json", "--sampler", "random", "--data-root", "/somewhere") == 0
    found = json.loads(command.out)
    expected = {"data.name": "digits", "training.epochs": 7, "data.train_limit": 100, "data.root": "/somewhere"}
    assert found["fixed"] == expected
    assert found["free"]["mixing.alpha"]["exists_when"] == {"mixing.name": ["mixup"]}
    assert found["free"]["mixing.alpha"]["distribution"]["attributes"]["low"] == 0.125
    assert found["baselines"] == [{"mixing.name": "erm"}, {"mixing.name": "mixup", "mixing.alpha": 0.5}]
    assert (found["sampler"], found["max_epochs"], found["trials"]) == ("random", 7, 20)
    assert found["defaults"]["training.precision"]["value"] == "fp32" and "mixing.name" not in found["defaults"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(command, space, monkeypatch, width):
    long = ("--set", f"data.root=/{'/'.join(['folder'] * 30)}", "--all")
    assert command("check", space, *long) == 0
    whole = "".join(command.out.split())
    monkeypatch.setattr(importlib.import_module("tune_mixup.cli.check"), "screen_width", lambda: width)
    assert command("check", space, *long) == 0
    assert max(map(len, command.out.splitlines())) <= width
    assert "".join(command.out.split()) == whole


def test_all_shows_every_other_setting_with_its_meaning(command, space):
    assert command("check", space) == 0
    assert "training.precision" not in command.out
    assert command("check", space, "--all") == 0
    assert re.search(r"training\.precision +fp32\n +Arithmetic", command.out)


@pytest.mark.parametrize("name", ["quickstart", "mixup", "cutmix", "generalized_mixup", "methods", "gamma_ablation"])
def test_every_parameter_of_the_shipped_spaces_is_explained(command, name):
    space = load_space(name)
    for key in space.free:
        assert key.endswith(".name") or len(explain_key(key, space)) > 20, key


def test_the_words_are_those_of_the_component_that_has_the_key():
    def space(**conditions):
        names = CategoricalDistribution(("erm", "mixup", "cutmix"))
        free = {"mixing.name": names, "mixing.alpha": FloatDistribution(0, 1)}
        return SearchSpace(free=free, conditions=conditions and {"mixing.alpha": conditions})

    def words(key):
        return " ".join(key.split())

    mixup = words(Mixup.model_fields["alpha"].description)
    assert explain_key("mixing.alpha", space(**{"mixing.name": ("mixup",)})) == mixup
    assert explain_key("mixing.alpha", space(**{"mixing.name": ("erm",)})) == ""
    assert mixup in explain_key("mixing.alpha", space())
    assert explain_key("seed", space()) == words(TrialConfig.model_fields["seed"].description)
    fixed = SearchSpace(fixed={"mixing.name": "mixup"}, free={"mixing.alpha": FloatDistribution(0, 1)})
    assert explain_key("mixing.alpha", fixed) == mixup
    assert explain_key("optimizer.lr", fixed) != "" and explain_key("nothing.such", fixed) == ""


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--set", "mixing.alpah=1"], "mixing.alpah"),
        (["--set", "mixng.alpha=1"], "mixng"),
        (["--set", "mixing.alpha=-1"], "mixing.alpha: got -1, must be"),
        (["--set", "mixing.alpha=.nan"], "mixing.alpha: got nan, must be"),
        (["--set", "mixing.alpha=nan"], "mixing.alpha: got 'nan', must be"),
        (["--set", "mixing.alpha=.inf"], "mixing.alpha: got inf, must be"),
        (["--set", "mixing.alpha=true"], "mixing.alpha: got True, must be"),
        (["--set", "mixing.alpha=big"], "mixing.alpha: got 'big', must be"),
        (["--set", "mixing.name=mixdown"], "mixing.name: got 'mixdown', which is not known"),
        (["--set", "training.epochs=2.5"], "training.epochs: got 2.5, must be"),
        (["--set", "training.epochs=0"], "training.epochs: got 0, must be"),
        (["--set", "mixing=3"], "mixing"),
        (["--set", "mixing.alpha"], "must be KEY=VALUE"),
        (["--set", "=1"], "must be KEY=VALUE"),
        (["--max-epochs", "0"], "--max-epochs: got '0', must be"),
        (["--seed", "-1"], "seed"),
        (["--sampler", "best"], "sweep.sampler.name: got 'best', which is not known"),
        (["--sampler", "grid"], "continuous; a grid needs"),
        (["--samples", "-1"], "--samples"),
    ],
)
def test_bad_input_is_one_line(command, space, tmp_path, arguments, words):
    base = ["check", space, *([] if "mixing.name=mixdown" in arguments else ["--set", "mixing.name=mixup"])]
    assert words in command.refused(*base, *arguments)
    assert list(tmp_path.iterdir()) == [space]


@pytest.mark.parametrize("verb", ["check", "sweep"])
def test_a_sweep_that_holds_nothing_out_is_refused(command, tmp_path, verb):
    words = "data.validation_fraction: got 0, which leaves nothing to rank trials by but the test split; hold out more"
    whole = ["--set", "data.validation_fraction=0", "--data-root", tmp_path / "none"]
    assert words in command.refused(verb, "benchmark_cifar10", *whole)
    assert words in command.refused(verb, "quickstart", *whole, "--metric", "val_nll")
    held = 'free={"data.validation_fraction": FloatDistribution(0.0, 0.5), '
    searched = SPACE.replace("free={", held).replace('({"mixing.name"', '() and ({"mixing.name"')
    (tmp_path / "mine.py").write_text(searched)
    assert words in command.refused(verb, "mine.py", "--set", "mixing.name=mixup")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "there is no file"),
        ("import nothing_such", "fails when imported: ModuleNotFoundError"),
        ("SPACE = 3", "must define SPACE"),
        (SPACE.replace('"erm", "mixup"))', '"erm", "cutmix"))'), "mixing.name"),
        (SPACE.replace('"mixing.alpha": {"mixing.name"', '"mixing.alpha": {"mixing.kind"'), "mixing.kind"),
        (SPACE.replace("FloatDistribution(0.125", "FloatDistribution(-1").replace(", log=True", ""), "mixing.alpha"),
        (SPACE.replace('"training.epochs": 7', '"training.epoch": 7'), "training.epoch"),
    ],
)
def test_a_bad_space_is_one_line(command, tmp_path, text, words):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    assert words in command.refused("check", path)


def test_an_unknown_space_is_answered_with_the_nearest(command):
    assert "did you mean quickstart?" in command.refused("check", "quikstart")


def test_the_help_lists_what_the_settings_accept(command):
    """The lists in the help are written out so that it needs no heavy import; here they are compared."""
    assert command("sweep", "--help") == 0
    shown = re.sub(r"[│\s]+", " ", command.out)
    words = set(re.findall(r"[a-z_]+", shown))
    for choices, field in ((SAMPLERS, "sampler"), (STOPPING, "stopping")):
        assert set(choices) <= words, field
        assert f"{SweepConfig.model_fields[field].default.name} (default)" in shown
    assert (
        SweepConfig.model_fields["metric"].default in words and SweepConfig.model_fields["metric"].default in OBJECTIVES
    )


RULES = """
def short(settings):
    return 3 * settings["schedule.warmup_epochs"] <= settings["training.epochs"]
"""
CONSTRAINED = """
from optuna.distributions import CategoricalDistribution, IntDistribution
from tune_mixup.conditions import Within
from tune_mixup.constraints import AtMost, Holds
from tune_mixup.log_steps import LogSteps
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={"data.name": "digits", "mixing.name": "mixup"},
    free={
        "schedule.warmup_epochs": IntDistribution(0, 5),
        "training.epochs": CategoricalDistribution((4, 8)),
        "optimizer.lr": LogSteps(0.01, 0.08, factor=2),
        "optimizer.nesterov": CategoricalDistribution((True, False)),
    },
    conditions={"optimizer.nesterov": ({"optimizer.lr": Within(at_most=0.02)}, {"optimizer.lr": (0.08,)})},
    CONSTRAINTS
)
"""


@pytest.fixture
def constrained(tmp_path):
    (tmp_path / "rules_beside_a_space.py").write_text(RULES)

    def write(constraints=""):
        path = tmp_path / "constrained.py"
        path.write_text(CONSTRAINED.replace("CONSTRAINTS", constraints))
        return path

    return write


def test_points_that_are_no_configuration_are_counted(command, constrained):
    assert command("check", constrained()) == 0
    assert "Everything fits together" not in command.out
    last = command.out.splitlines()[-1]
    share = float(re.search(r"^Note: about ([\d.]+) % of random points are no valid configuration \(", last)[1])
    assert share == pytest.approx(100 / 6, abs=4) and "state a constraint" in last
    assert command("check", constrained(), "--json") == 0
    invalid = json.loads(command.out)["invalid"]
    assert invalid["of"] == 1000 and invalid["points"] / 10 == pytest.approx(share, abs=0.6)
    assert "warmup_epochs is" in invalid["why"]


def test_constraints_and_alternatives_are_in_words(command, constrained):
    space = constrained(
        'constraints=(AtMost("schedule.warmup_epochs", "training.epochs", factor=0.5),'
        ' Holds("rules_beside_a_space:short")),'
    )
    assert command("check", space, "--samples", "20") == 0
    lines = [" ".join(line.split()) for line in command.out.splitlines()]
    for expected in (
        "optimizer.lr 0.01, 0.02, 0.04, 0.08 (log scale)",
        "Exists where optimizer.lr is at most 0.02, or optimizer.lr is 0.08.",
        "Constraints, to which all points are drawn",
        "schedule.warmup_epochs <= 0.5 * training.epochs",
        "rules_beside_a_space:short",
        "Everything fits together. Nothing was started and nothing written.",
    ):
        assert expected in lines
    assert command("check", space, "--json", "--samples", "50") == 0
    found = json.loads(command.out)
    assert found["invalid"]["points"] == 0 and len(found["samples"]) == 50 and len(found["constraints"]) == 2
    assert all(3 * point["schedule.warmup_epochs"] <= point["training.epochs"] for point in found["samples"])
    assert found["free"]["optimizer.nesterov"]["exists_when"] == [
        {"optimizer.lr": {"at_most": 0.02}}, {"optimizer.lr": [0.08]}
    ]  # fmt: skip
    assert found["free"]["optimizer.lr"]["distribution"]["name"] == "LogSteps"


def test_constraints_that_nothing_satisfies_are_one_line(command, constrained):
    space = constrained('constraints=(AtMost(9, "training.epochs"),),')
    assert "no point was found for which 9 <= training.epochs holds" in command.refused("check", space)
    space = constrained('constraints=(Holds("rules_beside_a_space:long"),),')
    assert "rules_beside_a_space has no long" in command.refused("check", space)


def test_a_space_without_data_or_without_a_search_is_one_line(command, space):
    space.write_text(SPACE.replace('"data.name": "digits", ', ""))
    assert "data.name: the space names no data" in command.refused("check", space)
    assert command("check", space, "--set", "data.name=synthetic") == 0
    fixed = ["--set", "mixing.name=mixup", "--set", "mixing.alpha=0.5", "--set", "data.name=digits"]
    assert "the space searches nothing" in command.refused("check", space, *fixed)
    assert command("check", space, *fixed, "--trials", "2") == 0


def test_check_takes_every_option_of_sweep(command, start_sweep, tmp_path):
    import typer

    from tune_mixup.cli import app

    verbs = typer.main.get_command(app()).commands
    taken = {name: {option for one in verbs[name].params for option in one.opts} for name in ("check", "sweep")}
    assert taken["sweep"] <= taken["check"]


def test_check_refuses_what_sweep_would(command, start_sweep, tmp_path, monkeypatch):
    nodes = [{"CPU": 2.0}]  # not those of a Ray that another test has left in this process
    monkeypatch.setattr("tune_mixup.cluster.dry_run.private_nodes", lambda address: nodes if address is None else None)
    start_sweep("quickstart", trials=[("COMPLETE", [0.5, 0.625])])
    (tmp_path / "file").touch()
    before = sorted(path for path in tmp_path.rglob("*") if not path.name.endswith("lock"))
    assert "a sweep named 'quickstart' exists" in command.refused("check", "quickstart")
    assert "is no folder" in command.refused("check", "quickstart", "--root", "file")
    assert "there is no sweep named 'x'" in command.refused("check", "quickstart", "--name", "a", "--from", "x")
    assert "a trial needs 100000 CPUs" in command.refused("check", "quickstart", "--name", "a", "--cpus-per-trial", 1e5)
    assert command("check", "quickstart", "--name", "a", "--cpus-per-trial", 1e5, "--address", "nowhere:1") == 0
    assert command("check", "quickstart", "--name", "a", "--from", "quickstart") == 0, command.err
    assert "begins with what is known from quickstart: 0 trials" in command.out and "kept in sweeps/a" in command.out
    assert sorted(path for path in tmp_path.rglob("*") if not path.name.endswith("lock")) == before


def test_check_says_which_defaults_came_from_elsewhere(command, tmp_path):
    (tmp_path / "tune_mixup.toml").write_text("trials = 7")
    assert command("check", "quickstart") == 0
    assert "not from the command line: --trials 7 (from tune_mixup.toml)" in command.out
