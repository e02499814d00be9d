"""Spaces from a user's own file: what it may import, what stays changed afterwards, and how it is refused."""

import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tune_mixup
from tune_mixup.outside import importing_from, located, module_files, module_folders
from tune_mixup.space_files import load_space, shipped_spaces

HEAD = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
from tune_mixup.search_space import SearchSpace
"""
BODY = 'SPACE = SearchSpace(fixed={"mixing.alpha": ALPHA}, free={"optimizer.lr": FloatDistribution(0.1, 1.0)})\n'


@pytest.fixture(autouse=True)
def tidy():
    """What a test has imported from its own folder is forgotten after it."""
    before = dict(sys.modules)
    yield
    for name in [name for name in sys.modules if name not in before]:
        if located(name.partition(".")[0]):
            del sys.modules[name]
    sys.modules.update(before)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def space_in(folder, *lines):
    return write(folder / "mine.py", HEAD + "\n".join(lines) + "\n" + BODY)


def refused(path):
    with pytest.raises(ValueError) as caught:
        load_space(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_space_imports_the_modules_beside_it(tmp_path):
    write(tmp_path / "tm_beside.py", "from tm_deeper import ALPHA")
    write(tmp_path / "tm_deeper/__init__.py", "from tm_deeper.inner import ALPHA")
    write(tmp_path / "tm_deeper/inner.py", "ALPHA = 0.75")
    space = space_in(tmp_path, "from tm_beside import ALPHA")
    before = list(tmp_path.rglob("*"))
    path, modules, environment = list(sys.path), dict(sys.modules), dict(os.environ)
    assert load_space(space).fixed == {"mixing.alpha": 0.75}
    assert (sys.path, dict(os.environ)) == (path, environment)
    assert set(sys.modules) - set(modules) == {"tm_beside", "tm_deeper", "tm_deeper.inner"}
    assert list(tmp_path.rglob("*")) == before  # nothing is written beside the space


def test_a_relative_path_finds_its_neighbours_too(tmp_path, monkeypatch):
    write(tmp_path / "spaces/tm_beside.py", "ALPHA = 0.5")
    space_in(tmp_path / "spaces", "from tm_beside import ALPHA")
    monkeypatch.chdir(tmp_path)
    assert load_space("spaces/mine.py").fixed == {"mixing.alpha": 0.5}


def test_each_space_gets_its_own_of_two_neighbours_of_one_name(tmp_path):
    spaces = []
    for name, alpha in (("a", 0.25), ("b", 0.75)):
        write(tmp_path / name / "tm_common.py", f"ALPHA = {alpha}")
        spaces.append(space_in(tmp_path / name, "import tm_common", "ALPHA = tm_common.ALPHA"))
    assert [load_space(spaces[index]).fixed["mixing.alpha"] for index in (0, 1, 0, 1)] == [0.25, 0.75, 0.25, 0.75]


def test_a_neighbour_is_the_same_module_the_second_time(tmp_path):
    """Else a part's class would not be the one that settings were validated with."""
    write(tmp_path / "tm_common.py", "ALPHA = 1.0")
    space = space_in(tmp_path, "from tm_common import ALPHA")
    load_space(space)
    first = sys.modules["tm_common"]
    load_space(space)
    assert sys.modules["tm_common"] is first


def test_a_neighbour_with_the_name_of_what_is_in_use_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "program/tm_common.py", "ALPHA = 0.25")
    monkeypatch.syspath_prepend(tmp_path / "program")
    import tm_common

    write(tmp_path / "spaces/tm_common.py", "ALPHA = 0.75")
    words = refused(space_in(tmp_path / "spaces", "from tm_common import ALPHA"))
    assert "this program has imported" in words and "rename one" in words
    assert sys.modules["tm_common"] is tm_common
    idle = space_in(tmp_path / "spaces", "ALPHA = 1.5")  # does not import it
    assert load_space(idle).fixed == {"mixing.alpha": 1.5}


@pytest.mark.parametrize("name", ["statistics", "colorsys", "pytest", "yaml"])
def test_a_neighbour_with_the_name_of_an_installed_module_is_refused(tmp_path, name):
    write(tmp_path / f"{name}.py", "ALPHA = 1.0")
    words = refused(space_in(tmp_path, f"from {name} import ALPHA"))
    assert f"{name}.py, which has the name of an installed module; rename it" in words


