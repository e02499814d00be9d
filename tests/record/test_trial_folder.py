import errno

import numpy as np
import pytest

from tune_mixup.record.files import StorageFault, write_atomically
from tune_mixup.record.trial_folder import TrialFolder


def test_a_failed_write_leaves_the_old_content_and_no_remains(tmp_path):
    path = tmp_path / "kept.txt"
    write_atomically(path, lambda file: file.write(b"old"))

    def full_disk(file):
        file.write(b"half of the ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, full_disk)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_epochs_survive_a_line_cut_short(tmp_path):
    folder = TrialFolder(tmp_path)
    assert folder.read_epochs() == []
    folder.append_epoch({"epoch": 1, "val_accuracy": 0.5})
    folder.append_epoch({"epoch": 2, "val_accuracy": 0.75})
    with open(folder.epochs, "ab") as file:
        file.write(b'{"epoch": 3, "val_acc')
    assert folder.read_epochs() == [{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": 0.75}]
    with open(folder.epochs, "ab") as file:
        file.write(b"\n" + bytes(100) + b"\n")  # what a power cut leaves of a block that was never written
    assert [row["epoch"] for row in folder.read_epochs()] == [1, 2]
    folder.rewrite_epochs([{"epoch": 1, "val_accuracy": 0.5}])
    assert folder.read_epochs() == [{"epoch": 1, "val_accuracy": 0.5}]


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: folder.write_config({}),
        lambda folder: folder.append_epoch({"epoch": 1}),
        lambda folder: folder.rewrite_epochs([]),
        lambda folder: folder.write_snapshot(1, {}),
        lambda folder: folder.write_error("no"),
        lambda folder: folder.note("no"),
    ],
)
def test_a_folder_that_vanished_is_a_storage_fault_and_not_made_again(tmp_path, write):
    with pytest.raises(StorageFault, match="No such file or directory") as caught:
        write(TrialFolder(tmp_path / "t0000"))
    assert "t0000" in caught.value.filename
    assert not (tmp_path / "t0000").exists()


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    folder = TrialFolder(tmp_path)
    folder.write_snapshot(1, {"confusion": np.eye(2)})
    for remains in (tmp_path / ".checkpoint.next.pt.123.tmp", tmp_path / "snapshots" / ".0002.npz.123.tmp"):
        remains.write_bytes(b"half")
    folder.note("kept")
    folder.tidy()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0001.npz", "notes.txt", "snapshots"]
    assert folder.notes.read_text().endswith("+00:00 kept\n")


def test_config_and_snapshots_come_back(tmp_path):
    folder = TrialFolder(tmp_path / "t0000")
    folder.path.mkdir()
    values = {"seed": 3, "data": {"name": "digits", "mean": None, "augment": {"flip": False}}, "lr": 1e-3}
    folder.write_config(values)
    assert folder.read_config() == values
    matrix = np.arange(4.0).reshape(2, 2)
    folder.write_snapshot(7, {"confusion": matrix})
    with np.load(tmp_path / "t0000" / "snapshots" / "0007.npz") as arrays:
        assert (arrays["confusion"] == matrix).all()
