import os
import threading
import time

import pytest

from tune_mixup.given_files import read_file, text_of


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert read_file(tmp_path / "a", most_bytes=5) == read_file(tmp_path / "link", most_bytes=9) == b"12345"


def test_a_larger_file_is_not_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2 * 10**12)  # takes no room on the disk, and would not fit into the memory
    began = time.monotonic()
    with pytest.raises(ValueError, match="it has 2,000,000,000,000 bytes or more, must be at most 100"):
        read_file(tmp_path / "a", most_bytes=100)
    assert time.monotonic() - began < 1


def test_a_file_that_says_it_is_empty_is_read_up_to_the_limit():
    with pytest.raises(ValueError, match="it has 11 bytes or more, must be at most 10"):
        read_file("/proc/self/status", most_bytes=10)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_files_are_read_and_nothing_is_waited_for(tmp_path, kind):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    path = "/dev/zero" if kind == "device" else tmp_path / kind
    began = time.monotonic()
    with pytest.raises(OSError, match="it is no regular file"):
        read_file(path, most_bytes=100)
    assert time.monotonic() - began < 1


def test_a_pipe_that_somebody_writes_to_is_no_file_either(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(b"a"))
    writer.start()
    writer.join()
    with pytest.raises(OSError, match="it is no regular file"):
        read_file(tmp_path / "pipe", most_bytes=100)
    os.close(reader)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        read_file(tmp_path / "gone", most_bytes=1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["", "a: é\n", "\U0001f600"])
def test_texts_say_their_encoding(encoding, text):
    assert text_of(text.encode(encoding)) == text


@pytest.mark.parametrize("mark, encoding", [("\ufeff", "utf-16-be"), ("\ufeff", "utf-32-be"), ("\ufeff", "utf-32-le")])
def test_in_either_order_of_bytes(mark, encoding):
    assert text_of((mark + "ab").encode(encoding)) == "ab"


@pytest.mark.parametrize("content", [b"\xe9", b"\xff\xfe\x00", b"\xef\xbb\xbf\xff"])
def test_other_bytes_are_no_text(content):
    with pytest.raises(ValueError):
        text_of(content)
