import importlib
import inspect
import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import chosen, main
from benchmarks.registry import CELLS, Cell, measure

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks"


@pytest.mark.parametrize("name", CELLS)
def test_every_measurement_keeps_the_contract(name):
    module = importlib.import_module(f"benchmarks.{CELLS[name].module}")
    assert module.__doc__
    parameters = inspect.signature(module.measure).parameters
    assert all(one.default is not inspect.Parameter.empty for one in parameters.values())
    assert CELLS[name].arguments.keys() <= parameters.keys()


def test_every_module_that_measures_is_registered():
    measuring = {path for path in FOLDER.rglob("*.py") if "\ndef measure(" in path.read_text()}
    modules = {".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in measuring}
    assert modules - {"registry"} == {cell.module for cell in CELLS.values()}


def test_an_unknown_name_is_one_line_and_exit_code_2(capsys):
    assert main(["run", "pairin"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "'pairin'" in err and "did you mean pairing?" in err


@pytest.mark.parametrize("option", ["--gpu", "--all"])
def test_names_together_with_a_set_are_refused(option, capsys):
    assert main(["run", "pairing", option]) == 2
    assert "one or the other" in capsys.readouterr().err


def test_what_runs_without_a_name_is_the_cpu_set():
    cpu_set = chosen(None, gpu=False, everything=False)
    assert "race" in cpu_set and "mixers" not in cpu_set and "gpu_lean" not in cpu_set
    gpu_set = chosen(None, gpu=True, everything=False)
    assert gpu_set == ["gpu_lean", "gpu_sharing", "gpu_sweep"]
    on_gpu = [name for name in CELLS if name.startswith("gpu_")]
    assert on_gpu == [*gpu_set, "gpu_methods"], "what every method costs is no part of the half-hour"
    assert chosen(None, gpu=False, everything=True) == [name for name in CELLS if name not in on_gpu]
    assert chosen(None, gpu=True, everything=True) == list(CELLS)


def test_named_ones_run_in_the_order_of_the_registry():
    assert chosen(["race", "pairing", "mixers"], gpu=False, everything=False) == ["pairing", "race", "mixers"]


def test_the_list_says_of_each_cell_what_it_needs(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CELLS)
    race = next(line for line in lines if line.startswith("race "))
    assert "cpu, data, ray" in race and "1400 s" in race and "4 times the trials per hour" in race


def test_a_gpu_cell_without_a_gpu_is_a_rehearsal_and_never_a_result(capsys, monkeypatch):
    monkeypatch.setattr(command, "_has_gpu", lambda: False)
    assert main(["run", "gpu_lean"]) == 2
    assert "--to FOLDER" in capsys.readouterr().err


@pytest.fixture
def growing(monkeypatch, tmp_path):
    """A cell that finds one number more each time; the folder it is written to, and what is written at each time."""
    monkeypatch.setitem(CELLS, "growing", Cell("numbers", about_s=1, module="growing"))
    written = []

    class Module:
        @staticmethod
        def measure():
            for count in (1, 2, 3):
                yield {"numbers": list(range(count))}

    monkeypatch.setitem(sys.modules, "benchmarks.growing", Module)
    write = command.write

    def noted(name, results, folder):
        written.append(results)
        return write(name, results, folder)

    monkeypatch.setattr(command, "write", noted)
    return tmp_path, written


def test_a_cell_that_grows_is_written_each_time(growing):
    folder, written = growing
    assert list(measure("growing")) == [{"numbers": [0]}, {"numbers": [0, 1]}, {"numbers": [0, 1, 2]}]
    assert main(["run", "growing", "--to", str(folder)]) == 0
    assert written == list(measure("growing"))
    assert [path.name for path in folder.iterdir()] == ["growing.json"]


def test_when_the_minutes_are_up_it_is_cut_off_with_what_it_has(growing):
    folder, written = growing
    assert main(["run", "growing", "--to", str(folder), "--minutes", "0"]) == 0
    assert written == [{"numbers": [0], "cut_off": "the minutes were up"}]


def test_a_cell_of_parts_gets_its_time_and_its_journal_and_a_failed_part_is_exit_code_1(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(CELLS, "parts", Cell("parts", about_s=1, module="in_parts", of_parts=True))
    asked = []

    class Module:
        @staticmethod
        def measure(limit_s=None, journal=None):
            asked.append((limit_s, journal))
            yield {"rows": [], "failed": {"graph": "killed by SIGSEGV"}}
            yield {"rows": [], "failed": {"graph": "killed by SIGSEGV"}, "measured": {"fp32": [1]}}

    monkeypatch.setitem(sys.modules, "benchmarks.in_parts", Module)
    assert main(["run", "parts", "--to", str(tmp_path), "--minutes", "0"]) == 1
    assert capsys.readouterr().err == "benchmarks: graph: killed by SIGSEGV\n"
    assert asked == [(0.0, tmp_path / "parts.jsonl")]
    results = json.loads((tmp_path / "parts.json").read_text())["results"]
    assert results["measured"] == {"fp32": [1]} and "cut_off" not in results, "it keeps the time by itself"
