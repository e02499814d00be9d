"""The ladder on a CPU: each rung really runs, and is set against the one below it."""

import pytest

from benchmarks import ladder
from benchmarks.children import in_child

EPOCH_S = {name: 8.0 / 2**place for place, name in enumerate(ladder.LADDER)} | {ladder.GENERALIZED: 16.0}


def test_each_rung_is_against_the_one_below_and_the_lowest(monkeypatch):
    asked = []

    def child(module, request):
        asked.append(request["rung"])
        return {"epoch_s": EPOCH_S[request["rung"]]}

    monkeypatch.setattr(ladder, "in_child", child)
    found = ladder.measure(rounds=2)["rows"]
    names = [*ladder.LADDER, ladder.GENERALIZED]
    assert asked == [*names, *reversed(names)]
    assert [(row["other"], row["ours"], row["value"]) for row in found] == [
        (8, 4, 2),
        (4, 2, 2),
        (2, 1, 2),
        (16, None, None),
    ]
    assert "Against published loop; 2.00 to 2.00 in 2 turns. In all 2.00 times" in found[0]["note"]
    assert "In all 8.00 times the published loop" in found[-2]["note"]


@pytest.mark.slow
@pytest.mark.parametrize("rung", [list(ladder.LADDER)[0], list(ladder.LADDER)[-1], ladder.GENERALIZED])
def test_a_rung_in_a_process_of_its_own(rung):
    request = {"rung": rung, "settings": {"data.train_limit": 400}}
    found = in_child("benchmarks.ladder", request)
    assert 0 < found["epoch_s"] < 60
