"""Defaults from an options file and from the environment: who wins, and that nothing in them is ignored."""

import json

import pytest

from tune_mixup.cli.defaults import Default, told_of

SPACE = "quickstart"


def planned(command, *arguments):
    assert command("check", SPACE, "--json", *arguments) == 0, command.err
    return json.loads(command.out)


@pytest.mark.parametrize("name", ["tune_mixup.toml", "pyproject.toml"])
def test_the_command_line_wins_over_the_environment_and_that_over_the_file(command, tmp_path, monkeypatch, name):
    table = "" if name == "tune_mixup.toml" else "[project]\nname = 'x'\n[tool.tune_mixup]\n"
    (tmp_path / name).write_text(f"{table}trials = 7\nmax-epochs = 4\ntime-budget = '1d'\n")
    found = planned(command)
    assert (found["trials"], found["max_epochs"]) == (7, 4)
    monkeypatch.setenv("TUNE_MIXUP_TRIALS", "8")
    found = planned(command)
    assert (found["trials"], found["max_epochs"]) == (8, 4)
    assert planned(command, "--trials", 9)["trials"] == 9
    assert planned(command, "--set", "sweep.trials=10")["trials"] == 10
    assert planned(command, "--set", "sweep={trials: 11}")["trials"] == 11
    assert planned(command, "--set", "training.epochs=5")["max_epochs"] == 5


def test_the_root_is_taken_by_every_verb_that_has_one(command, start_sweep, tmp_path, monkeypatch):
    start_sweep(root=tmp_path / "runs")
    (tmp_path / "tune_mixup.toml").write_text("root = 'runs'\ntrials = 99\n")
    for verb in ("status", "logs", "leaderboard"):
        assert command(verb, "gm") == 0, command.err
    assert command("list", "--json") == 0 and json.loads(command.out)["sweeps"][0]["trials"] == 20
    monkeypatch.setenv("TUNE_MIXUP_ROOT", "elsewhere")
    assert "no sweep named 'gm'" in command.refused("status", "gm")
    assert command("status", "gm", "--root", "runs") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trails = 3", "tune_mixup.toml: there is no option 'trails' to give there; did you mean trials?"),
        ("name = 'gm'", "there is no option 'name'"),
        ("[sweep]\ntrials = 3", "there is no option 'sweep'"),
        ("trials = true", "tune_mixup.toml: trials: got 'True', must be a text or a number"),
        ("trials = [3]", "tune_mixup.toml: trials: got '[3]'"),
        ("trials = 'many'", "--trials many (from tune_mixup.toml)"),
        ("trials = 0", "--trials 0 (from tune_mixup.toml)"),
        ("time-budget = 'soon'", "--time-budget soon (from tune_mixup.toml)"),
        ("sampler = 'tpf'", "--sampler tpf (from tune_mixup.toml)"),
        ("trials = ", "tune_mixup.toml: can't be read as TOML"),
        ("trials = 3\ntrials = 4", "tune_mixup.toml: can't be read as TOML"),
    ],
)
def test_a_fault_names_the_file(command, tmp_path, text, words):
    (tmp_path / "tune_mixup.toml").write_text(text)
    assert words in command.refused("check", SPACE)
    assert command("check", "--help") == 0 and command("completion", "bash") == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TUNE_MIXUP_TRAILS", "3", "TUNE_MIXUP_TRAILS: there is no such variable; did you mean TUNE_MIXUP_TRIALS?"),
        ("TUNE_MIXUP_NAME", "gm", "TUNE_MIXUP_NAME: there is no such variable"),
        ("TUNE_MIXUP_DATA_ROOT", "d", "TUNE_MIXUP_DATA says where data sets live"),
        ("TUNE_MIXUP_TRIALS", "0", "--trials 0 (from TUNE_MIXUP_TRIALS)"),
        ("TUNE_MIXUP_SEED", "x", "--seed x (from TUNE_MIXUP_SEED)"),
    ],
)
def test_a_fault_names_the_variable(command, monkeypatch, name, text, words):
    monkeypatch.setenv(name, text)
    assert words in command.refused("check", SPACE)


def test_two_files_are_refused(command, tmp_path):
    (tmp_path / "tune_mixup.toml").write_text("trials = 3")
    (tmp_path / "pyproject.toml").write_text("[tool.tune_mixup]\ntrials = 4")
    assert "both give options; keep one of the two" in command.refused("check", SPACE)


