"""What goes wrong between what a store says and what it holds."""

from __future__ import annotations


class ReadingError(Exception):
    """Rows can't be read as they must: nothing of them is given."""


class Unsettled(ReadingError):  # noqa: N818
    """What is closed of a day, and what the closed files say, does not fit together."""


class ColumnError(ReadingError):
    """A closed part is not as its manifest says, or a raw file has no header."""


class CountError(ReadingError):
    """The engine read another number of rows than there are."""


class EngineError(ReadingError):
    """The engine failed. No message holds a value of a row."""


class DoubtfulError(ReadingError):
    """What was read quickly is not certain, and is read once more with care; nobody outside sees it."""


class NotFoundError(LookupError):
    """Nothing that was collected is what was asked for; the message says what there is."""


class AmbiguousError(LookupError):
    """More than one thing is what was asked for; the message lists them."""
