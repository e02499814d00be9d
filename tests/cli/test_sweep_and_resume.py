import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune_mixup.analysis.sweep import Sweep

TRIALS = [("COMPLETE", [0.5, 0.625]), ("PRUNED", [0.875]), ("COMPLETE", [0.25, 0.75])]


@pytest.fixture
def ran(monkeypatch, start_sweep, progress):
    """Stands in for planning and Ray: what a sweep is planned and started with is noted, and what `resume` is called
    with; either tells one event and leaves `trials`."""
    calls = []

    def install(trials=TRIALS, *, error=None, name="gm"):
        def plan(space, settings, **options):
            calls.append({"space": space, "settings": settings, **options})
            return SimpleNamespace(name=name)

        def start(config, *, root, address, warm_start, listener):
            calls[-1] |= {"root": root, "address": address}
            if warm_start is not None:
                calls[-1] |= {"warm_start": warm_start}
            return finish(listener)

        def resume(path, *, address, listener, **promise):
            given = {key: value for key, value in promise.items() if value is not None}
            calls.append({"path": path, "address": address, **given})
            return finish(listener)

        def finish(listener):
            shutil.rmtree("sweeps", ignore_errors=True)
            record = start_sweep(name, trials=trials) if trials is not None else None
            if error is not None:
                raise error
            listener(progress(message="t0002 COMPLETE: trained", states={"COMPLETE": 1, "RUNNING": 1}))
            return None if record is None else Sweep(record)

        monkeypatch.setattr("tune_mixup.sweep_config.plan", plan)
        monkeypatch.setattr("tune_mixup.cluster.sweep.start", start)
        monkeypatch.setattr("tune_mixup.cluster.sweep.resume", resume)
        return calls

    return install


def test_a_sweep_ends_with_its_best_trials_and_what_to_do_next(command, ran):
    ran()
    assert command("sweep", "mixup", "--name", "gm") == 0
    lines = command.out.splitlines()
    assert "t0002 COMPLETE: trained" in lines[0]
    assert any(line.startswith("gm: 3 trials (2 COMPLETE, 1 PRUNED) in /") for line in lines)
    assert any(line.split()[:5] == ["1", "2", "COMPLETE", "2", "0.75"] for line in lines)
    assert [line.strip() for line in lines[-3:]] == [
        "tune-mixup leaderboard gm --top 20",
        "tune-mixup export gm --top 3 --to best.yaml",
        "tune-mixup evaluate gm --top 3 --seeds 3",
    ]
    assert command.err == ""


def test_only_what_was_given_is_passed_on(command, ran):
    calls = ran()
    assert command("sweep", "mixup") == 0
    assert calls == [{"space": "mixup", "settings": {}, "root": Path("sweeps"), "address": None}]


def test_every_option_arrives(command, ran, start_sweep):
    calls = ran()
    options = {
        "name": "gm", "trials": 64, "max_epochs": 100, "metric": "val_nll", "sampler": "qmc", "scheduler": "none",
        "concurrent": 4, "cpus_per_trial": 2.0, "gpus_per_trial": 0.25, "seed": 7,
        "gpu_hours": 8.0, "max_failures": 1, "disk_budget": "20GB",
    }  # fmt: skip
    flags = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]
    sets = ["--set", "data.name=cifar10", "--set", "mixing.alpha=1e-1", "--data-root", "/data"]
    rest = ["--time-budget", "1h30m", "--trial-timeout", "15m", "--from", "old"]
    start_sweep("old", root=Path("r").absolute())
    assert command("sweep", "mixup", *flags, *sets, *rest, "--root", "r", "--address", "auto") == 0
    settings = {"data.root": "/data", "data.name": "cifar10", "mixing.alpha": 0.1}
    expected = {"space": "mixup", "settings": settings, "root": Path("r"), "address": "auto", "time_budget_s": 5400.0}
    expected |= {"trial_timeout_s": 900.0, "warm_start": Path("r/old")}
    assert calls == [{**expected, **options}]


@pytest.mark.parametrize("option", ["cpus_per_trial", "gpus_per_trial"])
def test_auto_arrives_as_a_word(command, ran, option):
    calls = ran()
    assert command("sweep", "mixup", f"--{option.replace('_', '-')}", "auto") == 0
    assert calls[0][option] == "auto"


