import json

import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.cluster.race import Raced
from tune_mixup.record.facts import FinalRound, SweepFacts, TrialFacts
from tune_mixup.record.study import Outcome
from tune_mixup.search.racing import Gap, Rule, Standing

TRIALS = [("COMPLETE", [0.5, 0.625]), ("PRUNED", [0.875]), ("COMPLETE", [0.25, 0.75]), ("FAIL", []), ("RUNNING", [0.5])]


def test_a_leaderboard_in_every_format(command, start_sweep):
    start_sweep(trials=TRIALS)
    assert command("leaderboard", "gm") == 0
    lines = command.out.splitlines()
    assert lines[0].split()[:5] == ["rank", "trial", "state", "epoch", "val_accuracy"]
    assert lines[3].split()[:5] == ["1", "2", "COMPLETE", "2", "0.75"]
    assert "by their mean val_accuracy over seeds at the last epoch" in lines[-1] and "validation" in lines[-1]

    assert command("leaderboard", "gm", "--top", 1, "--format", "markdown") == 0
    lines = command.out.splitlines()
    assert lines[2].startswith("|") and lines[3] == "" and lines[4].startswith("Ranked are")

    assert command("leaderboard", "gm", "--format", "csv") == 0
    assert len(command.out.splitlines()) == 6 and command.out.startswith("rank,trial,state,epoch,val_accuracy,")
    assert "Ranked are" in command.err  # beside the table, so that the table can be read by a machine

    assert command("leaderboard", "gm", "--format", "json") == 0
    by_format = command.out
    assert [row["trial"] for row in json.loads(by_format)["rows"]] == [2, 0, 1, 4, 3]
    assert command("leaderboard", "gm", "--json") == 0
    assert command.out == by_format and command.err == ""


def test_a_sweep_may_be_given_by_its_path_or_root(command, start_sweep, tmp_path):
    start_sweep(root=tmp_path / "elsewhere", trials=TRIALS)
    assert command("leaderboard", "elsewhere/gm") == 0
    assert command("leaderboard", "gm", "--root", "elsewhere") == 0
    assert "there is no sweep named 'gm'" in command.refused("leaderboard", "gm")


def test_export_says_what_it_wrote_and_how_to_use_it(command, start_sweep):
    record = start_sweep(trials=TRIALS)
    assert command("export", "gm", "--to", "best.yaml") == 0
    assert command.out.splitlines() == [
        "wrote the best 1 to best.yaml; train the first again with",
        "  tune-mixup train --config best.yaml --rank 1 --threads 1 --out DIR",
    ]
    assert command("export", "gm", "--top", 3, "--to", "best.json") == 0
    assert command.out.startswith("wrote the best 2 (no more trials are COMPLETE) to best.json;")
    assert len(read_configurations(record.path.parent.parent / "best.json")) == 2
    assert command("export", "gm", "--top", 2, "--to", "best.csv", "--json") == 0
    assert json.loads(command.out) == {"file": "best.csv", "configurations": 2}


@pytest.mark.parametrize("as_json", [False, True])
def test_evaluate_retrains_the_best_complete_trials(command, start_sweep, monkeypatch, progress, as_json):
    record = start_sweep(trials=TRIALS)
    calls = []

    def evaluate(path, trials, *, seeds, whole, address, listener):
        calls.append((path.resolve(), trials, seeds, address))
        listener(progress(message="t0000 begins"))
        return pd.DataFrame(
            {"trial": trials, "n": 2, "test_accuracy_mean": [0.75, 0.5], "test_accuracy_sd": [0.1, None]}
        )

    monkeypatch.setattr("tune_mixup.cluster.evaluation.evaluate", evaluate)
    flags = ["--json"] if as_json else []
    assert command("evaluate", "gm", "--top", 4, "--seeds", 2, "--address", "auto", *flags) == 0
    assert calls == [(record.path, [2, 0], 2, "auto")]  # 1 was stopped, 3 failed, 4 is not done
    if as_json:
        *events, end = [json.loads(line) for line in command.out.splitlines()]
        assert [event["message"] for event in events] == ["t0000 begins"]
        assert end["rows"][1] == {"trial": 0, "n": 2, "test_accuracy_mean": 0.5, "test_accuracy_sd": None}
    else:
        assert "test split was opened, which" in " ".join(command.out.split())


