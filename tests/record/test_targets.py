import errno
import os
import socket

import pytest

from tune_mixup.record import targets
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.record.targets import check_file, check_root, check_trial, write_file

CONFIG = {"metric": "val_accuracy", "space": {"free": {}}}


@pytest.fixture
def sweep(tmp_path):
    return SweepRecord.create(tmp_path / "sweeps", "gm", CONFIG, direction="maximize").path


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*") if path.suffix != ".lock"}


def write(path, *, overwrite):
    write_file(path, lambda file: file.write(b"new"), overwrite=overwrite)


def test_a_new_file_is_written_with_its_folders(tmp_path):
    write(tmp_path / "a/b/new.yaml", overwrite=False)
    assert (tmp_path / "a/b/new.yaml").read_bytes() == b"new"
    assert os.listdir(tmp_path / "a/b") == ["new.yaml"]


def test_a_file_that_exists_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"old.yaml exists; give another path, or --force"):
        write(path, overwrite=False)
    assert path.read_bytes() == b"old"
    write(path, overwrite=True)
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["old.yaml"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_bytes(b"old")

    def half(file):
        file.write(b"ha")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_file(path, half, overwrite=True)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["old.yaml"]


def test_what_a_link_leads_to_is_what_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/old.yaml").write_bytes(b"old")
    (tmp_path / "link.yaml").symlink_to("real/old.yaml")
    with pytest.raises(ValueError, match="exists"):
        write(tmp_path / "link.yaml", overwrite=False)
    write(tmp_path / "link.yaml", overwrite=True)
    assert (tmp_path / "link.yaml").is_symlink() and (tmp_path / "real/old.yaml").read_bytes() == b"new"

    (tmp_path / "dangling.yaml").symlink_to("real/none.yaml")
    with pytest.raises(ValueError, match="exists"):
        write(tmp_path / "dangling.yaml", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "sweep.yaml",
        "study.journal",
        "lock",
        "new.yaml",
        "trials/t0000/config.yaml",
        "deep/below/new.yaml",
        "deep/../sweep.yaml",
        "../gm/sweep.yaml",
    ],
)
def test_a_sweeps_files_are_its_own(sweep, name, overwrite):
    before = contents(sweep)
    with pytest.raises(ValueError, match="lies in the sweep .*gm, whose files are its own"):
        write(sweep / name, overwrite=overwrite)
    assert contents(sweep) == before


def test_links_into_a_sweep_are_seen(sweep, tmp_path):
    (tmp_path / "folder").symlink_to(sweep)
    (tmp_path / "mine.yaml").symlink_to(sweep / "sweep.yaml")
    before = contents(tmp_path)
    for to in ("folder/sweep.yaml", "folder/new.yaml", "mine.yaml"):
        with pytest.raises(ValueError, match="lies in the sweep"):
            write(tmp_path / to, overwrite=True)
    for check in (check_trial, check_root):
        with pytest.raises(ValueError, match="lies in the sweep"):
            check(tmp_path / "folder/new")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("lost", ["sweep.yaml", "study.journal", "trials"])
def test_a_damaged_sweep_is_one_still(sweep, lost):
    (sweep / lost).rename(sweep.parent / "elsewhere")
    with pytest.raises(ValueError, match="lies in the sweep"):
        write(sweep / lost, overwrite=True)


def test_another_programs_sweep_file_is_in_nobodys_way(tmp_path):
    (tmp_path / "sweep.yaml").write_text("program: train.py")
    write(tmp_path / "best.yaml", overwrite=False)
    check_root(tmp_path / "sweeps")
    check_trial(tmp_path / "runs/one")


