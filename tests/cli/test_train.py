import importlib
import json
import re

import pytest
import yaml

from tune_mixup.config import TrialConfig
from tune_mixup.data.digits import Digits
from tune_mixup.record.trial_folder import TrialFolder
from tune_mixup.training.trainer import Trainer

SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={"data.name": "digits", "training.epochs": 3, "data.train_limit": 200, "model.width": 4},
    free={
        "optimizer.lr": FloatDistribution(0.01, 1),
        "mixing.name": CategoricalDistribution(("erm", "mixup", "cutmix")),
        "mixing.alpha": FloatDistribution(0, 2),
    },
    baselines=(
        {"mixing.name": "erm", "optimizer.lr": 0.5},
        {"mixing.name": "mixup", "mixing.alpha": 0.75, "optimizer.lr": 0.25},
    ),
    conditions={"mixing.alpha": {"mixing.name": ("mixup", "cutmix")}},
)
"""
PLAIN = {
    "training": {"epochs": 1},
    "data.train_limit": 200,
    "model": {"name": "tiny_resnet", "width": 4},
    "mixing": {"name": "erm"},
    "optimizer": {"name": "sgd"},
}


@pytest.fixture
def space(tmp_path):
    (tmp_path / "mine.py").write_text(SPACE)
    return tmp_path / "mine.py"


@pytest.fixture
def trained(command, tmp_path, monkeypatch):
    """Runs `train` without training and returns the configuration that it would have trained."""

    def configuration(*arguments):
        seen = []

        def stop(self, config, *, folder):
            seen.append(config)
            raise ValueError("stop")

        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "__init__", stop)
            command.refused("train", "--out", tmp_path / "out", *arguments)
        assert len(seen) == 1, command.err
        return seen[0]

    return configuration


def results(out):
    """The lines without those about what is being done, which come where it takes long."""
    return [line for line in out.splitlines() if not re.match(r"\d+:\d\d  ", line)]


def numbers(folder):
    """The epochs' reports without what the clock says."""
    epochs = TrialFolder(folder).read_epochs()
    return [{key: value for key, value in epoch.items() if key not in ("epoch_s", "images_per_s")} for epoch in epochs]


