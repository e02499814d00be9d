"""No archive writes outside its folder, or more than it may."""

import io
import stat
import zipfile

import pytest

from tune_mixup.data.unpacking import unpack


@pytest.fixture
def archive(tmp_path):
    """Writes an archive of names and contents; a name may be a whole `ZipInfo`."""

    def write(members):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in members:
                opened.writestr(name, content)
        return path

    return write


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_come_out_as_they_went_in(tmp_path, archive):
    path = archive([("top/", ""), ("top/a.txt", "one"), ("top/b/c.txt", "two" * 1000)])
    unpack(path, tmp_path / "out", top="top", most_bytes=3003)
    assert everything(tmp_path / "out") == ["top/a.txt", "top/b/c.txt"]
    assert (tmp_path / "out/top/b/c.txt").read_text() == "two" * 1000


@pytest.mark.parametrize(
    "name", ["../x", "top/../../x", "top/../x", "/x", "x", "other/x", "top\\..\\..\\x", "./../x", "top"]
)
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_written(tmp_path, archive, name):
    path = archive([("top/a.txt", "one"), (name, "two")])
    if name == "top":  # a file in the place of the folder
        with pytest.raises(OSError):
            unpack(path, tmp_path / "out", top="top", most_bytes=100)
        return
    with pytest.raises(ValueError, match=r"a.zip holds '.*x', which is not below top/; replace it"):
        unpack(path, tmp_path / "out", top="top", most_bytes=100)
    assert everything(tmp_path) == ["a.zip"]


def test_a_link_becomes_a_file(tmp_path, archive):
    link = zipfile.ZipInfo("top/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = archive([(link, "/etc"), ("top/link2", "text")])
    unpack(path, tmp_path / "out", top="top", most_bytes=100)
    assert not (tmp_path / "out/top/link").is_symlink() and (tmp_path / "out/top/link").read_text() == "/etc"


def test_more_bytes_than_allowed_are_refused(tmp_path, archive):
    path = archive([("top/a", b"\0" * 10_000), ("top/b", b"\0" * 10_000)])
    with pytest.raises(ValueError, match="a.zip unpacks to 20,000 bytes, must be at most 19,999; replace it"):
        unpack(path, tmp_path / "out", top="top", most_bytes=19_999)
    assert everything(tmp_path) == ["a.zip"]


def test_no_more_is_written_than_is_promised(tmp_path, archive):
    """The directory says 5 bytes, the file has 10,000."""
    path = archive([("top/a", b"\0" * 10_000)])
    content = path.read_bytes()
    size = (10_000).to_bytes(4, "little")
    assert content.count(size) == 2  # before the file, and in the directory
    path.write_bytes(content.replace(size, (5).to_bytes(4, "little")))
    with pytest.raises(ValueError, match="a.zip can't be unpacked"):
        unpack(path, tmp_path / "out", top="top", most_bytes=100)
    assert sum(file.stat().st_size for file in tmp_path.rglob("a")) <= 5


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: b"no archive", lambda c: c[:-30], "flip"])
def test_a_damaged_archive_is_one_line(tmp_path, archive, damage):
    path = archive([("top/a", bytes(range(256)) * 40)])
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:60] + bytes(255 - one for one in content[60:80]) + content[80:])
    else:
        path.write_bytes(damage(content))
    with pytest.raises(ValueError, match="a.zip can't be unpacked .*; replace it") as caught:
        unpack(path, tmp_path / "out", top="top", most_bytes=100_000)
    assert "\n" not in str(caught.value)


def test_two_members_of_one_name_are_refused(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("top/a", "one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr("top/a", "two")
    (tmp_path / "a.zip").write_bytes(file.getvalue())
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "a.zip", tmp_path / "out", top="top", most_bytes=100)
