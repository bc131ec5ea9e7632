"""What is a row: everything that model scripts hand to collect()."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import re
import sys
import types
import typing
import uuid

import numpy
import pandas
import polars
import pytest
import scipy.sparse

from modeldata.tables import cells, pieces, rows


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
    assert table(frame)[1:] == [["1", "0.5", "a"], ["2", "1.5", ""]]


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


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "m", "s", "ms", "us", "ns"])
def test_times_of_numpy_are_iso_8601_in_any_unit(table: typing.Any, unit: str) -> None:
    array = numpy.array(["1970-01-01", "NaT", "2026-03-01"], f"M8[{unit}]")
    for data in (array.reshape(3, 1), [[time] for time in array], [array[:1], array[1:2], array[2:]]):
        for cells_read, time in zip(table(data)[1:], array, strict=True):
            (text,) = cells_read
            assert text == "" if numpy.isnat(time) else numpy.datetime64(text) == time


def test_nanoseconds_are_kept(table: typing.Any) -> None:
    array = numpy.array([["2026-01-02T03:04:05.000000001", "2026-01-02T03:04:05.5"]], "M8[ns]")
    assert table(array)[1:] == [["2026-01-02T03:04:05.000000001", "2026-01-02T03:04:05.500000"]]


def test_durations_are_seconds(table: typing.Any) -> None:
    assert table(numpy.array([[1500, "NaT"]], "m8[ms]"))[1:] == [["1.5", ""]]
    assert table(pandas.DataFrame({"d": pandas.to_timedelta(["90s", None]), "n": [1, 2]}))[1:] == [
        ["90.0", "1"],
        ["", "2"],
    ]


def test_an_array_of_numbers_that_python_has_not(table: typing.Any) -> None:
    assert table(numpy.array([["0.1", "nan", "-inf"]], numpy.longdouble))[1:] == [["0.1", "NaN", "-1e999"]]
    assert table(numpy.array([[1 + 2j]]))[1:] == [["(1+2j)"]]


def test_an_array_of_texts_is_its_cells(table: typing.Any) -> None:
    assert table(numpy.array([["a", ""], ["b,c", "é"]]))[1:] == [["a", ""], ["b,c", "é"]]


def test_a_structured_array_may_hold_anything(table: typing.Any) -> None:
    kinds = [("t", "M8[s]"), ("x", "f4"), ("pair", "i4", 2), ("inner", [("y", "i4")])]
    array = numpy.array([("NaT", 0.1, (1, 2), (3,))], kinds)
    assert table(array) == [["t", "x", "pair", "inner"], ["", "0.1", "[1,2]", "[3]"]]
    assert table(array[0:1].view(numpy.recarray)) == table(array)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?", "M8[s]", "U3", "O"])
def test_what_is_masked_is_empty_in_arrays_of_any_type(table: typing.Any, dtype: str) -> None:
    array = numpy.ma.masked_array(numpy.array([1, 1], "i8").astype(dtype), mask=[False, True])
    (cells_read,) = table(array)[1:]
    assert cells_read[0] != ""
    assert cells_read[1] == ""
    assert table([array])[1:] == [cells_read]
    assert table([[0, 0], array])[2] == cells_read


@pytest.mark.parametrize(
    "array",
    [
        numpy.asfortranarray(numpy.arange(6.0).reshape(3, 2)),
        numpy.arange(12.0).reshape(6, 2)[::2],
        numpy.arange(12.0).reshape(3, 4)[::-1, ::2],
        numpy.matrix("0 1; 2 3; 4 5"),
        numpy.broadcast_to(numpy.arange(2.0), (3, 2)),
    ],
    ids=["fortran", "strided", "reversed", "matrix", "broadcast"],
)
def test_an_array_is_read_row_by_row_however_it_lies_in_memory(table: typing.Any, array: typing.Any) -> None:
    assert [[float(cell) for cell in row] for row in table(array)[1:]] == array.tolist()


def test_an_array_without_columns_has_no_rows(table: typing.Any) -> None:
    assert table(numpy.empty((3, 0)))[1:] == [[""], [""], [""]]


GAPPY = "Int64 UInt8 Float64 Float32 boolean string str category int64[pyarrow] float[pyarrow] string[pyarrow]"


@pytest.mark.parametrize("dtype", GAPPY.split())
def test_gaps_are_empty_in_frames_and_series_of_any_type(table: typing.Any, dtype: str) -> None:
    series = pandas.Series([1, None], dtype=object).astype(dtype)
    first = table(pandas.DataFrame({"a": series, "b": series}))[1:]
    assert first[1] == ["", ""]
    assert float(first[0][0].replace("true", "1")) == 1
    assert table(series, ("p",))[1:] == [[row[0]] for row in first]


def test_integers_with_gaps_stay_integers(table: typing.Any) -> None:
    frame = pandas.DataFrame({"n": pandas.array([2**53 + 1, None], "Int64")})
    assert table(frame)[1:] == [["9007199254740993"], [""]]


@pytest.mark.parametrize("missing", [None, math.nan, pandas.NA, pandas.NaT], ids=repr)
def test_what_is_missing_among_objects_is_empty(table: typing.Any, missing: object) -> None:
    assert table(pandas.DataFrame({"s": pandas.Series(["a", missing], dtype=object)}))[1:] == [["a"], [""]]


def test_not_a_number_among_floats_is_no_gap(table: typing.Any) -> None:
    assert table(pandas.DataFrame({"x": [0.5, math.nan]}))[1:] == [["0.5"], ["NaN"]]
    assert table(pandas.DataFrame({"x": [0.5, math.nan], "n": [1, 2]}))[1:] == [["0.5", "1"], ["NaN", "2"]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32", "float[pyarrow]", "Sparse[float32]"])
def test_short_floats_of_pandas_keep_their_digits(table: typing.Any, dtype: str) -> None:
    series = pandas.Series([0.1, 2.5], dtype=dtype)
    expected = "0.099975586" if dtype == "float16" else "0.1"
    for data in (pandas.DataFrame({"a": series}), pandas.DataFrame({"a": series, "s": ["x", "y"]})):
        assert [row[0] for row in table(data)[1:]] == [expected, "2.5"]
    assert table(series, ("p",))[1:] == [[expected], ["2.5"]]


def test_sparse_columns_are_their_values(table: typing.Any) -> None:
    frame = pandas.DataFrame({"a": pandas.arrays.SparseArray([0, 0, 7]), "b": pandas.arrays.SparseArray([1.5, 0, 0])})
    assert table(frame)[1:] == [["0", "1.5"], ["0", "0.0"], ["7", "0.0"]]


def test_an_index_is_as_a_series(table: typing.Any) -> None:
    assert table(pandas.Index(["a", None, "b"]), ("p",))[1:] == [["a"], [""], ["b"]]
    assert table(pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)]))[1:] == [["a", "1"], ["b", "2"]]


def test_a_series_of_lists_is_rows(table: typing.Any) -> None:
    assert table(pandas.Series([[1, 2], [3, 4]]))[1:] == [["1", "2"], ["3", "4"]]


def test_a_series_is_a_column_if_the_inputs_had_as_many_rows(table: typing.Any) -> None:
    assert table(pandas.Series(["a", "b"]), input_rows=2)[1:] == [["a"], ["b"]]
    assert table(pandas.Series([1, 2]), input_rows=2)[1:] == [["1"], ["2"]]


def test_a_frame_of_polars_is_its_rows(table: typing.Any) -> None:
    frame = polars.DataFrame(
        {
            "n": [1, None],
            "x": polars.Series([0.1, None], dtype=polars.Float32),
            "c": polars.Series(["a", "b"], dtype=polars.Categorical),
            "t": [datetime.datetime(2026, 1, 2), None],
            "l": [[1], []],
            "s": [{"k": 1.5}, None],
        }
    )
    assert table(frame) == [
        ["n", "x", "c", "t", "l", "s"],
        ["1", "0.1", "a", "2026-01-02T00:00:00", "[1]", '{"k":1.5}'],
        ["", "", "b", "", "[]", ""],
    ]


def test_a_series_of_polars_is_as_a_flat_list(table: typing.Any) -> None:
    assert table(polars.Series([1.5, None]), ("p",))[1:] == [["1.5"], [""]]
    assert table(polars.Series([1, 2]))[1:] == [["1", "2"]]


def test_a_dict_of_columns_is_its_rows(table: typing.Any) -> None:
    for values in ([41, 52], (41, 52), numpy.array([41, 52]), pandas.Series([41, 52])):
        assert table({"age": values, "name": ["a", None]}) == [["age", "name"], ["41", "a"], ["52", ""]]


def test_a_dict_of_columns_is_one_row_if_the_inputs_had_another_number_of_rows(table: typing.Any) -> None:
    data = {"probabilities": [0.25, 0.75]}
    assert table(data, input_rows=1) == [["probabilities"], ["[0.25,0.75]"]]
    assert table(data, input_rows=2) == [["probabilities"], ["0.25"], ["0.75"]]


@pytest.mark.parametrize("data", [{"a": [1, 2], "b": 3}, {"a": [1, 2], "b": [3]}, {"a": "xy", "b": "zt"}], ids=str)
def test_any_other_dict_is_one_row(table: typing.Any, data: dict[str, object]) -> None:
    assert len(table(data)) == 2


def test_a_dict_in_a_list_is_one_row(table: typing.Any) -> None:
    assert table([{"vector": [0.5, 1.5]}]) == [["vector"], ["[0.5,1.5]"]]


class Tensor:
    """As torch's: gives no array while it has gradients or lies on another device."""

    def __init__(self, array: typing.Any, *, gradients: bool = True, device: str = "gpu") -> None:
        self.array, self.gradients, self.device = array, gradients, device
        self.ndim = array.ndim

    def detach(self) -> Tensor:
        return Tensor(self.array, gradients=False, device=self.device)

    def cpu(self) -> Tensor:
        return Tensor(self.array, gradients=self.gradients, device="cpu")

    def tolist(self) -> object:
        return self.array.tolist()

    def __array__(self, dtype: object = None, copy: object = None) -> typing.Any:
        if self.gradients or self.device != "cpu":
            raise TypeError("no array")
        return self.array


