"""What a shell is told when it asks how a command goes on."""

import json
import subprocess
import sys

import pytest


def answers(folder, words):
    code = "import sys; sys.argv[1:] = []; from tune_mixup.cli import main; main()"
    environment = {"_TUNE_MIXUP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, cwd=folder
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_verbs_options_spaces_and_sweeps_are_completed(start_sweep, tmp_path):
    start_sweep("gm"), start_sweep("gn"), start_sweep("ge", root=tmp_path / "other")
    assert answers(tmp_path, "tune-mixup resu") == ["resume"]
    assert answers(tmp_path, "tune-mixup list --ro") == ["--root"]
    assert answers(tmp_path, "tune-mixup check quick") == ["quickstart"]
    assert answers(tmp_path, "tune-mixup resume g") == ["gm", "gn"]
    assert answers(tmp_path, "tune-mixup status --root other g") == ["ge"]
    for verb in ("train", "bench"):
        assert answers(tmp_path, f"tune-mixup {verb} --space quick") == ["quickstart"]
    for verb in ("sweep", "check"):
        assert answers(tmp_path, f"tune-mixup {verb} quickstart --from g") == ["gm", "gn"]
        assert answers(tmp_path, f"tune-mixup {verb} quickstart --root other --from g") == ["ge"]


def test_the_root_of_completed_sweeps_may_be_a_default(start_sweep, tmp_path, monkeypatch):
    start_sweep("gm"), start_sweep("ge", root=tmp_path / "other"), start_sweep("gx", root=tmp_path / "third")
    (tmp_path / "tune_mixup.toml").write_text("root = 'other'\n")
    assert answers(tmp_path, "tune-mixup resume g") == ["ge"]
    assert answers(tmp_path, "tune-mixup check quickstart --from g") == ["ge"]
    assert answers(tmp_path, "tune-mixup status --root sweeps g") == ["gm"]
    monkeypatch.setenv("TUNE_MIXUP_ROOT", "third")
    assert answers(tmp_path, "tune-mixup resume g") == ["gx"]
    (tmp_path / "tune_mixup.toml").write_text("rooot = 'other'\n")
    assert answers(tmp_path, "tune-mixup resume g") == ["gm"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_this_program(command, shell):
    assert command("completion", shell) == 0
    assert "_TUNE_MIXUP_COMPLETE=complete_" in command.out and "tune-mixup" in command.out
    script = command.out.removesuffix("\n")
    assert command("completion", shell, "--json") == 0
    assert json.loads(command.out) == {"shell": shell, "script": script}


def test_bash_takes_the_script():
    code = "from tune_mixup.cli import run; run(['completion', 'bash'])"
    script = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["bash", "-c", f"{script}\ncomplete -p tune-mixup"], capture_output=True, text=True)
    assert done.returncode == 0 and "_tune_mixup_completion tune-mixup" in done.stdout


def test_another_shell_is_refused(command):
    assert "bash" in command.refused("completion", "tcsh")