@pytest.mark.parametrize("given", [0, 0.0])
def test_evaluate_as_published(command, start_sweep, monkeypatch, given):
    start_sweep(trials=TRIALS)
    calls = []

    def evaluate(path, trials, *, seeds, whole, address, listener):
        calls.append(whole)
        return pd.DataFrame({"trial": trials, "n": 3, "failed": 0, "test_accuracy_median_mean": [0.75, 0.5]})

    monkeypatch.setattr("tune_mixup.cluster.evaluation.evaluate", evaluate)
    assert command("evaluate", "gm", "--set", f"data.validation_fraction={given}") == 0
    assert "Nothing was held out; a median is that of the test metric" in " ".join(command.out.split())
    assert command("evaluate", "gm", "--set", "data.validation_fraction=0", "--columns", "test_accuracy_median") == 0
    assert "0.75" in command.out
    assert command("evaluate", "gm") == 0
    assert calls == [True, True, False] and "Nothing was held out" not in command.out


@pytest.mark.parametrize("as_json", [False, True])
def test_evaluate_until_sure(command, start_sweep, monkeypatch, progress, as_json):
    record = start_sweep(trials=TRIALS)
    calls = []

    def race(path, trials, rule, *, address, listener):
        calls.append((path.resolve(), trials, rule, address))
        listener(progress(message="t0000 begins"))
        rows = pd.DataFrame({"trial": trials, "n": [3, 5], "failed": 0, "test_accuracy_mean": [0.75, 0.5]})
        gaps = (Gap(0, 0.01, 0.02, -0.01, 0.03),)
        return Raced(rows, rule, Standing(5, "undecided", (2, 0), gaps))

    monkeypatch.setattr("tune_mixup.cluster.race.race", race)
    said = ["--seeds", 5, "--error", 0.1, "--margin", 0.01]
    assert command("evaluate", "gm", "--until-sure", *said, *(["--json"] if as_json else [])) == 0
    assert calls == [(record.path, [2, 0], Rule(2, most=5, error=0.1, margin=0.01), None)]
    words = "Undecided after 5 seeds, 2 settings left: the val_accuracy of t0002 is better than that of t0000 by 0.01"
    if as_json:
        end = json.loads(command.out.splitlines()[-1])
        assert end["rows"][1]["n"] == 5 and end["race"]["words"].startswith(words)
        assert (end["race"]["verdict"], end["race"]["left"], end["race"]["seeds"]) == ("undecided", [2, 0], 5)
        assert end["race"]["gaps"] == [{"trial": 0, "difference": 0.01, "sd": 0.02, "low": -0.01, "high": 0.03}]
    else:
        assert "retraining t0002, t0000 of gm on up to 5 fresh seeds each: at most 10 trainings" in command.out
        assert words in " ".join(command.out.split()) and "test split was opened" in " ".join(command.out.split())
    calls.clear()
    assert command("evaluate", "gm", "--until-sure") == 0
    assert calls[0][2] == Rule(2, most=20, error=0.05, margin=0.002)
    assert "up to 20 fresh seeds each: at most 40 trainings" in command.out


def test_a_race_of_the_only_setting_says_what_to_do(command, start_sweep):
    start_sweep(trials=TRIALS[:2])
    assert command.refused("evaluate", "gm", "--until-sure") == (
        "tune-mixup: --until-sure: gm has one setting that was trained to the end, but a race takes two or more; "
        "finish another with `tune-mixup resume gm`, or leave out --until-sure\n"
    )


def test_an_evaluation_of_which_nothing_ended_is_a_failed_run(command, start_sweep, monkeypatch):
    start_sweep(trials=TRIALS)

    def evaluate(path, trials, *, seeds, whole, address, listener):
        return pd.DataFrame({"trial": trials, "n": 0, "failed": seeds})

    monkeypatch.setattr("tune_mixup.cluster.evaluation.evaluate", evaluate)
    assert command("evaluate", "gm", "--seeds", 1) == 1
    assert "retraining t0002, t0000 of gm on 1 fresh seed each: 2 trainings" in command.out
    assert command.err == "tune-mixup: all 2 trainings failed; what each of them failed by is said above\n"


