"""The Delta log of a table: typed parts are registered in it where they lie, and nothing is copied.

Each day is an application of its own in the log, and the pass its version: so a part is registered once, whoever does
it and how often. A table has one type for each column.
"""

from __future__ import annotations

import collections.abc
import contextlib
import json
import time
import typing

from .. import columns
from ..days import manifest, template
from ..storage import Blobs, Location
from . import parts
from .plan import DayError

if typing.TYPE_CHECKING:
    import deltalake
    from deltalake.schema import Field

PARTITIONS = ("version", "day")
_TYPES = {
    "BOOLEAN": "boolean",
    "BIGINT": "long",
    "DOUBLE": "double",
    "DATE": "date",
    "TIMESTAMP": "timestamp_ntz",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    columns.TEXT: "string",
}
_OURS = {theirs: ours for ours, theirs in _TYPES.items()}
_TRIES = 5
"""Others may add days or columns at the same moment."""


class Stored(typing.NamedTuple):
    """A part that is there."""

    part: manifest.Part
    size: int


class Delta:
    """The Delta logs of a store's tables. All methods raise ``DayError`` where a log can't be read or written."""

    def __init__(self, store: Blobs) -> None:
        self._store = store
        self._opened: dict[str, deltalake.DeltaTable | None] = {}
        """Tables as they were when one of their days was looked at first: the log of many days is read once."""

    def types(self, table: str) -> dict[str, str]:
        """Return the types of a table's columns, by their names in it; none where there is no log yet."""
        with _told(table):
            opened = _open(self._store.table(_root(table)))
            return {} if opened is None else _types(opened)

    def is_registered(self, day: template.Day, number: int) -> bool:
        """Return whether parts up to this pass are in the log."""
        table = day.stream.table
        with _told(table):
            if table not in self._opened:
                self._opened[table] = _open(self._store.table(_root(table)))
            opened = self._opened[table]
            return opened is not None and _registered(opened, day) >= number

    def register(
        self,
        day: template.Day,
        named: typing.Sequence[manifest.Column],
        stored: typing.Sequence[Stored],
        number: int,
    ) -> None:
        """Register the parts of a day up to a pass, those that are not yet."""
        place = self._store.table(_root(day.stream.table))
        wanted = [(each.name, each.type) for each in parts.typed(named, ())] + [(columns.RESCUED, columns.TEXT)]
        with _told(day.stream.table):
            for left in reversed(range(_TRIES)):
                opened = _open(place) or _create(place, wanted)
                done = _registered(opened, day)
                if done >= number:
                    return
                _fit(opened, wanted, day)
                with _again(left):
                    if _add_columns(opened, wanted):
                        opened.update_incremental()
                    _commit(opened, day, [each for each in stored if _number(each.part) > done], number)
                    return


def _root(table: str) -> str:
    return f"tables/{table}"


def _number(part: manifest.Part) -> int:
    return int(part.name.removeprefix("part-").removesuffix(".parquet"))


@contextlib.contextmanager
def _told(table: str) -> collections.abc.Iterator[None]:
    from deltalake import exceptions

    try:
        yield
    except (exceptions.DeltaError, OSError) as error:
        # Messages of others may hold a whole request, with the SAS in it.
        raise DayError("Delta", f"the Delta log of tables/{table} can't be used: {type(error).__name__}") from None


@contextlib.contextmanager
def _again(left: int) -> collections.abc.Iterator[None]:
    """Let a commit fail that another one came before, while there are tries left."""
    from deltalake import exceptions

    try:
        yield
    except exceptions.CommitFailedError:
        if not left:
            raise


def _open(place: Location) -> deltalake.DeltaTable | None:
    import deltalake
    from deltalake import exceptions

    try:
        return deltalake.DeltaTable(place.uri, storage_options=dict(place.options))
    except exceptions.TableNotFoundError:
        return None


def _create(place: Location, wanted: typing.Sequence[tuple[str, str]]) -> deltalake.DeltaTable:
    import deltalake
    from deltalake.schema import Field, PrimitiveType

    fields = [*_fields(wanted), Field("version", PrimitiveType("string")), Field("day", PrimitiveType("date"))]
    return deltalake.DeltaTable.create(
        place.uri,
        deltalake.Schema(fields),
        mode="ignore",
        partition_by=list(PARTITIONS),
        storage_options=dict(place.options),
    )


def _fields(wanted: typing.Iterable[tuple[str, str]]) -> list[Field]:
    from deltalake.schema import Field, PrimitiveType

    return [Field(name, PrimitiveType(_TYPES[kind])) for name, kind in wanted]


def _types(opened: deltalake.DeltaTable) -> dict[str, str]:
    found = {field.name: getattr(field.type, "type", "") for field in opened.schema().fields}
    return {name: _OURS.get(kind, kind) for name, kind in found.items() if name not in PARTITIONS}


def _registered(opened: deltalake.DeltaTable, day: template.Day) -> int:
    return opened.transaction_version(day.folder) or 0


def _fit(opened: deltalake.DeltaTable, wanted: typing.Sequence[tuple[str, str]], day: template.Day) -> None:
    there = _types(opened)
    for name, kind in wanted:
        if there.get(name, kind) != kind:
            raise DayError(
                "DeltaTypes",
                f"column {name} is {kind} on this day and {there[name]} in the Delta table, so its parts are not in it."
                f" To have them in it, move away {day.closed}, {day.parts} and {day.manifest} while the raw files are"
                " there",
            )


def _add_columns(opened: deltalake.DeltaTable, wanted: typing.Sequence[tuple[str, str]]) -> bool:
    import deltalake

    there = _types(opened)
    new = [(name, kind) for name, kind in wanted if name not in there]
    if not new:
        return False
    if any(kind == "TIMESTAMP" for _, kind in new):
        opened.alter.add_feature(
            deltalake.TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True
        )
    opened.alter.add_columns(_fields(new))
    return True


def _commit(opened: deltalake.DeltaTable, day: template.Day, stored: typing.Sequence[Stored], number: int) -> None:
    import deltalake
    from deltalake.transaction import AddAction, RemoveAction

    folder = f"version={day.stream.version}/day={day.date.isoformat()}"
    partition: typing.Mapping[str, str | None] = {"version": day.stream.version, "day": day.date.isoformat()}
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            f"{folder}/{each.part.name}",
            each.size,
            partition,
            int(time.time() * 1000),
            True,
            json.dumps({"numRecords": each.part.rows}),
        )
        for each in stored
    ]
    opened.create_write_transaction(
        actions,
        "append",
        opened.schema(),
        list(PARTITIONS),
        commit_properties=deltalake.CommitProperties(
            app_transactions=[deltalake.Transaction(day.folder, number)], max_commit_retries=0
        ),
    )
