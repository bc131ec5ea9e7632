"""What is made of the types of one library: one interface for all, chosen by a type's module, which is never imported.

An adapter answers what a whole call's data has (``content``), what a list of its values has (``rows``), what one value
has that is a row or a column (``listed``) or a row under labels (``labelled``), and what one cell is as JSON can
hold it (``cell``).
"""

from __future__ import annotations

import itertools
import typing

from . import cells

MOST_OPEN = 10_000
"""Cells of a flat list that may turn out to be a column: as many rows as are made into text at a time."""

MOST_SETS = 16
"""So often a collector's columns grow: who has a new label in each call has columns of each call alone."""


class Call(typing.NamedTuple):
    """What is known of a call beside its data."""

    names: tuple[str, ...] = ()
    """The collector's."""
    input_rows: int = 0
    """How many rows this request's inputs had."""
    columns: Columns | None = None
    """Those of the collector's rows so far; grows by the labels of this call."""

    def is_column(self, length: int) -> bool:
        """Return whether flat data of this length is a column rather than a row, see ``rows.take``."""
        if self.input_rows > 1 and length == self.input_rows:
            return True
        return len(self.names) == 1 and length != 1

    def is_open(self, length: int) -> bool:
        """Return whether flat data of this length is a row only if nothing of its request says that it is a column."""
        if self.input_rows or len(self.names) in (1, length):
            return False
        return 1 < length <= MOST_OPEN

    def by_label(self, values: typing.Sequence[typing.Any]) -> Content:
        """Return rows under labels, of which each may have its own order and lack some, as rows of one order.

        So that what is equal but for the order has one header, and one file.
        """
        rows = [labelled(each) for each in values]
        labels = dict.fromkeys(itertools.chain.from_iterable(found for found in rows if found is not None))
        order = self._order(tuple(labels))
        cells_of = [
            [found.get(label) for label in order] if found is not None else row(each)
            for found, each in zip(rows, values)
        ]
        return Content(tuple(map(cells.name_text, order)), cells_of)

    def framed(self, names: tuple[str, ...], rows: typing.Sequence[typing.Any], array: typing.Any = None) -> Content:
        """Return what a DataFrame has: under the collector's names where it has no names of its own."""
        return self.named(Content(names, rows, array)) if names else Content(self.names, rows, array)

    def named(self, content: Content) -> Content:
        """Return a table that brings the names of all its columns, in the order of the collector's columns."""
        order = self._order(content.names)
        if order is content.names or order == content.names or len(set(content.names)) < len(content.names):
            return content
        places = {name: place for place, name in enumerate(content.names)}
        where = [places.get(typing.cast("str", label)) for label in order]
        names = tuple(map(cells.name_text, order))
        if content.array is not None and None not in where:
            return content._replace(names=names, places=typing.cast("list[int]", where))

        def make(start: int, end: int) -> list[list[object]]:
            part = content.rows[start:end] if content.array is None else map(row, content.array[start:end])
            return [[None if at is None else each[at] for at in where] for each in part]

        length = len(content.rows if content.array is None else content.array)
        return Content(names, sliced(length, len(where), make))

    def _order(self, labels: tuple[object, ...]) -> tuple[object, ...]:
        """Return labels in the order of the collector's columns, with those of its columns that are missing here.

        That of the collector's names, where the labels have to do with them, else of the first call; labels that were
        never seen come behind.
        """
        known = self.columns.labels if self.columns is not None else ()
        if labels == known:
            return labels
        if not known and any(name in labels for name in self.names):
            known = tuple(dict.fromkeys(self.names))
        fresh = set(labels).difference(known)
        if fresh:
            if self.columns is not None and self.columns.sets >= MOST_SETS:
                return labels
            # What add_correlations appended stays the end of its table.
            if any(str(label).startswith("$aml_") for label in labels):
                return labels
        order = (*known, *(label for label in labels if label in fresh))
        if self.columns is not None and order != self.columns.labels:
            self.columns.labels = order
            self.columns.sets += 1
        return order


class Columns:
    """The labels of a collector's rows so far, in the order of its files' columns."""

    def __init__(self) -> None:
        self.labels: tuple[object, ...] = ()
        self.sets = 0
        """How often they have grown."""


class Content(typing.NamedTuple):
    """The rows of a call, before they are cut and encoded: as sequences of cells, or as an array of numbers."""

    names: tuple[str, ...]
    """Of the leading columns."""
    rows: typing.Sequence[typing.Any] = ()
    array: typing.Any = None
    """In the place of ``rows``: two-dimensional, of one of numpy's types of numbers."""
    places: list[int] | None = None
    """Where the columns are in the array; None: in the order of the names."""
    is_open: bool = False
    """Whether it is flat data, in one row, that may yet turn out to be a column."""


