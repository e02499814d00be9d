"""Archives of words on a server of this machine: fetched once, checked, and unpacked where they belong or nowhere."""

import gc
import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import first_use
import pytest
import torch
from made_files import write_words

from tune_mixup.data import load, speech_download
from tune_mixup.data.speech_commands import SpeechCommands
from tune_mixup.data.speech_download import ARCHIVES, Archive

WORDS = ("ja", "nee")
NAME = "speech_commands_v0.01"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        self.server.asked.append(self.path)


@pytest.fixture
def server(tmp_path):
    """Serves the folder `served`; `asked` holds the paths that were asked for."""
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def offered(server, tmp_path, monkeypatch):
    """Offers an archive as v0.01 for download, by the checksum of these bytes or of others."""

    def offer(content, *, checksum=None):
        (tmp_path / "served" / f"{NAME}.tar.gz").write_bytes(content)
        sha256 = checksum or hashlib.sha256(content).hexdigest()
        url = f"http://127.0.0.1:{server.server_port}/{NAME}.tar.gz"
        monkeypatch.setattr(speech_download, "ARCHIVES", {"v0.01": Archive(url, sha256)})
        return SpeechCommands(root=tmp_path / "data", version="v0.01", task="all")

    return offer


def packed(tmp_path, *more):
    """The words as their publisher packs them, with further members."""
    write_words(tmp_path / "words", WORDS)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(tmp_path / "words", arcname=".")
        for member in more:
            archive.addfile(member, io.BytesIO(b"evil"[: member.size]))
    return file.getvalue()


def member(name, *, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
    return info


def below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_release_is_fetched_once_and_read(tmp_path, offered, server):
    dataset = offered(packed(tmp_path))
    data = load(dataset, seed=0, device=torch.device("cpu"))
    assert data.class_names == WORDS and len(data.train.images) == 4
    dataset.read_test()
    assert server.asked == [f"/{NAME}.tar.gz"]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"SpeechCommands", f".{NAME}.lock"}
    assert below(tmp_path / "words") <= below(tmp_path / "data" / "SpeechCommands" / NAME)


def test_an_archive_in_the_root_spares_the_download(tmp_path, offered, server):
    content = packed(tmp_path)
    dataset = offered(content)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{NAME}.tar.gz").write_bytes(content)
    assert dataset.read_train()[1] == WORDS and server.asked == []
    assert (tmp_path / "data" / f"{NAME}.tar.gz").exists()


def test_an_archive_in_the_root_that_is_another_is_not_unpacked(tmp_path, offered, server):
    dataset = offered(packed(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{NAME}.tar.gz").write_bytes(b"half of it")
    assert dataset.read_train()[1] == WORDS and len(server.asked) == 1


def refused(dataset, tmp_path, reason):
    before = below(tmp_path) - {"data"}
    with pytest.raises(ValueError, match=reason) as error:
        dataset.read_train()
    assert "\n" not in str(error.value)
    assert f"put the folder SpeechCommands/{NAME} (or {NAME}.tar.gz) there" in str(error.value)
    left = {path for path in below(tmp_path) - before if not path.startswith("data/.")}
    assert left <= {"data"} and not list((tmp_path / "data").glob("*partial*"))


def test_other_bytes_than_those_of_the_checksum_are_refused(tmp_path, offered):
    content = packed(tmp_path)
    refused(offered(content[:-9], checksum=hashlib.sha256(content).hexdigest()), tmp_path, "invalid hash value")


def test_a_server_that_has_it_not_is_said(tmp_path, offered):
    dataset = offered(packed(tmp_path))
    (tmp_path / "served" / f"{NAME}.tar.gz").unlink()
    refused(dataset, tmp_path, "speech_commands_v0.01 is not in .*data and can't be downloaded .*404")
    gc.collect()  # an answer that was left open would be a warning here


@pytest.mark.parametrize(
    "outside",
    [
        member("../evil"),
        member("up/../../evil"),
        member("link", kind=tarfile.SYMTYPE, link="../../../evil"),
        member("link", kind=tarfile.SYMTYPE, link="/etc"),
        member("hard", kind=tarfile.LNKTYPE, link="../../evil"),
        member("pipe", kind=tarfile.FIFOTYPE),
        member("device", kind=tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}",
)
def test_an_archive_that_leaves_its_folder_is_unpacked_nowhere(tmp_path, offered, outside):
    refused(offered(packed(tmp_path, outside)), tmp_path, "can't be downloaded")


def test_an_absolute_name_stays_in_the_folder(tmp_path, offered):
    offered(packed(tmp_path, member(f"{tmp_path}/evil")))
    folder = speech_download.release(tmp_path / "data", "v0.01")
    assert not (tmp_path / "evil").exists() and [path.parent.name for path in folder.rglob("evil")] == [tmp_path.name]


def test_a_folder_that_the_user_names_is_never_downloaded(tmp_path, offered, server):
    dataset = offered(packed(tmp_path)).replace(path=tmp_path / "none")
    with pytest.raises(ValueError, match="none does not exist; it must hold a folder for each word"):
        dataset.read_train()
    assert server.asked == [] and not (tmp_path / "data").exists()


def test_two_processes_that_start_together_download_once(tmp_path, offered, server):
    offered(packed(tmp_path))
    archive = speech_download.ARCHIVES["v0.01"]
    sums = first_use.run_together(first_use.download_words, str(tmp_path / "data"), archive.url, archive.sha256)
    assert server.asked == [f"/{NAME}.tar.gz"] and sums[0] == sums[1] > 0


def test_addresses_and_checksums_are_those_that_torchaudio_knows():
    from torchaudio.datasets import speechcommands

    assert {one.url: one.sha256 for one in ARCHIVES.values()} == speechcommands._CHECKSUMS
    assert all(one.url.endswith(f"speech_commands_{version}.tar.gz") for version, one in ARCHIVES.items())
