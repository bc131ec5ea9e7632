"""What is collected: tables of three shapes, in the form that each contender takes."""

from __future__ import annotations

import dataclasses
import typing

import numpy


@dataclasses.dataclass(frozen=True)
class Shape:
    """Rows and columns of one call's data."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    @property
    def names(self) -> list[str]:
        return [f"feature{number}" for number in range(self.columns)]

    @property
    def bytes(self) -> int:
        """What its cells are as 64-bit floats."""
        return self.rows * self.columns * 8


ONE = Shape(1, 6)
HUNDRED = Shape(100, 6)
THOUSAND = Shape(1000, 50)
SHAPES = {str(shape): shape for shape in (ONE, HUNDRED, THOUSAND)}


def tables(shape: Shape, form: str) -> list[typing.Any]:
    """Return different tables of a shape, more than the processor's caches hold of the small ones.

    Args:
        shape: rows and columns.
        form: ``list`` (rows), ``array`` (float64), ``frame`` (pandas), ``columns`` (a list for each column).

    """
    generator = numpy.random.default_rng(4)  # the same values for all contenders
    count = {1: 1000, 100: 100}.get(shape.rows, 10)
    arrays = [generator.standard_normal((shape.rows, shape.columns)) for _ in range(count)]
    if form == "array":
        return list(arrays)
    if form == "list":
        return [array.tolist() for array in arrays]
    if form == "columns":
        return [array.T.tolist() for array in arrays]
    import pandas

    return [pandas.DataFrame(array, columns=shape.names) for array in arrays]
