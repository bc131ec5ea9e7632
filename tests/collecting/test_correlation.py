"""Correlation headers that a script adds to its predictions."""

from __future__ import annotations

import typing

import numpy
import pandas
import polars
import pytest

import modeldata
from modeldata.requests import context
from modeldata.tables import rows

HEADERS: dict[str, object] = {"$a": "x", "$b": 1}


def added(data: object, names: tuple[str, ...] = (), input_rows: int = 0) -> typing.Any:
    return rows.joined(data, HEADERS, names=names, input_rows=input_rows)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([1, 2], [1, 2, "x", 1]),
        ((1, 2), [1, 2, "x", 1]),
        ([[1], [2]], [[1, "x", 1], [2, "x", 1]]),
        (([1], (2,)), [[1, "x", 1], [2, "x", 1]]),
        ([numpy.array([1])], [[1, "x", 1]]),
        ([{"p": 1}], [{"p": 1, "$a": "x", "$b": 1}]),
    ],
    ids=str,
)
def test_lists_get_them_behind_each_row(data: object, expected: object) -> None:
    assert added(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (numpy.array([1, 2]), [[1, 2, "x", 1]]),
        (numpy.array([[1], [2]]), [[1, "x", 1], [2, "x", 1]]),
        (numpy.array([["a", None]], object), [["a", None, "x", 1]]),
    ],
    ids=str,
)
def test_arrays_become_arrays_of_objects(data: object, expected: object) -> None:
    made = added(data)
    assert (made.dtype, made.tolist()) == (object, expected)


@pytest.mark.parametrize("kind", [list, tuple, numpy.array])
def test_predictions_of_a_batch_are_as_many_rows(kind: typing.Callable[[object], object]) -> None:
    expected = [[1, "x", 1], [2, "x", 1]]
    assert [list(row) for row in added(kind([1, 2]), input_rows=2)] == expected
    assert [list(row) for row in added(kind([1, 2]), names=("p",))] == expected


def test_frames_are_copied() -> None:
    for frame in (pandas.DataFrame({"p": [1, 2]}), polars.DataFrame({"p": [1, 2]})):
        made = added(frame)
        assert type(made) is type(frame)
        assert (list(made.columns), list(frame.columns)) == (["p", "$a", "$b"], ["p"])
        assert list(made["$a"]) == ["x", "x"]


@pytest.mark.parametrize("data", [7.5, "text", {"p": 1}, None, numpy.zeros((1, 1, 1)), numpy.array(1)], ids=str)
def test_data_of_other_types_is_returned_as_it_is(data: object) -> None:
    assert added(data) is data


def test_without_correlations_data_is_returned_as_it_is() -> None:
    data = [1]
    assert modeldata.ModelDataCollector("m").add_correlations(data, None) is data


def test_data_that_can_take_none_is_returned_as_it_is() -> None:
    data = [[1], 2]
    assert modeldata.ModelDataCollector("m").add_correlations(data, HEADERS) is data


@pytest.fixture
def _debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELDATA_DIR", raising=False)
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")
    context.leave()


@pytest.mark.usefixtures("_debug")
def test_predictions_with_correlations_join_their_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = modeldata.ModelDataCollector("m", "inputs")
    predictions = modeldata.ModelDataCollector("m", "predictions")
    correlations = inputs.collect([[1], [2]])
    assert correlations is not None
    predictions.collect(predictions.add_correlations(numpy.array([0.5, 0.25]), correlations))
    _, *inputs_read, _, first, second = capsys.readouterr().out.splitlines()
    assert [row.split(",")[2] for row in inputs_read] == [row.split(",")[2] for row in (first, second)]
    assert [row.split(",")[3] for row in (first, second)] == ["0.5", "0.25"]
    assert first.endswith(f",{correlations['$aml_request_id']}")