def test_a_trial_is_trained_interrupted_and_continued(command, space, tmp_path, monkeypatch):
    monkeypatch.setattr(Digits, "read_test", None)  # the test split stays closed
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert command("train", "--space", space, "--out", whole) == 0
    lines = results(command.out)
    assert lines[0] == f"erm, tiny_resnet, digits: 3 epochs into {whole}"
    pattern = r"epoch (\d)/3  train_loss [\d.]+  train_accuracy [\d.]+  val_accuracy [\d.]+  val_nll .* s"
    assert [re.fullmatch(pattern, line)[1] for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[-2].startswith("Validation numbers after epoch 3;") and max(map(len, lines[5:-1])) <= 80
    assert lines[-1] == f"  {whole}"  # to be copied

    train_epoch = Trainer.train_epoch

    def interrupt(self):
        if self.epoch == 1:
            raise KeyboardInterrupt
        return train_epoch(self)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_epoch", interrupt)
        assert command("train", "--space", space, "--out", parts) == 130
    assert command.err == f"tune-mixup: interrupted after epoch 1; the same command goes on in {parts}\n"

    assert command("train", "--space", space, "--out", parts) == 0
    assert results(command.out)[1] == "the folder holds 1 of 3 epochs; going on"
    assert numbers(parts) == numbers(whole) and len(numbers(whole)) == 3
    assert command("train", "--space", space, "--out", whole) == 0
    assert "the folder holds 3 of 3 epochs; nothing is left" in command.out

    assert "another configuration" in command.refused("train", "--space", space, "--seed", 5, "--out", whole)


@pytest.mark.parametrize(
    ("width", "metrics"),
    [
        (None, ["train_loss", "train_accuracy", "val_accuracy", "val_nll", "val_ece"]),
        (200, ["train_loss", "train_accuracy", "val_accuracy", "val_nll", "val_ece"]),
        (125, ["train_loss", "train_accuracy", "val_accuracy", "val_nll", "val_ece"]),
        (124, ["train_loss", "train_accuracy", "val_accuracy", "val_nll"]),
        (93, ["train_loss", "train_accuracy", "val_accuracy"]),
        (80, ["train_loss", "val_accuracy"]),
        (20, ["train_loss", "val_accuracy"]),
    ],
)
def test_a_narrow_terminal_shows_fewer_metrics_of_an_epoch(capsys, monkeypatch, width, metrics):
    verb = importlib.import_module("tune_mixup.cli.train")
    monkeypatch.setattr(verb, "screen_width", lambda: width)
    measured = {"train_loss": 2.25, "train_accuracy": 0.5, "val_accuracy": 0.5, "val_nll": 2.25, "val_ece": 0.0}
    verb._Lines(300)({"epoch": 7, **measured, "val_nll_median": 2.25, "lr": 0.05, "epoch_s": 12.34})
    shown = "".join(f"  {key} {measured[key]:.4f}" for key in metrics)
    assert capsys.readouterr().out == f"epoch   7/300{shown}  lr 0.05  12.3 s\n"


def test_where_nothing_is_held_out_the_test_split_is_measured_and_that_is_said(command, space, tmp_path):
    arguments = ["train", "--space", space, "--set", "data.validation_fraction=0", "--out", tmp_path / "one"]
    assert command(*arguments) == 0
    lines = results(command.out)
    pattern = r"epoch \d/3  train_loss [\d.]+  train_accuracy [\d.]+  test_accuracy [\d.]+  test_nll .* s"
    assert all(re.fullmatch(pattern, line) for line in lines[1:4])
    assert lines[-2].startswith("Nothing was held out, so the test split was measured after each epoch. Test numbers")
    assert any(line.startswith("test_accuracy_median ") for line in lines) and "val_" not in command.out
    assert not any(key.startswith("val_") for row in numbers(tmp_path / "one") for key in row)


def test_json_lines_for_machines(command, tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(PLAIN))
    assert command("train", "--config", "a.yaml", "--out", "out", "--json") == 0
    told = [json.loads(line) for line in command.out.splitlines()]
    events = [event for event in told if event["event"] != "activity"]  # which tell of what takes long, if it does
    assert [event["event"] for event in events] == ["epoch", "end"]
    assert events[1]["metrics"] == {key: value for key, value in events[0].items() if key != "event"}
    assert events[1]["folder"] == "out" and TrialConfig.parse(events[1]["config"]).training.epochs == 1


def test_a_diverged_trial_is_a_failed_run(command, space):
    fatal = ["--set", "optimizer.lr=1e30", "--set", "training.epochs=2"]
    assert command("train", "--space", space, "--out", "out", *fatal) == 1
    assert re.fullmatch(r"tune-mixup: diverged in epoch \d: the loss is NaN or infinite; try .*\n", command.err)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], {"mixing.name": "erm", "optimizer.lr": 0.5}),
        (["--set", "optimizer.lr=0.125"], {"mixing.name": "erm", "optimizer.lr": 0.125}),
        (["--set", "mixing.name=mixup"], {"mixing.name": "mixup", "mixing.alpha": 0.75, "optimizer.lr": 0.25}),
        (
            ["--set", "mixing.name=mixup", "--set", "mixing.alpha=1"],
            {"mixing.name": "mixup", "mixing.alpha": 1, "optimizer.lr": 0.25},
        ),
        (["--set", "mixing.name=cutmix"], {"mixing.name": "cutmix"}),  # no baseline of that kind: the defaults
        (["--set", "training.epochs=9"], {"mixing.name": "erm", "optimizer.lr": 0.5, "training.epochs": 9}),
        (["--seed", "3"], {"mixing.name": "erm", "optimizer.lr": 0.5, "seed": 3}),
        (["--data-root", "/d"], {"mixing.name": "erm", "optimizer.lr": 0.5, "data.root": "/d"}),
    ],
)
def test_a_space_gives_its_first_baseline_that_the_settings_leave_standing(trained, space, arguments, expected):
    fixed = {"training.epochs": 3, "data.train_limit": 200, "model.width": 4}
    assert trained("--space", space, *arguments) == TrialConfig.from_dotted(fixed, expected)


