import errno

import pytest
import torch

from tune_mixup.training import checkpoint


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for epoch in (1, 2):
        checkpoint.save({"epoch": epoch, "weights": torch.full((100,), float(epoch))}, path)
    return path


def test_the_newest_state_comes_back(path):
    state = checkpoint.load(path)
    assert state["epoch"] == 2 and torch.equal(state["weights"], torch.full((100,), 2.0))


@pytest.mark.parametrize("keep", [0, 1, 100, 600])
def test_a_truncated_file_is_passed_over_for_the_one_before(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    assert checkpoint.load(path)["epoch"] == 1


def test_a_kill_between_the_two_renames_loses_nothing(path):
    path.unlink()  # the old one was moved away, the new one not yet moved in
    assert checkpoint.load(path)["epoch"] == 1


def test_no_whole_state_is_an_error_that_says_what_to_do(path):
    for file in path.parent.iterdir():
        file.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="truncated or damaged.*delete the folder"):
        checkpoint.load(path)


def test_nothing_saved_is_none(tmp_path):
    assert checkpoint.load(tmp_path / "checkpoint.pt") is None


def test_a_full_disk_keeps_both_old_states(path, monkeypatch):
    def full_disk(state, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save({"epoch": 3}, path)
    assert checkpoint.load(path)["epoch"] == 2
    assert sorted(file.name for file in path.parent.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]
