"""From collect() in a process of its own to the rows that pandas reads from a real Azurite."""

from __future__ import annotations

import typing

import pytest

pytestmark = pytest.mark.azurite

SCORE = """
from modeldata import ModelDataCollector
inputs = ModelDataCollector("ridge", designation="inputs", feature_names=["age", "bmi"])
predictions = ModelDataCollector("ridge", designation="predictions", feature_names=["prediction"])
for number in range(10):
    inputs.collect([[number, 0.5], [number, 1e-7]])
    predictions.collect([number * 2.0, number * 3.0])
"""


def test_rows_of_a_plain_script_arrive_once_and_join_by_request(pod: typing.Any) -> None:
    pod.run(SCORE)
    inputs, predictions = pod.rows("inputs"), pod.rows("predictions")
    assert list(inputs.columns) == ["$Timestamp", "$CorrelationId", "$RequestId", "age", "bmi"]
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert len(joined) == 20
    first = joined[joined["bmi"] == 0.5]
    assert (first["prediction"] == first["age"] * 2).all()


def test_files_lie_where_the_template_says(pod: typing.Any) -> None:
    pod.run(SCORE)
    (inputs, predictions) = sorted(pod.blobs())
    assert inputs.startswith("churn/ridge/10/inputs/20")
    assert inputs.endswith("/data.csv")
    assert predictions.startswith("churn/ridge/10/predictions/20")
