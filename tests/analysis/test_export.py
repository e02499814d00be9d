import csv
import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tune_mixup.analysis import export as module
from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.analysis.export import export
from tune_mixup.analysis.formats import FORMATS
from tune_mixup.config import TrialConfig
from tune_mixup.reading import parse_yaml
from tune_mixup.record.study import Outcome
from tune_mixup.record.sweep_record import SweepRecord

SUFFIXES = (".yaml", ".json", ".csv", ".parquet")


def make(folder):
    config = {"metric": "val_accuracy", "space": {"free": {"optimizer.lr": {}}}}
    return SweepRecord.create(folder, "gm", config, direction="maximize")


def add(record, state, values, accuracies):
    record.study.optuna.enqueue_trial({"optimizer.lr": 1 / (2 + len(record.study.asked()))})  # each another setting
    number = record.study.optuna.ask({"optimizer.lr": FloatDistribution(0, 1)}).number
    folder = record.folder.trial(number)
    folder.path.mkdir()
    folder.write_config(TrialConfig.from_dotted(values).plain())
    for epoch, accuracy in enumerate(accuracies, start=1):
        folder.append_epoch({"epoch": epoch, "val_accuracy": accuracy, "val_nll": 1.0})
        record.study.report(number, epoch, accuracy)
    record.study.finish(number, Outcome(state, ""))


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Two COMPLETE trials with different keys, of which trial 2 is the better, and one that was stopped."""
    record = make(tmp_path_factory.mktemp("sweeps"))
    add(record, TrialState.COMPLETE, {"mixing.name": "erm", "data.mean": [0.5]}, [0.25, 0.5])
    add(record, TrialState.PRUNED, {}, [0.875])
    add(
        record,
        TrialState.COMPLETE,
        {"mixing.name": "mixup", "mixing.alpha": 0.5, "optimizer.weight_decay": 1e-5, "seed": 7},
        [0.25, 0.75],
    )
    return record


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_best_come_first_and_whole(record, tmp_path, suffix):
    assert export(record, 5, tmp_path / f"deep/best{suffix}") == 2
    found = read_configurations(tmp_path / f"deep/best{suffix}")
    assert found == [record.folder.trial(2).read_config(), record.folder.trial(0).read_config()]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [f"best{suffix}"]
    assert export(record, 1, tmp_path / f"deep/best{suffix}", overwrite=True) == 1
    assert read_configurations(tmp_path / f"deep/best{suffix}") == found[:1]


def test_a_file_says_what_its_numbers_are(record, tmp_path):
    export(record, 2, tmp_path / "best.yaml")
    document = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (document["sweep"], document["metric"], document["direction"]) == ("gm", "val_accuracy", "maximize")
    assert "COMPLETE" in document["rule"] and "validation split" in document["note"]
    assert document["versions"]["optuna"] == version("optuna") and "python" in document["versions"]
    first = document["configurations"][0]
    assert (first["rank"], first["trial"], first["epoch"]) == (1, 2, 2)
    assert first["metrics"] == {"val_accuracy": 0.75, "val_nll": 1.0}
    assert (first["seeds"], first["standard_error"], first["seen_by_search"]) == (1, None, 0.75)

    export(record, 2, tmp_path / "best.csv")
    rows = list(csv.DictReader((tmp_path / "best.csv").read_text().splitlines()))
    assert [(row["rank"], row["trial"], row["metrics.val_accuracy"]) for row in rows] == [
        ("1", "2", "0.75"),
        ("2", "0", "0.5"),
    ]
    assert [row["config.mixing.name"] for row in rows] == ["mixup", "erm"]  # plain texts stay readable
    assert [row["config.mixing.alpha"] for row in rows] == ["0.5", ""]
    assert rows[0]["config.optimizer.weight_decay"] == "1e-05"
    assert all("validation split" in row["note"] and row["sweep"] == "gm" for row in rows)

    export(record, 2, tmp_path / "best.parquet")
    frame = pd.read_parquet(tmp_path / "best.parquet")
    assert frame["trial"].tolist() == [2, 0] and frame["metrics.val_accuracy"].tolist() == [0.75, 0.5]


LISTS = st.none() | st.lists(st.floats(0, 1, exclude_min=True), min_size=1, max_size=3)
ALPHA = st.floats(0.001, 100) | st.sampled_from([0, 1, 5, 0.1])
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=8)
CONFIGS = st.builds(
    lambda common, mixing: TrialConfig.from_dotted({**common, **mixing}),
    st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**63),
            "data.root": NAMES.map(lambda name: f"/data/{name}"),
            "data.mean": LISTS,
            "data.std": LISTS,
            "data.augment.flip": st.booleans(),
            "data.train_limit": st.none() | st.integers(1, 10**6),
            "data.crop.size": st.none() | st.integers(4, 8),
            "data.label_noise": st.dictionaries(NAMES, st.just("other"), max_size=2).map(
                lambda pairs: {"kind": "pairs", "share": 0.5, "pairs": [*pairs.items()]}
            ),
            "optimizer.lr": st.floats(1e-12, 10) | st.integers(1, 3),
            "optimizer.weight_decay": st.sampled_from([0, 1e-5, 5e-324, 1e17]),
            "training.channels_last": st.booleans(),
            "training.epochs": st.integers(1, 10**6),
        }
    ),
    st.just({"mixing.name": "erm"}) | ALPHA.map(lambda alpha: {"mixing.name": "mixup", "mixing.alpha": alpha}),
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(first=CONFIGS, second=CONFIGS)
@settings(deadline=None, max_examples=15)
def test_exported_and_read_configurations_are_equal(record, tmp_path_factory, suffix, first, second):
    before = [record.folder.trial(number).read_config() for number in (2, 0)]
    path = tmp_path_factory.getbasetemp() / f"round{suffix}"
    try:
        record.folder.trial(2).write_config(first.plain())
        record.folder.trial(0).write_config(second.plain())
        export(record, 2, path, overwrite=True)
    finally:
        record.folder.trial(2).write_config(before[0])
        record.folder.trial(0).write_config(before[1])
    read = [TrialConfig.parse(values) for values in read_configurations(path)]
    assert read == [first, second]
    assert [config.plain() for config in read] == [first.plain(), second.plain()]


TRICKY = ("", "null", "~", "true", "no", "on", "1", "1e-3", ".5", "NaN", "nan", ".inf", "0x1f", "1:30", "2026-01-02")
TEXTS = st.sampled_from(
    [*TRICKY, "[1]", '"a"', " a ", "a\nb", "\r", "\0", "=", "<<", "#", "é", "\x85", "\u2028", "\ufeff", "\U0001f600"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
KEYS = st.text("abc_", min_size=1, max_size=3)
VALUES = st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3), min_size=1, max_size=5)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(values=VALUES)
@settings(deadline=None, max_examples=40)
def test_every_type_survives_every_format(tmp_path_factory, suffix, values):
    entry = {"rank": 1, "trial": 0, "epoch": 1, "metrics": {"val_accuracy": 0.5}, "config": {"a": {"b": values}}}
    header = {"sweep": "s", "metric": "m", "direction": "maximize", "rule": "r", "note": "n", "versions": {"x": "1"}}
    path = tmp_path_factory.getbasetemp() / f"values{suffix}"
    with open(path, "wb") as file:
        FORMATS[suffix].write(file, {**header, "configurations": [entry]})
    (read,) = read_configurations(path)
    assert repr(read) == repr({"a": {"b": values}})  # repr, since 1 == 1.0 == True


def test_nothing_is_exported_while_no_trial_has_been_trained_to_the_end(tmp_path):
    record = make(tmp_path)
    add(record, TrialState.PRUNED, {}, [0.5])
    (tmp_path / "best.yaml").write_text("old")
    with pytest.raises(ValueError, match="^no trial of the sweep .gm. is COMPLETE.*resume gm --root .*test_"):
        export(record, 1, tmp_path / "best.yaml", overwrite=True)
    assert (tmp_path / "best.yaml").read_text() == "old"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file(record, tmp_path, suffix, monkeypatch):
    path = tmp_path / f"best{suffix}"
    path.write_text("old")

    def full(file, document):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(module.FORMATS, suffix, FORMATS[suffix]._replace(write=full))
    with pytest.raises(OSError, match="No space left"):
        export(record, 1, path, overwrite=True)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["best.txt", "best", "best.yaml.gz"])
def test_another_suffix_is_refused(record, tmp_path, name):
    for action in (lambda: export(record, 1, tmp_path / name), lambda: read_configurations(tmp_path / name)):
        with pytest.raises(ValueError, match=r"suffix .*, must be one of \.yaml, .* \.parquet(; rename it)?$"):
            action()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="^top: got 0"):
        export(record, 0, tmp_path / "best.yaml")


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.yaml", "seed: 3\nmixing: {name: mixup, alpha: 1e-1}"),
        ("a.yml", "seed: 3\nmixing.name: mixup\nmixing.alpha: 0.1"),
        ("a.yaml", "{seed: 3, mixing: {name: mixup}, mixing.alpha: .1}"),
        ("a.json", '{"seed": 3, "mixing.name": "mixup", "mixing": {"alpha": 0.1}}'),
    ],
)
def test_plain_settings_are_read_too(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_configurations(tmp_path / name) == [{"seed": 3, "mixing": {"name": "mixup", "alpha": 0.1}}]


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.yaml", b""),
        ("a.yaml", b"seed: [1"),
        ("a.yaml", b"just words"),
        ("a.yaml", b"mixing.alpha: 1\nmixing: 3"),
        ("a.yaml", b"configurations: []"),
        ("a.yaml", b"configurations: 3"),
        ("a.yaml", b"configurations: [{rank: 1}]"),
        ("a.yaml", b"configurations: [{config: 1}]"),
        ("a.yaml", b"seed: !!python/object:os.system 1"),
        ("a.yaml", b"\xff\xfe\x00"),
        ("a.json", b'{"seed": 1'),
        ("a.json", b"[]"),
        ("a.csv", b"rank,trial\n1,2\n"),
        ("a.csv", b""),
        ("a.csv", b"\xff\xff"),
        ("a.parquet", b"PAR1 cut short"),
        ("a.parquet", b""),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="can't be read as configurations") as error:
        read_configurations(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.yaml"):
        read_configurations(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-1E5", -1e5), ("+7", 7), ("010", 10), ("08", 8), ("true", True),
        ("False", False), ("null", None), ("~", None), ("", None), ("[1, 2.0]", [1, 2.0]), ("cifar10", "cifar10"),
        ("no", "no"), ("1:30", "1:30"), ("1_000", "1_000"), ("'1'", "1"), ("{a: 1}", {"a": 1}), ("~/data", "~/data"),
        ("2026-01-02", "2026-01-02"), (".inf", float("inf")), ("-.inf", -float("inf")), ("inf", "inf"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert repr(parse_yaml(text)) == repr(value)


def test_texts_that_look_like_numbers_are_quoted_for_either_version_of_yaml(tmp_path):
    entry = {"rank": 1, "trial": 0, "epoch": 1, "metrics": {}, "config": {text or "empty": text for text in TRICKY}}
    path = Path(tmp_path / "a.yaml")
    with open(path, "wb") as file:
        FORMATS[".yaml"].write(file, {"configurations": [entry]})
    assert yaml.safe_load(path.read_text())["configurations"][0]["config"] == entry["config"]
    assert json.dumps(parse_yaml(path.read_text())["configurations"][0]["config"]) == json.dumps(entry["config"])
