"""The samples' model, deployed, asked and read by tests."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import http.client
import io
import json
import random
import re
import typing

import pandas
import yaml

from ..conftest import poll
from . import conftest

SAMPLES = conftest.REPOSITORY / "manifests/samples"
OUR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(-\d+)?")
PORT = 8080


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a server is asked for predictions."""

    path: str = "/score"
    rows: str = "data"
    predictions: str = ""
    """Where in the answer they are; empty: they are all of it."""


class Collected(typing.NamedTuple):
    """A row, found in storage."""

    id: str
    risk: float


Customer = tuple[float, float]
Manifest = dict[str, typing.Any]


@dataclasses.dataclass
class Client:
    """Sends customers that nobody else sends, and notes what was answered."""

    address: str
    port: int = 80
    protocol: Protocol = Protocol()
    said: dict[Customer, Collected] = dataclasses.field(default_factory=dict)
    """What must be collected; an empty id stands for one of ours."""

    def send(self, *, requests: int) -> None:
        """Send requests of one to three rows, most with an id, several at once."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(self._ask, range(requests)))

    def _ask(self, number: int) -> None:
        rows = [(random.uniform(18, 90), random.uniform(0, 40)) for _ in range(1 + number % 3)]
        given = f"order-{random.getrandbits(64)}" if number % 4 else ""
        headers = {"Content-Type": "application/json", **({"x-request-id": given} if given else {})}
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        try:
            connection.request("POST", self.protocol.path, json.dumps({self.protocol.rows: rows}), headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        assert response.status == 200, body
        answer = json.loads(body)
        risks = answer[self.protocol.predictions] if self.protocol.predictions else answer
        for index, (row, risk) in enumerate(zip(rows, risks, strict=True)):
            own = f"{given}-{index}" if len(rows) > 1 else given
            self.said[row] = Collected(own if given else "", risk)


@dataclasses.dataclass(frozen=True)
class Space:
    """A namespace with an account, whose samples write to a container that is named like it."""

    cluster: typing.Any
    azurite: typing.Any
    name: str

    def kubectl(self, *arguments: str, **options: typing.Any) -> str:
        return str(self.cluster.kubectl("-n", self.name, *arguments, **options))

    def apply(self, sample: str, change: typing.Callable[[Manifest], None] = lambda _: None) -> None:
        """Apply a sample, where only the account is not its own; wait until that is found to be right."""
        for manifest in yaml.safe_load_all((SAMPLES / f"{sample}.yaml").read_text(encoding="utf-8")):
            change(manifest)
            is_collection = manifest["kind"] == "DataCollection"
            if is_collection:
                manifest["spec"]["storage"].update(endpoint=self.azurite.endpoint, container=self.name)
            self.kubectl("apply", "-f", "-", input=json.dumps(manifest))
            if is_collection:
                name = f"mdc/{manifest['metadata']['name']}"
                self.kubectl("wait", name, "--for=condition=CredentialsReady", "--timeout=60s")

    def service(self, name: str) -> str:
        return self.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")

    def pods(self, deployment: str, *, count: int = 1) -> list[dict[str, typing.Any]]:
        """Return the pods of a Deployment, once all of them serve and are prepared for collection."""

        def look() -> list[dict[str, typing.Any]] | None:
            self.kubectl("rollout", "status", f"deploy/{deployment}", "--timeout=120s")
            found = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
            own = [pod for pod in found if pod["metadata"]["name"].startswith(f"{deployment}-")]
            live = [pod["metadata"] for pod in own if "deletionTimestamp" not in pod["metadata"]]
            prepared = ["modeldata.dev/injected" in each.get("annotations", {}) for each in live]
            return own if len(own) == count and prepared == [True] * count else None

        return poll(look, seconds=150) or []

    def files(self, designation: str, *, where: str = "") -> dict[str, pandas.DataFrame]:
        """Return the files below a part of the path, read by pandas."""
        container = self.azurite.container(self.name)
        return {
            blob.name: pandas.read_csv(io.BytesIO(container.download_blob(blob.name).readall()))
            for blob in container.list_blobs()
            if blob.size and f"{where}/" in blob.name and f"/{designation}/" in blob.name
        }

    def collected(self, webservice: str) -> pandas.DataFrame:
        """Return inputs and predictions of a model, joined, each of them once. Raises ValueError where none are."""
        where = f"default/default/{self.name}/{webservice}/churn/10"
        inputs, predictions = (
            pandas.concat(self.files(designation, where=where).values()) for designation in ("inputs", "predictions")
        )
        joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
        assert len(joined) == len(inputs) == len(predictions)
        return joined

    def assert_collected(self, webservice: str, said: dict[Customer, Collected]) -> None:
        """Wait until every row is there; each is there once, and as it was said."""

        def all_there() -> bool:
            try:
                return len(self.collected(webservice)) >= len(said)
            except ValueError:
                return False

        poll(all_there)
        table = self.collected(webservice)
        found = {
            (row.age, row.tenure): Collected(str(row.id), row.risk)
            for row in table.rename(columns={"$RequestId": "id"}).itertuples(index=False)
        }
        assert len(found) == len(table)
        ours = {row for row, each in found.items() if OUR_ID.fullmatch(each.id)}
        assert ours == {row for row, each in said.items() if not each.id}
        assert {row: Collected("", each.risk) if row in ours else each for row, each in found.items()} == said


@contextlib.contextmanager
def new_space(cluster: typing.Any, azurite: typing.Any, name: str = "") -> typing.Iterator[Space]:
    """Make a namespace, of this name or a new one, with the account's Secret."""
    with conftest.namespace_of_its_own(cluster, name) as name:
        made = Space(cluster, azurite, name)
        account = (
            f"--from-literal=account{what}" for what in (f"Name={azurite.account_name}", f"Key={azurite.account_key}")
        )
        made.kubectl("create", "secret", "generic", "account", *account)
        yield made
