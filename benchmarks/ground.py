"""The ground that all is measured on: a directory, environments for measured processes, pods made by hand."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
import os
import pathlib
import typing

import azure.storage.blob

import services

CONTAINER = "benchmarks"


@dataclasses.dataclass(frozen=True)
class Ground:
    """Where a run happens and how thorough it is."""

    directory: pathlib.Path
    client: pathlib.Path
    """What ``import modeldata`` finds."""
    azurite: services.Azurite
    quick: bool
    day_rows: int = 0
    """Of the day that ``closing`` closes, of the table that ``tables`` reads; 0: their defaults."""
    _numbers: typing.Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def fresh(self, name: str) -> pathlib.Path:
        """Return a directory of its own."""
        made = self.directory / f"{next(self._numbers)}-{name}"
        made.mkdir()
        return made

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a measured process gets: of this one's environment nothing that concerns what is measured."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {**kept, "PYTHONPATH": str(self.client), "OPENBLAS_NUM_THREADS": "1", **more}

    def collected(self, endpoint: str, **settings: object) -> dict[str, str]:
        """Make the directory that the operator gives a pod; return the environment of a process in that pod.

        ``flushInterval`` is the default of 5 s unless ``settings`` say otherwise.
        """
        directory = self.fresh("pod")
        document = {
            "version": 1,
            "enabled": True,
            "collection": "benchmarks/model",
            "generation": 1,
            "storage": {
                "endpoint": endpoint,
                "container": CONTAINER,
                "path": "{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}",
                "file": "Shared",
            },
            "identity": {"webservice": directory.name},
            **settings,
        }
        for name, content in (("settings/settings.json", json.dumps(document)), ("credential/sas", _sas(CONTAINER))):
            path = directory / name
            path.parent.mkdir()
            path.write_text(content)
        (directory / "spool").mkdir()
        return self.environment(MODELDATA_DIR=str(directory), MODELDATA_POD_UID=directory.name)

    def contending(self, sink: services.Sink, endpoint: str = "", **settings: object) -> dict[str, str]:
        """Return an environment in which each contender finds its storage; the client at ``endpoint``, or the sink."""
        return self.collected(endpoint or sink.endpoint, **settings) | {
            "AZUREML_MDC_ENABLED": "true",
            "AZUREML_MDC_PORT": str(sink.port),
            "BENCHMARK_CONTAINER_URL": f"{self.azurite.endpoint}/{CONTAINER}?{_sas(CONTAINER)}",
        }

    def rows(self, environment: dict[str, str]) -> list[bytes]:
        """Return the rows of a pod that are in Azurite, without the headers."""
        lines = []
        for blob in self._blobs(environment):
            header, *rows = blob.readall().split(b"\r\n")[:-1]
            assert header.startswith(b"$Timestamp"), header
            lines += rows
        return lines

    def count_rows(self, environment: dict[str, str]) -> int:
        """Return how many rows of a pod are in Azurite: all lines but one header a blob."""
        return sum(sum(chunk.count(b"\n") for chunk in blob.chunks()) - 1 for blob in self._blobs(environment))

    def _blobs(self, environment: dict[str, str]) -> typing.Iterator[azure.storage.blob.StorageStreamDownloader[bytes]]:
        client = self.azurite.container(CONTAINER)
        for blob in client.list_blobs(name_starts_with=f"{environment['MODELDATA_POD_UID']}/"):
            yield client.download_blob(blob.name)


_OURS = ("MODELDATA_", "AML_", "AZUREML_", "BENCHMARK_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "OPENBLAS_")


def _sas(container: str) -> str:
    now = datetime.datetime.now(datetime.UTC)
    return azure.storage.blob.generate_container_sas(
        services.ACCOUNT,
        container,
        account_key=services.ACCOUNT_KEY,
        permission=azure.storage.blob.ContainerSasPermissions.from_string("racw"),
        start=now - datetime.timedelta(hours=1),
        expiry=now + datetime.timedelta(days=1),
    )
