"""The typed part of a pass: an immutable Parquet file."""

from __future__ import annotations

import pathlib
import typing

from .. import columns
from ..days import manifest, template
from ..engines import Engine, Rows, TypedColumn, TypedRows
from ..storage import Blobs, Changed, ranges
from . import staging
from .plan import DayError


def typed(named: typing.Sequence[manifest.Column], guarded: typing.Collection[str]) -> tuple[TypedColumn, ...]:
    """Return a day's columns as a part has them; ``guarded`` are those with texts that don't fit, by a part's names."""
    tabled = columns.tabled([each.name for each in named])
    return tuple(TypedColumn(name, each.type, name in guarded) for name, each in zip(tabled, named, strict=True))


def make(engine: Engine, rows: Rows, day: template.Day, of: manifest.Next, into: pathlib.Path) -> None:
    """Write the part of a pass on this disk. Raises ``DayError`` and ``EngineError``."""
    written = engine.write_part(rows, typed(of.columns, of.rescued), into, metadata=_told(day, of))
    with into.open("rb") as file:
        found = _footer(file)
    if not written == found.num_rows == of.rows:
        raise DayError("Engine", f"the engine wrote {written} of {of.rows} rows into the part")


def put(store: Blobs, day: template.Day, of: manifest.Next, path: pathlib.Path) -> None:
    """Store the part of a pass, if it is not there already. Raises ``DayError`` where another file has its name."""
    try:
        store.put(_name(day, of), path, replaces=None, metadata={})
    except Changed:
        if not is_there(store, day, of):
            raise


def is_there(store: Blobs, day: template.Day, of: manifest.Next) -> bool:
    """Return whether the part of a pass is stored. Raises ``DayError`` where another file has its name."""
    name = _name(day, of)
    found = store.entry(name)
    if found is None:
        return False
    told: dict[str, str] = {}
    try:
        footer = _footer(ranges.Ranges(store, name, found[0].size))
    except ValueError:
        footer = None
    if footer is not None and footer.num_rows == of.rows:
        told = {key.decode(): value.decode(errors="replace") for key, value in (footer.metadata or {}).items()}
    if not _told(day, of).items() <= told.items():
        raise DayError(
            "Foreign",
            f"{name} is there, and no pass of this day wrote it: was {day.manifest} removed? Move the part away,"
            f" or bring the manifest back",
        )
    return True


def stage(store: Blobs, day: template.Day, closed: manifest.Manifest, folder: pathlib.Path) -> TypedRows:
    """Fetch the parts of a day. Raises ``StorageError``."""
    paths = []
    for part in closed.parts:
        name, into = f"{day.parts}/{part.name}", folder / part.name
        found = store.entry(name)
        if found is None:
            raise DayError("Missing", f"{name} is gone, and {day.manifest} names it: bring it back")
        staging.fetch(store, name, found[0].size, into, lambda _: None)
        paths.append(into)
    names = [each.name for each in typed(closed.columns, ())]
    return TypedRows(tuple(paths), typed(closed.columns, names))


def _name(day: template.Day, of: manifest.Next) -> str:
    return f"{day.parts}/{of.part}"


def _told(day: template.Day, of: manifest.Next) -> dict[str, str]:
    """Return what a part says of itself: whose it is."""
    return {
        "modeldata.day": day.folder,
        "modeldata.pass": str(of.number),
        "modeldata.rows": str(of.rows),
        "modeldata.plan": of.digest(day.folder),
    }


def _footer(file: typing.Any) -> typing.Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_metadata(file)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None
