"""A model's collected rows, as one table."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import pathlib
import typing
import weakref

from .. import columns
from . import errors, exporting, frames, joining, opening, seeking, selecting

if typing.TYPE_CHECKING:
    import duckdb
    import pandas
    import pyarrow
    import pyspark.sql

Repeated = typing.Literal["keep", "last"]

_DAY = datetime.timedelta(days=1)


class Model:
    """The rows of one model: ``Store.model`` makes it.

    All methods that read rows take the same four arguments:

    - ``since``, ``until``: when rows of the first designation were collected. A day (``datetime.date`` or
      ``"2026-11-30"``; ``until`` is the last one, itself included) or a moment (``datetime.datetime`` or ISO 8601; UTC
      where it names no zone; rows before ``until``). What belongs to these rows may have been collected later: labels
      at any time, predictions until the day after.
    - ``designations``: what to join, in this order; default: inputs, predictions and labels, as far as they were
      collected, else all there are. There is a row for each row of the first one; where another one has none of the
      same ``$RequestId``, its columns are empty.
    - ``repeated``: requests may have been tried again, and then have several rows: the same id twice,
      ``<id>.attempt<n>``, or ``<id>.<n>``, which may be another part of the request, too. They are counted, and warned
      about (``RepeatsWarning``). ``"last"`` keeps one row of each request: of those with most designations the last.

    The columns are ``$Version`` and the like where they were left open, ``$Timestamp`` and ``$CorrelationId`` of the
    first designation, ``$RequestId``, and the features. A feature that two designations have is called
    ``<feature>_<designation>``. Rows are in no order.

    What is read passes through a directory of this machine that only its user may read, and that is removed behind the
    last row.

    They raise ``NotFoundError``, ``AmbiguousError``, ``StorageError`` where storage refuses or does not answer,
    ``ManifestError`` and ``ReadingError`` where closed files are damaged, and ``CountError``, one of these, where
    DuckDB reads another number of rows than there are.
    """

    def __init__(self, reader: opening.Reader, chosen: selecting.Chosen) -> None:
        self._reader = reader
        self._chosen = chosen

    def __repr__(self) -> str:
        """Return what is meant, and where."""
        return f"<{self._chosen} in {self._reader.store.address}>"

    def table(
        self,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
    ) -> pandas.DataFrame:
        """Return the rows as a frame.

        A column has a type where all its values survive it: ``Int64``, ``float64``, ``boolean``, ``datetime64[us]`` and
        ``datetime64[us, UTC]``, ``datetime.date``; else it is text. Where nothing was collected, ``Int64`` and
        ``boolean`` have ``<NA>``, floats and texts ``NaN``; an empty text is one.

        ``frame.attrs["repeats"]`` says how many rows of each designation may repeat others.
        """
        return self._frame(self._question(since, until, designations, repeated))

    def request(
        self,
        request: str,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
    ) -> pandas.DataFrame:
        """Return the rows of one request, by its id: all of a batch, and those of further tries.

        Of closed days only what may have them is read. Types are those of the rows found.
        """
        wanted = seeking.Request(request)
        question = self._question(since, until, designations, "keep", wanted)
        made = wanted.time
        if made is not None and since is None and until is None:
            # The id tells when it was made, and nearly all are collected on that day.
            near = self._question(made.date(), made.date() + _DAY, designations, "keep", wanted)
            try:
                return self._frame(near)
            except errors.NotFoundError:
                pass
        return self._frame(question)

    def scan(
        self,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
        batch_rows: int = exporting.BATCH_ROWS,
    ) -> pyarrow.RecordBatchReader:
        """Return the rows batch by batch, for what memory does not hold; nothing and ``NaN`` are told apart.

        What was staged is removed behind the last batch, or with the reader.
        """
        return exporting.batches(self._ask(since, until, designations, repeated), batch_rows)

    def relation(
        self,
        connection: duckdb.DuckDBPyConnection,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
    ) -> duckdb.DuckDBPyRelation:
        """Return the rows as a relation of DuckDB, to be filtered and aggregated before they are in memory.

        What was staged is removed with the connection, or at the end of the process. To DuckDB names that differ in
        case are one: the second of them has ``_1`` behind it.
        """
        answer = self._ask(since, until, designations, repeated)
        names = joining.different(answer.joined.names, key=str.casefold)
        chosen = ", ".join(f"o{place} as {columns.quoted(name)}" for place, name in enumerate(names))
        answer.engine.connection.close()
        weakref.finalize(connection, answer.close)
        return connection.sql(f"select {chosen} from ({answer.joined.sql})")

    def export(
        self,
        file: str | os.PathLike[str],
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
    ) -> int:
        """Write the rows to a file, ``.parquet`` or ``.csv``, in bounded memory; return how many they are.

        The CSV is like those of the client: UTF-8, RFC 4180, lines end in CRLF, nothing and an empty text (``""``) are
        told apart. The file is there when it is whole; another one of its name is replaced.
        """
        path = pathlib.Path(file)
        writers = {".parquet": exporting.parquet, ".csv": exporting.csv}
        if path.suffix.lower() not in writers:
            raise ValueError(f"{path.name} must end in .parquet or .csv")
        answer = self._ask(since, until, designations, repeated)
        try:
            return writers[path.suffix.lower()](answer, path)
        finally:
            answer.close()

    def spark(
        self,
        session: pyspark.sql.SparkSession,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
    ) -> pyspark.sql.DataFrame:
        """Return the rows as a DataFrame of Spark; they pass through the driver, and must fit into its memory.

        For more, have Spark read the Parquet of closed days itself (docs/reading.md).
        """
        with self.scan(since, until, designations, repeated=repeated) as reader:
            return frames.spark(session, reader.read_all())

    def _frame(self, question: opening.Question) -> pandas.DataFrame:
        # Ids that stand twice are rare, and show in the number of rows: then it is done once more, with care.
        if not question.last:
            with contextlib.suppress(errors.CountError):
                return self._read(dataclasses.replace(question, certain=False))
        return self._read(question)

    def _read(self, question: opening.Question) -> pandas.DataFrame:
        answer = opening.ask(self._reader, question)
        try:
            schema, batches = answer.batches(exporting.BATCH_ROWS)
            frame = frames.frame(batches, schema, answer.rows)
            answer.warn()
            frame.attrs["repeats"] = {name: each._asdict() for name, each in answer.repeats.items()}
            return frame
        finally:
            answer.close()

    def _ask(
        self,
        since: selecting.When,
        until: selecting.When,
        designations: typing.Sequence[str] | None,
        repeated: Repeated,
    ) -> opening.Answer:
        answer = opening.ask(self._reader, self._question(since, until, designations, repeated))
        answer.warn()
        return answer

    def _question(
        self,
        since: selecting.When,
        until: selecting.When,
        designations: typing.Sequence[str] | None,
        repeated: Repeated,
        request: seeking.Request | None = None,
    ) -> opening.Question:
        if isinstance(designations, str):
            designations = (designations,)
        if designations is not None and not designations:
            raise ValueError("designations must name one at least")
        if repeated not in {"keep", "last"}:
            raise ValueError(f'repeated must be "keep" or "last", and is {repeated!r}')
        asked = None if designations is None else tuple(designations)
        return opening.Question(self._chosen, selecting.period(since, until), asked, repeated == "last", request)
