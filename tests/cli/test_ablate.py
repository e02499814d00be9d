"""`ablate`: what it refuses and foresees, and a whole ablation on Ray in a few seconds."""

import json

import pytest

PLAN = """
base: {space: quickstart}
settings: {data: {name: synthetic, num_train: 120, num_test: 40, num_classes: 4, size: 8},
  data.validation_fraction: 0.25, model.width: 4, training.epochs: 1, training.batch_size: 20, sweep.concurrent: 2}
seeds: 3
looks: [2]
metric: val_accuracy
arms:
  named:
    full: {}
    erm: {mixing.name: erm}
    slow: {optimizer.lr: 0.00001}
"""


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "few.yaml").write_text(PLAN)
    return "few.yaml"


def test_a_plan_is_foreseen_and_nothing_written(command, planned, tmp_path):
    assert command("ablate", planned, "--plan") == 0
    assert "few: 3 arms on 3 seeds by val_accuracy" in command.out and "mixing.name=erm" in command.out
    assert "At most 9 trainings, 9 epochs; 6 trainings where the first look decides all arms." in command.out
    assert command("ablate", planned, "--plan", "--json", "--seeds", 5, "--set", "training.epochs=2") == 0
    found = json.loads(command.out)
    assert (found["seeds"], found["runs"], found["epochs"], found["name"]) == (5, 15, 30, "few")
    assert [file.name for file in tmp_path.iterdir()] == ["few.yaml"]


def test_the_plan_that_ships(command, tmp_path):
    assert command("ablate", "generalized_mixup", "--plan", "--seeds", 8) == 0
    assert "generalized_mixup: 10 arms on 8 seeds" in command.out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["few.yaml", "--seeds", "1"], "seeds: got 1, must be 2 to 1000"),
        (["few.yaml", "--set", "seed=3"], "seed: each arm is trained on all seeds of the plan"),
        (["few.yaml", "--set", "sweep.metric=val_nll"], "metric is given twice"),
        (["few.yaml", "--set", "mixing.gama=3"], "mixing.gama"),
        (["none.yaml"], "there is no file"),
        (["generalised"], "there is no ablation 'generalised'"),
        (["few.yaml", "--name", "a/b"], "name: got 'a/b'"),
        (["base.yaml"], "there is no file"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_starts(command, planned, tmp_path, arguments, words):
    (tmp_path / "base.yaml").write_text(PLAN.replace("space: quickstart", "config: missing.yaml"))
    assert words in command.refused("ablate", *arguments)
    assert not (tmp_path / "sweeps").exists()


def test_an_exported_file_is_a_base_by_its_path_from_the_plan_on(command, tmp_path):
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "best.yaml").write_text("data.name: synthetic\nmixing: {name: mixup, alpha: 0.3}\nseed: 4")
    text = "base: {config: best.yaml}\nseeds: 3\narms: {named: {full: {}, erm: {mixing.name: erm}}}"
    (tmp_path / "plans" / "a.yaml").write_text(text)
    assert command("ablate", "plans/a.yaml", "--plan", "--json") == 0
    assert json.loads(command.out)["arms"]["full"]["mixing.alpha"] == 0.3


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_an_ablation_from_plan_to_table(command, planned):
    """Where the learning rate is next to nothing an arm learns nothing; the others tell."""
    assert command("ablate", planned, "--name", "few", "--json") == 0
    end = json.loads(command.out.splitlines()[-1])
    arms = {row["arm"]: row for row in end["ablation"]["arms"]}
    assert [*arms] == ["full", "erm", "slow"] and set(arms["full"]["values"]) <= {"0", "1", "2"}
    assert sum(end["states"].values()) == 9 and "FAIL" not in end["states"]
    assert arms["erm"]["difference"]["pairs"] == len(arms["erm"]["values"])
    assert command("explain", "few") == 0
    assert (
        "val_accuracy of each arm, and its difference to full" in command.out and "erm after 2 seeds: " in command.out
    )
    assert command("resume", "few") == 0 and "few: 9 trials" in command.out  # nothing is trained again
