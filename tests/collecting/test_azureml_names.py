"""Scripts written for Azure ML's collectors, all three generations of them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy
import pandas
import pytest

import modeldata

SHIM = pathlib.Path(__file__).resolve().parents[2] / "client/azureml"


@pytest.mark.parametrize("name", ["azureml.monitoring", "azureml.datacollector"])
def test_the_import_names_of_scripts_work(name: str) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(SHIM)!r})\n"
        f"from {name} import ModelDataCollector\n"
        "import modeldata; assert ModelDataCollector is modeldata.ModelDataCollector"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELDATA_DIR", raising=False)


def test_first_generation_keywords() -> None:
    made = modeldata.ModelDataCollector(
        "m", identifier="inputs", feature_names=["a"], webservice_name="w", model_id="1", model_version="2"
    )
    assert (made.designation, made.webservice_name, made.model_version) == ("inputs", "w", "2")


def test_names_by_position() -> None:
    made = modeldata.ModelDataCollector("m", "inputs", ["a", "b"], "s/g/w", "service", "3", "file")
    assert (made.designation, made.feature_names, made.workspace) == ("inputs", ("a", "b"), "s/g/w")
    assert (made.webservice_name, made.model_version, made.collection_name) == ("service", "3", "file")


def test_last_generation_keywords() -> None:
    made = modeldata.ModelDataCollector(model_name="m", designation="predictions", collection_name="c")
    assert (made.designation, made.feature_names) == ("predictions", ())


@pytest.mark.parametrize("names", [numpy.array(["a", "b"]), pandas.Index(["a", "b"]), iter(["a", "b"])])
def test_feature_names_of_any_kind(names: object) -> None:
    assert modeldata.ModelDataCollector("m", feature_names=names).feature_names == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize("names", ["age", 7, "\ud800"])
def test_feature_names_that_are_none_do_no_harm(names: object) -> None:
    assert len(modeldata.ModelDataCollector("m", feature_names=names).feature_names) == 1  # type: ignore[arg-type]


CORRELATIONS: dict[str, object] = {"$a": "x", "$b": 1}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([1, 2], [1, 2, "x", 1]),
        ([[1], [2]], [[1, "x", 1], [2, "x", 1]]),
        (numpy.array([1, 2]), [[1, 2, "x", 1]]),
        (numpy.array([[1], [2]]), [[1, "x", 1], [2, "x", 1]]),
        (7.5, 7.5),
        ([[1], 2], [[1], 2]),
    ],
    ids=str,
)
def test_correlations_become_columns(data: object, expected: object) -> None:
    added = modeldata.ModelDataCollector("m").add_correlations(data, CORRELATIONS)
    assert (added.tolist() if isinstance(added, numpy.ndarray) else added) == expected


def test_correlations_become_columns_of_a_copy_of_a_frame() -> None:
    frame = pandas.DataFrame({"p": [1, 2]})
    added = modeldata.ModelDataCollector("m").add_correlations(frame, CORRELATIONS)
    assert (list(added.columns), list(frame.columns)) == (["p", "$a", "$b"], ["p"])


def test_no_correlations_leave_the_data_as_it_is() -> None:
    data = [1]
    assert modeldata.ModelDataCollector("m").add_correlations(data, None) is data
