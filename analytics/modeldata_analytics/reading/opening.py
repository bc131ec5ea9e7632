"""A question, made ready to be answered: its rows staged, its one SELECT known."""

from __future__ import annotations

import dataclasses
import os
import warnings

from ..days import template
from ..storage import Blobs
from . import engine, errors, gathering, joining, repeats, scratch, seeking, selecting


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

    engine: engine.Engine
    joined: joining.Joined
    repeats: dict[str, repeats.Repeats]
    rows: int | None
    """How many there must be, where that is known before they are read."""

    def check(self, rows: int) -> None:
        """Raise ``errors.CountError`` where as many rows were not read."""
        if self.rows is not None and rows != self.rows:
            raise errors.CountError(f"DuckDB gave {rows} of {self.rows} rows")

    def close(self) -> None:
        """Remove all that was staged."""
        self.engine.close()


def ask(reader: Reader, question: Question) -> Answer:
    """Return the answer; warn where requests may have been tried again.

    Raises ``NotFoundError``, ``AmbiguousError``, ``StorageError``, ``ManifestError``, ``errors.CountError``.
    """
    days = selecting.days(reader.store, reader.path, question.chosen, question.designations, question.when)
    of = engine.Engine(scratch.Scratch(reader.directory), reader.memory)
    try:
        told = question.chosen.told
        tables = gathering.gather(reader.store, of, days, told, question.request)
        first = next(iter(days))
        if question.request is not None:
            first = next(iter(tables), first)
        if first not in tables:
            raise errors.NotFoundError(_none(question, first, reader.store.address))
        found = {name: repeats.find(of, table, len(told)) for name, table in tables.items()}
        text = repeats.said(found)
        if text and not question.last and question.request is None:
            warnings.warn(f'{text}; repeated="last" keeps one of each', repeats.RepeatsWarning, stacklevel=4)
        joined = joining.join(
            tables,
            [selecting.COLUMNS[name] for name in told],
            between=question.when.between,
            doubled=any(each.same for each in found.values()),
            last=question.last and any(each.any for each in found.values()),
        )
        certain = not question.last and question.when.between == joining.Between()
        return Answer(of, joined, found, tables[first].rows if certain else None)
    except BaseException:
        of.close()
        raise


def _none(question: Question, designation: str, address: str) -> str:
    if question.request is not None:
        return f"no request {question.request.id!r} of {question.chosen} was collected in {address}"
    return f"the files of {designation} of {question.chosen} in {address} have no rows yet"
