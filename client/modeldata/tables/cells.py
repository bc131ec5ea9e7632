"""Texts of cells, and what is never one.

The table of all types is in ``docs/reading.md``. Values for which JSON has words never come here: orjson writes them.
"""

from __future__ import annotations

import math
import sys


class Refused(ValueError):  # noqa: N818 (a verdict, not a fault)
    """Data that is not collected (images, audio, text as a whole); the message says why."""


def loaded(data: object, module: str, name: str) -> bool:
    """Return whether data is of a class of a module that may not be there."""
    # While another thread imports the module, it is there without its classes.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(data, kind)


def name_text(value: object) -> str:
    """Return a text that UTF-8 can hold."""
    return str(value).encode("utf-8", "replace").decode()


def float_text(value: float) -> str:
    """Return the text of a float that JSON can't hold.

    An infinity is a number that is too large: all four readers of ``docs/reading.md`` take it for one by themselves.
    DuckDB and polars make text of a column with ``Inf`` in it, DuckDB and Spark of one with ``inf``.
    """
    return "NaN" if math.isnan(value) else ("1e999" if value > 0 else "-1e999")
