import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_mixup.record.lines import open_text, opened, seal, seal_text
from tune_mixup.record.rows import append_row, end_last_row, read_rows, write_rows

VALUES = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(), min_size=1)


def test_a_line_is_json_and_ends_with_the_crc_of_what_is_before():
    line, crc = seal({"epoch": 3})
    content = b'{"epoch":3}'
    assert json.loads(line) == {"epoch": 3, "crc": f"{zlib.crc32(content + bytes([10])):08x}"}
    chained, after = seal({"a": 1}, before=crc)
    own, chain = zlib.crc32(b'{"a":1}\n'), zlib.crc32(content + b'\n{"a":1}\n')
    assert json.loads(chained)["crc"] == f"{own:08x}{chain:08x}" and after == chain


@given(VALUES.filter(lambda values: "crc" not in values), st.integers(0, 2**32 - 1))
def test_what_was_sealed_is_opened(values, before):
    line, crc = seal(values, before=before)
    found = opened(line[:-1], before=before)
    assert (found.values, found.sealed, found.follows, found.crc) == (values, True, True, crc)
    other = opened(line[:-1], before=before ^ 1)
    assert other.values == values and not other.follows


@given(st.data(), VALUES)
def test_a_flipped_bit_never_gives_another_value(data, values):
    line, _ = seal(values)
    bit = data.draw(st.integers(0, 8 * len(line[:-1]) - 1))
    changed = bytearray(line[:-1])
    changed[bit // 8] ^= 1 << bit % 8
    found = opened(bytes(changed)).values
    assert found is None or {key: found[key] for key in values} == values  # it hit the name of the checksum


@pytest.mark.parametrize("line", [b"null", b"3", b"NaN", b"[1]", b'"text"', b"", bytes(40), b"[" * 100_000])
def test_what_is_no_object_costs_its_line_and_no_other(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    append_row(path, {"epoch": 1})
    with open(path, "ab") as file:
        file.write(line + b"\n")
    append_row(path, {"epoch": 2})
    append_row(path, {"epoch": True})
    append_row(path, {"other": 1})
    assert read_rows(path, numbers=("epoch",)) == [{"epoch": 1}, {"epoch": 2}]


def test_a_torn_row_costs_itself(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_rows(path, numbers=()) == []
    end_last_row(path)
    write_rows(path, [{"epoch": 1}, {"epoch": 2}])
    path.write_bytes(path.read_bytes()[:-5])
    assert read_rows(path, numbers=("epoch",)) == [{"epoch": 1}]
    end_last_row(path)
    append_row(path, {"epoch": 3})
    assert read_rows(path, numbers=("epoch",)) == [{"epoch": 1}, {"epoch": 3}]


def test_rows_of_before_have_no_checksum_and_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"epoch": 1, "val_accuracy": 0.5}\n')
    assert read_rows(path, numbers=("epoch",)) == [{"epoch": 1, "val_accuracy": 0.5}]


def test_a_text_says_when_it_was_changed():
    content = seal_text("seed: 3\nname: x\n")
    assert content.startswith(b"seed: 3\nname: x\n# crc ")
    assert open_text(content) == ("seed: 3\nname: x\n", True)
    assert open_text(b"seed: 3\n") == ("seed: 3\n", False)  # of before
    with pytest.raises(ValueError, match="changed since it was written"):
        open_text(content.replace(b"3", b"4", 1))
