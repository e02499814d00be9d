"""How a search speaks with Syne Tune's process, in whose place another answers: Syne Tune is no dependency."""

import json
import sys

import numpy as np
import pytest

from benchmarks import syne_tune_search
from benchmarks.recorded_curves import AXES, EPOCHS, Table
from benchmarks.syne_tune_search import SyneTunes
from benchmarks.table_search import nearest

POINT = {key: values[1] for key, values in AXES.items()}
ANSWERS = """#!{python}
import json, sys
with open({log!r}, "w") as log:
    for line in sys.stdin:
        said = json.loads(line)
        log.write(line)
        log.flush()
        stops = said.get("report", 0) % 2 == 1 and said["epoch"] == 9
        print(json.dumps({point!r} if "ask" in said else stops if "report" in said else None), flush=True)
"""


@pytest.fixture
def interpreter(tmp_path):
    """A program that stops every other trial after 9 epochs, and writes down what it is told."""
    path = tmp_path / "python"
    path.write_text(ANSWERS.format(python=sys.executable, log=str(tmp_path / "log"), point=POINT))
    path.chmod(0o755)
    yield path
    process = syne_tune_search._process(str(path))
    process.stdin.close()
    process.wait()
    process.stdout.close()
    syne_tune_search._process.cache_clear()


def test_a_search_tells_of_every_epoch_and_does_as_it_is_told(interpreter, tmp_path):
    accuracy = np.arange(105 * 2 * EPOCHS, dtype=float).reshape(105, 2, EPOCHS) / 1e4
    search = SyneTunes(Table([], accuracy, {}), 3, python=str(interpreter), grace_period=9, reduction_factor=3)
    search.run(trials=4)
    assert search.reached == [27, 9, 27, 9] and search.spent == 72
    assert search.settings == [nearest(POINT)] * 4
    said = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert said[0]["begin"].items() >= {"seed": 3, "max_t": 27, "grace_period": 9, "reduction_factor": 3}.items()
    assert [one["ask"] for one in said if "ask" in one] == [0, 1, 2, 3]
    assert sum("report" in one for one in said) == 26 + 9 + 26 + 9  # the last epoch is an end
    ends = [one for one in said if "end" in one]
    assert {(one["end"], one["epoch"], one["accuracy"]) for one in ends} == {
        (trial, 27, accuracy[nearest(POINT), (3 + trial) % 2, -1]) for trial in (0, 2)
    }


def test_a_process_that_cannot_answer_is_said(tmp_path):
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nread begin\n")
    path.chmod(0o755)
    with pytest.raises(RuntimeError, match="needs Syne Tune 0.13"):
        SyneTunes(Table([], np.zeros((105, 1, EPOCHS)), {}), 0, python=str(path), grace_period=9, reduction_factor=3)
    syne_tune_search._process(str(path)).wait()
    syne_tune_search._process(str(path)).stdin.close()
    syne_tune_search._process(str(path)).stdout.close()
    syne_tune_search._process.cache_clear()
