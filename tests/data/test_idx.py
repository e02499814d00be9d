import gzip
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_files import idx_bytes

from tune_mixup.data.idx import read_idx

MIB = 2**20
READ = """
import resource, sys
from pathlib import Path
from tune_mixup.data.idx import read_idx

try:
    read_idx(Path(sys.argv[1]))
except ValueError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def read(path):
    """What a process of its own says of a file, and the most memory that it had, in MiB."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, env=environment, check=True
    )
    *said, kilobytes = done.stdout.splitlines()
    return "\n".join(said), int(kilobytes) / 1024


def bomb(path, header, mebibytes):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header)
        for _ in range(mebibytes):
            file.write(bytes(MIB))
    return path


def test_no_more_is_unpacked_than_the_header_promises(tmp_path):
    good = tmp_path / "good.gz"
    good.write_bytes(gzip.compress(idx_bytes(np.arange(12).reshape(3, 4))))
    assert read_idx(good).tolist() == np.arange(12).reshape(3, 4).tolist()
    said, usual = read(good)
    assert said == ""
    path = bomb(tmp_path / "bomb.gz", struct.pack(">HBBI", 0, 8, 1, 1000), 600)
    assert path.stat().st_size < 4 * MIB
    said, most = read(path)
    assert "holds more than 1000 bytes, but its header promises 1000" in said
    assert most < usual + 100


def test_a_header_that_promises_more_than_the_file_can_hold_is_not_believed(tmp_path):
    for shape in ((2**32 - 1,) * 4, (2**32 - 1,) * 255, (2**31,)):
        header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        for path, content in ((tmp_path / "a", header + b"x"), (tmp_path / "a.gz", gzip.compress(header + b"x"))):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"its header promises \d+ bytes, but the file can hold \d+ at most"):
                read_idx(path)


@pytest.mark.parametrize("mebibytes", [1, 30])
def test_what_packs_best_is_read(tmp_path, mebibytes):
    path = bomb(tmp_path / "zeros.gz", struct.pack(">HBBI", 0, 8, 1, mebibytes * MIB), mebibytes)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 9))
    assert read_idx(path).shape == (mebibytes * MIB,)


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, name):
    began = time.monotonic()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="no regular file"):
        read_idx(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="no regular file"):
        read_idx(tmp_path / name)
    assert time.monotonic() - began < 5


def test_links_to_regular_files_are_followed(tmp_path):
    (tmp_path / "a").write_bytes(idx_bytes(np.arange(6)))
    (tmp_path / "b").symlink_to("a")
    assert read_idx(tmp_path / "b").tolist() == list(range(6))
