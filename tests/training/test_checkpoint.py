import errno
import io
import os
import random

import pytest
import torch

from tune_mixup.record.files import StorageFault
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


def test_a_flipped_bit_never_loads_as_another_state(path):
    """Most of them lie in the numbers of a tensor, which torch reads without a look at their checksum."""
    content = path.read_bytes()
    rng = random.Random(0)
    outcomes = []
    for _ in range(400):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        state, _ = checkpoint.peek(path)
        assert state["epoch"] in (1, 2)
        assert torch.equal(state["weights"], torch.full((100,), float(state["epoch"])))
        outcomes.append(state["epoch"])
    assert outcomes.count(1) > 100, "hardly any flip was noticed"


def test_a_kill_between_the_two_renames_loses_nothing(path):
    path.unlink()  # the old one was moved away, the new one not yet moved in
    assert checkpoint.load(path)["epoch"] == 1


def test_without_a_whole_state_training_starts_again_and_says_why(path):
    for file in path.parent.iterdir():
        file.write_bytes(b"not a checkpoint")
    damaged = []
    assert checkpoint.load(path, on_damage=lambda file: damaged.append(file.name)) is None
    assert damaged == ["checkpoint.pt", "checkpoint.previous.pt"]
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.damaged.pt"]


def test_a_damaged_state_never_takes_the_place_of_the_whole_one_before(path, monkeypatch):
    path.write_bytes(b"not a checkpoint")
    assert checkpoint.load(path)["epoch"] == 1
    monkeypatch.setattr(checkpoint.os, "replace", kill_at(2))
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epoch": 2}, path)
    monkeypatch.undo()
    assert checkpoint.load(path)["epoch"] == 2  # it was whole, and only not yet in its place
    path.unlink()
    assert checkpoint.load(path)["epoch"] == 1


@pytest.mark.parametrize(
    "damage, epoch, passed_over",
    [
        ([], 2, []),
        (["checkpoint.pt"], 1, ["checkpoint.pt"]),
        (["checkpoint.previous.pt"], 2, []),
        (["checkpoint.pt", "checkpoint.previous.pt"], None, ["checkpoint.pt", "checkpoint.previous.pt"]),
    ],
)
def test_a_look_gives_what_loading_would_and_leaves_the_files(path, damage, epoch, passed_over):
    for name in damage:
        path.with_name(name).write_bytes(b"not a checkpoint")
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    state, damaged = checkpoint.peek(path)
    assert (state and state["epoch"]) == epoch and [file.name for file in damaged] == passed_over
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    loaded = checkpoint.load(path)
    assert (loaded and loaded["epoch"]) == epoch


def test_a_look_finds_nothing_where_nothing_was_saved(tmp_path):
    assert checkpoint.peek(tmp_path / "checkpoint.pt") == (None, [])


def test_a_look_at_a_file_that_cannot_be_read_is_a_fault_of_the_storage(tmp_path):
    (tmp_path / "checkpoint.pt").mkdir()
    with pytest.raises(StorageFault, match="Is a directory"):
        checkpoint.peek(tmp_path / "checkpoint.pt")


def kill_at(call):
    calls, replace = [], os.replace

    def killed(old, new):
        calls.append(new)
        if len(calls) == call:
            raise KeyboardInterrupt
        replace(old, new)

    return killed


def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(path, monkeypatch):
    def fails(self):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(type(path), "read_bytes", fails)
    with pytest.raises(StorageFault, match="Input/output error"):
        checkpoint.load(path)
    assert path.exists()


def test_an_ended_trial_keeps_one_file(path):
    checkpoint.keep_newest(path)
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]
    assert checkpoint.load(path)["epoch"] == 2


def test_the_disks_own_word_is_raised_and_not_torchs(tmp_path):
    class Full(io.BytesIO):
        def write(self, part):
            if self.tell() > 1000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(part)

    with pytest.raises(OSError, match="No space left"):
        checkpoint._dump({"weights": torch.zeros(100_000)}, Full())


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
