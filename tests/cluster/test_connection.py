import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_mixup.cluster.connection import _knock


def test_an_address_where_nobody_listens_is_refused_at_once():
    with pytest.raises(ValueError, match="no Ray cluster answers at 127.0.0.1:1: .*refused"):
        _knock("127.0.0.1:1")


@pytest.mark.parametrize("address", ["auto", "local"])
def test_words_for_addresses_are_left_to_ray(address):
    _knock(address)


@pytest.mark.slow
def test_two_private_rays_after_each_other_leave_nothing_behind():
    script = Path(__file__).with_name("left_behind.py")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    done = subprocess.run([sys.executable, script], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"changed": {}, "loggers": True, "tokens": 2, "folders": [False, False]}
