import importlib
import inspect
from pathlib import Path

import pytest

from benchmarks import BENCHMARKS
from benchmarks.__main__ import chosen, main

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_measurement_keeps_the_contract(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.__doc__
    parameters = inspect.signature(module.measure).parameters.values()
    assert all(one.default is not inspect.Parameter.empty for one in parameters)


def test_every_module_that_measures_is_registered():
    measuring = {path.stem for path in FOLDER.glob("*.py") if "\ndef measure(" in path.read_text()}
    assert measuring - {"__init__"} == set(BENCHMARKS)


def test_an_unknown_name_is_one_line_and_exit_code_2(capsys):
    assert main(["run", "--only", "pairin"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "'pairin'" in err and "did you mean pairing?" in err


def test_names_without_the_option_are_refused(capsys):
    assert main(["run", "pairing"]) == 2
    assert "behind --only" in capsys.readouterr().err


def test_what_runs_without_a_name_is_the_cpu_set():
    cpu_set = chosen(None, None, everything=False)
    assert "race" in cpu_set and "mixers" not in cpu_set
    assert chosen(None, None, everything=True) == list(BENCHMARKS)


def test_named_ones_run_in_the_order_of_the_registry():
    assert chosen(["race"], ["pairing", "mixers"], everything=False) == ["pairing", "race", "mixers"]
