"""Deleting a sweep takes along what killed deletions have left, and nothing else; tests of the rest: `tests/cli`."""

import pytest

from tune_mixup.record import moving
from tune_mixup.record.sweep_record import SweepRecord

CONFIG = {"metric": "val_accuracy", "space": {"fixed": {}, "free": {"mixing.alpha": {}}}}
OTHERS = [".deleted", ".old.deleted", ".gm.0123.deleted", ".gm.0123456789abcdeg.deleted", ".0123456789abcdef.deleted",
          ".gm.0123456789ABCDEF.deleted", ".gm.0123456789abcdef0.deleted", "gm.0123456789abcdef.deleted"]  # fmt: skip
"""Names of folders that are like ours, and are not."""


class Killed(BaseException):
    pass


@pytest.fixture
def start_sweep(tmp_path):
    def start(name):
        return SweepRecord.create(tmp_path / "sweeps", name, {"name": name, **CONFIG}, direction="maximize")

    return start


@pytest.fixture
def left(start_sweep, tmp_path, monkeypatch):
    """The folder that a killed deletion of the sweep `gone` has left."""
    start_sweep("gone")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(moving, "_remove", lambda folder: (_ for _ in ()).throw(Killed))
        moving.delete_sweep(tmp_path / "sweeps/gone")
    (found,) = (tmp_path / "sweeps").iterdir()
    return found


def test_what_a_killed_deletion_has_left_goes_with_the_next(left, start_sweep, tmp_path):
    assert moving.remains(tmp_path / "sweeps") == [left]
    start_sweep("gm")
    moving.delete_sweep(tmp_path / "sweeps/gm")
    assert list((tmp_path / "sweeps").iterdir()) == []


def test_folders_of_other_names_are_not_touched(left, start_sweep, tmp_path):
    start_sweep("gm")
    for name in OTHERS:
        (tmp_path / "sweeps" / name).mkdir()
        (tmp_path / "sweeps" / name / "mine").touch()
    linked = tmp_path / "sweeps/.gm.fedcba9876543210.deleted"
    linked.symlink_to(tmp_path / "sweeps/.old.deleted")
    moving.delete_sweep(tmp_path / "sweeps/gm")
    assert {path.name for path in (tmp_path / "sweeps").iterdir()} == {*OTHERS, linked.name}
    assert all((tmp_path / "sweeps" / name / "mine").exists() for name in OTHERS)
