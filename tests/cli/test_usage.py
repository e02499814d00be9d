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


@pytest.mark.parametrize("verb", ["leaderboard", "sweep", "gallery"])
def test_flags_look_like_flags_in_the_help(command, verb):
    assert command(verb, "--help") == 0
    for flag in ("--json", "--help"):
        (line,) = [line for line in command.out.splitlines() if flag in line.split()]
        assert not re.search(r"<\w+>", line), line
