"""Data of every type, changed by the model as soon as collect() has returned, from a process to a real Azurite."""

from __future__ import annotations

import json
import typing

import pytest

pytestmark = pytest.mark.azurite

# Each is collected under its own designation and changed at once; all hold the rows (1, 0.5) and (2, 1.5).
SCRIPT = """
import json
import numpy, pandas, polars
import modeldata

def lists():
    data = [[1, 0.5], [2, 1.5]]
    yield data
    data[0][0] = data[1] = None

def dicts():
    data = [{"a": 1, "b": 0.5}, {"a": 2, "b": 1.5}]
    yield data
    data[0].clear()

def columns():
    data = {"a": [1, 2], "b": numpy.array([0.5, 1.5])}
    yield data
    data["a"][0], data["b"][:] = 99, 99

def array():
    data = numpy.array([[1, 0.5], [2, 1.5]])
    yield data
    data[:] = 99

def view():
    data = numpy.array([[9.0, 1, 0.5], [9, 2, 1.5]])
    yield data[:, 1:]
    data[:] = 99

def objects():
    data = numpy.array([[1, 0.5], [2, 1.5]], object)
    yield data
    data[:] = "changed"

def arrays():
    data = [numpy.array([1, 0.5]), numpy.array([2, 1.5])]
    yield data
    data[0][:] = 99

def structured():
    data = numpy.array([(1, 0.5), (2, 1.5)], [("a", int), ("b", float)])
    yield data
    data["a"] = 99

def masked():
    data = numpy.ma.masked_array([[1, 0.5], [2, 1.5]], mask=False)
    yield data
    data[0] = numpy.ma.masked

def numbers():
    data = pandas.DataFrame({"a": [1.0, 2.0], "b": [0.5, 1.5]})
    yield data
    data.iloc[:, :] = 99.0

def mixed():
    data = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    yield data
    data.loc[0, "a"] = 99

def nullable():
    data = pandas.DataFrame({"a": pandas.array([1, 2], "Int64"), "b": pandas.array([0.5, 1.5], "double[pyarrow]")})
    yield data
    data.loc[0, "a"] = None

def of_polars():
    data = polars.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    yield data
    data[0, "a"] = 99

lists_and_arrays = [lists, dicts, columns, array, view, objects, arrays, structured, masked]
for make in [*lists_and_arrays, numbers, mixed, nullable, of_polars]:
    steps = make()
    modeldata.ModelDataCollector("m", make.__name__, ["a", "b"]).collect(next(steps))
    assert next(steps, None) is None
for refused in (b"image", numpy.zeros((2, 8, 8)), [b"image"], "text", object(), None):
    modeldata.ModelDataCollector("m", "refused").collect(refused)
print(json.dumps(modeldata.stats().dropped))
"""


def test_rows_are_those_that_were_collected_whatever_becomes_of_the_data(pod: typing.Any) -> None:
    dropped = json.loads(pod.run(SCRIPT).stdout)
    names = [name.split("/")[3] for name in pod.blobs()]
    assert len(names) == 13
    for designation in names:
        rows = pod.rows(designation)[["a", "b"]].to_numpy().tolist()
        assert rows == [[1, 0.5], [2, 1.5]], designation
    assert dropped == {"refused": 6}


def test_what_is_refused_is_said_once(pod: typing.Any) -> None:
    script = """
import modeldata
for number in range(3):
    modeldata.ModelDataCollector("m", "inputs").collect(b"secret")
"""
    said = pod.run(script).stderr
    assert said.count("bytes") == 1
    assert "secret" not in said
