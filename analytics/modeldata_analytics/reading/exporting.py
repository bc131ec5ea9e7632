"""Writes a table to a file: Parquet, or CSV as the client writes it."""

from __future__ import annotations

import contextlib
import pathlib
import typing

from .. import columns
from . import opening, sources

if typing.TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 100_000


def batches(answer: opening.Answer, rows: int = BATCH_ROWS) -> pyarrow.RecordBatchReader:
    """Return the rows batch by batch. What was staged is removed behind the last one, or with the reader.

    Raises, while it is read: ``errors.CountError``.
    """
    import pyarrow

    schema, found = answer.batches(rows)

    def closing() -> typing.Iterator[pyarrow.RecordBatch]:
        try:
            yield from found
        finally:
            answer.close()

    return pyarrow.RecordBatchReader.from_batches(schema, closing())


def parquet(answer: opening.Answer, path: pathlib.Path) -> int:
    """Write a Parquet file; return how many rows it has."""
    from pyarrow import parquet as files

    rows = 0
    with (
        _aside(path) as aside,
        batches(answer) as reader,
        files.ParquetWriter(aside, reader.schema, compression="zstd") as file,
    ):
        for batch in reader:
            file.write_batch(batch)
            rows += batch.num_rows
    return rows


def csv(answer: opening.Answer, path: pathlib.Path) -> int:
    """Write a CSV as the client does: the same text of each value, one header; return how many rows it has."""
    named = answer.joined.columns
    terms = ", ".join(f"{columns.text(f'o{place}', kind)} as o{place}" for place, (_, kind) in enumerate(named))
    header = ",".join(_quoted(name) for name, _ in named) + "\r\n"
    with _aside(path) as aside:
        # DuckDB would change names in a header; with a beginning and an end of ours it leaves out the last line's end.
        (rows,) = answer.engine.numbers(
            f"copy (select {terms} from ({answer.joined.sql})) to {sources.literal(str(aside))} (format csv,"
            f" header false, delimiter ',', quote '\"', escape '\"', new_line '\\r\\n',"
            f" prefix {sources.literal(header)}, suffix '\r\n')"
        )
        if not rows:
            aside.write_text(header, encoding="utf-8", newline="")
        answer.check(rows)
    answer.close()
    return rows


@contextlib.contextmanager
def _aside(path: pathlib.Path) -> typing.Iterator[pathlib.Path]:
    """Yield the path of a file that takes the other's place when it is whole."""
    aside = path.with_name(f".{path.name}.new")
    aside.touch()  # what can't be written is told as what it is
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _quoted(name: str) -> str:
    """Return a name as the client writes it into a header."""
    return name if name and not set(name) & set(',"\r\n') else '"' + name.replace('"', '""') + '"'
