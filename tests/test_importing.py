"""Import paths: what they give, and one line for each way in which they go wrong."""

import pytest

from tune_mixup.importing import import_path, import_paths, importable, imported, is_import_path
from tune_mixup.mixing.mixup import Mixup


@pytest.fixture
def modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_zoo").mkdir()
    (tmp_path / "of_zoo" / "__init__.py").write_text("")
    (tmp_path / "of_zoo" / "cats.py").write_text("class Lion:\n    class Cub: pass\n")
    (tmp_path / "of_breaks.py").write_text("1 / 0")
    (tmp_path / "of_needs.py").write_text("import of_nothing_here")
    (tmp_path / "of_typo.py").write_text("def (:")
    (tmp_path / "of_gone.py").write_text("class Gone(BaseException): pass\nraise Gone('away')")
    (tmp_path / "of_much.py").write_text("raise ValueError('x' * 5_000_000)")
    (tmp_path / "of_loop.py").write_text("while True: pass")
    (tmp_path / "of_stop.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "of_script.py").write_text("import sys; sys.exit('usage:\\n  script')")
    return tmp_path


def test_objects_are_found_by_their_path(modules):
    lion = imported("of_zoo.cats:Lion")
    assert import_path(lion) == "of_zoo.cats:Lion" and imported("of_zoo.cats:Lion.Cub") is lion.Cub
    assert imported("tune_mixup.mixing.mixup:Mixup") is Mixup


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("of_zoo.dogs:Wolf", "got 'of_zoo.dogs:Wolf', but there is no module of_zoo.dogs; check the spelling"),
        (
            "of_farm.dogs:Wolf",
            "there is no module of_farm; check the spelling, or add the folder that holds it",
        ),
        ("of_zoo.cats.big:Lion", "there is no module of_zoo.cats.big"),
        ("of_zoo.cats:Loin", "but of_zoo.cats has no Loin; did you mean Lion?"),
        ("of_zoo.cats:Lion.Cob", "but of_zoo.cats has no Lion.Cob"),
        ("of_breaks:X", "but importing of_breaks fails: ZeroDivisionError: division by zero; mend it"),
        ("of_needs:X", "but importing of_needs fails: ModuleNotFoundError: No module named 'of_nothing_here'"),
        ("of_typo:X", "but importing of_typo fails: SyntaxError: "),
        ("of_script:X", "but importing of_script fails: SystemExit: usage: script"),
        ("of_gone:X", "but importing of_gone fails: Gone: away; mend it"),
        ("of_much:X", "xxx...; mend it"),
        ("__main__:X", "defined in __main__ and can't be imported by other processes; move it to the top of a module"),
        ("of_zoo:make.<locals>.Lion", "defined inside a function and can't be imported by other processes"),
        ("of_zoo/cats.py:Lion", "must be the name of a known one, or look like my_package.my_module:MyClass"),
        (".cats:Lion", "look like"),
        ("of_zoo.cats:", "look like"),
        (":Lion", "look like"),
        ("of_zoo:cats:Lion", "look like"),
    ],
)
def test_what_can_not_be_found_is_refused_in_one_line(modules, path, message):
    with pytest.raises(ValueError) as caught:
        imported(path)
    assert message in str(caught.value) and "\n" not in str(caught.value) and repr(path) in str(caught.value)


def test_a_module_that_never_ends_is_told_of_and_given_up(modules, monkeypatch, capsys):
    monkeypatch.setattr("tune_mixup.importing.REMIND_S", 0.1)
    monkeypatch.setattr("tune_mixup.importing.LIMIT_S", 0.3)
    with pytest.raises(ValueError, match="importing of_loop does not end: it still runs after .* minutes; mend it"):
        imported("of_loop:X")
    assert capsys.readouterr().err == "tune-mixup: still importing of_loop after 0.1 s\n"


def test_an_interrupt_is_no_fault_of_the_module(modules):
    with pytest.raises(KeyboardInterrupt):
        imported("of_stop:X")


def test_what_only_this_process_knows():
    class Local:
        pass

    with pytest.raises(ValueError, match="inside a function"):
        importable(import_path(Local))
    importable("of_nowhere:Thing")  # looks for nothing


def test_all_paths_in_settings():
    settings = {
        "mixing": {"name": "mixture", "members": {"mine": {"name": "a.b:Mine", "note": "c:d"}}},
        "model.name": "e:F",
        "data": {"name": "digits", "root": "C:data"},
        "training.metrics": ["g.h:TOP5", "no path: here", 3],
    }
    assert import_paths(settings) == {
        "mixing.members.mine.name": "a.b:Mine",
        "model.name": "e:F",
        "training.metrics.0": "g.h:TOP5",
    }
    assert not is_import_path(None) and not is_import_path("mixup")
