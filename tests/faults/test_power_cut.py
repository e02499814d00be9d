"""Power cuts on a real file system: what the kernel had not yet written is gone; needs root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CUTS = 50


@pytest.mark.slow
def test_a_power_cut_at_any_moment_loses_nothing_that_was_decided_on(tmp_path):
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting a file system needs root, loop devices and mkfs.ext4")
    script = Path(__file__).with_name("power_cut.py")
    done = subprocess.run([sys.executable, script, tmp_path, str(CUTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{CUTS} cuts among ") and ", 0 lost something" in done.stdout
