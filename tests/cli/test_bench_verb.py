import json
import sys

import pytest

from tune_mixup.cli.bench import SMALL
from tune_mixup.measuring import turns
from tune_mixup.measuring.bench import Ceilings, Parts
from tune_mixup.measuring.child import Child
from tune_mixup.measuring.findings import Findings, Tried
from tune_mixup.measuring.turns import OutOfTime
from tune_mixup.schema import flatten

PARTS = Parts(
    network_s=0.04, loop_s=0.05, loop_overhead=0.25, input_s=0.001, mixing_s=0.0005, flops_per_image=1e7,
    evaluation_s=0.5, end_epoch_s=0.0, save_s=0.01,
)  # fmt: skip


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement; what it was asked for is in `asked`, and `ratios` gives variants theirs by name."""

    class Fake:
        def __init__(self):
            self.asked = None
            self.ratios = {}
            self.error = None
            self.rounds = 3

        def __call__(self, variants, *, seconds, start, device, tell):
            self.asked, self.seconds, self.start = list(variants), seconds, start
            if self.error is not None:
                raise self.error
            tried = [Tried(variants[0], [2000.0] * self.rounds)]
            for variant in variants[1:]:
                ratios = self.ratios.get(variant.name)
                known = ratios is not None
                tried.append(
                    Tried(variant, [2000 * r for r in ratios or ()], ratios or [], "" if known else "no compiler")
                )
            return Findings("cpu", Ceilings(1e12, 2e10), PARTS, 4500, tried, 42.0)

    fake = Fake()
    monkeypatch.setattr(turns, "measure", fake)
    return fake


def test_without_a_configuration_a_small_net_is_measured(command, measured):
    assert command("bench", "--set", "model.width=4", "--set", "training.batch_size=60") == 0, command.err
    settings = flatten(measured.asked[0].config.plain())
    expected = {**SMALL, "model.width": 4, "training.batch_size": 60}
    assert {key: settings[key] for key in expected} == expected
    assert 100 < measured.seconds <= 120
    assert measured.start is Child


def test_a_configuration_is_given_as_to_train(command, measured, tmp_path):
    (tmp_path / "one.yaml").write_text("model: {width: 3}\n")
    assert command("bench", "--config", "one.yaml", "--seconds", 30) == 0, command.err
    assert measured.asked[0].config.model.width == 3 and measured.seconds <= 30
    assert command("bench", "--space", "quickstart") == 0
    assert measured.asked[0].config.mixing.name == "generalized_mixup"


def test_a_part_from_outside_in_a_file_has_its_own_settings(command, measured, monkeypatch, tmp_path):
    """One letter away from a setting of ours."""
    (tmp_path / "own_part.py").write_text(
        "from tune_mixup.mixing.mixup import Mixup\nclass Mine(Mixup):\n    alhpa: float = 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own.yaml").write_text("mixing.name: own_part:Mine\n")
    assert command("bench", "--config", "own.yaml", "--set", "mixing.alhpa=2") == 0, command.err
    assert measured.asked[0].config.mixing.alhpa == 2
    assert "did you mean mixing.alpha?" in command.refused("bench", "--set", "mixing.alhpa=2")


def test_what_is_said(command, measured):
    measured.ratios = {"training.channels_last=true": [1.2, 1.21, 1.3]}
    assert command("bench") == 0
    lines = command.out.splitlines()
    assert lines[0].startswith("mixup, tiny_resnet, synthetic, batches of 100, fp32, compile none, on CPU, 1 of ")
    said = {line.split("  ")[0]: line for line in lines}
    assert "1 TFLOP/s" in said["large product or convolution"] and "20 GB/s" in said["large copy"]
    assert "2,500 images/s" in said["network alone"]
    assert "2,000 images/s" in said["training"] and "25.0% slower than that" in said["training"]
    assert "2.0% of the limit of arithmetic" in said["training"]  # 1e7 x 100 / 0.05 of 1e12
    assert "2.0% of a step" in said["gather, crop, flip, normalise"] and "1.0% of a step" in said["mixing"]
    assert "18.2% of an epoch" in said["validation"]  # 0.5 of 2.75 s
    assert "1.21" in said["training.channels_last=true"] and "1.20 to 1.30 in 3" in said["training.channels_last=true"]
    assert "no compiler" in said["training.precision=bf16"]
    assert lines[-3:] == [
        "What to change",
        "  --set training.eval=rungs: 1.22 times as fast here (at most: validation is 18% of an epoch)",
        "  --set training.channels_last=true: 1.21 times as fast here",
    ]
    assert "more than 5%, in three of four rounds" in command.out
    assert "Not tried: training.compile=step, which takes --seconds 180." in command.out


def test_a_machine_with_nothing_to_gain(command, measured):
    assert command("bench", "--set", "training.eval=rungs") == 0
    assert command.out.splitlines()[-1] == "Nothing to change."


def test_two_rounds_say_nothing_about_changes_but_how_long_to_measure(command, measured):
    measured.rounds, measured.ratios = 2, {"training.precision=bf16": [1.8, 1.9]}
    assert command("bench", "--set", "training.eval=rungs") == 0
    last = command.out.splitlines()[-1]
    assert last == "Too few rounds to say which of these to take: 3 at least; give --seconds 70."  # 42 s for two
    assert command("bench") == 0
    assert command.out.splitlines()[-2] == "What to change" and "--set training.eval=rungs" in command.out


def test_as_json(command, measured):
    measured.ratios = {"training.precision=bf16": [1.2, 1.2, 1.2]}
    assert command("bench", "--json") == 0
    said = json.loads(command.out)
    assert said["config"]["data"]["name"] == "synthetic"
    assert (said["device"], said["rounds"]) == ("cpu", 3)
    assert said["shares"]["arithmetic"] == pytest.approx(0.02)
    faster = next(one for one in said["variants"] if one["name"] == "training.precision=bf16")
    assert (faster["ratio"], faster["images_per_s"], faster["fault"]) == (1.2, 2400.0, None)
    other = said["variants"][0]
    assert (other["ratio"], other["images_per_s"], other["fault"]) == (None, None, "no compiler")
    assert [(change["what"], change["gain"]) for change in said["changes"]] == [
        ("--set training.eval=rungs", 1.222),  # validation is 0.5 of 2.75 s
        ("--set training.precision=bf16", 1.2),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "5"], "--seconds: got '5', must be at least 10"),
        (["--seconds", "9s"], "--seconds: got '9s', must be at least 10"),
        (["--seconds", "nan"], "--seconds: got 'nan'"),
        (["--seconds", "long"], "--seconds: got 'long', must be a duration"),
        (["--set", "model.widht=4"], "model.widht"),
        (["--space", "quickstart", "--config", "one.yaml"], "both of --space and --config"),
        (["--rank", "2"], "--rank: got 2 with neither of --space and --config"),
    ],
)
def test_bad_input_is_one_line(command, measured, arguments, words):
    line = command.refused("bench", *arguments)
    assert words in line and "train:" not in line
    assert measured.asked is None


def test_too_little_time_for_a_step_is_one_line(command, measured):
    measured.error = OutOfTime("not even a step of the trial as given ended within 10 s; give more --seconds")
    assert command("bench") == 2
    assert "give more --seconds" in command.err.splitlines()[-1]


def test_with_little_time_it_says_what_it_knows(command, measured):
    measured.error = OutOfTime("the trial as given can't be measured in 10 s; give --seconds 90 or more", 41.5)
    assert command("bench", "--seconds", 10) == 0
    assert "training: about 41.5 images/s, from a single step" in command.out
    assert "give --seconds 90 or more" in command.out
    assert command("bench", "--seconds", 10, "--json") == 0
    little = json.loads(command.out)
    assert (little["images_per_s"], little["rounds"], little["variants"]) == (41.5, 0, [])
    assert "give --seconds 90 or more" in little["why"]
    measured.error = None
    assert command("bench", "--json") == 0
    enough = json.loads(command.out)
    assert list(enough) == list(little) and enough["why"] is None


def test_how_long_it_takes_is_said_at_once(command, measured):
    assert command("bench", "--seconds", 30) == 0
    assert command.err.splitlines()[0] == "tune-mixup: bench takes at most 30 s (--seconds)"


def test_its_time_is_a_duration_like_any_other(command, measured):
    assert command("bench", "--seconds", "1m30s") == 0
    assert "at most 90 s" in command.err and 60 < measured.seconds <= 90


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_fits_the_terminal(command, measured, monkeypatch, width):
    monkeypatch.setattr(sys.modules["tune_mixup.cli.bench"], "screen_width", lambda: width)
    measured.ratios = {"training.channels_last=true": [1.2, 1.21, 1.3]}
    assert command("bench") == 0
    assert max(map(len, command.out.splitlines())) <= width
