"""Spark: DataFrames, whose rows are computed for it as for their own ``collect()``, and rows."""

from __future__ import annotations

import typing

from . import adapter, cells, of_pandas, of_python, of_tensors


class Spark(of_tensors.Tensors):
    """What pyspark has."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if cells.loaded(data, "pyspark.sql", "DataFrame"):
            own = of_pandas.names(data)
            if call.names and own == tuple(f"_{number}" for number in range(1, len(own) + 1)):
                own = ()  # which Spark names a table that had no names
            return call.framed(own, [tuple(row) for row in data.collect()])
        if self.labelled(data) is not None:
            return call.by_label([data])
        return of_python.SEQUENCES.content(data, call) if isinstance(data, tuple) else super().content(data, call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        if self.labelled(values[0]) is not None:
            return call.by_label(values)
        return of_python.SEQUENCES.rows(values, call) or super().rows(values, call)

    def labelled(self, value: typing.Any) -> typing.Mapping[object, object] | None:  # noqa: D102
        names = getattr(value, "__fields__", None) if isinstance(value, tuple) else None
        return dict(zip(names, value)) if names else None

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return value if isinstance(value, tuple) else super().listed(value)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if isinstance(value, tuple) and hasattr(value, "asDict"):  # a struct
            return adapter.cell(value.asDict())
        return super().cell(value)

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: adapter.Call) -> typing.Any:  # noqa: D102
        if cells.loaded(data, "pyspark.sql", "DataFrame"):
            return data.toPandas().assign(**headers)  # as in azureml-monitoring
        return of_python.SEQUENCES.joined(data, headers, call)


SPARK = Spark()
