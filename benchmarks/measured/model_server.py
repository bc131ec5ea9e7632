"""A model behind Flask, as gunicorn serves it; ``BENCHMARK_CONTENDER`` names what records its requests."""

from __future__ import annotations

import logging
import os
import pathlib
import sys
import typing

import flask
import numpy
import orjson

LAYERS = 40
WIDTH = 256
LOOP = 30_000


class Model:
    """Takes 1 to 3 ms: half of it in numpy, without the interpreter's lock, half of it in Python."""

    def __init__(self) -> None:
        generator = numpy.random.default_rng(4)
        self._first = generator.standard_normal((6, WIDTH))
        self._layers = [generator.standard_normal((WIDTH, WIDTH)) / WIDTH for _ in range(LAYERS)]

    def predict(self, rows: list[list[float]]) -> list[float]:
        values = numpy.array(rows) @ self._first
        for layer in self._layers:
            values = numpy.tanh(values @ layer)
        penalty = 0.0
        for number in range(LOOP):
            penalty += number % 7
        result: list[float] = (values.sum(axis=1) + penalty).tolist()
        return result


def application() -> flask.Flask:
    """Return the application, made in gunicorn's worker."""
    app = flask.Flask(__name__)
    model = Model()
    record_inputs, record_predictions = _recorders(os.environ["BENCHMARK_CONTENDER"])

    @app.post("/score")
    def score() -> flask.Response:
        rows = flask.request.get_json()["data"]
        record_inputs(rows)
        predictions = model.predict(rows)
        record_predictions(predictions)
        return flask.jsonify(predictions)

    @app.post("/settle")
    def settle() -> str:
        if "modeldata" in sys.modules:
            assert sys.modules["modeldata"].flush(60.0)
        return "settled"

    return app


Record = typing.Callable[[typing.Any], object]


def _recorders(contender: str) -> tuple[Record, Record]:
    if contender == "modeldata":
        import modeldata

        names = [f"feature{number}" for number in range(6)]
        inputs = modeldata.ModelDataCollector("model", designation="inputs", feature_names=names)
        predictions = modeldata.ModelDataCollector("model", designation="predictions", feature_names=["prediction"])
        return inputs.collect, predictions.collect
    if contender == "azureml-ai-monitoring":
        return _azureml()
    if contender == "bentoml.monitor":
        return _bentoml()
    if contender == "orjson + os.write":
        return _floor(), _floor()
    return _nothing, _nothing


def _floor() -> Record:
    path = pathlib.Path(os.environ["BENCHMARK_DIRECTORY"]) / "floor"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(rows: typing.Any) -> None:
        os.write(descriptor, orjson.dumps(rows))

    return record


def _azureml() -> tuple[Record, Record]:
    import azureml.ai.monitoring
    import pandas

    logging.disable(logging.INFO)  # it greets
    inputs = azureml.ai.monitoring.Collector(name="model_inputs", on_error=_nothing)
    outputs = azureml.ai.monitoring.Collector(name="model_outputs", on_error=_nothing)

    def record_inputs(rows: typing.Any) -> None:
        inputs.collect(pandas.DataFrame(rows))

    def record_predictions(predictions: typing.Any) -> None:
        outputs.collect(pandas.DataFrame(predictions))

    return record_inputs, record_predictions


def _bentoml() -> tuple[Record, Record]:
    import bentoml

    options = {"log_path": str(pathlib.Path(os.environ["BENCHMARK_DIRECTORY"]) / "bentoml")}

    def record(rows: typing.Any) -> None:
        with bentoml.monitor("model", monitor_class="default", monitor_options=options) as monitor:
            for number, value in enumerate(rows[0]):
                monitor.log(value, name=f"feature{number}", role="feature", data_type="numerical")

    return record, lambda predictions: record([predictions])


def _nothing(_data: object) -> None:
    return None