def test_resume_passes_on_and_ends_like_a_sweep(command, ran, start_sweep):
    calls = ran()
    start_sweep()
    promise = {"trials": 8, "concurrent": 2, "gpu_hours": 1.5, "max_failures": 0, "disk_budget": "1GiB"}
    flags = [word for key, value in promise.items() for word in (f"--{key.replace('_', '-')}", value)]
    assert command("resume", "gm", *flags, "--time-budget", "90s", "--trial-timeout", "2m", "--address", "auto") == 0
    times = {"time_budget_s": 90.0, "trial_timeout_s": 120.0}
    assert calls == [{"path": Path("sweeps/gm"), "address": "auto", **promise, **times}]
    assert "tune-mixup export gm --top 3 --to best.yaml" in command.out


@pytest.mark.parametrize("verb", [["sweep", "mixup", "--name", "gm"], ["resume", "gm"]])
def test_machines_get_json_lines_and_nothing_else(command, ran, verb, start_sweep):
    ran()
    if verb[0] == "resume":
        start_sweep()
    assert command(*verb, "--json") == 0
    event, end = [json.loads(line) for line in command.out.splitlines()]
    assert (event["event"], event["message"], event["states"]["COMPLETE"]) == ("progress", "t0002 COMPLETE: trained", 1)
    assert (end["event"], end["name"], end["metric"], end["direction"]) == ("end", "gm", "val_accuracy", "maximize")
    assert end["states"] == {"COMPLETE": 2, "PRUNED": 1}
    assert [row["trial"] for row in end["leaderboard"]] == [2, 0, 1] and "full budget" in end["rule"]
    assert command.err == ""


def test_a_sweep_whose_trials_all_fail_is_a_failed_run(command, ran):
    ran([("FAIL", []), ("FAIL", [])])
    assert command("sweep", "mixup", "--name", "gm") == 1
    assert command.err.startswith("tune-mixup: all 2 trials failed; trial 0: reason 0; see /")
    assert command.err.count("\n") == 1


def test_some_failures_are_not_a_failed_run(command, ran):
    ran([("FAIL", []), ("COMPLETE", [0.5, 0.5])])
    assert command("sweep", "mixup", "--name", "gm") == 0


@pytest.mark.parametrize(
    "arguments, line",
    [
        (["sweep", "mixup", "--name", "gm"], "interrupted; go on with `tune-mixup resume gm`"),
        (["resume", "gm"], "interrupted; go on with `tune-mixup resume gm`"),
    ],
)
def test_an_interrupt_says_how_to_go_on(command, ran, arguments, line, start_sweep):
    ran(error=KeyboardInterrupt())
    if arguments[0] == "resume":
        start_sweep()
    assert command(*arguments) == 130
    assert command.err == f"tune-mixup: {line}\n"


@pytest.mark.parametrize(
    ("arguments", "file", "begun", "rest"),
    [
        ([], "", "own", ""),
        (["--name", "gm"], "", "gm", ""),
        (["--set", "sweep.name=gm"], "", "gm", ""),
        (["--set", "sweep={name: gm}"], "root = 'runs'", "gm", " --root {}/runs"),
        (["--root", "other"], "root = 'runs'", "own", " --root {}/other"),
    ],
)
def test_what_is_interrupted_is_called_as_it_was_planned(
    command, monkeypatch, start_sweep, tmp_path, arguments, file, begun, rest
):
    def start(config, *, root, **_):
        start_sweep(config.name, root=root)
        raise KeyboardInterrupt

    monkeypatch.setattr("tune_mixup.cluster.sweep.start", start)
    (tmp_path / "tune_mixup.toml").write_text(file)
    (tmp_path / "own.py").write_text("from tune_mixup import load_space\nSPACE = load_space('quickstart')\n")
    assert command("sweep", "own.py", *arguments) == 130
    assert command.err == f"tune-mixup: interrupted; go on with `tune-mixup resume {begun}{rest.format(tmp_path)}`\n"


def test_a_name_among_a_spaces_defaults_is_the_sweeps(command, monkeypatch, start_sweep, tmp_path):
    (tmp_path / "a space.py").write_text(
        "from tune_mixup import load_space\nSPACE = load_space('quickstart').replace(defaults={'name': 'gm'})\n"
    )
    assert command("check", "a space.py", "--json") == 0, command.err
    assert json.loads(command.out)["name"] == "gm"
    start_sweep("gm")
    assert "gm" in command.refused("sweep", "a space.py") and list((tmp_path / "sweeps").iterdir()) == [
        tmp_path / "sweeps/gm"
    ]


