"""A question, made ready to be answered: its rows staged, its one SELECT known."""

from __future__ import annotations

import dataclasses
import os
import typing
import warnings

from ..days import template
from ..storage import Blobs
from . import aligned, engine, errors, gathering, joining, repeats, scratch, seeking, selecting, uniting

if typing.TYPE_CHECKING:
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
    certain: bool = True
    """Whether ids are looked for that stand twice in other designations than the first, before they are joined. If not,
    ``Answer.check`` tells of them, as then there are too many rows."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Rows that are ready to be read. They are gone when it is closed, or forgotten."""

    question: Question
    engine: engine.Engine
    joined: joining.Joined
    repeats: dict[str, repeats.Repeats]
    rows: int | None
    """How many there must be, where that is known before they are read."""
    beside: aligned.Beside | None = None
    """The same as ``joined``, where it can be had without a join."""

    def batches(self, rows: int) -> tuple[pyarrow.Schema, typing.Iterator[pyarrow.RecordBatch]]:
        """Return the rows under their names, so many at a time.

        Raises, while they are read: ``errors.CountError``.
        """
        import pyarrow

        if self.beside is not None:
            fields, found = aligned.batches(self.engine, self.beside, rows)
        else:
            given, whole = self.engine.batches(self.joined.sql, rows)
            fields, found = list(given), (batch.columns for batch in whole)
        schema = pyarrow.schema([field.with_name(name) for field, name in zip(fields, self.joined.names, strict=True)])
        return schema, self._checked(schema, found)

    def _checked(
        self, schema: pyarrow.Schema, found: typing.Iterator[list[pyarrow.Array]]
    ) -> typing.Iterator[pyarrow.RecordBatch]:
        import pyarrow

        count = 0
        for arrays in found:
            batch = pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
            count += batch.num_rows
            yield batch
        self.check(count)

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


def ask(reader: Reader, question: Question) -> Answer:
    """Return the answer.

    Raises ``NotFoundError``, ``AmbiguousError``, ``StorageError``, ``ManifestError``, ``ReadingError``.
    """
    days = selecting.days(reader.store, reader.path, question.chosen, question.designations, question.when)
    try:
        return _ask(reader, question, days, copy=False)
    except errors.ReadingError:
        return _ask(reader, question, days, copy=True)


def _ask(
    reader: Reader, question: Question, days: typing.Mapping[str, typing.Sequence[template.Day]], *, copy: bool
) -> Answer:
    of = engine.Engine(scratch.Scratch(reader.directory), reader.memory)
    try:
        told = question.chosen.told
        tables = gathering.gather(reader.store, of, days, told, question.request, copy=copy)
        first = next(iter(days))
        if question.request is not None:
            first = next(iter(tables), first)
        if first not in tables:
            raise errors.NotFoundError(_none(question, first, reader.store.address))
        found = {
            name: repeats.find(of, table, len(told), same=question.certain or name == first)
            for name, table in tables.items()
        }
        apart = [
            name
            for name, table in tables.items()
            if selecting.is_of_one_call(name) or _is_ambiguous(of, table, question)
        ]
        names, between = [selecting.COLUMNS[name] for name in told], question.when.between
        doubled = any(each.same for each in found.values())
        last = question.last and any(each.any for each in found.values())
        joined = joining.join(tables, names, between=between, apart=apart, doubled=doubled, last=last)
        rows = None if question.last else joining.count(of, tables[first], between)
        beside = None
        if rows == tables[first].rows and not doubled:
            same = aligned.find(of, tables, len(told), apart)
            beside = aligned.split(tables, names, same, apart) if same else None
        return Answer(question, of, joined, found, rows, beside)
    except BaseException:
        of.close()
        raise


def _is_ambiguous(of: engine.Engine, table: uniting.Table, question: Question) -> bool:
    """Return whether ids stand more than once, so that version and web service must tell which row is meant.

    Labels may come from another process than the model's, and from another version of it.
    """
    return bool(question.chosen.told) and question.certain and bool(repeats.find(of, table, 0, same=True).same)


def _none(question: Question, designation: str, address: str) -> str:
    if question.request is not None:
        return f"no request {question.request.id!r} of {question.chosen} was collected in {address}"
    return f"the files of {designation} of {question.chosen} in {address} have no rows yet"
