"""The contenders: what a model's thread calls for each request, and how to wait until nothing of it is on its way."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pathlib
import time
import typing

import orjson

import data

Call = typing.Callable[[typing.Any], object]

SETTLE_SECONDS = 300.0


class Contender:
    """One way to record a call's data."""

    form = "list"
    """Which form of table it takes, see ``data.tables``: made beforehand, so that its making costs nobody anything."""

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        self.directory = directory
        self.shape = shape
        self.call: Call = lambda table: None

    def settle(self) -> None:
        """Wait until all that was recorded has left the process."""

    def room(self) -> None:
        """Wait until it takes another call, where it refuses calls that come too fast."""

    def rewind(self) -> None:
        """Empty the file, so that the disk does not fill."""


class Nothing(Contender):
    pass


class _File(Contender):
    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        self.path = directory / type(self).__name__
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def rewind(self) -> None:
        os.ftruncate(self.descriptor, 0)


class Floor(_File):
    """orjson and one ``os.write``: the least that puts a call's rows where a killed process does not lose them."""

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        write, dumps, descriptor = os.write, orjson.dumps, self.descriptor

        def call(table: object) -> None:
            write(descriptor, dumps(table))

        self.call = call


class CsvFloor(_File):
    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        descriptor = self.descriptor

        def call(table: typing.Any) -> None:
            text = io.StringIO()
            csv.writer(text).writerows(table)
            os.write(descriptor, text.getvalue().encode())

        self.call = call


class Logging(_File):
    """A line for each row."""

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        logger = logging.getLogger("benchmark")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(logging.FileHandler(self.path))

        def call(table: typing.Any) -> None:
            for row in table:
                logger.info(json.dumps(row))

        self.call = call


class Bentoml(Contender):
    """``bentoml.monitor`` as it comes: a JSON line for each row in a local file."""

    form = "columns"

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        import bentoml

        options = {"log_path": str(directory / "bentoml")}
        names = shape.names

        def call(table: typing.Any) -> None:
            with bentoml.monitor("model", monitor_class="default", monitor_options=options) as monitor:
                for name, column in zip(names, table, strict=True):
                    monitor.log_batch(column, name=name, role="feature", data_type="numerical")

        call([[0.0]] * shape.columns)  # one value a column, or it complains of each further one of its first call
        self.call = call

    def rewind(self) -> None:
        for path in (self.directory / "bentoml/model/data").glob("*.log"):
            os.truncate(path, 0)


class AzuremlAiMonitoring(Contender):
    """Azure's present collector; its endpoint is the benchmarks' sink, by ``AZUREML_MDC_PORT``."""

    form = "frame"

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        import azureml.ai.monitoring
        from azureml.ai.monitoring import queue

        logging.disable(logging.INFO)  # it greets
        self.call = azureml.ai.monitoring.Collector(name="model").collect
        self._queue = queue.get_queue()

    def settle(self) -> None:
        self._wait(1)
        time.sleep(0.05)  # the payload that has left the queue last

    def room(self) -> None:
        if self._queue.length() >= self._queue.capacity():
            self._wait(self._queue.capacity())

    def _wait(self, below: int) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._queue.length() >= below:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._queue.length()} payloads wait")
            time.sleep(0.002)


class AppendBlock(Contender):
    """One append to Blob Storage in each call."""

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        from azure.storage.blob import ContainerClient

        container = ContainerClient.from_container_url(os.environ["BENCHMARK_CONTAINER_URL"])
        blob = container.get_blob_client(f"append-{os.getpid()}")
        blob.create_append_blob()
        self.call = lambda table: blob.append_block(orjson.dumps(table))


class Modeldata(Contender):
    """The client, for the designation ``inputs``, which also returns the correlation headers."""

    designation = "inputs"

    def __init__(self, directory: pathlib.Path, shape: data.Shape) -> None:
        super().__init__(directory, shape)
        import modeldata

        if shape.rows > 100:
            self.form = "array"
        collector = modeldata.ModelDataCollector("model", designation=self.designation, feature_names=shape.names)
        self.call = collector.collect
        self._flush = modeldata.flush

    def settle(self) -> None:
        if not self._flush(SETTLE_SECONDS):
            raise TimeoutError("not delivered")


class ModeldataPredictions(Modeldata):
    designation = "predictions"


KINDS: dict[str, type[Contender]] = {
    "nothing": Nothing,
    "orjson + os.write": Floor,
    "csv.writer + os.write": CsvFloor,
    "logging + json.dumps": Logging,
    "bentoml.monitor": Bentoml,
    "azureml-ai-monitoring": AzuremlAiMonitoring,
    "append_block a request": AppendBlock,
    "modeldata inputs": Modeldata,
    "modeldata predictions": ModeldataPredictions,
}
