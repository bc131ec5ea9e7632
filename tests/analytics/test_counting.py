"""Records are counted right, however the bytes come in."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from modeldata_analytics.records import header, scanner

CELLS = some.text(some.sampled_from('a",\r\n\0é'), max_size=5)


def written(rows: list[list[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return file.getvalue().encode()


@given(some.lists(some.lists(CELLS, min_size=1, max_size=3), max_size=8), some.integers(1, 7))
def test_in_pieces_of_any_length(rows: list[list[str]], length: int) -> None:
    content = written(rows)
    found = scanner.Scanner()
    for start in range(0, len(content), length):
        found.feed(content[start : start + length])
    assert (found.records, found.end, found.whole) == (len(rows), len(content), True)


@given(some.lists(some.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=5), some.integers(1, 9))
def test_a_torn_end_is_no_record(rows: list[list[str]], torn: int) -> None:
    whole, last = written(rows[:-1]), written(rows[-1:])
    content = whole + last[: max(len(last) - torn, 0)]
    found = scanner.Scanner()
    found.feed(content)
    assert (found.records, found.end) == (len(rows) - 1, len(whole))
    assert scanner.end_of(content, len(rows)) is None


@given(some.lists(some.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=8))
def test_the_end_of_each_record(rows: list[list[str]]) -> None:
    content = written(rows)
    for number in range(1, len(rows) + 1):
        assert scanner.end_of(content, number) == len(written(rows[:number]))


@given(some.lists(CELLS, min_size=1, max_size=4))
def test_a_header_is_read_as_it_was_written(names: list[str]) -> None:
    line = header.line(names)
    assert header.names(line) == tuple(names)
    assert next(csv.reader(io.StringIO(line, newline=""), strict=True)) == names


def test_a_name_may_be_as_long_as_a_row() -> None:
    names = ["a" * 1_000_000, '"' * 200_000]
    assert header.names(header.line(names)) == tuple(names)


@pytest.mark.parametrize("line", ['"a', '"a"b', '"a""', "a\rb", "a\n", 'a,"b\r\n'])
def test_what_is_no_line_is_no_header(line: str) -> None:
    with pytest.raises(ValueError, match="no line"):
        header.names(line)