def test_an_interrupt_before_the_sweep_began_says_so(command, ran):
    ran(None, error=KeyboardInterrupt())
    assert command("sweep", "mixup", "--name", "gm") == 130
    assert command.err == "tune-mixup: interrupted before the sweep began; nothing was written\n"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["sweep", "mixdown"], "there is no search space 'mixdown'"),
        (["sweep", "gone.py"], "there is no file gone.py"),
        (["sweep", "quickstart", "--name", "a/b"], "no path separators"),
        (["sweep", "quickstart", "--name", "../up"], "no path separators"),
        (["sweep", "quickstart", "--name", ""], "name: got ''"),
        (["sweep", "quickstart", "--set", "mixing.alhpa=1"], "mixing.alhpa"),
        (["sweep", "quickstart", "--set", "mixing.alpha=-1"], "mixing.alpha: got -1, must be"),
        (["sweep", "quickstart", "--set", "mixing.alpha=.nan"], "mixing.alpha: got nan, must be"),
        (["sweep", "quickstart", "--set", "mixing.alpha=.inf"], "mixing.alpha: got inf, must be"),
        (["sweep", "quickstart", "--set", "training.epochs=ten"], "training.epochs: got 'ten', must be"),
        (["sweep", "quickstart", "--set", "training.epochs"], "must be KEY=VALUE"),
        (["sweep", "quickstart", "--trials", "0"], "--trials: got '0', must be"),
        (["sweep", "quickstart", "--trials", "1.5"], "--trials: got '1.5', must be a whole number"),
        (["sweep", "quickstart", "--max-epochs", "-1"], "--max-epochs: got '-1', must be"),
        (["sweep", "quickstart", "--metric", "val_acuracy"], "metric: got 'val_acuracy'"),
        (["sweep", "quickstart", "--sampler", "best"], "sweep.sampler.name: got 'best', which is not known"),
        (["sweep", "quickstart", "--sampler", "grid"], "a grid needs"),
        (
            ["sweep", "quickstart", "--scheduler", "asah"],
            "sweep.stopping.name: got 'asah', which is not known; did you mean asha?",
        ),
        (["sweep", "quickstart", "--concurrent", "0"], "--concurrent: got '0', must be"),
        (["sweep", "quickstart", "--cpus-per-trial", "0"], "cpus_per_trial: got 0"),
        (["sweep", "quickstart", "--cpus-per-trial", "nan"], "cpus_per_trial: got nan, must be"),
        (["sweep", "quickstart", "--gpus-per-trial", "inf"], "gpus_per_trial: got inf, must be"),
        (["sweep", "quickstart", "--gpus-per-trial", "1.5"], "gpus_per_trial: got 1.5, must be at most 1, since"),
        (["sweep", "quickstart", "--gpus-per-trial", "2"], "gpus_per_trial: got 2, must be at most 1, since a trial"),
        (["sweep", "quickstart", "--set", "sweep.gpus_per_trial=2"], "gpus_per_trial: got 2, must be at most 1, since"),
        (
            ["sweep", "quickstart", "--gpus-per-trial", "many"],
            "--gpus-per-trial: got 'many', must be a number, or auto",
        ),
        (
            ["sweep", "quickstart", "--cpus-per-trial", "Auto"],
            "--cpus-per-trial: got 'Auto', must be a number, or auto",
        ),
        (["sweep", "quickstart", "--set", "sweep.gpus_per_trial=many"], "gpus_per_trial: got 'many', must be a number"),
        (
            ["sweep", "quickstart", "--cpus-per-trial", "auto", "--gpus-per-trial", "0.5"],
            "cpus_per_trial: got auto, but trials use a GPU",
        ),
        (["sweep", "quickstart", "--seed", "-1"], "seed: got -1, must be"),
        (["sweep", "quickstart", "--time-budget", "2"], "--time-budget: got '2', must be a duration"),
        (["sweep", "quickstart", "--time-budget", "0s"], "--time-budget: got '0s', must be a duration"),
        (["resume", "gm"], "there is no sweep named 'gm' in"),
        (["resume", "a/gm"], "there is no sweep named 'gm' in"),
        (["resume", "gm", "--time-budget", "soon"], "--time-budget: got 'soon', must be a duration"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(command, tmp_path, arguments, words):
    assert words in command.refused(*arguments)
    assert list(tmp_path.iterdir()) == []
