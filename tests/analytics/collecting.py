"""Files as clients write them: through the client's own encoder, into a directory or a container."""

from __future__ import annotations

import datetime
import hashlib
import pathlib
import typing

from azure.storage.blob import ContainerClient

from modeldata import settings
from modeldata.delivery import building
from modeldata.spool import records
from modeldata.tables import rows
from modeldata_analytics.days import template

NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
ORIGIN = settings.Origin("sub", "rg", "models", "churn", "10")


class Collected:
    """What was collected."""

    def __init__(
        self,
        append: typing.Callable[[str, bytes], None],
        *,
        path: str = template.DEFAULT,
        columns: settings.Columns = settings.Columns.LEADING,
        origin: settings.Origin = ORIGIN,
        file: str = "data",
    ) -> None:
        storage = settings.Storage("http://127.0.0.1", "modeldata", path)
        self._settings = settings.Settings(enabled=True, storage=storage, origin=origin, columns=columns)
        self._append = append
        self._file = file
        self._builder = building.Builder(self._settings)
        self._headers: dict[str, bytes] = {}

    def collect(
        self,
        data: typing.Any,
        names: typing.Sequence[str] = (),
        *,
        designation: str = "inputs",
        model: str = "churn",
        request: str = "r",
        at: datetime.datetime = NOON,
        single: bool = False,
        **stream: str,
    ) -> None:
        """Write rows as one call of ``collect`` does; ``single``: the request's id has no number of a row."""
        microseconds = int(at.timestamp() * 1_000_000)
        lines, first = b"", -1 if single else 0
        for table in rows.take(data, names=tuple(names), input_rows=0):
            of = records.Stream(model, designation, names=table.names, **stream)
            lines += of.to_line() + records.Record(of, microseconds, request, "", first, table).to_line()
            first += table.rows
        before = len(self._builder._closed)
        for found, _ in records.Reader().read(lines):
            self._builder.add(found)
        for block in self._builder.blocks()[before:]:
            name = self._name(block.path, block.header)
            if name not in self._headers:
                self._headers[name] = block.header
                self._append(name, block.header)
            self._append(name, block.data)

    def _name(self, path: str, header: bytes) -> str:
        name = path.replace("{file}", f"{self._file}.csv")
        if self._headers.get(name, header) != header:
            name = path.replace("{file}", f"{self._file}.{hashlib.sha256(header).hexdigest()[:8]}.csv")
        return name


def into_directory(root: pathlib.Path) -> typing.Callable[[str, bytes], None]:
    """Return what appends to files of a directory."""

    def append(name: str, content: bytes) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    return append


def into_container(container: ContainerClient) -> typing.Callable[[str, bytes], None]:
    """Return what appends to append blobs."""

    def append(name: str, content: bytes) -> None:
        blob = container.get_blob_client(name)
        if not blob.exists():
            blob.create_append_blob()
        blob.append_block(content)

    return append
