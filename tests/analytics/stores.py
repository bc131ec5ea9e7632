"""Stores with raw files in them, and what is closed of them."""

from __future__ import annotations

import datetime
import io
import json
import pathlib
import typing
import uuid

import pyarrow.parquet
from azure.storage.blob import ContainerClient

from modeldata_analytics import catalog, closing
from modeldata_analytics.closing import Outcome, delta, plan
from modeldata_analytics.days import template
from modeldata_analytics.engines import duck
from modeldata_analytics.storage import Blobs

from ..conftest import Azurite

PATH = template.Template("{designation}/{year}/{month}/{day}/{file}")
FOLDER = "inputs/2025/11/28"
LEADING = ("$Timestamp", "$CorrelationId", "$RequestId")
NOW = datetime.datetime(2025, 11, 29, 6, tzinfo=datetime.UTC)
"""When that day is due."""

Row = tuple[str | None, ...]


def written(rows: typing.Iterable[typing.Sequence[str | None]]) -> bytes:
    """Return rows as the client writes them."""

    def cell(text: str | None) -> str:
        if text is None or (text and not set(text) & set(',"\r\n')):
            return text or ""
        return '"' + text.replace('"', '""') + '"'

    return "".join(",".join(map(cell, row)) + "\r\n" for row in rows).encode()


def row(number: int, *features: str | None) -> Row:
    """Return a row of a request."""
    return f"2025-11-28T00:00:00.{number:06}Z", f"r{number}", f"r{number}", *features


def parsed(content: bytes) -> tuple[Row, list[Row]]:
    """Return header and rows, with nothing and an empty text told apart."""
    header, *rows = records(content)
    return header, rows


def records(content: bytes) -> list[Row]:
    """Return all lines."""
    return [tuple(record) for record in _records(content.decode())]


def _records(text: str) -> typing.Iterator[list[str | None]]:
    place, cells = 0, list[str | None]()
    while place < len(text):
        if text[place] == '"':
            end = place + 1
            while text[end] != '"' or text[end : end + 2] == '""':
                end += 2 if text[end] == '"' else 1
            cell: str | None = text[place + 1 : end].replace('""', '"')
            place = end + 1
        else:
            end = min(found for found in (text.find(",", place), text.find("\r\n", place)) if found >= 0)
            cell, place = text[place:end] or None, end
        cells.append(cell)
        if text[place] == ",":
            place += 1
            continue
        assert text[place : place + 2] == "\r\n"
        place += 2
        yield cells
        cells = []


class Filled:
    """A store that raw files can be written to, as clients do."""

    def __init__(
        self, store: Blobs, container: ContainerClient | None = None, root: pathlib.Path | None = None
    ) -> None:
        self.store = store
        self._container = container
        self._root = root

    def append(self, name: str, content: bytes, folder: str = FOLDER) -> None:
        """Append to a raw file, which is made if it is not there."""
        if self._container is not None:
            blob = self._container.get_blob_client(f"{folder}/{name}")
            if not blob.exists():
                blob.create_append_blob()
            if content:
                blob.append_block(content)
            return
        assert self._root is not None
        path = self._root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, whatever is there."""
        found = self.store.get(name)
        self.store.put(name, content, replaces=found.etag if found else None, metadata={})

    def get(self, name: str) -> bytes:
        found = self.store.get(name)
        assert found is not None, name
        return found.data

    def manifest(self, folder: str = FOLDER) -> dict[str, typing.Any]:
        return dict(json.loads(self.get(f"{folder}/_closed.json")))

    def closed(self, folder: str = FOLDER) -> tuple[Row, list[Row]]:
        """Return header and rows of the closed file."""
        return parsed(self.get(f"closed/{folder}/data.csv"))

    def parts(self, folder: str = FOLDER) -> list[pyarrow.Table]:
        """Return the typed parts that the manifest names."""
        designation, year, month, date = folder.split("/")
        place = f"tables/{designation}/version=default/day={year}-{month}-{date}"
        return [self.part(f"{place}/{part['name']}") for part in self.manifest(folder)["parts"]]

    def part(self, name: str) -> pyarrow.Table:
        """Return a typed part."""
        return pyarrow.parquet.ParquetFile(io.BytesIO(self.get(name))).read()

    def names(self) -> list[str]:
        """Return all files."""

        def below(prefix: str) -> typing.Iterator[str]:
            for file in self.store.files(prefix):
                yield file.name
            for folder in self.store.folders(prefix):
                yield from below(f"{prefix}{folder}/")

        return sorted(below(""))


class Quiet:
    """Watches, and says nothing."""

    def begun(self, day: template.Day) -> None: ...
    def step(self, name: str) -> None: ...
    def arrived(self, count: int) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


def close(
    store: Blobs,
    scratch: pathlib.Path,
    *,
    now: datetime.datetime = NOW,
    path: template.Template = PATH,
    with_delta: bool = False,
    **wish: typing.Any,
) -> list[Outcome]:
    """Close what is due, and return what became of each day."""
    engine = duck.DuckDB(memory="500MB", threads=1, scratch=scratch)
    watch = Quiet()
    log = delta.Delta(store) if with_delta else None
    tools = closing.Tools(store, engine, log, watch.step, watch.arrived)
    closer = closing.Closer(plan.Wish(delta=with_delta, **wish), tools, scratch, watch)
    return list(closer.close(catalog.find(store, path, template.Wanted()), now))


def container(azurite: Azurite) -> ContainerClient:
    """Make a container."""
    made = ContainerClient(azurite.endpoint, f"test-{uuid.uuid4().hex[:12]}", credential=azurite.account_key)
    made.create_container()
    return made