def test_an_interrupted_evaluation_says_how_to_go_on(command, start_sweep, monkeypatch):
    start_sweep(trials=TRIALS)

    def evaluate(path, trials, *, seeds, whole, address, listener):
        raise KeyboardInterrupt

    monkeypatch.setattr("tune_mixup.cluster.evaluation.evaluate", evaluate)
    assert command("evaluate", "gm") == 130
    assert command.err == "tune-mixup: interrupted; the same command goes on with what is left\n"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["leaderboard", "mg"], "there is no sweep named 'mg' in"),
        (["leaderboard", "gm", "--format", "xml"], "--format: got 'xml', must be one of table, csv, json, markdown"),
        (["leaderboard", "gm", "--top", "0"], "top: got 0, must be at least 1"),
        (["leaderboard", "gm", "--top", "x"], "--top: got 'x', must be a whole number"),
        (["export", "mg", "--to", "best.yaml"], "there is no sweep named 'mg' in"),
        (["export", "gm", "--to", "best.txt"], "got the suffix '.txt', must be one of .yaml, .json, .csv, .parquet"),
        (["export", "gm", "--to", "best.yaml", "--top", "0"], "top: got 0, must be at least 1"),
        (["export", "new", "--to", "best.yaml"], "no trial of the sweep 'new' is COMPLETE"),
        (["export", "gm", "--to", "sweeps"], "sweeps is a folder, must be a file"),
        (["export", "gm", "--to", "file/best.yaml"], "file"),
        (["evaluate", "mg"], "there is no sweep named 'mg' in"),
        (["evaluate", "new"], "no trial of the sweep 'new' is COMPLETE"),
        (["evaluate", "gm", "--top", "0"], "top: got 0, must be at least 1"),
        (["evaluate", "gm", "--error", "0.1"], "--error is for --until-sure; give both, or leave it out"),
        (["evaluate", "gm", "--margin", "0.1"], "--margin is for --until-sure; give both, or leave it out"),
        (["evaluate", "gm", "--until-sure", "--seeds", "2"], "--seeds: got 2, must be at least 3 with --until-sure"),
        (
            ["evaluate", "gm", "--until-sure", "--top", "1"],
            "--until-sure: got 1 setting, but a race takes two or more; give a larger --top, or leave out --until-sure",
        ),
        (["evaluate", "gm", "--set", "mixing.alpha=1"], "--set mixing.alpha: got 1, but evaluate retrains settings as"),
        (["evaluate", "gm", "--set", "data.validation_fraction=0.2"], "it takes data.validation_fraction=0 only"),
        (["evaluate", "gm", "--set", "data.validation_fraction=false"], "got False, but evaluate retrains"),
        (
            ["evaluate", "gm", "--until-sure", "--set", "data.validation_fraction=0"],
            "--until-sure decides by validation",
        ),
        (["evaluate", "gm", "--until-sure", "--error", "2"], "--error: got 2.0, must be above 0 and below 1"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(command, start_sweep, tmp_path, arguments, words):
    start_sweep(trials=TRIALS)
    start_sweep("new")
    (tmp_path / "file").write_text("no folder")

    def files():  # reading the study takes and leaves its lock
        return {path: path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*") if path.suffix != ".lock"}

    before = files()
    assert words in command.refused(*arguments)
    assert files() == before


def finalist(record, first, seed, accuracies):
    """A finalist's run as a session and a worker leave it."""
    number = record.study.begin_again(first, TrialFacts(finalist=first, setting=first, replicate_seed=seed))
    folder = record.folder.trial(number)
    folder.path.mkdir()
    for epoch, accuracy in enumerate(accuracies, start=1):
        folder.append_epoch({"epoch": epoch, "val_accuracy": accuracy, "val_nll": 1.0})
        record.study.report(number, epoch, accuracy)
    record.study.finish(number, Outcome(TrialState.COMPLETE, "trained to the full budget"))


def test_settings_are_ranked_by_their_seeds_and_trials_are_shown_on_request(command, start_sweep):
    record = start_sweep(trials=[("COMPLETE", [0.75]), ("COMPLETE", [0.625]), ("COMPLETE", [0.6875])])
    for first, accuracy in ((0, 0.5), (2, 0.65625)):
        finalist(record, first, 1, [accuracy])
    assert command("leaderboard", "gm", "--json") == 0
    rows = json.loads(command.out)["rows"]
    found = [(row["rank"], row["trial"], row["val_accuracy"], row["seeds"], row["search"]) for row in rows]
    assert found == [(1, 2, 0.671875, 2, 0.6875), (2, 0, 0.625, 2, 0.75), (3, 1, 0.625, 1, 0.625)]
    assert command("leaderboard", "gm", "--by", "trial", "--json") == 0
    assert [row["trial"] for row in json.loads(command.out)["rows"]] == [0, 2, 4, 1, 3]
    assert command("export", "gm", "--to", "best.yaml") == 0
    (best,) = read_configurations(record.path.parent.parent / "best.yaml")
    assert best == record.folder.trial(2).read_config()
    assert command("status", "gm") == 0
    assert "best t0002: val_accuracy 0.6719, mean of 2 seeds after 1 epochs" in command.out
    assert "--by" in command.refused("leaderboard", "gm", "--by", "seed")


def test_finals_that_were_cut_short_are_marked_everywhere(command, start_sweep, tmp_path):
    record = start_sweep(trials=[("COMPLETE", [0.75]), ("COMPLETE", [0.6875]), ("COMPLETE", [0.625])])
    why = "the search is over after 3 trials"
    record.study.note_sweep(SweepFacts(finals=(FinalRound(trials=9, number=3, first_seed=1, why=why),)))
    assert command("leaderboard", "gm") == 0
    none = "The finals are not over, and the order may change: of scores on fresh seeds t0000 has none, t0001 has none"
    assert none in " ".join(command.out.split()) and "trained on one seed" not in command.out
    for seed in (1, 2, 3):
        finalist(record, 1, seed, [0.5])
    finalist(record, 2, 1, [0.5])
    words = (
        "The finals are not over, and the order may change: of scores on fresh seeds t0000 has none, t0001 has 3, "
        "t0002 has 1. `tune-mixup resume gm` goes on, with more --trials or time if these are used up."
    )
    for verb in (["leaderboard", "gm"], ["leaderboard", "gm", "--top", 1], ["explain", "gm", "--finalists"]):
        assert command(*verb) == 0
        assert words in " ".join(command.out.split())
    assert command("explain", "gm", "--finalists", "--json") == 0
    assert json.loads(command.out)["missing"] == words
    assert command("export", "gm", "--to", "best.json") == 0
    note = json.loads((tmp_path / "best.json").read_text())["note"]
    assert "validation splits" in note and note.endswith(words)
    finalist(record, 0, 1, [0.5])
    assert command("leaderboard", "gm") == 0
    assert "t0000 has 1, t0001 has 3, t0002 has 1." in " ".join(command.out.split())
    finalist(record, 0, 2, [0.5])
    finalist(record, 2, 2, [0.5])
    for verb in (["leaderboard", "gm"], ["explain", "gm", "--finalists"]):
        assert command(*verb) == 0
        assert "not over" not in command.out
    for better, accuracy in enumerate((0.25, 0.875)):
        number = record.study.optuna.ask({"optimizer.lr": FloatDistribution(better, better + 0.5)}).number
        record.study.report(number, 1, accuracy)
        record.study.finish(number, Outcome(TrialState.COMPLETE, "trained to the full budget"))
        assert command("explain", "gm", "--finalists") == 0
        since = f"{better + 1} more trial{'s were' if better else ' was'} searched since"
        assert f"  {since}" + ("" if better else "; the best settings are the same") in command.out.splitlines()


def test_finals_are_explained_or_why_there_are_none(command, start_sweep):
    record = start_sweep(trials=[("COMPLETE", [0.75]), ("COMPLETE", [0.6875])])
    assert command("explain", "gm", "--finalists") == 0
    assert command.out == (
        "gm: no finalists; they begin after the search, and only where that has 12 full runs' worth of epochs\n"
    )
    why = "the search is over after 2 trials, about 12 full runs' worth of epochs"
    record.study.note_sweep(SweepFacts(finals=(FinalRound(trials=4, number=2, first_seed=1, why=why),)))
    for first, accuracy in ((0, 0.5), (1, 0.65625)):
        finalist(record, first, 1, [accuracy])
    assert command("explain", "gm", "--finalists") == 0
    lines = [line.split() for line in command.out.splitlines()]
    assert " ".join(lines[1]) == why
    assert lines[-2] == ["t0001", "0.6875", "1:", "0.6562", "0.6719", "0.016", "handed", "on"]
    assert lines[-1] == ["t0000", "0.75", "1:", "0.5", "0.625", "0.12"]
    assert command("explain", "gm", "--finalists", "--json") == 0
    assert [row["handed_on"] for row in json.loads(command.out)["settings"]] == [True, False]
    assert command("explain", "gm", 2) == 0
    assert "It is a finalist's run: the setting of t0000 on a fresh seed" in command.out
    assert "leave out --order and the trial" in command.refused("explain", "gm", 1, "--finalists")
