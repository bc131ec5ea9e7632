"""Inputs and predictions of a script join row by row, from a process to a real Azurite."""

from __future__ import annotations

import typing

import pytest

pytestmark = pytest.mark.azurite

SCRIPT = """
import sys
import modeldata

inputs = modeldata.ModelDataCollector("m", {inputs!r}, ["a", "b"])
predictions = modeldata.ModelDataCollector("m", {predictions!r})
for size in (2, 3, 5):
    with modeldata.request_id(f"request-{{size}}"):
        batch = [[size * 10, row] for row in range(size)]
        calls = [(inputs, batch), (predictions, [sum(row) for row in batch])]
        for collector, data in calls if {order!r} == "inputs first" else reversed(calls):
            collector.collect(data)
assert modeldata.flush(30) is True
print(modeldata.stats().dropped)
"""


@pytest.mark.parametrize("order", ["inputs first", "predictions first"])
@pytest.mark.parametrize("names", [("sal_inputs", "sal_predictions"), ("features", "inputs_of_next")])
def test_flat_predictions_join_their_inputs_in_any_order(pod: typing.Any, order: str, names: tuple[str, str]) -> None:
    inputs, predictions = names
    pod.settings(flushInterval="60s")
    assert pod.run(SCRIPT.format(inputs=inputs, predictions=predictions, order=order)).stdout.strip() == "{}"
    assert len(pod.blobs()) == 2
    both = pod.rows(inputs).merge(pod.rows(predictions), on="$RequestId")
    assert len(both) == 10
    assert (both["a"] + both["b"] == both["feature_0"]).all()
    assert set(both["$RequestId"]) == {f"request-{size}-{row}" for size in (2, 3, 5) for row in range(size)}
