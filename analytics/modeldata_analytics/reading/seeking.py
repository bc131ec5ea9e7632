"""The rows of one request: of closed parts only the groups of rows that may have it are read."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing
import uuid

from .. import columns
from ..engines import dialect
from ..storage import Blobs, ranges
from . import coverage

if typing.TYPE_CHECKING:
    import datetime

    import pyarrow
    from pyarrow import parquet

_AGAIN = re.compile(r"(\.(attempt)?[0-9]+)*(-[0-9]+)?")


@dataclasses.dataclass(frozen=True)
class Request:
    """A request, by its id: all its rows (``<id>-<row>``), and those of its further tries and parts (``<id>.<n>``)."""

    id: str

    @property
    def condition(self) -> str:
        """Whether a row is one of it, as SQL of the columns that ``sources.standard`` gives."""
        rest = f"substr(c2, {len(self.id) + 1})"
        return (
            f"starts_with(c2, {dialect.literal(self.id)})"
            f" and regexp_full_match({rest}, {dialect.literal(_AGAIN.pattern)})"
        )

    def has(self, request: str) -> bool:
        """Return whether a row with this id is one of it."""
        return request.startswith(self.id) and _AGAIN.fullmatch(request, len(self.id)) is not None

    def may_be_between(self, least: str, most: str) -> bool:
        """Return whether there may be some among sorted ids: ``-`` and ``.`` come before ``/``."""
        return least < f"{self.id}/" and most >= self.id

    @property
    def time(self) -> datetime.datetime | None:
        """When its id was made, if it tells: ours do, UUIDs of version 7."""
        try:
            found = uuid.UUID(self.id)
        except ValueError:
            return None
        if found.version != 7:
            return None
        import datetime

        return datetime.datetime.fromtimestamp((found.int >> 80) / 1000, datetime.UTC)


def seek(store: Blobs, found: coverage.Part, request: Request, path: pathlib.Path) -> int:
    """Write the rows of a request that a closed part has as a part of its own; return how many there are."""
    import pyarrow
    from pyarrow import parquet

    local = store.local(found.name)
    with parquet.ParquetFile(
        pyarrow.PythonFile(ranges.Ranges(store, found.name, found.size), "r") if local is None else local,
        pre_buffer=True,
    ) as file:
        keys = [name for name in columns.KEYS if name in file.schema_arrow.names]
        groups = [
            group for group in range(file.num_row_groups) if _may_have(file.metadata.row_group(group), keys, request)
        ]
        hits = file.schema_arrow.empty_table()
        if groups:
            hits = _of(file, groups, keys, request)
    parquet.write_table(hits, path)
    return int(hits.num_rows)


def _of(file: parquet.ParquetFile, groups: list[int], keys: list[str], request: Request) -> pyarrow.Table:
    """Return the rows; the ids alone are read first."""
    import pyarrow

    tables = []
    for group in groups:
        ids = file.read_row_group(group, columns=keys)
        places = {
            place
            for key in keys
            for place in _starting(ids.column(key), request.id)
            if request.has(ids.column(key)[place].as_py())
        }
        if places:
            tables.append(file.read_row_group(group).take(sorted(places)))
    return pyarrow.concat_tables(tables) if tables else file.schema_arrow.empty_table()


def _starting(ids: pyarrow.ChunkedArray, prefix: str) -> list[int]:
    from pyarrow import compute

    found = compute.fill_null(compute.starts_with(ids, pattern=prefix), False)
    return [int(each) for each in compute.indices_nonzero(found).to_pylist()]


def _may_have(group: parquet.RowGroupMetaData, keys: typing.Sequence[str], request: Request) -> bool:
    for place in range(group.num_columns):
        column = group.column(place)
        if column.path_in_schema not in keys:
            continue
        told = column.statistics
        if told is None or not told.has_min_max:
            if told is None or told.null_count != group.num_rows:
                return True
        elif request.may_be_between(str(told.min), str(told.max)):
            return True
    return False
