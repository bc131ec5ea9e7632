"""Scripts written for Azure ML's collectors, all three generations of them."""

from __future__ import annotations

import os
import subprocess
import sys
import typing

import numpy
import pandas
import pytest

import modeldata
from azureml import datacollector, monitoring

NAMES = ["azureml.monitoring", "azureml.datacollector", "azureml.monitoring.modeldatacollector"]


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELDATA_DIR", "AML_MODEL_DC_DEBUG", "SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def attributes(made: modeldata.ModelDataCollector, *names: str) -> tuple[object, ...]:
    return tuple(getattr(made, name) for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_the_import_names_of_scripts_work_and_stay_light(name: str) -> None:
    script = (
        f"from {name} import ModelDataCollector; import modeldata, sys\n"
        "assert issubclass(ModelDataCollector, modeldata.ModelDataCollector)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert not {"azure", "numpy", "pandas"} & set(done.stdout.split())


def test_by_position_monitoring_has_the_order_of_its_last_generation() -> None:
    made = monitoring.ModelDataCollector("m", "inputs", ["a", "b"], "S/g/W", "service", "3", "file")
    assert attributes(made, "model_name", "designation", "feature_names") == ("m", "inputs", ("a", "b"))
    assert attributes(made, "workspace", "webservice_name", "model_version") == ("s/g/w", "service", "3")
    assert made.collection_name == "file"


def test_by_position_datacollector_has_the_order_of_the_first_generation() -> None:
    made = datacollector.ModelDataCollector("m", "inputs", ["a", "b"], "S/g/W", "service", "id", "3")
    assert attributes(made, "model_name", "designation", "feature_names") == ("m", "inputs", ("a", "b"))
    assert attributes(made, "workspace", "webservice_name", "model_version") == ("s/g/w", "service", "3")
    assert made.model_id == "id"


FIRST = {"identifier": "inputs", "model_management_account_id": "s/g/w", "model_id": "id", "model_version": "3"}
SECOND = {"identifier": "inputs", "workspace": "s/g/w", "model_id": "id", "model_version": "3"}
LAST = {"designation": "inputs", "workspace": "s/g/w", "model_version": "3", "collection_name": "file"}


@pytest.mark.parametrize("module", [monitoring, datacollector], ids=lambda module: str(module.__name__))
@pytest.mark.parametrize("keywords", [FIRST, SECOND, LAST], ids=["first", "second", "last"])
def test_keywords_of_all_generations_work_with_either_import(module: typing.Any, keywords: dict[str, str]) -> None:
    made = module.ModelDataCollector(model_name="m", feature_names=["a"], webservice_name="service", **keywords)
    assert attributes(made, "model_name", "designation", "feature_names") == ("m", "inputs", ("a",))
    assert attributes(made, "workspace", "webservice_name", "model_version") == ("s/g/w", "service", "3")


@pytest.mark.parametrize("module", [monitoring, datacollector], ids=lambda module: str(module.__name__))
def test_what_is_not_given_is_the_clusters_to_say(module: typing.Any) -> None:
    made = module.ModelDataCollector("m")
    assert attributes(made, "designation", "feature_names", "workspace") == ("default", (), "default/default/default")
    assert attributes(made, "webservice_name", "model_version", "model_id") == ("default",) * 3


def test_an_account_id_is_a_workspace() -> None:
    made = datacollector.ModelDataCollector(
        "m",
        model_management_account_id="/subscriptions/S1/resourceGroups/Group/providers/"
        "Microsoft.MachineLearningModelManagement/accounts/Account",
    )
    assert made.workspace == "s1/group/account"


@pytest.mark.parametrize("given", [{}, {"webservice_name": "default"}, {"webservice_name": ""}], ids=str)
def test_the_service_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    monkeypatch.setenv("SERVICE_NAME", "from-the-environment")
    assert monitoring.ModelDataCollector("m", **given).webservice_name == "from-the-environment"
    assert monitoring.ModelDataCollector("m", webservice_name="given").webservice_name == "given"


def test_attributes_that_scripts_read_are_there() -> None:
    made = monitoring.ModelDataCollector("m", "inputs", ["a"], "s/g/w", "service", "3", "file")
    assert attributes(made, "workspace_name", "service_name", "filename") == ("w", "service", "file")
    texts = "service_internal_id model_internal_id workspace_internal_id compute_name compute_type compute_location"
    for name in [*texts.split(), "data_collector_storage_path"]:
        assert isinstance(getattr(made, name), str), name
    assert attributes(made, "model_config_map", "aml_dc_hour_boundary", "headersUpdated") == ({}, False, False)


def test_constants_name_the_correlation_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")
    collector = monitoring.ModelDataCollector
    constants = [getattr(collector, name) for name in vars(collector) if name.endswith("_HEADER")]
    assert len(constants) == 8
    assert list(collector("m", "inputs").collect([[1]]) or ()) == constants


@pytest.mark.parametrize("names", [numpy.array(["a", "b"]), pandas.Index(["a", "b"]), iter(["a", "b"])])
def test_feature_names_of_any_kind(names: object) -> None:
    assert modeldata.ModelDataCollector("m", feature_names=names).feature_names == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize("names", ["age", 7, "\ud800"])
def test_feature_names_that_are_none_do_no_harm(names: object) -> None:
    assert len(modeldata.ModelDataCollector("m", feature_names=names).feature_names) == 1  # type: ignore[arg-type]


# A scoring script of the first year, as many were written: more features than names, the older keyword, errors that
# become answers. Then one that passes the correlations on to its predictions.
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
    try:
        data = numpy.array(json.loads(raw_data)["data"])
        result = model.predict(data)
        inputs_dc.collect(data)
        prediction_dc.collect(result)
        return result.tolist()
    except Exception as error:
        return str(error)

init()
answer = run('{"data": [[1,2,3,4,54,6,7,8,88,10],[10,9,8,37,36,45,4,33,2,1]]}')
assert isinstance(answer, list) and len(answer) == 2, answer
"""

LABELLED = """
import pandas
from azureml.datacollector import ModelDataCollector

inputs_dc = ModelDataCollector("best_model", designation="inputs")
predictions_dc = ModelDataCollector("best_model", designation="predictions", feature_names=["risk"])
frame = pandas.DataFrame({"age": [41, 52], "name": ["a", None]})
correlations = inputs_dc.collect(frame)
for predictions in ([0.5, 0.25], pandas.DataFrame({"risk": [0.5, 0.25]})):
    predictions_dc.collect(predictions_dc.add_correlations(predictions, correlations))
    assert len(predictions) == 2
    predictions_dc.collect(7.5)
    predictions_dc.collect(b"an image", user_correlation_id="")
"""


@pytest.mark.parametrize("script", [NOTEBOOK, LABELLED], ids=["notebook", "labelled"])
def test_where_nothing_is_configured_a_script_runs_as_if_the_lines_were_not_there(script: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELDATA", "AML_"))}
    ending = "\nimport threading; assert threading.active_count() == 1"
    command = [sys.executable, "-W", "error:::__main__", "-c", script + ending]
    done = subprocess.run(command, env=clean, timeout=60, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