@pytest.mark.parametrize("overwrite", [False, True])
def test_only_files_are_written_to(tmp_path, overwrite):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").write_text("old")
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "socket.yaml"))
    bound.close()
    before = contents(tmp_path)
    for name, words in (
        ("pipe.yaml", "is a pipe or a device"),
        ("socket.yaml", "is a pipe or a device"),
        ("/dev/null", "is a pipe or a device"),
        ("folder.yaml", "is a folder, must be a file"),
        ("", "is a folder, must be a file"),
        ("file/best.yaml", "file is no folder"),
        ("file/deep/best.yaml", "file is no folder"),
        ("circle.yaml", "circle.yaml leads nowhere"),
    ):
        with pytest.raises(ValueError, match=words):
            write(tmp_path / name, overwrite=overwrite)
    for path in ("", "~nobody-of-that-name/best.yaml"):
        with pytest.raises(ValueError, match="empty path|leads nowhere"):
            check_file(path, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_a_trial_is_kept_in_a_new_an_empty_or_a_trials_folder(tmp_path, sweep):
    (tmp_path / "empty").mkdir()
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial/config.yaml").write_text("seed: 1")
    (tmp_path / "trial/checkpoint.pt").write_bytes(b"")
    for name in ("new/one", "empty", "trial"):
        check_trial(tmp_path / name)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="mine holds notes.txt and is no trial's folder; give a new or an empty one"):
        check_trial(tmp_path / "mine")
    for name in (sweep, sweep / "trials/t0000", sweep / "new"):
        with pytest.raises(ValueError, match="lies in the sweep"):
            check_trial(name)
    for name in ("mine/notes.txt", "mine/notes.txt/below"):
        with pytest.raises(ValueError, match="notes.txt is no folder"):
            check_trial(tmp_path / name)
    with pytest.raises(ValueError, match="empty path"):
        check_trial("")
    assert sorted(os.listdir(tmp_path)) == ["empty", "mine", "sweeps", "trial"]


def test_a_sweep_is_made_in_a_folder_outside_of_others(tmp_path, sweep):
    check_root(tmp_path / "new")
    check_root(sweep.parent)
    check_root(sweep / "evaluations")  # where `evaluate` puts the sweeps that retrain
    (tmp_path / "file").write_text("mine")
    for root, words in (
        (sweep, "lies in the sweep"),
        (sweep / "trials", "lies in the sweep"),
        (sweep / "evaluations/new", "lies in the sweep"),
        (tmp_path / "file", "file is no folder"),
        ("", "empty path"),
    ):
        with pytest.raises(ValueError, match=words):
            SweepRecord.create(root, "inner", CONFIG, direction="maximize")
    assert sorted(os.listdir(tmp_path)) == ["file", "sweeps"]


@pytest.mark.parametrize("check", [lambda to: check_file(to / "a.yaml", overwrite=False), check_trial, check_root])
@pytest.mark.parametrize("below", ["", "new/deeper"])
def test_a_folder_that_takes_nothing_is_noticed_first(check, below, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    check(tmp_path / "there" / below)
    assert not list((tmp_path / "there").iterdir()), "nothing is left of the try"

    def read_only(prefix, dir):
        assert dir == tmp_path / "there"
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))

    monkeypatch.setattr(targets.tempfile, "mkdtemp", read_only)
    with pytest.raises(ValueError, match=r"can't be written: .*/there: Read-only file system; give another path$"):
        check(tmp_path / "there" / below)


def test_what_a_command_left_that_was_killed_while_it_tried_is_removed(tmp_path):
    for name in (".tm-ab_cd123", ".tm-99999999", ".tm-inhabit9", ".tm-notours", ".other"):
        (tmp_path / name).mkdir()
    (tmp_path / ".tm-inhabit9/mine").touch()
    (tmp_path / ".tm-aaaaaaaa").touch()  # a file
    check_root(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".other", ".tm-aaaaaaaa", ".tm-inhabit9", ".tm-notours"]


def test_two_commands_may_try_at_once(tmp_path, monkeypatch):
    """The other one tidies up between this one's try and its end."""
    make = targets.tempfile.mkdtemp

    def made_and_removed(prefix, dir):
        os.rmdir(made := make(prefix=prefix, dir=dir))
        return made

    monkeypatch.setattr(targets.tempfile, "mkdtemp", made_and_removed)
    check_root(tmp_path)
    assert not os.listdir(tmp_path)


def test_a_folder_that_may_not_be_listed_may_be_written(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    with monkeypatch.context() as patched:
        patched.setattr(targets.os, "listdir", refused)
        check_root(tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("check", [check_trial, check_root])
def test_a_name_that_no_folder_can_have(check, tmp_path):
    with pytest.raises(ValueError, match=r"xxx.* can't be written: .*: File name too long; give another path$"):
        check(tmp_path / ("x" * 300))


def test_a_file_system_that_is_none_takes_nothing():
    with pytest.raises(ValueError, match=r"^/proc/nope can't be written: /proc: .*; give another path$"):
        check_root("/proc/nope")