class Sliced(typing.Sequence[typing.Any]):
    """Rows that are made of a large table some at a time, as they are asked for, in order."""

    def __init__(self, length: int, step: int, make: typing.Callable[[int, int], typing.Sequence[typing.Any]]) -> None:
        self._length = length
        self._step = step
        self._make = make
        self._begin = 0
        self._made: typing.Sequence[typing.Any] = ()

    def __len__(self) -> int:
        return self._length

    @typing.overload
    def __getitem__(self, place: int) -> typing.Any: ...
    @typing.overload
    def __getitem__(self, place: slice) -> list[typing.Any]: ...
    def __getitem__(self, place: int | slice) -> typing.Any:
        if isinstance(place, slice):
            return [self._at(each) for each in range(*place.indices(self._length))]
        return self._at(range(self._length)[place])

    def _at(self, place: int) -> typing.Any:
        if not self._begin <= place < self._begin + len(self._made):
            self._made, self._begin = (), place - place % self._step
            self._made = self._make(self._begin, min(self._begin + self._step, self._length))
        return self._made[place - self._begin]


MOST_CELLS = 50_000
"""As many cells of a table are made Python's objects at once: some 3 MiB."""


def sliced(
    length: int, width: int, make: typing.Callable[[int, int], typing.Sequence[typing.Any]]
) -> typing.Sequence[typing.Any]:
    """Return the rows of a table: made at once, or, where they are many, as they are asked for.

    Args:
        length: how many there are.
        width: cells in each.
        make: returns those from one number to before another.

    """
    if length * width <= MOST_CELLS:
        return make(0, length)
    return Sliced(length, max(1, MOST_CELLS // width), make)


class Adapter:
    """What is made of some types; this one collects nothing, and makes text of a cell."""

    def content(self, data: typing.Any, call: Call) -> Content:
        """Return what a call's data has.

        Raises:
            cells.Refused: it is not collected.

        """
        raise cells.Refused(f"{type(data).__name__} is not collected: give rows, an array or a DataFrame")

    def rows(self, values: typing.Sequence[typing.Any], call: Call) -> Content | None:
        """Return what a list has whose first value is of this type; None where the values are no rows but cells.

        Raises:
            cells.Refused: it is not collected.

        """
        return None

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:
        """Return the cells of a value of one dimension; None for anything else."""
        return None

    def labelled(self, value: typing.Any) -> typing.Mapping[object, object] | None:
        """Return the cells of a value that is a row, by their labels; None for anything else."""
        return None

    def cell(self, value: typing.Any) -> object:
        """Return a value as orjson can write it, and as the CSV text is made of it.

        Raises:
            cells.Refused: it holds data that has no text.

        """
        return cells.name_text(value)

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: Call) -> typing.Any:
        """Return the data with the headers' values behind each row; as it is, where it has none of ours."""
        return data


BY_MODULE: dict[str, Adapter] = {}
"""By the name of the package in which a type, or one of its bases, is defined."""
BY_KIND: list[tuple[typing.Callable[[type], bool], Adapter]] = []
"""For types of no such package: the first whose question is answered by yes. The last one's always is."""

_MOST_TYPES = 1000
_chosen: dict[type, Adapter] = {}


def of(value: object) -> Adapter:
    """Return the adapter for a value."""
    kind = type(value)
    return _chosen.get(kind) or _choose(kind)


def cell(value: object) -> object:
    """Return a value as orjson can write it, see ``Adapter.cell``."""
    kind = type(value)
    return (_chosen.get(kind) or _choose(kind)).cell(value)


def labelled(value: object) -> typing.Mapping[object, object] | None:
    """Return a row's cells by their labels, see ``Adapter.labelled``."""
    return of(value).labelled(value)


def row(value: object) -> typing.Sequence[object]:
    """Return the cells of a row; what is none is one cell."""
    listed = of(value).listed(value)
    return [value] if listed is None else listed


def _choose(kind: type) -> Adapter:
    if len(_chosen) >= _MOST_TYPES:  # types that are made anew in each call
        _chosen.clear()
    packages = (base.__module__.partition(".")[0] for base in kind.__mro__)
    known = next((BY_MODULE[package] for package in packages if package in BY_MODULE), None)
    chosen = known or next((adapter for asks, adapter in BY_KIND if asks(kind)))
    _chosen[kind] = chosen
    return chosen
