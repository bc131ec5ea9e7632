"""From the days that are wanted to tables that the engine reads."""

from __future__ import annotations

import collections
import concurrent.futures
import pathlib
import typing

from ..days import template
from ..storage import Blobs
from . import coverage, engine, errors, objects, progress, seeking, sources, staging, uniting

_THREADS = 4
"""Storage answers in some 10 ms; one waits while another writes to the disk."""

Told = tuple[str, ...]
"""What the path tells of rows, where it is asked for."""


class _Day(typing.NamedTuple):
    """What was staged of a day."""

    texts: tuple[staging.Staged, ...]
    parts: tuple[tuple[sources.Part, pathlib.Path, int], ...]
    """With the rows of each."""


def gather(
    store: Blobs,
    of: engine.Engine,
    wanted: typing.Mapping[str, typing.Sequence[template.Day]],
    told: typing.Sequence[str],
    request: seeking.Request | None,
    *,
    copy: bool,
) -> dict[str, uniting.Table]:
    """Return all rows of the days of each designation as one table, or those of one request.

    Designations without rows are left out. Files of this machine are read where they lie, or copied before (``copy``):
    one that grows while it is read has other rows than were counted.

    Raises ``StorageError``, ``ManifestError``, ``errors.CountError``, ``errors.ColumnError``.
    """
    days = [(name, day) for name, each in wanted.items() for day in each]
    found: dict[str, list[tuple[Told, _Day]]] = {name: [] for name in wanted}
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        looked = list(pool.map(lambda each: coverage.look(store, each[1]), days))
        with progress.bytes_read(sum(each.size for each in looked)) as advance:
            staged = pool.map(lambda each: _stage(store, of, each, advance=advance, request=request, copy=copy), looked)
            for (name, day), each in zip(days, staged, strict=True):
                fields = dict(day.stream.fields)
                found[name].append((tuple(fields.get(field, "default") for field in told), each))
    tables = {name: _table(of, each, request) for name, each in found.items()}
    return {name: table for name, table in tables.items() if table is not None}


def _stage(
    store: Blobs,
    of: engine.Engine,
    looked: coverage.Coverage,
    *,
    advance: typing.Callable[[int], None],
    request: seeking.Request | None,
    copy: bool,
) -> _Day:
    for _ in range(coverage.TRIES):
        try:
            texts = [staging.tail(store, each, of.scratch.new(".csv"), copy=copy) for each in looked.tails]
            if looked.whole is not None:
                texts.append(_whole(store, of, looked.whole))
            parts = []
            for part in looked.parts:
                path, rows = of.scratch.new(".parquet"), part.rows
                if request is None:
                    staging.part(store, part, path)
                else:
                    rows = seeking.seek(store, part, request, path)
                parts.append((sources.part(path, looked.closed, part.rescued), path, rows))
        except staging.Moved:
            # Closed, or its raw files deleted, meanwhile: what was staged of the day is not used, and read anew.
            looked = coverage.look(store, looked.day)
            continue
        advance(looked.size)
        return _Day(tuple(each for each in texts if each is not None), tuple(parts))
    raise errors.Unsettled(f"{looked.day.folder} in {store.address} changes all the time: try again later")


def _whole(store: Blobs, of: engine.Engine, found: coverage.Whole) -> staging.Staged | None:
    whole = staging.whole(store, found, of.scratch.new(".csv"))
    rows = whole.rows if whole is not None else 0
    if found.rows != rows:
        raise errors.CountError(f"{found.name} in {store.address} has {rows} rows, and its manifest says {found.rows}")
    return whole


def _table(
    of: engine.Engine, found: typing.Sequence[tuple[Told, _Day]], request: seeking.Request | None
) -> uniting.Table | None:
    headers: dict[tuple[Told, tuple[str, ...]], list[staging.Staged]] = collections.defaultdict(list)
    parts: dict[tuple[Told, sources.Part], list[tuple[pathlib.Path, int]]] = collections.defaultdict(list)
    for told, day in found:
        for each in day.texts:
            headers[told, each.header].append(each)
        for part, path, rows in day.parts:
            parts[told, part].append((path, rows))
    texts = [
        sources.of_csv([each.path for each in staged], header, sum(each.rows for each in staged))._replace(told=told)
        for (told, header), staged in headers.items()
    ]
    closed = [_checked(of, part, told, each) for (told, part), each in parts.items()]
    if request is not None:
        texts = _having(of, texts, request)
        closed = [each for each in closed if each.rows]
    if not texts and not closed:
        return None
    others = len({name for each in (*texts, *closed) for name, _ in each.columns if name not in sources.STANDARD}) > 1
    texts, made = _expanded(of, texts, others=others)
    closed, late = _expanded(of, closed, others=others)
    texts += [*made, *late]
    return uniting.unite(of, [sources.standard(each) for each in texts], [sources.standard(each) for each in closed])


def _having(
    of: engine.Engine, texts: typing.Sequence[sources.Source], request: seeking.Request
) -> list[sources.Source]:
    """Return the rows of a request, of sources that have some."""
    found = []
    for each in texts:
        leading = sources.standard(each)
        rows, hits = of.numbers(f"select count(*), count(*) filter (where {request.condition}) from {leading.sql}")
        if rows != each.rows:
            raise errors.CountError(f"DuckDB read {rows} of {each.rows} rows: nothing of them is given")
        if hits:
            found.append(leading._replace(sql=f"(select * from {leading.sql} where {request.condition})", rows=hits))
    return found


def _checked(
    of: engine.Engine, part: sources.Part, told: Told, parts: typing.Sequence[tuple[pathlib.Path, int]]
) -> sources.Source:
    rows = sum(each for _, each in parts)
    source = sources.of_parts([path for path, _ in parts], part, rows)._replace(told=told)
    found = of.count(source)
    if found != rows:
        raise errors.CountError(f"closed parts have {found} rows, and their manifests say {rows}")
    return source


def _expanded(
    of: engine.Engine, found: typing.Sequence[sources.Source], *, others: bool
) -> tuple[list[sources.Source], list[sources.Source]]:
    pairs = [objects.expanded(of, each, others=others) for each in found]
    return [each for each, _ in pairs if each is not None], [each for _, each in pairs if each is not None]
