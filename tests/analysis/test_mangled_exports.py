"""Exports that went through other programs: they come back equal, or are refused by name; never anything else."""

import io
import json

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_mixup.analysis.configurations import read_configurations
from tune_mixup.analysis.formats import FORMATS
from tune_mixup.config import TrialConfig

HEADER = {
    "sweep": "gm", "metric": "val_accuracy", "direction": "maximize", "rule": "the best", "note": "validation, only",
    "versions": {"python": "3.11", "torch": "2"},
}  # fmt: skip
CONFIGS = [
    TrialConfig.from_dotted(values).plain()
    for values in (
        {"mixing.name": "mixup", "mixing.alpha": 0.4, "optimizer.weight_decay": 1e-5, "seed": 7, "data.root": "/é"},
        {"mixing.name": "erm", "data.mean": [0.5], "data.train_limit": 200, "data.root": "/a b", "optimizer.lr": 0.1},
        {"mixing.name": "mixup", "mixing.alpha": 1 / 3, "training.channels_last": True, "seed": 2**53 + 1},
    )
]


def written(suffix, configs=CONFIGS):
    file = io.BytesIO()
    entries = [
        {"rank": rank, "trial": 9 - rank, "epoch": 3, "metrics": {"val_accuracy": 1 - rank / 10}, "config": config}
        for rank, config in enumerate(configs, start=1)
    ]
    FORMATS[suffix].write(file, {**HEADER, "configurations": entries})
    return file.getvalue()


def read(folder, suffix, content):
    path = folder / f"mangled{suffix}"
    path.write_bytes(content)
    return read_configurations(path)


def outcome(folder, suffix, content, configs=CONFIGS):
    """`equal`, or the words of the refusal; anything else is the fault that this file is about."""
    try:
        found = read(folder, suffix, content)
    except ValueError as error:
        words = str(error)
        assert words.startswith(f"{folder / 'mangled'}{suffix}: ") and "\n" not in words and len(words) < 700
        return words
    parsed = [TrialConfig.parse(values) for values in found]
    assert parsed == [TrialConfig.parse(config) for config in configs], "it was read as something else"
    assert [json.dumps(one.plain()) for one in parsed] == [json.dumps(config) for config in configs]
    return "equal"


# Text as other programs write it


def semicolons(content, decimal="."):
    text = content.decode()
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    numbers = frame.map(lambda cell: cell.replace(".", decimal) if cell.replace(".", "").isdigit() else cell)
    return numbers.to_csv(index=False, sep=";").encode()


def replaced(old, new):
    def mangle(content):
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return mangle


def recoded(encoding):
    return lambda content: content.decode().encode(encoding)


