import os
import sys

from tune_mixup.cluster.unseen import stderr_unseen


def test_what_is_written_past_python_is_kept_and_pythons_own_is_shown(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", os.fdopen(2, "w", closefd=False))
    before = sys.stderr
    with stderr_unseen() as unseen:
        os.write(2, b"from a library \xff\n")
        print("from Python", file=sys.stderr)
        assert unseen.text().startswith("from a library")
    os.write(2, b"afterwards\n")
    assert sys.stderr is before and unseen.text() == "from a library \ufffd\n"
    assert capfd.readouterr().err == "from Python\nafterwards\n"


def test_a_stderr_that_is_no_descriptor_stays(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with stderr_unseen() as unseen:
        os.write(2, b"x")
        assert sys.stderr is None
    assert unseen.text() == "x" and capfd.readouterr().err == ""