def test_the_data_root_is_the_one_given_then_that_of_the_environment(trained, space, monkeypatch):
    monkeypatch.setenv("TUNE_MIXUP_DATA", "/environment")
    assert str(trained("--space", space).data.root) == "/environment"
    assert str(trained("--space", space, "--data-root", "/given").data.root) == "/given"
    assert str(trained("--space", space, "--set", "data.root=/set").data.root) == "/set"


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".csv", ".parquet"])
def test_an_exported_file_is_accepted_as_it_is(command, trained, start_sweep, tmp_path, suffix):
    record = start_sweep(trials=[("COMPLETE", [0.5, 0.5]), ("COMPLETE", [0.5, 0.75])])
    for number, alpha in ((0, 0.25), (1, 1.25)):
        folder = record.folder.trial(number)
        folder.write_config(TrialConfig.from_dotted(folder.read_config(), {"mixing.alpha": alpha}).plain())
    assert command("export", "gm", "--top", 2, "--to", f"best{suffix}") == 0
    expected = [TrialConfig.parse(record.folder.trial(number).read_config()) for number in (1, 0)]
    assert trained("--config", f"best{suffix}") == expected[0]
    assert trained("--config", f"best{suffix}", "--rank", "2") == expected[1]
    assert trained("--config", f"best{suffix}", "--set", "mixing.alpha=2").mixing.alpha == 2
    words = command.refused("train", "--config", f"best{suffix}", "--rank", "3", "--out", "out")
    assert f"--rank: got 3, but best{suffix} holds 2; give 1 to 2" in words


NO_DATA = """
from optuna.distributions import FloatDistribution
from tune_mixup.search_space import SearchSpace
SPACE = SearchSpace(fixed={"mixing.name": "mixup"}, free={"mixing.alpha": FloatDistribution(0.1, 1.0)})
"""


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "got neither of --space and --config; give one"),
        (["--space", "mixup", "--config", "a.yaml"], "got both of --space and --config; give one"),
        (["--space", "nothing_to_train_on.py"], "data.name: the space names no data"),
        (["--space", "mixup", "--rank", "1"], "--rank: chooses from a file's configurations"),
        (["--config", "a.yaml", "--rank", "0"], "--rank: got 0, but a.yaml holds 1"),
        (["--config", "gone.yaml"], "gone.yaml: No such file or directory"),
        (["--config", "a.toml"], "got the suffix '.toml'"),
        (["--config", "bad.yaml"], "trainning: there is no such setting"),
        (["--config", "torn.json"], "torn.json: can't be read"),
        (["--config", "a.yaml", "--set", "mixing.alpha=1"], "mixing.alpha: there is no such setting"),
        (["--config", "a.yaml", "--set", "optimizer.lr=.nan"], "optimizer.lr: got nan, must be"),
        (["--config", "a.yaml", "--set", "optimizer.lr=-.inf"], "optimizer.lr: got -inf, must be"),
        (["--config", "a.yaml", "--set", "training.batch_size=big"], "training.batch_size: got 'big', must be"),
        (["--config", "a.yaml", "--set", "data.name=imagefolder", "--data-root", "empty"], "data.path: is missing"),
        (["--config", "a.yaml", "--set", "model.num_classes=3"], "10 classes"),
        (["--config", "a.yaml", "--set", "training.batch_size=100000"], "batch"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(command, tmp_path, arguments, words):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(PLAIN))
    (tmp_path / "nothing_to_train_on.py").write_text(NO_DATA)
    (tmp_path / "bad.yaml").write_text("trainning: {epochs: 1}")
    (tmp_path / "torn.json").write_text('{"seed": ')
    assert words in command.refused("train", *arguments, "--out", "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(command, tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(PLAIN))
    (tmp_path / "out").write_text("mine")
    assert "out" in command.refused("train", "--config", "a.yaml", "--out", "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_checkpoint_that_is_cut_short_is_told_of_and_made_again(command, tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(PLAIN))
    assert command("train", "--config", "a.yaml", "--out", "out") == 0 and command.err == ""
    whole = numbers(tmp_path / "out")
    for checkpoint in (tmp_path / "out").glob("checkpoint*.pt"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert command("train", "--config", "a.yaml", "--out", "out") == 0
    assert re.fullmatch(
        r"tune-mixup: .* checkpoint.pt was truncated or damaged; trained on from epoch 0\n", command.err
    )
    assert numbers(tmp_path / "out") == whole
    assert command("train", "--config", "a.yaml", "--out", "out") == 0 and command.err == ""


def test_as_many_threads_as_are_asked_for(command, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tune_mixup.training.process.set_threads", asked.append)
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(PLAIN))
    assert command("train", "--config", "plain.yaml", "--out", "out", "--threads", 3) == 0 and asked == [3]
    assert "--threads" in command.refused("train", "--config", "plain.yaml", "--out", "out", "--threads", 0)
