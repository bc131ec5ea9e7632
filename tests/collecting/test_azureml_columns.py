"""``columns: AzureML``: the features, then the eight columns of Azure ML's later collectors."""

from __future__ import annotations

import csv
import io
import typing

import numpy
import pandas
import pytest

from modeldata import ModelDataCollector, settings
from modeldata.delivery import building
from modeldata.spool import records
from modeldata.tables import rows

EIGHT = [
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
]
CORRELATIONS = dict(
    zip(EIGHT, ["mine", "2026-01-02T03:04:05.000006", 1440, "s/g/w", "churn", "m", "7", "r-1"], strict=True)
)


def read(data: typing.Any, columns: settings.Columns, first_row: int = records.SINGLE) -> list[list[str]]:
    storage = settings.Storage("http://x", "c", "{file}")
    origin = settings.Origin("Sub", "Group", "Space", "churn", "10")
    now = settings.Settings(enabled=True, storage=storage, origin=origin, columns=columns)
    builder = building.Builder(now)
    for table in rows.take(data, names=("a", "b"), input_rows=0):
        builder.add(records.Record(records.Stream("m", "inputs", table.names), 1, "r,1", "", first_row, table))
    (block,) = builder.blocks()
    return list(csv.reader(io.StringIO((block.header + block.data).decode(), newline=""), strict=True))


@pytest.mark.parametrize(
    "data", [[[1.5, 2]], [["x", None]], numpy.array([[1.0, 2.0]])], ids=["numbers", "texts", "array"]
)
def test_the_features_come_first(data: typing.Any) -> None:
    header, row = read(data, settings.Columns.AZUREML)
    assert header == ["a", "b", *EIGHT]
    assert row[2:] == ["r,1", "1970-01-01T00:00:00.000001", "1440", "sub/group/space", "churn", "m", "10", "r,1"]
    assert row[:2] == read(data, settings.Columns.LEADING)[1][3:]


@pytest.mark.parametrize(
    "data", [[[1.5], [2.5]], [["x"], [None]], numpy.array([[1.5], [2.5]])], ids=["numbers", "texts", "array"]
)
def test_names_without_cells_shift_no_column(data: typing.Any) -> None:
    header, *both = read(data, settings.Columns.AZUREML, first_row=0)
    assert header == ["a", "b", *EIGHT]
    assert [row[1] for row in both] == ["", ""]
    assert [row[2] for row in both] == ["r,1", "r,1"]
    assert [row[-1] for row in both] == ["r,1-0", "r,1-1"]
    assert [row[:2] for row in both] == [row[3:] for row in read(data, settings.Columns.LEADING, first_row=0)[1:]]


def test_rows_of_a_batch_are_numbered() -> None:
    _, *both = read([[1, 2], [3, 4]], settings.Columns.AZUREML, first_row=0)
    assert [row[-1] for row in both] == ["r,1-0", "r,1-1"]


@pytest.mark.parametrize(
    "data",
    [[[1, 2]], numpy.array([[1, 2]]), pandas.DataFrame({"a": [1], "b": [2]})],
    ids=["list", "array", "frame"],
)
def test_what_add_correlations_appended_keeps_its_names_and_is_not_appended_again(data: typing.Any) -> None:
    collector = ModelDataCollector("m", "predictions", ["a", "b"])
    correlated = collector.add_correlations(data, CORRELATIONS)
    expected = [str(value) for value in CORRELATIONS.values()]
    assert read(correlated, settings.Columns.AZUREML) == [["a", "b", *EIGHT], ["1", "2", *expected]]
    header, row = read(correlated, settings.Columns.LEADING)
    assert (header[3:], row[3:]) == (["a", "b", *EIGHT], ["1", "2", *expected])


def test_eight_more_numbers_than_names_are_features() -> None:
    header, _ = read([[float(n) for n in range(10)]], settings.Columns.LEADING)
    assert header[3:] == ["a", "b", *(f"feature_{n}" for n in range(2, 10))]
