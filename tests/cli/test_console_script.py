"""The console script finds modules in the folder where it is called, as `python -m` does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tune_mixup.reading import parse_yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_a_part_beside_the_user_is_found(tmp_path):
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "my.yaml").write_text("{data: {name: 'my_dataset:Bars'}, training: {epochs: 1}}")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TUNE_MIXUP_DATA")}
    set_ = ("--set", "mixing.name=my_mixer:Stripes", "--set", "mixing.period=3")
    command = [Path(sys.executable).with_name("tune-mixup"), "train", "--config", "my.yaml", *set_, "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = parse_yaml((tmp_path / "out" / "config.yaml").read_text())
    assert (written["mixing"]["name"], written["mixing"]["period"]) == ("my_mixer:Stripes", 3)
