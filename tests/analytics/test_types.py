"""A column has a type only where every value survives it."""

from __future__ import annotations

import decimal
import math
import struct
import typing

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from modeldata_analytics import columns

CONNECTION = duckdb.connect()


def chosen(values: typing.Sequence[str | None], hint: str | None = None) -> str:
    CONNECTION.execute("create or replace temp table texts as select unnest(cast(? as varchar[])) as c", [list(values)])

    def ask(sql: str) -> typing.Sequence[object]:
        row = CONNECTION.execute(sql).fetchone()
        assert row is not None
        return typing.cast("tuple[object, ...]", row)

    return columns.choose(ask, "texts", ["c"], {"c": hint} if hint else {})["c"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["true", "false", None], "BOOLEAN"),
        (["true", "True"], "VARCHAR"),
        (["1", "-20", None, "9223372036854775807"], "BIGINT"),
        (["1", "9223372036854775808"], "VARCHAR"),
        (["1", "9007199254740993", "0.5"], "VARCHAR"),
        (["1", "9007199254740992", "0.5"], "DOUBLE"),
        (["01"], "VARCHAR"),
        (["+1"], "VARCHAR"),
        ([" 1"], "VARCHAR"),
        (["1_0"], "VARCHAR"),
        (["0x10"], "VARCHAR"),
        (["-0"], "DOUBLE"),
        (["1", "2.5", "NaN", "1e999", "-1e999", "-0.0", "5e-324", "1E5"], "DOUBLE"),
        (["1.5", "inf"], "VARCHAR"),
        (["1.5", "2e999"], "VARCHAR"),
        (["1.5", "1e-999"], "VARCHAR"),
        (["0.10000000000000001"], "VARCHAR"),
        (["0.1", ""], "VARCHAR"),
        (["2026-01-02", None], "DATE"),
        (["2026-02-30"], "VARCHAR"),
        (["2026-01-02", "2026-01-02T03:04:05"], "VARCHAR"),
        (["2026-01-02T03:04:05", "2026-01-02T03:04:05.123456"], "TIMESTAMP"),
        (["2026-01-02T03:04:05.123456789"], "VARCHAR"),
        (["2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05+00:00"], "TIMESTAMP WITH TIME ZONE"),
        (["2026-01-02T03:04:05+02:00"], "VARCHAR"),
        (["infinity"], "VARCHAR"),
        (["epoch"], "VARCHAR"),
        ([None, None], "VARCHAR"),
        ([], "VARCHAR"),
        ([None] * 3000 + ["1.5"], "DOUBLE"),
        (["1"] * 3000 + ["x"], "VARCHAR"),
        (["1"] * 3000 + ["2.5"], "DOUBLE"),
        (["true"] * 3000 + ["1"], "VARCHAR"),
    ],
)
def test_kinds_of_values(values: list[str | None], kind: str) -> None:
    assert chosen(values) == kind


@pytest.mark.parametrize(
    ("values", "hint", "kind"),
    [
        (["1", "2"], "DOUBLE", "DOUBLE"),
        (["1", "2"], "VARCHAR", "VARCHAR"),
        (["1.5"], "BIGINT", "DOUBLE"),
        (["x"], "DOUBLE", "VARCHAR"),
        ([None], "DOUBLE", "DOUBLE"),
        (["1"], "HUGEINT", "BIGINT"),
    ],
)
def test_the_type_of_the_days_before_is_kept_where_it_fits(values: list[str | None], hint: str, kind: str) -> None:
    assert chosen(values, hint) == kind


def test_ids_are_text() -> None:
    def never(sql: str) -> typing.Sequence[object]:
        raise AssertionError(sql)

    assert columns.choose(never, "texts", ["$RequestId", "$aml_request_id"], {}) == dict.fromkeys(
        ("$RequestId", "$aml_request_id"), "VARCHAR"
    )


@given(some.floats())
@example(0.1 + 0.2)
@example(1e22)
@example(123456789012345680.0)
def test_each_double_that_a_client_writes_comes_back_to_the_bit(value: float) -> None:
    text = "NaN" if math.isnan(value) else ("1e999" if value > 0 else "-1e999") if math.isinf(value) else repr(value)
    assert chosen([text, "0.5"]) == "DOUBLE"
    row = CONNECTION.execute(f"select {columns.cast('c', 'DOUBLE')} from texts").fetchone()
    assert row is not None
    assert struct.pack("d", row[0]) == struct.pack("d", value) or (math.isnan(row[0]) and math.isnan(value))


@given(some.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_no_number_loses_a_digit(text: str) -> None:
    kind = chosen([text])
    if kind == "VARCHAR":
        return
    row = CONNECTION.execute(f"select {columns.cast('c', kind)} from texts").fetchone()
    assert row is not None
    assert decimal.Decimal(repr(row[0])) == decimal.Decimal(text)


@given(some.text(some.sampled_from('0123456789.-+eE:TZ "xinfa\0é'), max_size=12))
def test_no_text_is_an_error(text: str) -> None:
    assert chosen([text]) in columns.TYPES


TEXTS = [
    *(
        "",
        "true",
        "True",
        "1",
        "01",
        "-0",
        " 1",
        "1_0",
        "9223372036854775808",
        "1.5",
        "1e5",
        "1E5",
        "NaN",
        "nan",
        "1e999",
    ),
    *("0.10000000000000001", "2026-01-02", "2026-02-30", "2026-01-02T03:04:05", "2026-01-02T03:04:05.123456Z"),
    *("2026-01-02 03:04:05.123456Z", " 026-01-02T03:04:05.123456Z", "2026-01-02  3:04:05.123456Z"),
    *("20261-1-20T03:04:05.123456Z", "2026-01-02T03:04:5.1234567Z", "2026-01-02T03:04:05.12345 Z", "infinity"),
]


@pytest.mark.parametrize("kind", columns.TYPES)
def test_beside_its_cast_a_text_survives_where_it_does_without(kind: str) -> None:
    found = CONNECTION.execute(
        f"select c, {columns.survives('c', 'v', kind)}, coalesce({columns.fits('c', kind)}, true)"
        f" from (select c, try_cast(c as {kind}) as v from (select unnest(cast(? as varchar[])) as c))",
        [[*TEXTS, None]],
    ).fetchall()
    assert len(found) == len(TEXTS) + 1
    assert not [row for row in found if row[1] != row[2]]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("BOOLEAN", ["true", "false"]),
        ("BIGINT", ["-1", "9223372036854775807"]),
        ("DOUBLE", ["0.1", "-0.0", "1e999", "-1e999", "NaN"]),
        ("DATE", ["2026-01-02"]),
        ("TIMESTAMP", ["2026-01-02T03:04:05.000006"]),
        ("TIMESTAMP WITH TIME ZONE", ["2026-01-02T03:04:05.123456Z"]),
        ("VARCHAR", ["", "a"]),
    ],
)
def test_values_are_written_as_the_client_does(kind: str, texts: list[str]) -> None:
    CONNECTION.execute("set timezone = 'America/New_York'")
    query = f"select {columns.text('v', kind)} from (select unnest(cast(? as varchar[]))::{kind} as v)"
    assert CONNECTION.execute(query, [[*texts, None]]).fetchall() == [(text,) for text in [*texts, None]]
    CONNECTION.execute("reset timezone")