def test_a_space_may_define_dataclasses_and_read_its_own_name(tmp_path):
    space = space_in(
        tmp_path,
        "import dataclasses, sys",
        "@dataclasses.dataclass",
        "class Range:",
        "    low: 'float'",
        "assert sys.modules[__name__].Range is Range",
        "ALPHA = Range(0.5).low",
    )
    assert load_space(space).fixed == {"mixing.alpha": 0.5}
    assert not [name for name in sys.modules if name.startswith("search_space_")]


def test_a_space_builds_on_one_that_ships(tmp_path):
    text = 'from tune_mixup import load_space\nSPACE = load_space("mixup").fix({"data.name": "digits"})\n'
    space = load_space(write(tmp_path / "mixup.py", text))  # it may even have the same name
    assert space == load_space("mixup").fix({"data.name": "digits"})
    assert tune_mixup.load_space is load_space


def test_a_project_with_search_spaces_of_its_own_is_left_alone(tmp_path, monkeypatch):
    write(tmp_path / "search_spaces/__init__.py", "")
    write(tmp_path / "search_spaces/shared.py", "ALPHA = 0.5")
    write(tmp_path / "search_spaces/mixup.py", "raise RuntimeError('the wrong mixup')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "search_spaces"]:
        monkeypatch.delitem(sys.modules, name)
    assert load_space("mixup").fixed["mixing.name"] == "mixup"
    for line in ("from search_spaces.shared import ALPHA", "from .shared import ALPHA", "from shared import ALPHA"):
        assert load_space(space_in(tmp_path / "search_spaces", line)).fixed == {"mixing.alpha": 0.5}


def test_parts_beside_a_space_are_imported_where_only_their_names_stand(tmp_path):
    write(tmp_path / "tm_parts.py", "class Blend: pass")
    write(
        tmp_path / "mine.py",
        HEAD + 'SPACE = SearchSpace(free={"mixing.name": CategoricalDistribution(("mixup", "tm_parts:Blend"))})',
    )
    load_space(tmp_path / "mine.py")
    import tm_parts

    assert tm_parts.Blend
    write(tmp_path / "tm_parts.py", "raise OSError('no\\ndisk')")
    del sys.modules["tm_parts"]
    assert "fails when imported: OSError: no disk; mend the file" in refused(tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit(0)", "ends the program when imported"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines; mend the file"),
        ("import no_such_module", "No module named 'no_such_module'; mend the file"),
        ("from search_spaces.no_such import SPACE", "get a space that ships with `from tune_mixup import load_space`"),
        ("from .nothing import SPACE", "ImportError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("\0", "null bytes"),
        ("é = '\ud800'", "UnicodeDecodeError"),
        ("SPACE = {}", "must define SPACE = SearchSpace(...), got dict"),
        ("class Gone(BaseException): pass\nraise Gone('away')", "fails when imported: Gone: away; mend the file"),
        ("raise GeneratorExit", "fails when imported: GeneratorExit"),
        ("import asyncio; raise asyncio.CancelledError", "fails when imported: CancelledError"),
        ("exit()", "ends the program when imported"),
        ("raise SystemExit('with words')", "ends the program when imported"),
        ("raise ValueError('x' * 5_000_000)", "xxx...; mend the file"),
        ("SPACE = " + "(" * 900_000, "fails when imported"),
        ("SPACE = " + "-" * 900_000 + "1", "fails when imported"),
        (
            "a = []; a.append(a)\nfrom tune_mixup.search_space import SearchSpace\nSearchSpace(fixed={'x': a})",
            "mine.py",
        ),
    ],
)
def test_a_file_that_fails_is_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "mine.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = refused(tmp_path / "mine.py")
    assert words in found or "SyntaxError" in found and words in ("null bytes", "UnicodeDecodeError")


def hundred_megabytes(path):
    with open(path, "wb") as file:
        file.truncate(100_000_000)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "it is no regular file"),
        (os.mkfifo, "it is no regular file"),
        (lambda path: path.write_bytes(b""), "must define SPACE = SearchSpace(...), got NoneType"),
        (lambda path: path.write_bytes(bytes(range(256))), "fails when imported"),
        (lambda path: path.write_bytes("ALPHA = 'é'".encode("latin-1")), "fails when imported: SyntaxError"),
        (lambda path: path.write_bytes("SPACE = 1".encode("utf-16")), "fails when imported"),
        (hundred_megabytes, "it has 100,000,000 bytes or more, must be at most"),
        (lambda path: path.symlink_to("mine.py"), "can't be read (Too many levels of symbolic links)"),
        (lambda path: path.symlink_to("gone.py"), "there is no file"),
    ],
    ids=["folder", "pipe", "empty", "binary", "latin-1", "utf-16", "100 MB", "circle", "dangling"],
)
def test_what_is_no_file_of_python_is_refused_in_one_line_and_soon(tmp_path, make, words):
    make(tmp_path / "mine.py")
    began = time.monotonic()
    assert words in refused(tmp_path / "mine.py")
    assert time.monotonic() - began < 2