def test_a_tensor_of_two_dimensions_is_an_array(table: typing.Any) -> None:
    assert table(Tensor(numpy.array([[0.1, 0.2]], "f4")))[1:] == [["0.1", "0.2"]]
    assert table(Tensor(numpy.array([1, 2])), input_rows=2)[1:] == [["1"], ["2"]]
    assert table([Tensor(numpy.array([1, 2]))])[1:] == [["1", "2"]]


def itself() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


def deep(levels: int) -> list[object]:
    return [deep(levels - 1)] if levels else []


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


class Level(enum.IntEnum):
    HIGH = 2


class Name(enum.StrEnum):
    FIRST = "first"


@dataclasses.dataclass
class Point:
    x: int
    y: object
    _cached: int = 0


class Unprintable:
    def __str__(self) -> str:
        return "\ud800"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, ""),
        ("", ""),
        (math.nan, "NaN"),
        (math.inf, "1e999"),
        (-math.inf, "-1e999"),
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
        (Level.HIGH, "2"),
        (Name.FIRST, "first"),
        (datetime.timedelta(hours=1, microseconds=500), "3600.0005"),
        (pandas.Timedelta("90s"), "90.0"),
        (numpy.timedelta64(90, "s"), "90.0"),
        (numpy.timedelta64("NaT"), ""),
        (numpy.datetime64("NaT"), ""),
        (numpy.datetime64("NaT", "D"), ""),
        (numpy.datetime64("NaT", "ns"), ""),
        (numpy.datetime64("NaT", "s"), ""),
        (numpy.datetime64("1970-01-01"), "1970-01-01"),
        (numpy.datetime64("2026-01-02T03"), "2026-01-02T03:00:00"),
        (datetime.datetime(1970, 1, 1), "1970-01-01T00:00:00"),
        (pandas.Timestamp("2026-01-02T03:04:05.000000001"), "2026-01-02T03:04:05.000000001"),
        (datetime.time(3, 4, 5, tzinfo=datetime.UTC), "03:04:05+00:00"),
        (decimal.Decimal("NaN"), "NaN"),
        (decimal.Decimal("-Infinity"), "-1e999"),
        (fractions.Fraction(1, 3), "1/3"),
        (numpy.longdouble("0.1"), "0.1"),
        (numpy.longdouble("nan"), "NaN"),
        (numpy.longdouble("-inf"), "-1e999"),
        (numpy.ma.masked, ""),
        ({1}, "[1]"),
        (Point(1, None), '{"x":1,"y":null}'),
        ({"a": numpy.array([0.1], "f4")}, '{"a":[0.1]}'),
        ({None: 1, True: 2, 3: 4}, '{"null":1,"true":2,"3":4}'),
        (numpy.array(["NaT", "2026-01-02"], "M8[ns]"), '[null,"2026-01-02T00:00:00"]'),
        (Unprintable(), "?"),
    ],
    ids=lambda value: re.sub(" at 0x.*", "", repr(value)),
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
        [b"bytes"],
        object(),
        iter([1]),
        numpy.str_("text"),
        numpy.zeros((1, 1, 1)).astype(object),
        Tensor(numpy.zeros((3, 8, 8))),
        [Tensor(numpy.zeros((8, 8)))],
        scipy.sparse.csr_matrix([[1, 0]]),
        polars.LazyFrame({"a": [1]}),
        # Beyond Python's years; at the second one polars panics.
        polars.DataFrame({"day": polars.Series([10_000_000]).cast(polars.Date)}),
        polars.DataFrame({"time": polars.Series([2**62]).cast(polars.Datetime("ms"))}),
        pandas.DataFrame({"day": pandas.Series([10_000_000], dtype="int32").astype("date32[pyarrow]"), "n": [1]}),
        itself(),
        [[itself()]],
        [[deep(300)]],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_is_refused(data: object) -> None:
    with pytest.raises(cells.Refused):
        list(rows.take(data, names=(), input_rows=0))


