"""DuckDB as both who closes days and who reads them have it: what it may take of the machine, and its CSV."""

from __future__ import annotations

import pathlib
import typing

from ..records import header

Settings = dict[str, str | int | float | bool | list[str]]


def settings(memory: str, scratch: pathlib.Path) -> Settings:
    """Return what a connection is made with.

    ``memory`` is in DuckDB's words, such as ``1GB``; it is exceeded by a tenth.
    """
    return {
        "memory_limit": memory,
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def literal(value: object) -> str:
    """Return a text as SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def read_csv(
    paths: typing.Iterable[pathlib.Path], width: int, prefix: str, *, line_bytes: int, buffer_bytes: int | None = None
) -> str:
    r"""Return the SQL of files' rows as the client writes them, all cells as text: columns ``<prefix>0`` and so on.

    Without ``strict_mode``: together with ``new_line = '\r\n'``, it reads 0 rows, without an error (2.0.1).
    """
    files = ", ".join(map(literal, paths))
    columns = ", ".join(f"'{prefix}{place}': 'VARCHAR'" for place in range(width))
    buffer = "" if buffer_bytes is None else f" buffer_size = {buffer_bytes},"
    return (
        f"read_csv([{files}], auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"',"
        f" new_line = '\\r\\n', allow_quoted_nulls = false, max_line_size = {line_bytes},{buffer}"
        f" columns = {{{columns}}})"
    )


def write_csv(count: typing.Callable[[str], int], rows: str, names: typing.Iterable[str], into: pathlib.Path) -> int:
    """Write the rows of a SELECT, all texts, as the client writes them, under these names; return how many there are.

    ``count`` runs a query, and returns its one number. DuckDB would change names. A file's beginning and end, which it
    has for JSON, do without: it leaves out the end of the last line then.
    """
    first = header.line(names)
    written = count(
        f"copy ({rows}) to {literal(into)} (format csv, delimiter ',', quote '\"', escape '\"', new_line '\\r\\n',"
        f" header false, prefix {literal(first)}, suffix '\r\n')"
    )
    if not written:
        into.write_text(first, encoding="utf-8", newline="")
    return written
