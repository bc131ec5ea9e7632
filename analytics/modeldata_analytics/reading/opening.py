"""A question, made ready to be answered: its rows staged, its one SELECT known."""

from __future__ import annotations

import dataclasses
import os
import typing
import warnings

from ..days import template
from ..storage import Blobs
from . import aligned, engine, errors, frames, gathering, joining, repeats, scratch, seeking, selecting

if typing.TYPE_CHECKING:
    import pandas
    import pyarrow


@dataclasses.dataclass(frozen=True)
class Reader:
    """A store, and what reading it may take of this machine."""

    store: Blobs
    path: template.Template
    memory: str
    directory: str | os.PathLike[str] | None


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked for."""

    chosen: selecting.Chosen
    when: selecting.Period
    designations: tuple[str, ...] | None
    last: bool = False
    """Of requests that were repeated, the last alone."""
    request: seeking.Request | None = None
    """The rows of this one alone."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Rows that are ready to be read. They are gone when it is closed, or forgotten."""

    question: Question
    engine: engine.Engine
    joined: joining.Joined
    repeats: dict[str, repeats.Repeats]
    rows: int | None
    """How many there must be, where that is known before they are read."""
    quick: tuple[aligned.Select, ...] = ()
    """If it is to be quick: the same as ``joined``, without a join."""

    def batches(self, rows: int) -> tuple[pyarrow.Schema, typing.Iterator[pyarrow.RecordBatch]]:
        """Return the rows under their names, so many at a time.

        Raises, while they are read: ``errors.CountError``.
        """
        import pyarrow

        given, found = self.engine.batches(self.joined.sql, rows)
        schema = pyarrow.schema([field.with_name(name) for field, name in zip(given, self.joined.names, strict=True)])
        return schema, self._checked(schema, found)

    def _checked(
        self, schema: pyarrow.Schema, found: typing.Iterator[pyarrow.RecordBatch]
    ) -> typing.Iterator[pyarrow.RecordBatch]:
        import pyarrow

        count = 0
        for batch in found:
            count += batch.num_rows
            yield pyarrow.RecordBatch.from_arrays(batch.columns, schema=schema)
        self.check(count)

    def frame(self) -> pandas.DataFrame:
        """Return all rows. Raises ``errors.ReadingError``."""
        if self.quick:
            assert self.rows is not None
            return frames.frame(aligned.columns(self.engine, self.quick, self.rows), self.joined.names)
        schema, batches = self.batches(aligned.BATCH_ROWS)
        found = frames.collected((batch.columns for batch in batches), schema.types, self.rows)
        return frames.frame(found, schema.names)

    def check(self, rows: int) -> None:
        """Raise ``errors.CountError`` where as many rows were not read."""
        if self.rows is not None and rows != self.rows:
            raise errors.CountError(f"DuckDB gave {rows} of {self.rows} rows")

    def warn(self) -> None:
        """Say which rows may repeat others, to whoever called a method of ``Model``."""
        text = repeats.said(self.repeats)
        if text and not self.question.last and self.question.request is None:
            warnings.warn(f'{text}; repeated="last" keeps one of each', repeats.RepeatsWarning, stacklevel=5)

    def close(self) -> None:
        """Remove all that was staged."""
        self.engine.close()


def may_be_quick(question: Question) -> bool:
    """Return whether it is worth a try to read rows as they come."""
    return not question.last and question.request is None and question.when.between == joining.Between()


def ask(reader: Reader, question: Question, *, quick: bool = False) -> Answer:
    """Return the answer. If it is to be ``quick``, it is proved as it is read, and may turn out to be none.

    Raises ``NotFoundError``, ``AmbiguousError``, ``StorageError``, ``ManifestError``, ``ReadingError``.
    """
    days = selecting.days(reader.store, reader.path, question.chosen, question.designations, question.when)
    of = engine.Engine(scratch.Scratch(reader.directory), reader.memory)
    try:
        told = question.chosen.told
        tables = gathering.gather(reader.store, of, days, told, question.request, quick=quick)
        first = next(iter(days))
        if question.request is not None:
            first = next(iter(tables), first)
        if first not in tables:
            raise errors.NotFoundError(_none(question, first, reader.store.address))
        # To be quick, they are looked for among the ids once these are there.
        found = {
            name: repeats.Repeats() if quick else repeats.find(of, table, len(told)) for name, table in tables.items()
        }
        apart = [
            name
            for name, table in tables.items()
            if selecting.is_of_one_call(name) or (told and not quick and repeats.find(of, table, 0).same)
        ]
        names, between = [selecting.COLUMNS[name] for name in told], question.when.between
        doubled = any(each.same for each in found.values())
        last = question.last and any(each.any for each in found.values())
        joined = joining.join(tables, names, between=between, apart=apart, doubled=doubled, last=last)
        rows = None if question.last else joining.count(of, tables[first], between)
        selects = aligned.selects(tables, len(told), apart) if quick else ()
        return Answer(question, of, joined, found, rows, selects)
    except BaseException:
        of.close()
        raise


def _none(question: Question, designation: str, address: str) -> str:
    if question.request is not None:
        return f"no request {question.request.id!r} of {question.chosen} was collected in {address}"
    return f"the files of {designation} of {question.chosen} in {address} have no rows yet"
