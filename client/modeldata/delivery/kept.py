"""Records that our own encoder can't write, kept for whoever mends it: as segments, in ``spool/.shipper/kept/``."""

from __future__ import annotations

import contextlib
import os
import pathlib
import zlib

from ..spool import records, sharing

MOST_BYTES = 4 * 1024 * 1024
"""Of all of them. Those that come later are as those before, most likely."""


def put(directory: pathlib.Path, found: tuple[records.Record, ...]) -> None:
    """Keep records, as far as there is room; the same one once, however often it is taken from the spool."""
    for each in found:
        content = each.stream.to_line() + each.to_line()
        name = f"{each.microseconds}-{zlib.crc32(content):08x}.seg"
        with contextlib.suppress(OSError):  # a full disk: it is counted all the same
            sharing.make(directory)
            used = sum(path.stat().st_size for path in directory.iterdir())
            if used + len(content) <= MOST_BYTES:
                with os.fdopen(sharing.create(directory / name, os.O_WRONLY | os.O_TRUNC), "wb") as file:
                    file.write(content)
