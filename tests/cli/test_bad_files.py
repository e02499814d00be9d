"""Files that no training can come from: one line that names the file, soon, and nothing is written."""

import json
import os
import subprocess
import sys

import pytest

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def two_gigabytes(path):
    with open(path, "wb") as file:
        file.truncate(2 * 10**9)  # takes no room on the disk


FILES = {
    "bomb.yaml": (BOMB, "is an alias"),
    "selfalias.yaml": ("mixing: &m\n  name: mixup\n  alpha: *m\n", "is an alias"),
    "deep.yaml": ("[" * 2500 + "]" * 2500, "nested more than 100 deep"),
    "merge.yaml": ("base: &b {name: mixup}\nmixing: {<<: *b, alpha: 0.4}", "<< merges another mapping"),
    "twice.yaml": ("mixing: {name: mixup}\nmixing: {name: erm}", "the key 'mixing' stands twice"),
    "dotted.yaml": ("mixing.alpha: 0.4\nmixing: {name: mixup, alpha: 0.9}", "mixing.alpha stands twice"),
    "nested.yaml": ("data: {augment.flip: true, augment: {flip: false}}", "data.augment.flip stands twice"),
    "twice.json": ('{"mixing": {"alpha": 0.4, "alpha": 0.9}}', "the key 'alpha' stands twice"),
    "dotted.json": ('{"mixing": {"alpha": 0.4}, "mixing.alpha": 0.4}', "mixing.alpha stands twice"),
    "deep.json": ("[" * 100_000 + "]" * 100_000, "nested more than 100 deep"),
    "objects.json": ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested more than 100 deep"),
    "digits.yaml": ("training: {epochs: " + "9" * 900_000 + "}", "a number of 900000 characters"),
    "digits.json": ('{"training": {"epochs": ' + "9" * 900_000 + "}}", "digits"),
    "folder.yaml": (os.mkdir, "it is no regular file"),
    "pipe.yaml": (os.mkfifo, "it is no regular file"),
    "pipe.parquet": (os.mkfifo, "it is no regular file"),
    "large.yaml": (two_gigabytes, "must be at most 1,000,000"),
    "large.json": (two_gigabytes, "must be at most 16,000,000"),
    "large.csv": (two_gigabytes, "must be at most 16,000,000"),
    "large.parquet": (two_gigabytes, "must be at most 16,000,000"),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_refused_in_one_line(command, tmp_path, name):
    content, words = FILES[name]
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        content(tmp_path / name)
    command("train", "--config", "gone.csv", "--out", "out")  # what is imported for that is imported now
    line = command.refused("train", "--config", name, "--out", "out")
    assert words in line and line.startswith(f"tune-mixup: {name}: ") and len(line) < 500
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "text, words",
    [
        ("training: {epochs: 99999999999999999999999999999999999999}", "training.epochs: got 9999"),
        ("trainning: {epochs: 1}", "trainning: there is no such setting"),
        ("mixing: {name: mixup, alpha: '0.4'}", "mixing.alpha: got '0.4'"),
    ],
)
def test_settings_that_a_trial_refuses_are_said_with_the_file(command, tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    assert command.refused("train", "--config", "a.yaml", "--out", "out").startswith(f"tune-mixup: a.yaml: {words}")
    line = command.refused("train", "--config", "a.yaml", "--set", "optimizer.lr=-1.0", "--out", "out")
    assert "optimizer.lr: got -1.0" in line


def test_a_fault_of_set_is_none_of_the_file(command, tmp_path):
    (tmp_path / "a.yaml").write_text("mixing.name: erm")
    line = command.refused("train", "--config", "a.yaml", "--set", "optimizer.lr=-1.0", "--out", "out")
    assert line.startswith("tune-mixup: optimizer.lr: got -1.0")


def test_a_damaged_file_needs_no_torch(tmp_path):
    (tmp_path / "a.yaml").write_text(BOMB)
    code = (
        "import json, sys; from tune_mixup.cli import run\n"
        "code = run(['train', '--config', 'a.yaml', '--out', 'out'])\n"
        "print(json.dumps([code, [name for name in ('torch', 'pandas', 'optuna', 'ray') if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [2, []]


def test_a_space_that_ends_the_program_is_one_line(command, tmp_path):
    (tmp_path / "mine.py").write_text("import sys; sys.exit(0)")
    for verb in (("check",), ("sweep",), ("train", "--out", "out", "--space"), ("bench", "--space")):
        assert "ends the program when imported" in command.refused(*verb, "mine.py")


def test_a_space_that_prints_leaves_json_alone(command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "print('hello')\nfrom tune_mixup import load_space\nSPACE = load_space('quickstart')\n"
    )
    assert command("check", "mine.py", "--json") == 0, command.err
    assert json.loads(command.out)["name"] == "mine" and command.err == "hello\n"


def test_an_error_of_a_name_with_line_breaks_is_one_line(command):
    line = command.refused("train", "--config", "a\nb\x1b[2J.yaml", "--out", "out")
    assert line == "tune-mixup: a b\\x1b[2J.yaml: No such file or directory\n"
