"""Tensors of torch, and whatever else makes an array of itself (``__array__``), where the model has numpy."""

from __future__ import annotations

import sys
import typing

from . import adapter, cells, of_numpy


class Tensors(adapter.Adapter):
    """What has ``__array__``, or at least ``tolist``."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if not (hasattr(data, "__array__") and hasattr(data, "ndim") and "numpy" in sys.modules):
            return super().content(data, call)
        if data.ndim > 2:  # before it is fetched: it may be large, and on another device
            raise cells.Refused(f"a tensor of {data.ndim} dimensions is not collected: flatten it to rows first")
        for step in ("detach", "cpu"):  # torch gives no array of a tensor that has gradients or lies on a GPU
            data = getattr(data, step)() if hasattr(data, step) else data
        try:
            array = sys.modules["numpy"].asarray(data)
        except TypeError:  # bfloat16, for which numpy has no type
            if not hasattr(data, "float"):
                raise
            array = sys.modules["numpy"].asarray(data.float())
        return of_numpy.content(array, call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        return of_numpy.rows(values, call) if getattr(values[0], "ndim", 0) > 0 else None

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return of_numpy.one_dimension(value)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        return of_numpy.cell(value)


TENSORS = Tensors()


def may_be_tensor(_: type) -> bool:
    """Return whether a type's values may be tensors: what tells is what a value has, which may be another's."""
    return True
