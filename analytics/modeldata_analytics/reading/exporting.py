"""Writes a table to a file: Parquet, or CSV as the client writes it."""

from __future__ import annotations

import contextlib
import pathlib
import typing

from .. import columns
from ..engines import dialect
from . import aligned, opening

if typing.TYPE_CHECKING:
    import pyarrow


def batches(answer: opening.Answer, rows: int = aligned.BATCH_ROWS) -> pyarrow.RecordBatchReader:
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
    with _aside(path) as aside:
        rows = dialect.write_csv(
            lambda query: answer.engine.numbers(query)[0],
            f"select {terms} from ({answer.joined.sql})",
            answer.joined.names,
            aside,
        )
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
