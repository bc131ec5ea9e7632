"""Scripts written for Azure ML's collectors, unchanged, from their run() to the rows in a real Azurite."""

from __future__ import annotations

import typing

import pytest

pytestmark = pytest.mark.azurite

# The shape of the vendor's article: two collectors made in init(), the designation as a keyword.
ARTICLE = """
import numpy
from sklearn.linear_model import Ridge
from azureml.monitoring import ModelDataCollector

def init():
    global model, inputs_dc, prediction_dc
    model = Ridge().fit(numpy.eye(3), numpy.arange(3.0))
    inputs_dc = ModelDataCollector("best_model", designation="inputs", feature_names=["feat1", "feat2", "feat3"])
    prediction_dc = ModelDataCollector("best_model", designation="predictions", feature_names=["prediction1"])

def run(data):
    predictions = model.predict(data)
    inputs_dc.collect(data)
    prediction_dc.collect(predictions)
    return predictions.tolist()

init()
print(run(numpy.arange(12.0).reshape(4, 3)))
"""

# The shape of the vendor's notebook: the older keyword, ten features under two names, two names for one prediction.
NOTEBOOK = """
import json
import numpy
from sklearn.linear_model import Ridge
from azureml.monitoring import ModelDataCollector

def init():
    global model, inputs_dc, prediction_dc
    model = Ridge().fit(numpy.eye(10), numpy.arange(10.0))
    inputs_dc = ModelDataCollector(model_name="ridge", identifier="inputs", feature_names=["feat1", "feat2"])
    prediction_dc = ModelDataCollector("ridge", identifier="predictions", feature_names=["prediction1", "prediction2"])

def run(raw_data):
    data = numpy.array(json.loads(raw_data)["data"])
    result = model.predict(data)
    inputs_dc.collect(data)
    prediction_dc.collect(result)
    return result.tolist()

init()
print(run('{"data": [[1,2,3,4,54,6,7,8,88,10],[10,9,8,37,36,45,4,33,2,1]]}'))
"""


def test_the_articles_script_is_collected_row_by_row(pod: typing.Any) -> None:
    answers = eval(pod.run(ARTICLE).stdout)
    inputs, predictions = pod.rows("inputs"), pod.rows("predictions")
    assert list(inputs.columns[3:]) == ["feat1", "feat2", "feat3"]
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert joined["feat1"].tolist() == [0, 3, 6, 9]
    assert joined["prediction1"].tolist() == answers


def test_the_notebooks_script_is_collected_under_the_names_it_has(pod: typing.Any) -> None:
    answers = eval(pod.run(NOTEBOOK).stdout)
    inputs, predictions = pod.rows("inputs"), pod.rows("predictions")
    assert list(inputs.columns[3:]) == ["feat1", "feat2", *(f"feature_{number}" for number in range(2, 10))]
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert joined["feat1"].tolist() == [1, 10]
    assert joined["feature_9"].tolist() == [10, 1]
    assert joined["prediction1"].tolist() == answers
    assert joined["prediction2"].isna().all()


def test_what_a_script_names_is_part_of_the_path(pod: typing.Any) -> None:
    pod.run(
        "from azureml.datacollector import ModelDataCollector as C\n"
        "C('m', 'sal_inputs', ['a'], '/subscriptions/s/resourceGroups/g/providers/x/accounts/a', 'svc', '1', '7')"
        ".collect([[1]])"
    )
    (name,) = pod.blobs()
    assert name.startswith("svc/m/7/sal_inputs/")
