"""What is a row: everything that model scripts hand to collect()."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import typing
import uuid

import numpy
import pandas
import pytest

from modeldata import rows


def test_a_list_of_lists_is_its_rows(table: typing.Any) -> None:
    assert table([[1, 2.5], [3, 4.0]], ("a", "b")) == [["a", "b"], ["1", "2.5"], ["3", "4.0"]]


def test_tuples_are_as_lists(table: typing.Any) -> None:
    assert table(((1, 2), (3, 4)), ("a", "b"))[1:] == [["1", "2"], ["3", "4"]]


def test_a_flat_list_is_one_row(table: typing.Any) -> None:
    assert table([1, 2, 3]) == [["feature_0", "feature_1", "feature_2"], ["1", "2", "3"]]


def test_a_flat_list_as_long_as_the_names_is_one_row(table: typing.Any) -> None:
    assert table([1, 2], ("a", "b")) == [["a", "b"], ["1", "2"]]


def test_a_flat_list_is_a_column_if_the_inputs_had_as_many_rows(table: typing.Any) -> None:
    assert table([1, 2], ("a", "b"), input_rows=2)[1:] == [["1", ""], ["2", ""]]


def test_a_flat_list_is_a_column_if_there_is_one_name(table: typing.Any) -> None:
    assert table([1, 2, 3], ("p",)) == [["p"], ["1"], ["2"], ["3"]]


def test_one_input_row_does_not_make_a_column(table: typing.Any) -> None:
    assert table([7.0], ("p",), input_rows=1) == [["p"], ["7.0"]]


def test_a_flat_array_follows_the_rule_of_a_flat_list(table: typing.Any) -> None:
    array = numpy.array([1.5, 2.5])
    assert table(array)[1:] == [["1.5", "2.5"]]
    assert table(array, input_rows=2)[1:] == [["1.5"], ["2.5"]]
    assert table(array, ("p",))[1:] == [["1.5"], ["2.5"]]
    assert table(array, ("a", "b"))[1:] == [["1.5", "2.5"]]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i4", "i8", "u1", "u8", ">f8", ">i4"])
def test_a_numeric_array_keeps_its_values(table: typing.Any, dtype: str) -> None:
    array = numpy.array([[1, 2], [3, 4]], dtype)
    assert [[float(cell) for cell in row] for row in table(array)[1:]] == array.tolist()


def test_a_half_precision_array_keeps_its_values(table: typing.Any) -> None:
    array = numpy.array([[0.1, 65504, 6e-8]], "f2")
    assert (numpy.array(table(array)[1:], float).astype("f2") == array).all()


def test_integers_stay_integers(table: typing.Any) -> None:
    assert table(numpy.array([[2**63 - 1, -1]]))[1:] == [["9223372036854775807", "-1"]]


def test_booleans_are_words(table: typing.Any) -> None:
    assert table(numpy.array([[True, False]]))[1:] == [["true", "false"]]
    assert table([[True, "x", numpy.bool_(False)]])[1:] == [["true", "x", "false"]]


def test_a_view_of_an_array_is_what_it_shows(table: typing.Any) -> None:
    array = numpy.arange(12.0).reshape(3, 4)
    assert table(array[::2, ::-1])[1:] == [["3.0", "2.0", "1.0", "0.0"], ["11.0", "10.0", "9.0", "8.0"]]
    assert table(array.T)[1] == ["0.0", "4.0", "8.0"]


def test_an_array_of_objects_is_its_cells(table: typing.Any) -> None:
    assert table(numpy.array([[1, "x"], [None, 2.5]], object))[1:] == [["1", "x"], ["", "2.5"]]


def test_a_structured_array_brings_its_names(table: typing.Any) -> None:
    array = numpy.array([(1, 2.5), (2, 3.5)], [("a", "i4"), ("b", "f8")])
    assert table(array) == [["a", "b"], ["1", "2.5"], ["2", "3.5"]]


def test_a_masked_cell_is_empty(table: typing.Any) -> None:
    array = numpy.ma.masked_array([[1.0, 2.0]], mask=[[False, True]])
    assert table(array)[1:] == [["1.0", ""]]


def test_a_frame_of_one_type_brings_its_names(table: typing.Any) -> None:
    assert table(pandas.DataFrame({"a": [1.5], "b": [2.5]}), ("x", "y")) == [["a", "b"], ["1.5", "2.5"]]


def test_a_mixed_frame_keeps_integers(table: typing.Any) -> None:
    frame = pandas.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "s": ["a", None]})
    assert table(frame)[1:] == [["1", "0.5", "a"], ["2", "1.5", table(frame)[2][2]]]


def test_gaps_of_nullable_columns_are_empty(table: typing.Any) -> None:
    frame = pandas.DataFrame({"n": pandas.array([1, None], "Int64"), "b": pandas.array([None, True], "boolean")})
    assert table(frame)[1:] == [["1", ""], ["", "true"]]


def test_a_nullable_frame_without_gaps_keeps_integers(table: typing.Any) -> None:
    frame = pandas.DataFrame({"n": pandas.array([1, 2], "Int64")})
    assert table(frame)[1:] == [["1"], ["2"]]


def test_categories_are_their_values(table: typing.Any) -> None:
    assert table(pandas.DataFrame({"c": pandas.Categorical(["x", "y", "x"])}))[1:] == [["x"], ["y"], ["x"]]


def test_times_keep_their_zone(table: typing.Any) -> None:
    frame = pandas.DataFrame({"t": pandas.to_datetime(["2026-01-02 03:04:05"]).tz_localize("Europe/Berlin")})
    assert table(frame)[1:] == [["2026-01-02T03:04:05+01:00"]]


def test_no_time_is_empty(table: typing.Any) -> None:
    assert table(pandas.DataFrame({"t": [pandas.NaT, pandas.Timestamp("2026-01-02")], "n": [1, 2]}))[1][0] == ""
    assert table(numpy.array([["NaT", "2026-01-02"]], "M8[ns]"))[1:] == [["", "2026-01-02T00:00:00"]]


def test_duplicate_columns_stay_two(table: typing.Any) -> None:
    frame = pandas.DataFrame([[1, "x"], [2, "y"]], columns=["a", "a"])
    assert table(frame) == [["a", "a"], ["1", "x"], ["2", "y"]]


def test_columns_of_several_levels_are_joined(table: typing.Any) -> None:
    frame = pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    assert table(frame)[0] == ["a.x", "a.y"]


def test_columns_may_be_numbers(table: typing.Any) -> None:
    assert table(pandas.DataFrame([[1, 2]]))[0] == ["0", "1"]


def test_a_series_follows_the_rule_of_a_flat_list(table: typing.Any) -> None:
    assert table(pandas.Series([1.5, 2.5]), ("p",))[1:] == [["1.5"], ["2.5"]]
    assert table(pandas.Series([1.5, 2.5]))[1:] == [["1.5", "2.5"]]


def test_short_floats_keep_their_digits_everywhere(table: typing.Any) -> None:
    cell = numpy.float32(0.1)
    for data in (
        [[cell]],
        [[cell, "text"]],
        [[cell, None]],
        [numpy.array([cell])],
        [numpy.array([cell]), [math.nan]],
        numpy.array([[cell]]),
        pandas.DataFrame({"a": numpy.array([cell]), "s": ["x"]}),
        pandas.Series([cell], dtype="float32"),
    ):
        assert table(data)[1][0] == "0.1", data


def test_dicts_are_rows_under_their_keys(table: typing.Any) -> None:
    assert table([{"a": 1, "b": 2}, {"b": 3, "c": 4}]) == [["a", "b", "c"], ["1", "2", ""], ["", "3", "4"]]
    assert table({"a": 1}) == [["a"], ["1"]]


def test_keys_that_are_no_text_keep_their_values(table: typing.Any) -> None:
    assert table([{1: "x", None: "y"}]) == [["1", "None"], ["x", "y"]]


def test_a_list_of_arrays_is_its_rows(table: typing.Any) -> None:
    assert table([numpy.array([1.5, 2.5]), numpy.array([3.5, 4.5])])[1:] == [["1.5", "2.5"], ["3.5", "4.5"]]


@pytest.mark.parametrize(
    "value",
    [3.5, numpy.float64(3.5), numpy.float32(3.5), numpy.array(3.5), [3.5], numpy.array([3.5]), [[3.5]]],
    ids=lambda value: type(value).__name__,
)
def test_a_single_number_is_one_cell(table: typing.Any, value: object) -> None:
    assert table(value) == [["feature_0"], ["3.5"]]


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, ""),
        ("", ""),
        (math.nan, "NaN"),
        (math.inf, "Inf"),
        (-math.inf, "-Inf"),
        (numpy.float32("nan"), "NaN"),
        (numpy.int64(7), "7"),
        (numpy.str_("x"), "x"),
        (numpy.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime.time(3, 4, 5), "03:04:05"),
        (pandas.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        (pandas.NA, ""),
        (pandas.NaT, ""),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (2**80, str(2**80)),
        (-(2**70), str(-(2**70))),
        ("Ünïcödé \u2028 \U0001f600", "Ünïcödé \u2028 \U0001f600"),
        ("\ud800", "?"),
        ("null", "null"),
        ('a"b,c\r\nd\re', 'a"b,c\r\nd\re'),
        (Colour.RED, "red"),
        (1 + 2j, "(1+2j)"),
    ],
    ids=repr,
)
def test_a_cell_reads_as(table: typing.Any, cell: object, expected: str) -> None:
    assert table([[1, cell]])[1:] == [["1", expected]]
    # Beside a null every cell takes the slower way.
    assert table([[None, cell]])[1:] == [["", expected]]


def test_nested_values_are_json(table: typing.Any) -> None:
    ((first, second),) = table([[[1, [2]], {"k": [None, math.nan]}]])[1:]
    assert (json.loads(first), json.loads(second)) == ([1, [2]], {"k": [None, "NaN"]})


def test_rows_that_are_no_lists_are_one_cell(table: typing.Any) -> None:
    assert table([[1, 2], 3])[1:] == [["1", "2"], ["3", ""]]
    assert table([[1, 2], "ab"])[1:] == [["1", "2"], ["ab", ""]]
    assert table([[1, 2], None])[1:] == [["1", "2"], ["", ""]]
    assert table([[[1, 2]], 3])[1:] == [["[1,2]"], ["3"]]


def test_ragged_rows_are_filled_up_at_the_end(table: typing.Any) -> None:
    assert table([[1], [2, 3, 4], []], ("a", "b")) == [
        ["a", "b", "feature_2"],
        ["1", "", ""],
        ["2", "3", "4"],
        ["", "", ""],
    ]


@pytest.mark.parametrize(
    "nothing",
    [[], (), {}, numpy.empty((0, 3)), numpy.array([]), pandas.DataFrame(), pandas.DataFrame({"a": []})],
    ids=lambda value: f"{type(value).__name__}",
)
def test_no_rows_are_nothing_to_collect(nothing: object) -> None:
    assert sum(table.rows for table in rows.take(nothing, names=("a",), input_rows=0)) in (0, 1)
    assert all(table.rows for table in rows.take(nothing, names=("a",), input_rows=0))


@pytest.mark.parametrize(
    "data",
    [
        b"bytes",
        bytearray(b"x"),
        "text",
        None,
        numpy.zeros((2, 8, 8)),
        [numpy.zeros((8, 8))],
        [[b"bytes"]],
        object(),
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_is_refused(data: object) -> None:
    with pytest.raises(rows.Refused):
        rows.take(data, names=(), input_rows=0)


def test_nothing_of_the_callers_data_is_kept(table: typing.Any) -> None:
    for data in ([[1.0, 2.0]], numpy.array([[1.0, 2.0]]), pandas.DataFrame([[1.0, 2.0]])):
        tables = rows.take(data, names=(), input_rows=0)
        before = tables[0].payload[:]
        if isinstance(data, pandas.DataFrame):
            data.iloc[0, 0] = 99.0
        else:
            data[0][0] = 99.0
        assert tables[0].payload == before


@pytest.mark.parametrize("data", [[[float(n), 1.0] for n in range(5000)], numpy.ones((200_000, 2))])
def test_a_huge_call_is_cut_into_pieces_of_whole_rows(data: typing.Any) -> None:
    tables = rows.take(data, names=(), input_rows=0)
    assert len(tables) > 1
    assert sum(table.rows for table in tables) == len(data)
    assert max(len(table.payload) for table in tables) <= rows.PIECE_BYTES


def test_wide_rows_make_smaller_pieces() -> None:
    tables = rows.take([[1.0] * 10_000 for _ in range(20)], names=(), input_rows=0)
    assert [table.rows for table in tables] == [5, 5, 5, 5]
