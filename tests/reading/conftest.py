"""Collected data as a file: encoded, decoded and put into blocks as the client does, without a disk or storage."""

from __future__ import annotations

import itertools
import pathlib
import typing

import pytest

from modeldata import settings
from modeldata.delivery import building
from modeldata.spool import records
from modeldata.tables import rows

Write = typing.Callable[..., pathlib.Path]

SETTINGS = settings.Settings(enabled=True, storage=settings.Storage("http://127.0.0.1", "modeldata", "{file}"))


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return the file that holds the data when it has been collected."""
    directory = tmp_path_factory.mktemp("files")
    numbers = itertools.count()

    def collected(data: typing.Any, names: typing.Sequence[str] = (), *, request: str = "r") -> pathlib.Path:
        builder = building.Builder(SETTINGS)
        for found, _ in records.Reader().read(_lines(data, tuple(names), request)):
            builder.add(found)
        (block,) = builder.blocks()
        assert not builder.drops
        path = directory / f"{next(numbers)}.csv"
        path.write_bytes(block.header + block.data)
        return path

    return collected


def _lines(data: typing.Any, names: tuple[str, ...], request: str) -> bytes:
    stream = records.Stream("m", "inputs", names=names)
    if isinstance(data, list) and data and isinstance(data[0], list):  # as collect() does with lists of lists
        line = records.plain([stream.number, 0, request, "", 0, len(data), data])
        if line is not None:
            return stream.to_line() + line
    content, first = b"", 0
    for table in rows.take(data, names=names, input_rows=0):
        stream = records.Stream("m", "inputs", names=table.names)
        content += stream.to_line() + records.Record(stream, 0, request, "", first, table).to_line()
        first += table.rows
    return content
