"""Collected data as the file would hold it, without a spool or a thread."""

from __future__ import annotations

import csv
import io
import typing

import pytest

from modeldata import record, rows, text

Table = typing.Callable[..., list[list[str]]]


def as_csv(tables: list[rows.Table], *, request: str = "r", batch: bool = False) -> bytes:
    """Return the text of a file with these tables."""
    content, first = b"", 0
    for table in tables:
        stream = record.Stream("m", "inputs", names=table.names)
        first_row = first if batch else record.SINGLE
        out = text.to_csv(record.Record(stream, 0, request, "", first_row, table))
        first += table.rows
        lines = "".join(out.rows).encode()
        content += lines if content else out.header + lines
    return content


@pytest.fixture
def table() -> Table:
    """What a reader sees of collected data: the header's features, then the rows' cells."""

    def read(data: object, names: tuple[str, ...] = (), input_rows: int = 0) -> list[list[str]]:
        content = as_csv(rows.take(data, names=names, input_rows=input_rows))
        return [line[3:] for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)]

    return read
