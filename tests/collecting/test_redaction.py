"""What must not be written is not, whatever the data looks like."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import pathlib
import typing

import numpy
import pandas
import pytest

from modeldata import settings
from modeldata.delivery import building
from modeldata.encoding import csvtext, layout, redaction
from modeldata.spool import records
from modeldata.tables import rows

KEY = b"a key"
DROP, HASH = settings.Action.DROP, settings.Action.HASH


def read(data: typing.Any, *redactions: settings.Redaction, key: bytes = KEY) -> list[list[str]]:
    content = ""
    for table in rows.take(data, names=("ssn", "age", "email"), input_rows=0):
        of = records.Record(records.Stream("m", "inputs", table.names), 0, "r", "", 0, table)
        out = csvtext.to_csv(of, layout.Layout(redactions, key))
        content += (out.text if content else out.header + out.text).decode()
    return [line[3:] for line in csv.reader(io.StringIO(content, newline=""), strict=True)]


def hashed(value: str) -> str:
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]


NUMBERS = [[1, 2.5, 3], [4, None, 6]]
MIXED = [["1-2", 2.5, "a,b@c"], ["3", True, None]]


@pytest.mark.parametrize(
    "data",
    [MIXED, NUMBERS, numpy.array(NUMBERS, float), pandas.DataFrame(MIXED, columns=["ssn", "age", "email"])],
    ids=["mixed", "numbers", "array", "frame"],
)
def test_a_dropped_feature_has_no_column(data: typing.Any) -> None:
    plain = read(data)
    assert plain[0] == ["ssn", "age", "email"]
    assert read(data, settings.Redaction("ssn", DROP)) == [line[1:] for line in plain]
    every = [settings.Redaction(name, DROP) for name in plain[0]]
    assert read(data, *every) == [[] for _ in plain]


@pytest.mark.parametrize("data", [MIXED, NUMBERS, numpy.array(NUMBERS, float)], ids=["mixed", "numbers", "array"])
def test_a_hashed_feature_keeps_what_is_equal_and_what_is_empty(data: typing.Any) -> None:
    plain, out = read(data), read(data, settings.Redaction("email", HASH), settings.Redaction("ssn", HASH))
    assert out[0] == plain[0]
    for before, after in zip(plain[1:], out[1:], strict=True):
        assert after[0] == hashed(before[0])
        assert after[1] == before[1]
        assert after[2] == (hashed(before[2]) if before[2] else "")


def test_a_text_and_a_number_that_read_alike_hash_alike() -> None:
    out = read([["12", 0, 0], [12, 0, 0]], settings.Redaction("ssn", HASH))
    assert out[1][0] == out[2][0] == hashed("12")


def test_columns_without_a_name_of_their_own_are_redacted_by_the_name_in_the_header() -> None:
    assert read([[1, 2, 3, 4, 5]], settings.Redaction("feature_3", DROP)) == [
        ["ssn", "age", "email", "feature_4"],
        ["1", "2", "3", "5"],
    ]


def test_all_columns_of_a_name_are_redacted() -> None:
    frame = pandas.DataFrame([[1, 2, 3]], columns=["ssn", "a", "ssn"])
    assert read(frame, settings.Redaction("ssn", DROP)) == [["a"], ["2"]]


def test_shorter_rows_keep_their_place() -> None:
    assert read([["x", 2, 3], ["y"]], settings.Redaction("age", DROP)) == [["ssn", "email"], ["x", "3"], ["y", ""]]


def test_drop_goes_before_hash() -> None:
    both = [settings.Redaction("ssn", HASH), settings.Redaction("ssn", DROP)]
    assert read([[1, 2, 3]], *both) == [["age", "email"], ["2", "3"]]


def test_without_a_key_nothing_that_must_be_hashed_is_written() -> None:
    with pytest.raises(redaction.KeyMissing):
        read(NUMBERS, settings.Redaction("ssn", HASH), key=b"")
    assert read(NUMBERS, settings.Redaction("other", HASH), key=b"") == read(NUMBERS)


def blocks(redactions: tuple[settings.Redaction, ...], then: tuple[settings.Redaction, ...]) -> bytes:
    """Return the file of a row collected under some redactions and sent under others."""
    now = settings.Settings(enabled=True, storage=settings.Storage("http://x", "c", "{file}"), redactions=then)
    builder = building.Builder(now, key=KEY)
    (table,) = rows.take([["secret", 1]], names=("ssn", "age"), input_rows=0)
    stream = records.Stream("m", "inputs", ("ssn", "age"), redactions=redactions)
    (found, _), *_ = records.Reader().read(stream.to_line() + records.Record(stream, 0, "r", "", -1, table).to_line())
    builder.add(found)
    (block,) = builder.blocks()
    return block.header + block.data


@pytest.mark.parametrize("action", [DROP, HASH])
def test_neither_a_redaction_lifted_nor_one_ordered_while_rows_wait_shows_them(action: settings.Action) -> None:
    demand = (settings.Redaction("ssn", action),)
    assert blocks(demand, ()) == blocks((), demand) == blocks(demand, demand)
    assert b"secret" not in blocks(demand, ())
    assert b"secret" in blocks((), ())


def test_the_key_is_read_from_beside_the_credential(tmp_path: pathlib.Path) -> None:
    assert redaction.read_key(tmp_path / "hash-key") == b""
    (tmp_path / "hash-key").write_bytes(b"k\n")
    assert redaction.read_key(tmp_path / "hash-key") == b"k"
