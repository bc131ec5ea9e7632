"""The pages' commands that need pods that run, typed as they stand there."""

from __future__ import annotations

import json
import pathlib
import re
import typing

import pytest

from ...docs.pages import blocks, table_commands
from ..churn import Collected, Space, new_space
from ..shell import Shell

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def space(cluster: typing.Any, operator: None, azurite: typing.Any) -> typing.Iterator[Space]:
    with new_space(cluster, azurite) as made:
        yield made


def test_a_served_model_is_collected(space: Space, tmp_path: pathlib.Path) -> None:
    (serve,) = blocks("sh", "localcluster", page="docs/serving.md")
    space.kubectl("delete", "secret", "account")
    connection = f"DefaultEndpointsProtocol=http;AccountName={space.azurite.account_name}"
    connection += f";AccountKey={space.azurite.account_key};BlobEndpoint={space.azurite.endpoint}"
    # The page's sample writes to the container that all collections have by default.
    endpoint = f"{space.azurite.endpoint}\\n    container: {space.name}"
    shell = Shell(space.cluster, tmp_path, space.name, CONNECTION=connection, ENDPOINT=endpoint)
    risks = json.loads(shell(serve.text).splitlines()[-1])
    said = {(42.0, 3.0): Collected("order-17-0", risks[0]), (23.0, 1.0): Collected("order-17-1", risks[1])}
    space.assert_collected("churn-fastapi", said)


@pytest.fixture
def models(cluster: typing.Any, operator: None, azurite: typing.Any, serving_image: None) -> typing.Iterator[None]:
    """The namespace, the collection and the Deployment of the pages' commands."""
    with new_space(cluster, azurite, "models") as space:
        space.apply("datacollection")

        def change(manifest: dict[str, typing.Any]) -> None:
            manifest["metadata"]["name"] = "churn"

        space.apply("fastapi", change)
        space.pods("churn")
        yield


def with_verb(verbs: str) -> list[str]:
    """Return the table's commands with one of these verbs of kubectl, each once."""
    return sorted({each for each in table_commands() if re.search(f" ({verbs}) ", each)})


@pytest.mark.usefixtures("models")
def test_a_pod_is_asked_what_is_wrong(cluster: typing.Any, tmp_path: pathlib.Path) -> None:
    shell = Shell(cluster, tmp_path)
    doctors = [
        *blocks("sh", "localcluster", page="docs/troubleshooting.md"),
        *blocks("sh", "localcluster", page="docs/client.md"),
        *blocks("sh", "localcluster", page="docs/credentials.md"),
    ]
    assert len(doctors) == 3
    for doctor in doctors:
        said = shell(doctor.text)
        assert re.search("^ok +storage", said, re.MULTILINE)
        assert "wrong" not in said
    asking, rollouts = with_verb("exec|logs"), with_verb("rollout")
    assert (len(asking), len(rollouts)) == (2, 2)
    for command in asking:
        assert shell(command)
    cluster.kubectl("-n", "models", "set", "env", "deploy/churn", "AGAIN=1")  # something to go back to
    for command in rollouts:
        assert shell(command)
