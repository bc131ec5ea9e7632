"""Collected data as the file would hold it, without a spool or a thread."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import typing

import pytest

from modeldata.encoding import csvtext
from modeldata.process import pipeline, running
from modeldata.requests import context
from modeldata.spool import records, segments
from modeldata.tables import pieces, rows

Table = typing.Callable[..., list[list[str]]]
Spooled = typing.Callable[[], list[records.Record]]


def as_csv(tables: list[pieces.Table], *, request: str = "r", batch: bool = False) -> bytes:
    """Return the text of a file with these tables."""
    content, first = b"", 0
    for table in tables:
        stream = records.Stream("m", "inputs", names=table.names)
        first_row = first if batch else records.SINGLE
        out = csvtext.to_csv(records.Record(stream, 0, request, "", first_row, table))
        first += table.rows
        lines = out.text
        content += lines if content else out.header + lines
    return content


@pytest.fixture
def table() -> Table:
    """What a reader sees of collected data: the header's features, then the rows' cells."""

    def read(data: object, names: tuple[str, ...] = (), input_rows: int = 0) -> list[list[str]]:
        content = as_csv(rows.take(data, names=names, input_rows=input_rows))
        return [line[3:] for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)]

    return read


@pytest.fixture
def collected(tmp_path: pathlib.Path) -> typing.Callable[..., pipeline.Pipeline]:
    """A pipeline that collects and does not ship, made with these settings."""

    def make(**changes: object) -> pipeline.Pipeline:
        (tmp_path / "settings").mkdir()
        document = {"version": 1, "enabled": True, "storage": {"endpoint": "http://127.0.0.1:1/x"}, **changes}
        (tmp_path / "settings/settings.json").write_text(json.dumps(document))
        made = pipeline.Pipeline(tmp_path)
        made.shipper.running = True
        return made

    return make


def one_by_one(found: typing.Iterable[tuple[records.Record | records.Run | None, int]]) -> list[records.Record | None]:
    """Return all that was read, each record by itself."""
    lists = [each.records() if isinstance(each, records.Run) else [each] for each, _ in found]
    return [each for one in lists for each in one]


@pytest.fixture
def collecting(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> typing.Callable[..., Spooled]:
    """Collectors collect under these settings; the result returns what is in the spool."""

    def make(**changes: object) -> Spooled:
        monkeypatch.setattr(running, "mine", collected(**changes))
        context.leave()

        def spooled() -> list[records.Record]:
            paths = sorted((tmp_path / "spool").glob("*/*.seg"))
            found = [each for path in paths for each in one_by_one(segments.Segment("s", path).read(0))]
            assert None not in found
            return typing.cast("list[records.Record]", found)

        return spooled

    return make