def test_a_home_that_nobody_knows_is_one_line():
    assert "can't be read" in refused("~nobody-of-that-name/mine.py")


def test_a_file_that_never_ends_is_told_of_and_given_up(tmp_path, monkeypatch, capsys):
    space = space_in(tmp_path, "while True:", "    pass")
    monkeypatch.setattr("tune_mixup.space_files.REMIND_S", 0.1)
    monkeypatch.setenv("TUNE_MIXUP_SPACE_SECONDS", "0.3")
    assert "mine.py still runs after 0.3 s; let it do nothing but define SPACE, or give it more" in refused(space)
    assert capsys.readouterr().err == f"tune-mixup: {space} still runs after 0.1 s\n"


def test_a_slow_file_is_read_when_it_is_given_the_time(tmp_path, monkeypatch):
    space = space_in(tmp_path, "import time; time.sleep(0.3)", "ALPHA = 0.5")
    monkeypatch.setenv("TUNE_MIXUP_SPACE_SECONDS", "0.1")
    assert "still runs after 0.1 s" in refused(space)
    monkeypatch.setenv("TUNE_MIXUP_SPACE_SECONDS", "20")
    assert load_space(space).fixed == {"mixing.alpha": 0.5}


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_the_time_is_a_number_of_seconds(tmp_path, monkeypatch, text):
    monkeypatch.setenv("TUNE_MIXUP_SPACE_SECONDS", text)
    assert "must be a number of seconds above zero" in refused(space_in(tmp_path, "ALPHA = 0.5"))


def test_a_space_is_read_in_another_thread_too(tmp_path):
    space = space_in(tmp_path, "ALPHA = 0.5")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(load_space, space).result().fixed == {"mixing.alpha": 0.5}


def test_what_a_space_prints_is_no_result(tmp_path, capsys):
    load_space(space_in(tmp_path, "print('hello')", "ALPHA = 0.5"))
    assert capsys.readouterr() == ("", "hello\n")


def test_what_a_failed_space_had_imported_is_read_again_when_it_is_mended(tmp_path):
    write(tmp_path / "tm_common.py", "ALPHA = 0.25")
    space = space_in(tmp_path, "from tm_common import ALPHA", "import os", "os.environ['TM_LEFT'] = '1'", "1 / 0")
    path = list(sys.path)
    assert "ZeroDivisionError" in refused(space)
    assert "tm_common" not in sys.modules and sys.path == path and "TM_LEFT" not in os.environ
    write(tmp_path / "tm_common.py", "ALPHA = 0.75")
    assert load_space(space_in(tmp_path, "from tm_common import ALPHA")).fixed == {"mixing.alpha": 0.75}