def test_nothing_of_the_callers_data_is_kept(table: typing.Any) -> None:
    for data in ([[1.0, 2.0]], numpy.array([[1.0, 2.0]]), pandas.DataFrame([[1.0, 2.0]])):
        tables = list(rows.take(data, names=(), input_rows=0))
        before = tables[0].payload[:]
        if isinstance(data, pandas.DataFrame):
            data.iloc[0, 0] = 99.0
        else:
            data[0][0] = 99.0
        assert tables[0].payload == before


@pytest.mark.parametrize("data", [[[float(n), 1.0] for n in range(5000)], numpy.ones((200_000, 2))])
def test_a_huge_call_is_cut_into_pieces_of_whole_rows(data: typing.Any) -> None:
    tables = list(rows.take(data, names=(), input_rows=0))
    assert len(tables) > 1
    assert sum(table.rows for table in tables) == len(data)
    assert max(len(table.payload) for table in tables) <= pieces.PIECE_BYTES


def test_wide_rows_make_smaller_pieces() -> None:
    tables = list(rows.take([[1.0] * 10_000 for _ in range(20)], names=(), input_rows=0))
    assert [table.rows for table in tables] == [5, 5, 5, 5]


def test_a_module_that_another_thread_is_still_importing_costs_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("decimal", "numpy", "pandas", "polars", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    (table,) = rows.take([[1, {"a": Unprintable()}, datetime.date(2026, 1, 2)]], names=(), input_rows=0)
    assert table.rows == 1