TEXTS = {
    "as it is": (lambda content: content, "equal"),
    "CRLF": (replaced("\n", "\r\n"), "equal"),
    "a mark in front": (recoded("utf-8-sig"), "equal"),
    "UTF-16": (recoded("utf-16"), "equal"),
    "UTF-32": (recoded("utf-32"), "equal"),
    "latin-1": (recoded("latin-1"), "equal or utf-8"),
    "UTF-16 without a mark": (recoded("utf-16-le"), "can't be read"),
    "cut off": (lambda content: content[: len(content) // 2], "can't be read"),
    "empty": (lambda content: b"", "can't be read"),
    "binary": (lambda content: bytes(range(256)), "can't be read"),
    "another number": (replaced("0.4", "0.5"), "exported"),
    "another text": (replaced("mixup", "cutmix"), "exported"),
}


@pytest.mark.parametrize("suffix", [".csv", ".json", ".yaml"])
@pytest.mark.parametrize("name", TEXTS)
def test_texts(tmp_path, suffix, name):
    mangle, expected = TEXTS[name]
    found = outcome(tmp_path, suffix, mangle(written(suffix)))
    assert any(words in found for words in expected.split(" or "))


CSV = {
    "semicolons": (semicolons, "equal"),
    "tabs": (lambda content: pd.read_csv(io.BytesIO(content), dtype=str).to_csv(sep="\t").encode(), "equal"),
    "a line that names the separator": (lambda content: b"sep=;\r\n" + semicolons(content), "equal"),
    "a decimal comma": (lambda content: semicolons(content, ","), "equal"),
    "empty lines": (lambda content: content + b"\n\n", "equal"),
    "0.40": (replaced(",0.4,", ",0.40,"), "equal"),
    "1E-05": (replaced(",1e-05,", ",1E-05,"), "equal"),
    "TRUE": (replaced(",true,", ",TRUE,"), "equal"),
    "15 digits": (replaced(",0.3333333333333333,", ",0.333333333333333,"), "equal"),
    "4 digits": (replaced(",0.3333333333333333,", ",0.3333,"), "config.mixing.alpha of rank 3 has '0.3333'"),
    "a date": (replaced(",0.4,", ",04. Jan,"), "config.mixing.alpha of rank 1 has '04. Jan', but 0.4 was exported"),
    "three decimals": (replaced(",200,", ',"200,000",'), "equal"),
    "a shifted comma": (replaced(",200,", ',"2,00",'), "config.data.train_limit of rank 2 has '2,00'"),
    "quotes lost": (replaced('"', ""), "cells and the first line"),
    "quotes of another kind": (replaced('"', "'"), "can't be read"),
    "an emptied cell": (replaced(",0.4,", ",,"), "config.mixing.alpha of rank 1 has nothing, but 0.4 was exported"),
    "a cell too many": (replaced("\n1,", "\n1,1,"), "cells and the first line"),
    "a rank as a word": (replaced("\n1,", "\nfirst,"), "rank has 'first'"),
}  # fmt: skip


@pytest.mark.parametrize("name", CSV)
def test_csv(tmp_path, name):
    mangle, expected = CSV[name]
    assert expected in outcome(tmp_path, ".csv", mangle(written(".csv")))


# Tables that went through pandas


def to_csv(**options):
    return lambda frame: frame.to_csv(**options).encode()


def to_parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


READERS = {
    "as pandas does": lambda content: pd.read_csv(io.BytesIO(content)),
    "as texts": lambda content: pd.read_csv(io.BytesIO(content), dtype=str),
    "nothing missing": lambda content: pd.read_csv(io.BytesIO(content), keep_default_na=False),
    "nullable": lambda content: pd.read_csv(io.BytesIO(content)).convert_dtypes(),
    "with an index": lambda content: pd.read_csv(io.BytesIO(content), index_col="rank").reset_index(),
    "by pyarrow": lambda content: pd.read_csv(io.BytesIO(content), dtype_backend="pyarrow"),
    "from parquet": None,
}
WRITERS = {
    "csv": (".csv", to_csv(index=False)),
    "csv with an index": (".csv", to_csv()),
    "csv, all quoted": (".csv", to_csv(index=False, quoting=1)),
    "csv, NA": (".csv", to_csv(index=False, na_rep="NaN")),
    "csv, decimal comma": (".csv", to_csv(index=False, sep=";", decimal=",")),
    "csv in UTF-16": (".csv", lambda frame: frame.to_csv(index=False).encode("utf-16")),
    "parquet": (".parquet", to_parquet),
}
FLOATS = {"csv with three digits": (".csv", to_csv(index=False, float_format="%.3f"))}


def frame_of(reader, configs=CONFIGS):
    if READERS[reader] is None:
        return pd.read_parquet(io.BytesIO(written(".parquet", configs)))
    return READERS[reader](written(".csv", configs))


def renamed(frame):
    return frame.rename(columns={"config.mixing.alpha": "config.mixing.alfa"})


def emptied(frame):
    return frame.assign(**{"config.mixing.alpha": None})


def overwritten(frame):
    return frame.assign(**{"config.mixing.alpha": 0.9})


SETTING = "the column config.mixing.alpha is missing"
CHANGES = {
    "nothing": (lambda frame: frame, "equal"),
    "columns in another order": (lambda frame: frame[sorted(frame.columns)], "equal"),
    "columns backwards": (lambda frame: frame[frame.columns[::-1]], "equal"),
    "rows backwards": (lambda frame: frame.iloc[::-1], "equal"),
    "sorted by a setting": (lambda frame: frame.sort_values("config.seed"), "equal"),
    "a column more": (lambda frame: frame.assign(remark="good"), "equal"),
    "whole numbers as floats": (lambda frame: frame.assign(rank=frame["rank"].astype(float)), "equal"),
    "without metrics": (lambda frame: frame.drop(columns=["metrics.val_accuracy", "trial", "note"]), "equal"),
    "a setting dropped": (lambda frame: frame.drop(columns="config.mixing.alpha"), SETTING),
    "a setting renamed": (renamed, SETTING),
    "a setting emptied": (emptied, "config.mixing.alpha of rank 1 has nothing, but 0.4 was exported"),
    "a setting overwritten": (overwritten, "config.mixing.alpha of rank 1 has"),
    "all settings dropped": (lambda frame: frame[[n for n in frame if not n.startswith("config.")]], "is missing"),
    "the whole dropped": (lambda frame: frame.drop(columns="configuration"), "the column configuration is missing"),
    "only settings kept": (lambda frame: frame[[n for n in frame if n.startswith("config.")]], "is missing"),
    "the check dropped": (lambda frame: frame.drop(columns="check"), "the column check is missing"),
    "the format dropped": (lambda frame: frame.drop(columns="format"), "the column format is missing"),
    "another format": (lambda frame: frame.assign(format=2), "its format is 2"),
    "the rank dropped": (lambda frame: frame.drop(columns="rank"), "the column rank is missing"),
    "ranks exchanged": (lambda frame: frame.assign(rank=frame["rank"].to_list()[::-1]), "are not those that were"),
    "the first row removed": (lambda frame: frame.iloc[1:], "it holds the ranks 2, 3 of 1 to 3"),
    "the last row removed": (lambda frame: frame.iloc[:-1], "it holds the ranks 1, 2 of 1 to 3"),
    "a row doubled": (lambda frame: pd.concat([frame, frame.iloc[:1]]), "it holds the ranks 1, 1, 2, 3 of 1 to 3"),
    "no row left": (lambda frame: frame.iloc[:0], "it holds no configuration"),
    "a column doubled": (lambda frame: frame.assign(**{"config.seed.1": frame["config.seed"]}), "have no such key"),
    "a setting of its own": (lambda frame: frame.assign(**{"config.mixing.beta": 3}), "have no such key"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("writer", ["csv", "parquet"])
def test_tables(tmp_path, name, writer):
    change, expected = CHANGES[name]
    suffix, write = WRITERS[writer]
    content = write(change(frame_of("from parquet" if writer == "parquet" else "as texts")))
    assert expected in outcome(tmp_path, suffix, content)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_tables_through_pandas(tmp_path, reader, writer):
    suffix, write = WRITERS[writer]
    assert outcome(tmp_path, suffix, write(frame_of(reader))) == "equal"


@pytest.mark.parametrize("reader", READERS)
def test_numbers_that_were_rounded_are_refused(tmp_path, reader):
    suffix, write = FLOATS["csv with three digits"]
    frame = frame_of(reader)
    frame["config.mixing.alpha"] = pd.to_numeric(frame["config.mixing.alpha"], errors="coerce")
    words = outcome(tmp_path, suffix, write(frame))
    assert "was exported; put that back" in words


def test_two_columns_of_one_name_are_refused(tmp_path):
    lines = written(".csv").decode().splitlines()
    lines[0] = lines[0].replace("config.seed", "config.mixing.alpha")
    assert "it has 2 columns config.mixing.alpha" in outcome(tmp_path, ".csv", "\n".join(lines).encode())


def test_a_row_of_empty_cells_is_none(tmp_path):
    names = written(".csv").decode().splitlines()[0]
    assert outcome(tmp_path, ".csv", written(".csv") + b"," * names.count(",") + b"\n") == "equal"


def test_a_parquet_file_that_is_huge_in_memory_is_refused(tmp_path):
    frame = pd.DataFrame({"rank": range(200_000)})
    assert "200,000 rows" in outcome(tmp_path, ".parquet", to_parquet(frame))


# Documents


def dropped(document):
    del document["configurations"][0]["config"]["mixing"]["alpha"]


def nulled(document):
    document["configurations"][0]["config"]["mixing"]["alpha"] = None


def respelled(document):
    section = document["configurations"][0]["config"]["mixing"]
    section["alfa"] = section.pop("alpha")


def as_text(document):
    document["configurations"][0]["config"]["mixing"]["alpha"] = "0.4"


def as_whole_numbers(document):
    """What JavaScript makes of 1.0, in every place."""

    def whole(value):
        if isinstance(value, dict):
            return {key: whole(below) for key, below in value.items()}
        if isinstance(value, list):
            return [whole(below) for below in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    document["configurations"] = whole(document["configurations"])


DOCUMENTS = {
    "nothing": (lambda document: None, "equal"),
    "a remark more": (lambda document: document.update(remark="good"), "equal"),
    "without header": (lambda document: [document.pop(key) for key in HEADER], "equal"),
    "without its format": (lambda document: document.pop("format"), "equal"),
    "backwards": (lambda document: document["configurations"].reverse(), "equal"),
    "whole numbers": (as_whole_numbers, "equal"),
    "a setting dropped": (dropped, "the settings of rank 1 are not those that were exported"),
    "a setting emptied": (nulled, "the settings of rank 1 are not those that were exported"),
    "a setting renamed": (respelled, "the settings of rank 1 are not those that were exported"),
    "a number as text": (as_text, "the settings of rank 1 are not those that were exported"),
    "a section dropped": (lambda document: document["configurations"][0]["config"].pop("mixing"), "rank 1"),
    "a seed more": (lambda document: document["configurations"][2]["config"].update(seed=2**53), "rank 3"),
    "one removed": (lambda document: document["configurations"].pop(0), "it holds the ranks 2, 3 of 1 to 3"),
    "all removed": (lambda document: document["configurations"].clear(), "it holds no configuration"),
    "a check dropped": (lambda document: document["configurations"][0].pop("check"), "has lost its check"),
    "a rank dropped": (lambda document: document["configurations"][0].pop("rank"), "has lost its rank"),
    "later format": (lambda document: document.update(format=2), "its format is 2, but this version"),
    "by number": (
        lambda document: document.update(configurations=dict(enumerate(document["configurations"]))),
        "it holds no configuration",
    ),
}


def lists(value):
    return {str(key): lists(below) for key, below in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(
    "suffix, load, dump",
    [
        (".json", json.loads, lambda document: json.dumps(lists(document), ensure_ascii=False, sort_keys=True)),
        (".yaml", yaml.safe_load, lambda document: yaml.safe_dump(document, allow_unicode=True)),
        (".yaml", yaml.safe_load, lambda document: yaml.safe_dump(document, default_flow_style=True)),
    ],
    ids=["json", "yaml", "yaml in braces"],
)
def test_documents(tmp_path, name, suffix, load, dump):
    change, expected = DOCUMENTS[name]
    document = load(written(suffix).decode())
    change(document)
    content = dump(document).encode()
    try:
        assert expected in outcome(tmp_path, suffix, content)
    except AssertionError:
        # Keys in another order are equal settings, but another JSON text.
        found = [TrialConfig.parse(values) for values in read(tmp_path, suffix, content)]
        assert expected == "equal" and found == [TrialConfig.parse(config) for config in CONFIGS]


# Any configurations

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=8)
ANY = st.builds(
    lambda common, mixing: TrialConfig.from_dotted({**common, **mixing}).plain(),
    st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**63),
            "data.root": NAMES.map(lambda name: f"/data/{name}"),
            "data.mean": st.none() | st.lists(st.floats(0, 1), min_size=1, max_size=3),
            "data.augment.flip": st.booleans(),
            "data.train_limit": st.none() | st.integers(1, 10**6),
            "optimizer.lr": st.floats(1e-12, 10) | st.integers(1, 3),
            "optimizer.weight_decay": st.sampled_from([0, 1e-5, 5e-324, 1e17]),
            "training.channels_last": st.booleans(),
        }
    ),
    st.just({"mixing.name": "erm"})
    | (st.floats(0.001, 100) | st.sampled_from([0, 1])).map(lambda a: {"mixing.name": "mixup", "mixing.alpha": a}),
)


@given(
    configs=st.lists(ANY, min_size=1, max_size=3),
    reader=st.sampled_from(sorted(READERS)),
    writer=st.sampled_from(sorted({**WRITERS, **FLOATS})),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_any_configurations_come_back_equal_or_are_refused(tmp_path_factory, configs, reader, writer, data):
    folder = tmp_path_factory.getbasetemp()
    try:
        frame = frame_of(reader, configs)
    except ValueError:  # pandas can't read it either
        return
    columns = data.draw(st.permutations(list(frame.columns)))
    gone = data.draw(st.lists(st.sampled_from(columns), max_size=1))
    emptied = data.draw(st.lists(st.sampled_from(columns), max_size=1))
    rows = data.draw(st.permutations(range(len(frame))))
    kept = rows[: data.draw(st.integers(max(0, len(rows) - 1), len(rows)))]
    frame = frame[[name for name in columns if name not in gone]].iloc[kept]
    frame = frame.assign(**{name: None for name in emptied if name in frame})
    suffix, write = {**WRITERS, **FLOATS}[writer]
    outcome(folder, suffix, write(frame), configs)  # fails where they come back as something else


@pytest.mark.parametrize("reader", sorted(READERS))
@given(configs=st.lists(ANY, min_size=1, max_size=2))
@settings(deadline=None, max_examples=10)
def test_any_configurations_survive_pandas(tmp_path_factory, reader, configs):
    plain = [{**one, "data": {**one["data"], "root": "/data"}} for one in configs]  # pandas takes "NA" for nothing
    for writer in ("csv", "parquet"):
        suffix, write = WRITERS[writer]
        assert outcome(tmp_path_factory.getbasetemp(), suffix, write(frame_of(reader, plain)), plain) == "equal"


# Files of the first format, which had no seals

OLD = (
    "rank,trial,epoch,metrics.val_accuracy,config.mixing.name,config.mixing.alpha,config.data.mean,sweep,metric,"
    "direction,rule,note,versions\n"
    '1,2,2,0.75,mixup,0.5,null,gm,val_accuracy,maximize,r,n,"{""python"": ""3""}"\n'
    '2,0,2,0.5,erm,,[0.5],gm,val_accuracy,maximize,r,n,"{""python"": ""3""}"\n'
)


def test_a_table_of_the_first_format_is_read(tmp_path):
    expected = [
        {"mixing": {"name": "mixup", "alpha": 0.5}, "data": {"mean": None}},
        {"mixing": {"name": "erm"}, "data": {"mean": [0.5]}},
    ]
    assert read(tmp_path, ".csv", OLD.encode()) == expected
    frame = pd.read_csv(io.StringIO(OLD), dtype=str, keep_default_na=False).replace("", None)
    assert read(tmp_path, ".parquet", to_parquet(frame)) == expected
    frame["config.mixing.alpha"] = frame["config.mixing.alpha"].astype(float)  # no quiet default
    assert read(tmp_path, ".parquet", to_parquet(frame)) == expected
    frame["config.mixing.alpha"] = None
    with pytest.raises(ValueError, match=r"the column config\.mixing\.alpha has been emptied"):
        read(tmp_path, ".parquet", to_parquet(frame))


def test_a_document_of_the_first_format_is_read(tmp_path):
    old = {**HEADER, "configurations": [{"rank": 1, "trial": 3, "config": {"mixing": {"name": "erm"}}}]}
    assert read(tmp_path, ".json", json.dumps(old).encode()) == [{"mixing": {"name": "erm"}}]
    assert read(tmp_path, ".yaml", yaml.safe_dump(old).encode()) == [{"mixing": {"name": "erm"}}]