def test_interrupting_a_space_that_never_ends_leaves_nothing_changed(tmp_path):
    space = space_in(tmp_path, "raise KeyboardInterrupt")
    path, modules = list(sys.path), set(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        load_space(space)
    assert sys.path == path and set(sys.modules) == modules


# What workers need


@pytest.fixture
def project(tmp_path):
    write(
        tmp_path / "tm_mixers.py",
        "import math, torch, tm_math\nclass Blend:\n    def mix(self):\n        import tm_late",
    )
    write(tmp_path / "tm_math.py", "from tm_pack import inner")
    write(tmp_path / "tm_late.py", "")
    write(tmp_path / "tm_idle.py", "")
    write(tmp_path / "tm_pack/__init__.py", "")
    write(tmp_path / "tm_pack/inner.py", "from . import other\nimport tune_mixup")
    write(tmp_path / "tm_pack/other.py", "")
    return tmp_path


def test_workers_need_the_modules_of_the_parts_and_what_those_import(project, monkeypatch):
    monkeypatch.syspath_prepend(project)
    files = [str(project / name) for name in ("tm_late.py", "tm_math.py", "tm_mixers.py", "tm_pack")]
    for values in (
        {"space": {"fixed": {"mixing": {"name": "tm_mixers:Blend"}}}},
        {"space": {"free": {"mixing.name": {"attributes": {"choices": ["erm", "tm_mixers:Blend"]}}}}},
        [("tm_mixers:Blend.Inner",)],
    ):
        assert module_files(values) == files
    assert module_folders(files) == [str(project)]
    assert module_files({"a": "tm_pack.inner:Thing"}) == [str(project / "tm_pack")]


def test_modules_that_workers_have_are_not_sent_to_them(project, monkeypatch):
    monkeypatch.syspath_prepend(project)
    plain = ["mixup", "tm_mixers", "tm_mixers:", "host:80", "no_such_module:Thing", 3, None, {"a": {"b": "c:d"}}]
    installed = [
        "torch.optim:SGD",
        "pytest:fixture",
        "collections:OrderedDict",
        "tune_mixup.mixing.mixup:Mixup",
        "sys:x",
    ]
    assert module_files([*plain, *installed]) == []


def test_a_module_that_is_loaded_from_elsewhere_is_taken_from_there(project, monkeypatch):
    other = write(project / "elsewhere/tm_math.py", "")
    monkeypatch.syspath_prepend(project)
    with importing_from([other.parent]):
        import tm_math  # noqa: F401
    expected = [str(other), *(str(project / name) for name in ("tm_late.py", "tm_mixers.py"))]
    assert module_files("tm_mixers:Blend") == expected
    assert module_folders(expected) == [str(other.parent), str(project)]


def test_a_process_elsewhere_imports_them_from_the_list(project, monkeypatch):
    """As a worker does, and a process that resumes the sweep: with nothing but the list."""
    monkeypatch.syspath_prepend(project)
    folders = os.pathsep.join(module_folders(module_files("tm_mixers:Blend")))
    code = "import tm_math, tm_late, tm_pack.inner; print(tm_math.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([folders, str(Path(tune_mixup.__file__).parents[1])])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(project / "tm_math.py")


# The installed package


def test_a_checkout_has_its_spaces_beside_the_package():
    assert shipped_spaces() == Path(tune_mixup.__file__).parents[1] / "search_spaces"


@pytest.mark.slow
def test_an_installed_package_has_its_spaces_inside(tmp_path):
    """The wheel, unpacked where a project has `search_spaces` of its own, loads the ones that ship."""
    pytest.importorskip("hatchling", reason="builds a wheel; the extra [test] has hatchling")
    root = Path(tune_mixup.__file__).parents[1]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    expected = {f"tune_mixup/search_spaces/{file.name}" for file in (root / "search_spaces").glob("*.py")}
    assert {name for name in names if "search_spaces/" in name} == expected
    plans = {f"tune_mixup/ablations/{file.name}" for file in (root / "ablations").glob("*.yaml")}
    assert {name for name in names if "ablations/" in name} == plans != set()
    zipfile.ZipFile(wheel).extractall(tmp_path / "site-packages")
    write(tmp_path / "project/search_spaces/mixup.py", "raise RuntimeError('the wrong mixup')")
    code = (
        "from tune_mixup import load_space; import tune_mixup, sys; "
        "print(tune_mixup.__file__, load_space('mixup').fixed['mixing.name'], 'search_spaces' in sys.modules)"
    )
    path = os.pathsep.join([str(tmp_path / "project"), str(tmp_path / "site-packages")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "project",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "site-packages/tune_mixup/__init__.py"), "mixup", "False"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("fixd={}, free={}", "fixd: there is no such setting here (got {}); did you mean fixed?"),
        ('free={"mixing.alpha": (0.1, 1.0)}', "free.mixing.alpha: got (0.1, 1.0), must be a distribution of Optuna"),
        ('free={}, constraints=AtMost("a", 1)', "must be several in a tuple; a tuple of one is written (ONE,)"),
        ('free={}, constraints=(AtMost("a", True),)', "AtMost: got True, must be a dotted key"),
    ],
)
def test_a_wrong_space_is_said_with_its_file_and_key(tmp_path, arguments, words):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tune_mixup.constraints import AtMost\nfrom tune_mixup.search_space import SearchSpace\n"
        f"SPACE = SearchSpace({arguments})\n"
    )
    with pytest.raises(ValueError) as caught:
        load_space(str(file))
    assert str(caught.value).startswith(f"{file}: ") and words in str(caught.value)
