"""One table of what was collected, as a DataFrame of Spark."""

from __future__ import annotations

import math
import pathlib
import typing

import pytest

from modeldata_analytics import Store

from ..analytics.collecting import NOON, Collected, into_directory

pytestmark = pytest.mark.java


def test_a_frame_of_spark_has_the_same_values(tmp_path: pathlib.Path, spark: typing.Any) -> None:
    collected = Collected(into_directory(tmp_path))
    collected.collect([[1, None, "", True, NOON], [None, math.nan, None, None, None]], ["n", "x", "t", "b", "at"])
    frame = Store(tmp_path).model("churn", version="10").spark(spark)
    assert [field.dataType.simpleString() for field in frame.schema] == [
        "timestamp", "string", "string", "bigint", "double", "string", "boolean", "timestamp"
    ]  # fmt: skip
    rows = {row["$RequestId"]: row for row in frame.collect()}
    assert list(rows["r-0"])[3:7] == [1, None, "", True]
    assert (rows["r-1"]["n"], math.isnan(rows["r-1"]["x"]), rows["r-1"]["t"]) == (None, True, None)
