"""Collected data as the file would hold it, without a spool or a thread."""

from __future__ import annotations

import csv
import io
import typing

import pytest

from modeldata import rows, spool, text

Table = typing.Callable[..., list[list[str]]]


def as_csv(tables: list[rows.Table], *, request: str = "r", batch: bool = False) -> bytes:
    """Return the text of a file with these tables."""
    content, first = b"", 0
    for table in tables:
        stream = spool.Stream("m", "inputs", names=table.names)
        out = text.to_csv(spool.Record(stream, 0, request, request, first, batch, table))
        first += table.rows
        content += b"".join(out.rows) if content else out.header + b"".join(out.rows)
    return content


@pytest.fixture
def table() -> Table:
    """What a reader sees of collected data: the header's features, then the rows' cells."""

    def read(data: object, names: tuple[str, ...] = (), input_rows: int = 0) -> list[list[str]]:
        content = as_csv(rows.take(data, names=names, input_rows=input_rows))
        return [line[3:] for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)]

    return read
