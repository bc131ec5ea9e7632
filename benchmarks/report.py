"""What a run says: rows with a limit each, and the tables they are taken from."""

from __future__ import annotations

import dataclasses
import operator
import statistics
import typing


@dataclasses.dataclass(frozen=True)
class Row:
    """One promise and what was measured."""

    name: str
    limit: float
    measured: float
    unit: str
    """``x`` for ratios."""
    at_least: bool = False
    conditions: tuple[tuple[str, bool], ...] = ()
    """What must also be true, with whether it is: none raised, none lost."""
    detail: str = ""

    @property
    def held(self) -> bool:
        compare = operator.ge if self.at_least else operator.le
        return compare(self.measured, self.limit) and all(fulfilled for _, fulfilled in self.conditions)

    def document(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "conditions": dict(self.conditions), "held": self.held}


@dataclasses.dataclass(frozen=True)
class Table:
    """Figures side by side."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str | float, ...], ...]

    def document(self) -> dict[str, object]:
        return {"title": self.title, "lines": [dict(zip(self.columns, line, strict=True)) for line in self.lines]}


@dataclasses.dataclass(frozen=True)
class Part:
    """What one benchmark found."""

    rows: tuple[Row, ...]
    tables: tuple[Table, ...]


def verdicts(rows: typing.Sequence[Row]) -> str:
    """Return the rows as text."""
    lines = []
    for row in rows:
        sign = "at least" if row.at_least else "at most"
        cells = (row.name, f"{sign} {number(row.limit)} {row.unit}", f"{number(row.measured)} {row.unit}")
        lines.append((*cells, "held" if row.held else "NOT HELD"))
    text = grid((("", "limit", "measured", ""), *lines)).splitlines()
    shown = text[:1]
    for row, line in zip(rows, text[1:], strict=True):
        shown.append(line)
        conditions = ", ".join(f"{name}: {'yes' if fulfilled else 'NO'}" for name, fulfilled in row.conditions)
        shown += [f"    {note}" for note in (conditions, row.detail) if note]
    return "\n".join(shown)


def table(of: Table) -> str:
    cells = [tuple(number(cell) if isinstance(cell, float) else str(cell) for cell in line) for line in of.lines]
    return f"{of.title}\n{grid((of.columns, *cells))}"


def grid(lines: typing.Sequence[typing.Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def number(value: float) -> str:
    """Return three digits of a number, all of its digits if it has more before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def middle(values: typing.Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def ratios(values: typing.Sequence[float], floor: typing.Sequence[float]) -> float:
    """Return the median ratio of figures that were taken one after the other."""
    return middle([value / least for value, least in zip(values, floor, strict=True)])
