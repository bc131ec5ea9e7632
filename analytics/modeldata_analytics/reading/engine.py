"""DuckDB, with what it may take of the machine, and no trust in its counts."""

from __future__ import annotations

import contextlib
import typing

from .. import columns
from ..engines import dialect
from . import errors, scratch, sources

if typing.TYPE_CHECKING:
    import duckdb
    import pyarrow


class Engine:
    """A connection of our own and a directory for what it spills and we make."""

    def __init__(self, directory: scratch.Scratch, memory: str) -> None:
        import duckdb

        self.scratch = directory
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            config={
                **dialect.settings(memory, directory.path),
                "arrow_large_buffer_size": True,  # as pandas has its texts
            }
        )
        self.connection.execute("set TimeZone = 'UTC'")

    def close(self) -> None:
        """End the connection, and remove all that was made for it."""
        self.connection.close()
        self.scratch.close()

    def ask(self, query: str) -> typing.Sequence[object]:
        """Return a query's one row."""
        with told():
            (row,) = self.connection.execute(query).fetchall()
            return typing.cast("tuple[object, ...]", row)

    def numbers(self, query: str) -> tuple[int, ...]:
        """Return the numbers of a query's one row."""
        return tuple(int(typing.cast("int", each)) for each in self.ask(query))

    def batches(self, query: str, rows: int) -> tuple[pyarrow.Schema, typing.Iterator[pyarrow.RecordBatch]]:
        """Return a query's rows, so many at a time."""
        with told():
            # On a connection of its own: others may be read at the same time.
            other = self.connection.cursor()
            other.execute("set TimeZone = 'UTC'")
            # It goes on while what it has given is made into a frame.
            other.execute("set streaming_buffer_size = '32MB'")
            reader = other.sql(query).to_arrow_reader(rows)
        return reader.schema, _each(reader)

    def distinct(self, texts: pyarrow.ChunkedArray) -> int:
        """Return how many hashes texts have: as many as there are different ones, or fewer."""
        import pyarrow

        with told():
            other = self.connection.cursor()
            other.register("texts", pyarrow.table({"c": texts}))
            ((found,),) = other.execute("select count(distinct hash(c)) from texts").fetchall()
            return int(found)

    def count(self, source: sources.Source, column: str = "*") -> int:
        """Return how many rows, or values of a column, a source has."""
        return self.numbers(f"select count({column}) from {source.sql}")[0]

    def typed(self, source: sources.Source, kinds: typing.Mapping[sources.Name, str]) -> sources.Source | None:
        """Write a source of texts as Parquet of these types; None where a value would not survive its type.

        Raises ``errors.CountError``.
        """
        file, made = self.scratch.new(".parquet"), cast(source, kinds)
        path = dialect.literal(str(file))
        self.ask(f"copy (select * from {made.sql}) to {path} (format parquet, compression lz4_raw)")
        rows, fits = self.ask(f"select count(*), bool_and(fits) from read_parquet({path})")
        if rows != source.rows:
            raise errors.CountError(f"DuckDB read {rows} of {source.rows} rows: nothing of them is given")
        if fits is False:
            file.unlink()
            return None
        chosen = ", ".join(f"c{place}" for place in range(len(made.columns)))
        return made._replace(sql=f"(select {chosen} from read_parquet({path}))", proved=True)


def cast(source: sources.Source, kinds: typing.Mapping[sources.Name, str]) -> sources.Source:
    """Return a source of texts as these types, not proved yet."""
    named = [(name, kinds[name]) for name, _ in source.columns]
    pairs = [(f"c{place}", kind) for place, (_, kind) in enumerate(named)]
    # Cast once, and looked at beside its text: what does not fit is told by one more column.
    inner = ", ".join(
        [*(each for each, _ in pairs), *(f"try_cast({each} as {kind}) as v{each}" for each, kind in pairs)]
    )
    values = ", ".join(f"v{each} as {each}" for each, _ in pairs)
    proofs = [columns.survives(each, f"v{each}", kind) for each, kind in pairs if kind != columns.TEXT]
    sql = f"(select {values}, {' and '.join(proofs) or 'true'} as fits from (select {inner} from {source.sql}))"
    return source._replace(sql=sql, columns=tuple(named), proved=False)


def _each(reader: pyarrow.RecordBatchReader) -> typing.Iterator[pyarrow.RecordBatch]:
    while True:
        with told():
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


@contextlib.contextmanager
def told() -> typing.Iterator[None]:
    """Raise what DuckDB raises as ``EngineError``: its messages may hold rows."""
    import duckdb
    import pyarrow

    try:
        yield
    except duckdb.OutOfMemoryException:
        text = "DuckDB has too little memory, or room to spill to: give it more (memory, scratch)"
        raise errors.EngineError(text) from None
    except duckdb.InvalidInputException as error:
        text = "a file can't be read as CSV" if "CSV" in str(error) else f"DuckDB failed: {type(error).__name__}"
        raise errors.EngineError(text) from None
    except (duckdb.Error, pyarrow.ArrowException) as error:
        full = "No space left" in str(error)
        text = "the scratch directory is full: give it room for twice what is read" if full else type(error).__name__
        raise errors.EngineError(f"DuckDB failed: {text}") from None
