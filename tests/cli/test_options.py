from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.cli.options import parse_settings, sweep_path
from tune_mixup.config import Training
from tune_mixup.options import Flag, Options, parse_amount, parse_duration, said
from tune_mixup.record.names import command_for
from tune_mixup.sweep_config import SweepConfig


@pytest.mark.parametrize(
    "assignment, settings",
    [
        ("mixing.alpha=1e-3", {"mixing.alpha": 0.001}),
        ("mixing.alpha=1", {"mixing.alpha": 1}),
        ("mixing.alpha=-.5", {"mixing.alpha": -0.5}),
        ("data.augment.flip=true", {"data.augment.flip": True}),
        ("data.mean=[0.5, 1]", {"data.mean": [0.5, 1]}),
        ("data.name=cifar10", {"data.name": "cifar10"}),
        ("data.path=/a=b", {"data.path": "/a=b"}),
        ("data.train_limit=", {"data.train_limit": None}),
        ("data.train_limit=null", {"data.train_limit": None}),
        (" seed =3", {"seed": 3}),
        ("seed='3'", {"seed": "3"}),
        ("mixing={name: mixup, alpha: 1}", {"mixing.name": "mixup", "mixing.alpha": 1}),
    ],
)
def test_a_setting_is_a_dotted_key_and_a_yaml_value(assignment, settings):
    assert repr(parse_settings([assignment])) == repr(settings)


@pytest.mark.parametrize("assignment", ["mixing.alpha", "", "=1", " =1", "mixing.alpha:1"])
def test_an_assignment_needs_a_key_and_an_equals_sign(assignment):
    with pytest.raises(ValueError, match="^--set: got '.*', must be KEY=VALUE, such as mixing.alpha=0.4$"):
        parse_settings([assignment])


@pytest.mark.parametrize("text", ["[1", "{a", "@a", "'a", "a: b: c"])
def test_a_value_that_is_no_yaml_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="^--set mixing.alpha: got .*which is no YAML value") as error:
        parse_settings([f"mixing.alpha={text}"])
    assert "\n" not in str(error.value)


def test_a_seed_that_no_record_could_be_read_with_is_refused():
    assert parse_settings([], seed=10**998) == {"seed": 10**998}
    with pytest.raises(ValueError, match="^seed: got a whole number of 1000 digits or more"):
        parse_settings([], seed=10**999)


def test_options_and_set_together_give_the_settings():
    assert parse_settings(None, None) == {}
    assert parse_settings([], "/data") == {"data.root": "/data"}
    assert parse_settings(["model.width=4"], "/data", seed=0, data="digits") == {
        "data.root": "/data", "seed": 0, "data.name": "digits", "model.width": 4,
    }  # fmt: skip
    two = ["mixing={name: mixup}", "mixing.alpha=1"]
    assert parse_settings(two) == {"mixing.name": "mixup", "mixing.alpha": 1}


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("0.5h", 1800),
        ("1h0m", 3600),
        ("1d", 86400),
        ("2.5h", 9000),
        ("1d1s", 86401),
        ("0.5d12h", 86400),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text, "--time-budget") == seconds


@given(hours=st.integers(0, 99), minutes=st.integers(0, 99), seconds=st.integers(1, 99))
@settings(deadline=None, max_examples=20)
def test_parts_of_a_duration_add_up(hours, minutes, seconds):
    assert parse_duration(f"{hours}h{minutes}m{seconds}s", "--time-budget") == (hours * 60 + minutes) * 60 + seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "s",
        "h",
        "0s",
        "0h0m",
        "-5m",
        "1h 30m",
        "30m1h",
        "1w",
        "1h1d",
        "two",
        "nan",
        "1e3s",
        "infs",
        "9" * 400 + "h",
    ],
)
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="^--time-budget: got .*, must be a duration above zero such as 90s"):
        parse_duration(text, "--time-budget")


@pytest.mark.parametrize("text, amount", [("auto", "auto"), ("0.25", 0.25), ("2", 2.0), ("0", 0.0)])
def test_amounts(text, amount):
    assert parse_amount(text, "--gpus-per-trial") == amount


@pytest.mark.parametrize("text", ["", "AUTO", "1/4", "half"])
def test_other_amounts_are_refused(text):
    with pytest.raises(ValueError, match="^--gpus-per-trial: got .*, must be a number, or auto to have it measured$"):
        parse_amount(text, "--gpus-per-trial")


def test_options_that_are_not_given_keep_their_defaults():
    assert said({"name": None, "trials": 0, "seed": 3, "metric": ""}) == {"trials": 0, "seed": 3, "metric": ""}


def test_a_sweep_is_found_by_name_or_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path("sweeps")

    def make(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.yaml").touch()

    for name in ("gm", "elsewhere/gm", ".", str(tmp_path / "abs/gm"), "x/../gm"):
        with pytest.raises(ValueError, match="there is no sweep named"):
            sweep_path(name, root)
    make(Path("elsewhere/gm")), make(tmp_path / "abs/gm")
    assert sweep_path("elsewhere/gm", root) == Path("elsewhere/gm")
    assert sweep_path(str(tmp_path / "abs/gm"), root) == tmp_path / "abs/gm"
    (tmp_path / "gm").mkdir()
    with pytest.raises(ValueError, match=f"named 'gm' in {tmp_path}/sweeps"):  # a folder of that name that is no sweep
        sweep_path("gm", root)
    make(Path("gm"))
    assert sweep_path("gm", root) == Path("gm")
    make(root / "gm")
    assert sweep_path("gm", root) == root / "gm"  # the one under the root comes first
    monkeypatch.chdir(tmp_path / "gm")
    assert sweep_path(".", root) == Path(".")


def test_commands_to_go_on_with_name_the_root_where_it_is_not_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_for("resume", Path("sweeps/gm")) == "tune-mixup resume gm"
    retraining = Path("sweeps/gm/evaluations/2-trials-3-seeds-0123abcd")  # of which nobody knows but us
    assert command_for("resume", retraining) == "tune-mixup evaluate gm --top 2 --seeds 3"
    whole = Path("sweeps/gm/evaluations/2-trials-3-seeds-whole-0123abcd")
    expected = "tune-mixup evaluate gm --top 2 --seeds 3 --set data.validation_fraction=0"
    assert command_for("resume", whole) == expected
    expected = f"tune-mixup export gm --root '{tmp_path}/my sweeps' --top 3"
    assert command_for("export", tmp_path / "my sweeps/gm", " --top 3") == expected


def test_the_least_of_a_flag_is_that_of_its_setting():
    fields = {**SweepConfig.model_fields, "max_epochs": Training.model_fields["epochs"]}
    for key, hint in get_type_hints(Options, include_extras=True).items():
        for flag in getattr(hint, "__metadata__", ()):
            if isinstance(flag, Flag) and flag.least is not None:
                assert [one.ge for one in fields[key].metadata if hasattr(one, "ge")] == [flag.least], key
