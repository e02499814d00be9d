"""`--config -`: the settings are what is piped in."""

import io
import json
import sys

import pytest
import yaml

from tune_mixup.analysis.configurations import STDIN, read_configurations

SETTINGS = {"mixing": {"name": "mixup", "alpha": 0.5}, "optimizer": {"lr": -1.0}}


class Pipe:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)

    def isatty(self):
        return False


@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps, lambda values: " \n" + json.dumps(values, indent=1)])
def test_settings_come_from_stdin(monkeypatch, write):
    monkeypatch.setattr(sys, "stdin", Pipe(write(SETTINGS).encode()))
    assert read_configurations(STDIN) == [SETTINGS]


@pytest.mark.parametrize("text", ["{mixing: {name: mixup, alpha: 0.5}, optimizer.lr: -1.0}", '{"mixing": {"name": '
                         '"mixup", "alpha": .5,}, optimizer: {lr: -1.0}} # YAML too'])  # fmt: skip
def test_a_mapping_in_braces_that_is_no_json_is_yaml(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", Pipe(text.encode()))
    assert read_configurations(STDIN) == [SETTINGS]


def test_a_large_json_is_read_and_what_is_none_is_refused(monkeypatch):
    content = json.dumps(SETTINGS).encode() + b" " * 1_100_000
    monkeypatch.setattr(sys, "stdin", Pipe(content))
    assert read_configurations(STDIN) == [SETTINGS]
    monkeypatch.setattr(sys, "stdin", Pipe(content + b","))
    with pytest.raises(ValueError, match="it has more than 1,000,000 bytes and is no JSON"):
        read_configurations(STDIN)


@pytest.mark.parametrize("content", [b"", b"mixing: {", b"{", b"3", b"\xff", b"[]"])
@pytest.mark.parametrize("verb", [["train", "--out", "out"], ["bench"]])
def test_what_is_no_configuration_is_refused(command, monkeypatch, tmp_path, verb, content):
    monkeypatch.setattr(sys, "stdin", Pipe(content))
    assert "stdin: can't be read as configurations" in command.refused(*verb, "--config", "-")
    assert list(tmp_path.iterdir()) == []


def test_too_much_and_no_stdin_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(b"a: " + b"1" * 1_100_000))
    with pytest.raises(ValueError, match="stdin: can't be read as configurations .it has more than"):
        read_configurations(STDIN)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="there is no stdin"):
        read_configurations(STDIN)


def test_a_bad_setting_is_refused_by_name(command, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", Pipe(json.dumps(SETTINGS).encode()))
    assert "stdin: optimizer.lr: got -1.0" in command.refused("train", "--config", "-", "--out", "out")
    assert list(tmp_path.iterdir()) == []
