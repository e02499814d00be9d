import os
import stat

import pytest

from tune_mixup import writing
from tune_mixup.writing import create, replace, sync_folder, unfinished


def test_no_name_can_be_foreseen(tmp_path):
    names = {unfinished(tmp_path / "a.yaml").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(".a.yaml.") and name.endswith(".tmp") and len(name) == 8 + 16 + 4 for name in names)


def test_what_lies_there_is_not_written_through(tmp_path):
    victim, link, nowhere = tmp_path / "victim", tmp_path / "link", tmp_path / "nowhere"
    victim.write_text("mine")
    link.symlink_to(victim)
    nowhere.symlink_to(tmp_path / "made")
    for path in (link, nowhere, victim):
        with pytest.raises(FileExistsError):
            create(path)
    assert victim.read_text() == "mine" and not (tmp_path / "made").exists()


def test_a_link_at_the_unfinished_name_is_refused(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".a.foreseen.tmp").symlink_to(victim)
    monkeypatch.setattr(writing, "unfinished", lambda path: path.with_name(f".{path.name}.foreseen.tmp"))
    with pytest.raises(FileExistsError):
        replace(tmp_path / "a", lambda file: file.write(b"evil"))
    assert victim.read_text() == "mine"


def test_a_link_at_the_place_itself_is_replaced(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "a").symlink_to(victim)
    replace(tmp_path / "a", lambda file: file.write(b"new"))
    assert victim.read_text() == "mine"
    assert (tmp_path / "a").read_text() == "new" and not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("fault", [OSError("full"), KeyboardInterrupt()])
def test_old_or_new_and_nothing_left_beside(tmp_path, fault):
    path = tmp_path / "a"
    replace(path, lambda file: file.write(b"old"))

    def half(file):
        file.write(b"ne")
        raise fault

    with pytest.raises(type(fault)):
        replace(path, half)
    assert [one.name for one in tmp_path.iterdir()] == ["a"] and path.read_bytes() == b"old"
    replace(path, lambda file: file.write(b"new"))
    assert [one.name for one in tmp_path.iterdir()] == ["a"] and path.read_bytes() == b"new"


def test_others_may_read_it_as_any_file(tmp_path):
    mask = os.umask(0o022)
    try:
        replace(tmp_path / "a", lambda file: file.write(b"x"))
        (tmp_path / "b").write_bytes(b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644


def test_content_then_name_then_folder_are_synced(tmp_path, monkeypatch):
    done = []
    sync, move = os.fsync, os.replace
    kind = {True: "folder", False: "file"}
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(kind[stat.S_ISDIR(os.fstat(fd).st_mode)]), sync(fd)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append("name"), move(old, new)))
    replace(tmp_path / "a", lambda file: file.write(b"x"))
    assert done == ["file", "name", "folder"]


def test_a_folder_that_cannot_be_synced_is_left_at_that(tmp_path, monkeypatch):
    def refuse(fd):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_folder(tmp_path)

    def fail(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)
