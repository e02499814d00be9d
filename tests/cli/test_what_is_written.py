"""What verbs write to: one rule for all of them. `record/test_targets.py` has the rule's cases."""

import pytest
import yaml

COMPLETE = [("COMPLETE", [0.5, 0.625])]
WRITERS = {
    "export": ("export", "gm", "--to"),
    "gallery": ("gallery", "--mixers", "erm", "--examples", "1", "--to"),
}
SUFFIXES = {"export": ".yaml", "gallery": ".png"}


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*") if path.suffix != ".lock"}


@pytest.fixture(params=WRITERS)
def writer(request, start_sweep):
    """The verb without the file, and the file's suffix."""
    start_sweep(trials=COMPLETE)
    return WRITERS[request.param], SUFFIXES[request.param]


def test_a_file_is_replaced_with_force_alone_and_folders_are_made(command, tmp_path, writer):
    words, suffix = writer
    to = f"deep/er/out{suffix}"
    assert command(*words, to) == 0, command.err
    first = (tmp_path / to).read_bytes()
    assert "exists; give another path, or --force" in command.refused(*words, to)
    (tmp_path / to).write_bytes(b"old")
    assert command(*words, to, "--force") == 0, command.err
    assert (tmp_path / to).read_bytes() == first
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == [f"out{suffix}"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_sweep_keeps_its_files(command, tmp_path, writer, force):
    words, suffix = writer
    sweep = tmp_path / "sweeps/gm"
    (tmp_path / f"link{suffix}").symlink_to(sweep / "sweep.yaml")
    before = contents(sweep)
    for to in (f"sweeps/gm/new{suffix}", f"sweeps/gm/trials/t0000/a{suffix}", f"link{suffix}"):
        assert "lies in the sweep" in command.refused(*words, to, *force)
    if suffix == ".yaml":
        for to in ("sweeps/gm/sweep.yaml", "sweeps/gm/trials/t0000/config.yaml"):
            assert "lies in the sweep" in command.refused(*words, to, *force)
    assert contents(sweep) == before


def test_an_empty_path_is_no_path(command, start_sweep, tmp_path):
    start_sweep(trials=COMPLETE)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"mixing": {"name": "erm"}}))
    before = contents(tmp_path)
    for arguments, option in (
        (["export", "gm", "--to", ""], "--to"),
        (["gallery", "--to", " "], "--to"),
        (["train", "--config", "a.yaml", "--out", ""], "--out"),
        (["train", "--config", "", "--out", "out"], "--config"),
        (["bench", "--config", ""], "--config"),
        (["sweep", "quickstart", "--root", ""], "--root"),
        (["leaderboard", "gm", "--root", ""], "--root"),
        (["resume", "gm", "--root", ""], "--root"),
        (["leaderboard", ""], ""),
        (["sweep", "quickstart", "--from", ""], ""),
        (["sweep", "quickstart", "--data-root", ""], "--data-root"),
    ):
        words = command.refused(*arguments)
        assert option in words and "got ''" in words or "got ' '" in words
    assert contents(tmp_path) == before


def test_a_trial_is_not_kept_in_a_sweep_or_among_other_files(command, start_sweep, tmp_path):
    start_sweep(trials=COMPLETE)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"mixing": {"name": "erm"}}))
    before = contents(tmp_path)
    for out, words in (
        ("sweeps/gm", "lies in the sweep"),
        ("sweeps/gm/trials/t0000", "lies in the sweep"),
        ("sweeps/gm/new", "lies in the sweep"),
        (".", "and is no trial's folder"),
        ("a.yaml", "a.yaml is no folder"),
        ("/dev/null", "/dev/null is no folder"),
    ):
        assert words in command.refused("train", "--config", "a.yaml", "--out", out)
    assert contents(tmp_path) == before


def test_a_sweep_is_not_made_in_another(command, start_sweep, tmp_path):
    start_sweep(trials=COMPLETE)
    before = contents(tmp_path)
    for root in ("sweeps/gm", "sweeps/gm/trials/new"):
        assert "lies in the sweep" in command.refused("sweep", "quickstart", "--root", root)
    assert contents(tmp_path) == before
