"""Every wrong use of the command line has one line in our words, and nobody else's."""

import re

import pytest

JARGON = re.compile(r"Input should|Invalid value|No such|Missing|unexpected extra|parse string|validation|requires an")
LONG = "x" * 5000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["swep"], "there is no verb 'swep'; did you mean sweep?"),
        (["zzz"], "there is no verb 'zzz' (--help"),
        (["--verson"], "did you mean --version?"),
        (["-version"], "did you mean --version?"),
        (["--hlep"], "did you mean --help?"),
        (["--trials", "3", "sweep", "q"], "there is no option --trials before a verb; write --trials behind the verb"),
        (["--trials=3", "sweep", "q"], "there is no option --trials before a verb; write --trials behind the verb"),
        (["sweep", "q", "--hlep"], "did you mean --help?"),
        (["sweep", "q", "--verson"], "did you mean tune-mixup --version?"),
        (["sweep", "q", "--version"], "there is no option --version; did you mean tune-mixup --version?"),
        (["sweep", "q", "-trials", "3"], "there is no option -trials; did you mean --trials?"),
        (["leaderboard", "gm", "--tops", "3"], "there is no option --tops; did you mean --top?"),
        (["evaluate", "gm", "--seeds", "0"], "--seeds: got '0', must be greater than or equal to 1"),
        (["sweep"], "sweep: SPACE is missing"),
        (["sweep", "q", "again"], "sweep: got 'again', but it takes SPACE only"),
        (["gallery", "x", "--to", "a.png"], "gallery: got 'x', but it takes options only"),
        (["sweep", "q", "--trials"], "--trials: is without a value; write --trials N"),
        (["sweep", "q", "--trials", "abc"], "--trials: got 'abc', must be a whole number"),
        (["leaderboard", "gm", "--top", "x"], "--top: got 'x', must be a whole number"),
        (["bench", "--seconds", "x"], "--seconds: got 'x', must be a duration above zero"),
        (["check", "q", "--samples", "-1"], "--samples: got '-1', must be greater than or equal to 0"),
        (["sweep", "q", "--json=yes"], "--json takes no value; write --json alone"),
        (["sweep", "q", "--mixing.alpha", "1"], "there is no option --mixing.alpha; write --set mixing.alpha=VALUE"),
        (["sweep", "q", "--zzz", "1"], "settings are given by --set"),
        (["export", "gm"], "export: --to FILE is missing"),
        (["export", "gm", "--to", ""], "--to: got '', must be a path"),
    ],
)
def test_wrong_usage(command, tmp_path, arguments, words):
    line = command.refused(*arguments)
    assert words in line and not JARGON.search(line), line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [LONG],
        ["sweep", LONG],
        ["sweep", "quickstart", f"--{LONG}", "1"],
        ["sweep", "quickstart", "--trials", LONG],
        ["sweep", "quickstart", "--name", LONG],
        ["sweep", "quickstart", "--set", f"{LONG}=1"],
        ["sweep", "quickstart", "--set", LONG],
        ["sweep", "quickstart", "--time-budget", LONG],
        ["sweep", "quickstart", "--from", LONG],
        ["sweep", "quickstart", "--root", LONG],
        ["leaderboard", LONG],
        ["train", "--config", LONG, "--out", "o"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_what_is_long_makes_no_long_line(command, arguments):
    assert len(command.refused(*arguments)) < 1000


@pytest.mark.parametrize("setting", [".".join(["a"] * 1000) + "=1", "sweep." + "a." * 999 + "a=1", "mixing=" + "{a: "
                         * 90 + "1" + "}" * 90])  # fmt: skip
@pytest.mark.parametrize(
    "arguments",
    [["check", "quickstart"], ["sweep", "mine.py"], ["bench"], ["train", "--config", "mine.yaml", "--out", "o"]],
    ids=lambda arguments: arguments[0],
)
def test_a_key_without_end_is_refused_in_one_line(command, tmp_path, arguments, setting):
    (tmp_path / "mine.py").write_text("from tune_mixup import load_space\nSPACE = load_space('quickstart')\n")
    (tmp_path / "mine.yaml").write_text("mixing.name: mixup\n")
    line = command.refused(*arguments, "--set", setting)
    assert "sections, must be at most 20" in line and len(line) < 1000
    assert "{a" * 10 not in line


@pytest.mark.parametrize("verb", ["leaderboard", "sweep", "gallery"])
def test_flags_look_like_flags_in_the_help(command, verb):
    assert command(verb, "--help") == 0
    for flag in ("--json", "--help"):
        (line,) = [line for line in command.out.splitlines() if flag in line.split()]
        assert not re.search(r"<\w+>", line), line
