import os
import subprocess
import sys

import pytest

DRAWN = """
import os, sys
from tune_mixup.analysis.drawing import figure_class
figure = figure_class()()
figure.subplots().plot([1, 2])
figure.savefig(sys.argv[1])
print(os.environ.get("MPLBACKEND"))
"""


@pytest.mark.parametrize("backend", ["module://not_installed.backend", "nonsense", "agg"])
def test_a_picture_is_drawn_whatever_the_backend_of_a_notebook(backend, tmp_path):
    own = {**os.environ, "MPLBACKEND": backend}
    command = [sys.executable, "-c", DRAWN, tmp_path / "picture.png"]
    done = subprocess.run(command, env=own, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{backend}\n"), done.stderr
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