def test_a_section_that_is_set_leaves_the_defaults_that_it_does_not_contain(command, tmp_path):
    (tmp_path / "tune_mixup.toml").write_text("root = 'runs'\ntrials = 7\nsampler = 'qmc'\ndata-root = 'd'\n")
    found = planned(command, "--set", "sweep={seed: 3}", "--set", "data={validation_fraction: 0.25}")
    assert (found["trials"], found["sampler"], found["folder"]) == (7, "qmc", "runs/quickstart")
    assert found["fixed"]["data.root"] == "d"
    found = planned(command, "--set", "sweep={trials: 11, sampler: {name: random}}", "--set", "data={root: e}")
    assert (found["trials"], found["sampler"], found["folder"]) == (11, "random", "runs/quickstart")
    assert found["fixed"]["data.root"] == "e"
    assert "which is no YAML value" in command.refused("check", SPACE, "--set", "sweep={trials")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tool = []", "pyproject.toml: tool: got [], must be a section; write [tool] above its keys"),
        ("tool = 'x'", "pyproject.toml: tool: got 'x', must be a section"),
        ("[tool]\ntune_mixup = [3]", "pyproject.toml: tool.tune_mixup: got [3], must be a section; write "
         "[tool.tune_mixup] above its keys"),
        ("[tool]\ntune_mixup = 'x'", "pyproject.toml: tool.tune_mixup: got 'x', must be a section"),
        ("[[tool.tune_mixup]]\ntrials = 3", "pyproject.toml: tool.tune_mixup: got [{'trials': 3}], must be a section"),
    ],
)  # fmt: skip
def test_sections_of_another_shape_are_refused(command, tmp_path, text, words):
    (tmp_path / "pyproject.toml").write_text(text)
    assert words in command.refused("check", SPACE)
    assert words in command.refused("list")


def test_a_fault_has_the_words_that_it_has_as_an_option(command, tmp_path):
    alone = command.refused("check", SPACE, "--trials", "many")
    assert "--trials: got 'many', must be a whole number" in alone
    (tmp_path / "tune_mixup.toml").write_text("trials = 'many'\n")
    assert "--trials: got 'many', must be a whole number; got --trials many (from tune_mixup.toml)" in command.refused(
        "check", SPACE
    )
    (tmp_path / "tune_mixup.toml").write_text("root = 'file'\n")
    (tmp_path / "file").touch()
    for verb in (["list"], ["sweep", SPACE]):
        assert "(from tune_mixup.toml)" in command.refused(*verb)


@pytest.mark.parametrize(
    ("text", "default", "about"),
    [
        ("--trials: got 'x', must be a whole number", ("trials", "trials", "x"), True),
        ("sweep.trials: got 0, must be more", ("trials", "trials", "0"), True),
        ("trials is given twice", ("trials", "trials", "3"), True),
        ("training.epochs: got 'ten', must be a whole number", ("max-epochs", "max_epochs", "ten"), True),
        ("concurrent: got 9; give more --trials", ("trials", "trials", "3"), False),
        ("mixing.alpha: got 3, which the seed has", ("seed", "seed", "3"), False),
        ("trials-1 is no name", ("trials", "trials", "3"), False),
        ("there is no sweep named 'gm' in /data/r", ("root", "root", "/data/r"), True),
        ("there is no sweep named 'gm' in /data/r/below", ("root", "root", "/data/r"), True),
        ("r/gm/sweep.yaml: Permission denied", ("root", "root", "r"), True),
        ("there is no sweep named 'gm' in {}/r", ("root", "root", "r"), True),
        ("there is no sweep named 'gm' in {}", ("root", "root", "."), True),
        ("there is no sweep named 'gm' in /data/r2", ("root", "root", "/data/r"), False),
        ("mixing.mu: got 3, must be smaller ...", ("root", "root", "m"), False),
        ("mixing.mu: got 3, must be smaller ...", ("root", "root", "."), False),
    ],
)
def test_what_a_message_is_about(monkeypatch, tmp_path, text, default, about):
    monkeypatch.chdir(tmp_path)
    option, parameter, value = default
    given = {option: Default(option, parameter, value, "tune_mixup.toml")}
    words = told_of(text.format(tmp_path), given)
    assert words == (f"--{option} {value} (from tune_mixup.toml)" if about else "")
