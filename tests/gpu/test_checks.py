"""The checks of the half-hour as tests: the same functions, one test for each part of `gpu_lean` that is a check."""

import pytest

from benchmarks.gpu import FULL
from benchmarks.gpu.checks import CHECKS
from benchmarks.gpu.parts import PARTS

PARTS_THAT_CHECK = {name: part for name, part in PARTS["gpu_lean"].items() if part.module == "checks"}


@pytest.mark.gpu
@pytest.mark.parametrize("name", PARTS_THAT_CHECK)
def test_on_the_gpu(name):
    arguments = dict(PARTS_THAT_CHECK[name].arguments)
    found = list(CHECKS[arguments.pop("check")](FULL, **arguments))
    assert found and all(one["value"] <= one.get("at_most", one["value"]) for one in found), found
