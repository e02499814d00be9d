"""The archives of Speech Commands, downloaded on first use and unpacked beside their final place.

Addresses and checksums are those of torchaudio's `datasets.SPEECHCOMMANDS`.
"""

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError

from tune_mixup.data.download import beside, open_or_download

Version = Literal["v0.01", "v0.02"]


@dataclass(frozen=True)
class Archive:
    """Where a release is, and the SHA-256 of its bytes."""

    url: str
    sha256: str


ARCHIVES: dict[Version, Archive] = {
    "v0.01": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    ),
    "v0.02": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    ),
}


def release(root: Path, version: Version) -> Path:
    """The folder of a release in `root`, downloaded where it is not there.

    An archive of the right checksum that lies in `root` spares the download. Raises ValueError in one line where
    neither comes to anything.
    """
    name = f"speech_commands_{version}"
    folder = root / "SpeechCommands" / name

    def open_files() -> Path | None:
        return folder if folder.is_dir() else None

    def download() -> None:
        _download(root, folder, ARCHIVES[version])

    expected = f"the folder SpeechCommands/{name} (or {name}.tar.gz)"
    return open_or_download(root, name, open_files=open_files, download=download, expected=expected)


def _download(root: Path, folder: Path, archive: Archive) -> None:
    """Fetch and unpack beside the final place, which is then taken in one step, so that nobody sees a part of it."""
    from torch.hub import download_url_to_file

    with beside(root, folder.name) as partial:
        file = root / f"{folder.name}.tar.gz"
        if not (file.is_file() and _sha256(file) == archive.sha256):
            file = partial / file.name
            try:
                download_url_to_file(archive.url, str(file), hash_prefix=archive.sha256, progress=False)
            except HTTPError as error:
                error.close()  # else the connection stays open for as long as somebody keeps the error
                raise
        words = partial / folder.name
        with tarfile.open(file) as opened:
            opened.extractall(words, filter="data")  # which refuses what would be written elsewhere
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(words, folder)


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
