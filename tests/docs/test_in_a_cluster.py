"""The commands of the pages against a real API server, with the operator's real processes and a real Azurite beside it.

Nothing runs in it: what the Deployment controller and the kubelets would do, ``Actors`` does.
"""

from __future__ import annotations

import base64
import collections.abc
import json
import os
import pathlib
import typing

import pytest
import yaml
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from ..apiserver import server
from ..apiserver.actors import Actors
from ..apiserver.conftest import Operated
from ..conftest import AZURITE_KEY, Azurite, Eventually
from . import az
from .conftest import run
from .pages import Block, blocks, stand_in, table_commands

pytestmark = [pytest.mark.apiserver, pytest.mark.azurite]
NAMESPACE = "models"
CONTROLLER = "modeldata-operator-controller"


class Shell:
    """A user's shell: what a block leaves in its variables and in its directory, the next one finds."""

    def __init__(self, directory: pathlib.Path, variables: collections.abc.Mapping[str, str]) -> None:
        self.directory = directory
        self.variables = dict(variables)

    def run(self, block: Block) -> str:
        said, self.variables = run(block, self.directory, self.variables)
        return said


@pytest.fixture
def models(operated: Operated, eventually: Eventually) -> typing.Iterator[Actors]:
    """The namespace of the pages, empty at the end."""
    made = Actors(operated.api, NAMESPACE)
    yield made
    kubectl = operated.api.kubectl
    kubectl("-n", NAMESPACE, "delete", "mdc,deployments,pods", "--all", "--force", "--grace-period=0")

    def clean() -> bool:
        kubectl("-n", NAMESPACE, "delete", "secrets", "--all")
        return operated.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"] == []

    eventually(clean)


@pytest.fixture
def shell(operated: Operated, account: dict[str, str], tmp_path: pathlib.Path) -> Shell:
    path = f"{server.programs()}:{os.environ['PATH']}"
    return Shell(tmp_path, {**account, "KUBECONFIG": str(operated.api.kubeconfig), "PATH": path, "HOME": str(tmp_path)})


def pods(actors: Actors, app: str) -> list[dict[str, typing.Any]]:
    """Return the pods with this label."""
    return [pod for pod in actors.pods() if pod["metadata"]["labels"]["app"] == app]


def enabled(actors: Actors, app: str) -> set[bool]:
    """Return what the pods with this label are told."""
    settings = [pod["metadata"]["annotations"].get("modeldata.dev/settings", "{}") for pod in pods(actors, app)]
    return {json.loads(each).get("enabled") for each in settings}


def test_collect_from_a_model(models: Actors, shell: Shell, eventually: Eventually) -> None:
    collection, deployment, look = blocks("sh", "cluster", page="docs/collecting.md")
    shell.run(collection)
    shell.run(deployment)
    models.roll_out("churn")
    assert "Collecting" in eventually(lambda: shell.run(look).splitlines()[-1])
    assert enabled(models, "churn") == {True}


def test_as_the_readme_uses_it(models: Actors, shell: Shell, local_azurite: Azurite, eventually: Eventually) -> None:
    (use,) = blocks("sh", "cluster", page="README.md")
    (written,) = (each.text for each in blocks("yaml", page="README.md") if "DataCollection" in each.text)
    models.api.namespace(NAMESPACE)
    models.api.kubectl("config", "set-context", "--current", "--namespace", NAMESPACE)
    try:
        shell.run(blocks("sh", "cluster", page="docs/credentials.md")[0])
        manifest = yaml.safe_load(written)
        manifest["spec"]["storage"]["endpoint"] = local_azurite.endpoint
        (shell.directory / "datacollection.yaml").write_text(json.dumps(manifest))
        shell.run(use._replace(text=use.text.splitlines()[0]))
        models.collection("default", storage=manifest["spec"]["storage"])
        models.deployment("scoring", app="other")
        eventually(lambda: models.status()["observedGeneration"] == 1)
        models.deployment("churn")
        eventually(lambda: enabled(models, "churn") == {True})
        shell.run(use)
    finally:
        models.api.kubectl("config", "set-context", "--current", "--namespace", "")
    eventually(lambda: enabled(models, "churn") == {False})
    models.set_status("scoring", replicas=1, ready=1)  # as its controller says of every new generation
    eventually(lambda: models.mark("scoring"))
    models.roll_out("scoring")
    eventually(lambda: enabled(models, "other") == {True})


@pytest.fixture
def collected(models: Actors, shell: Shell, eventually: Eventually) -> Actors:
    """What docs/collecting.md leaves behind."""
    models.api.namespace(NAMESPACE)
    for block in blocks("sh", "cluster", page="docs/collecting.md")[:2]:
        shell.run(block._replace(text=block.text.replace("kubectl create namespace models\n", "")))
    models.roll_out("churn")
    eventually(lambda: enabled(models, "churn") == {True})
    return models


def test_the_runbooks_ask_the_collection_itself(collected: Actors, shell: Shell, eventually: Eventually) -> None:
    describe, workloads, days, lease = blocks("sh", "cluster", page="docs/runbooks.md")
    assert "Collecting" in shell.run(describe)
    shell.run(workloads)
    collected.patch_collection("churn", {"closing": {}})
    eventually(lambda: "closing.enabled" in shell.run(days))
    _, closed = blocks("sh", "cluster", page="docs/datacollection.md")
    assert "ClosingUnavailable" in shell.run(closed)
    assert "holderIdentity" in shell.run(lease)


def test_switch_on_and_off(collected: Actors, shell: Shell, eventually: Eventually) -> None:
    off, on, out, back, other, less, delete = blocks("sh", "cluster", page="docs/switching.md")
    before = {pod["metadata"]["uid"] for pod in pods(collected, "churn")}
    for command, wanted in ((off, False), (on, True), (out, False), (back, True)):
        shell.run(command)
        eventually(lambda wanted=wanted: enabled(collected, "churn") == {wanted})
    collected.deployment("other", app="other")
    shell.run(other)
    collected.set_status("other", replicas=1, ready=1)  # as its controller says of every new generation
    eventually(lambda: collected.mark("other"))
    collected.roll_out("other")
    eventually(lambda: enabled(collected, "other") == {True})
    shell.run(less)
    eventually(lambda: told(collected) == [(20, [{"feature": "age", "action": "Drop"}])] * 2)
    shell.run(delete)
    eventually(lambda: enabled(collected, "churn") == {False})
    assert {pod["metadata"]["uid"] for pod in pods(collected, "churn")} == before


def told(actors: Actors) -> list[tuple[int, object]]:
    """Return what the pods are told of sampling and redaction."""
    settings = [json.loads(pod["metadata"]["annotations"]["modeldata.dev/settings"]) for pod in pods(actors, "churn")]
    return [(each.get("sampling", {}).get("percent"), each.get("redact")) for each in settings]


def test_the_key_of_hashes_is_saved_and_brought_back(collected: Actors, shell: Shell, eventually: Eventually) -> None:
    workloads, leader, save, restore = blocks("sh", "cluster", page="docs/operations.md")
    assert shell.run(workloads) == ""
    assert "modeldata-operator-controller" in shell.run(leader)
    shell.run(save)
    key = (shell.directory / "churn.hash-key").read_text()
    assert len(base64.b64decode(key)) == 64
    collected.delete_collection("churn")
    collected.api.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/modeldata-churn")
    shell.run(blocks("sh", "cluster", page="docs/collecting.md")[0]._replace(text=apply_again()))
    eventually(lambda: hash_key(collected) not in ("", key))
    shell.run(restore)
    rotation = collected.status()["credential"]["rotation"]
    # A new SAS makes the operator write the whole Secret: the key in it must be the one that was brought back.
    collected.patch_collection("churn", {"storage": {"file": "PerPod"}})
    eventually(lambda: collected.status()["credential"]["rotation"] > rotation)
    assert hash_key(collected) == key


def apply_again() -> str:
    """Return the part of docs/collecting.md that makes the collection."""
    text = blocks("sh", "cluster", page="docs/collecting.md")[0].text
    return text[text.index("kubectl -n models apply") :]


def hash_key(actors: Actors) -> str:
    secret = actors.secret("modeldata-churn")
    return str(secret["data"].get("hash-key", "")) if secret else ""


def test_the_first_look_when_nothing_is_collected(collected: Actors, shell: Shell) -> None:
    (look,) = blocks("sh", "cluster", page="docs/troubleshooting.md")
    said = shell.run(look)
    assert "CredentialsReady" in said


def test_each_command_of_the_table_is_one(collected: Actors, shell: Shell) -> None:
    # Those that need neither a pod that runs nor its log.
    commands = [each for each in table_commands() if " exec " not in each and " logs " not in each]
    assert len(commands) > 15
    for command in commands:
        # There has been one rollout, so there is nothing to go back to, or to wait for.
        if " rollout " not in command:
            shell.run(Block("docs/troubleshooting.md", 0, "sh", "cluster", command))


def test_credentials(models: Actors, shell: Shell, local_azurite: Azurite, eventually: Eventually) -> None:
    models.api.namespace(NAMESPACE)
    short, _ = blocks("sh", "cluster", page="docs/datacollection.md")
    create, change, sign, given, operators, pods_own = blocks("sh", "cluster", page="docs/credentials.md")
    shell.run(short)
    models.api.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/account")
    shell.run(create)
    shell.run(change)
    secret = models.secret("account")
    assert secret is not None
    assert base64.b64decode(secret["data"]["connectionString"]).decode() == local_azurite.connection_string

    shell.variables |= {"NAME": local_azurite.account_name, "GROUP": "models", "CLUSTER": "models"}
    ours = azure_command_line(shell)
    shell.run(sign)
    shell.run(given)
    secret = models.secret("writer")
    assert secret is not None
    sas = base64.b64decode(secret["data"]["sas"]).decode()
    with ContainerClient(local_azurite.endpoint, "modeldata", credential=AZURITE_KEY) as container:
        if not container.exists():
            container.create_container()
        with ContainerClient(local_azurite.endpoint, "modeldata", credential=sas) as signed:
            blob = signed.get_blob_client("data.csv")
            blob.create_append_blob()
            blob.append_block(b"row")
            assert blob.download_blob().readall() == b"row"
            with pytest.raises(HttpResponseError, match="not authorized"):
                blob.delete_blob()
        container.delete_blob("data.csv")

    for manifest in yaml.safe_load_all((server.REPOSITORY / "manifests/install.yaml").read_text(encoding="utf-8")):
        what = manifest["kind"], manifest["metadata"]["name"]
        if what in (("ServiceAccount", CONTROLLER), ("Deployment", CONTROLLER)):
            models.api.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    shell.run(operators)
    shell.run(pods_own)
    subjects = [each["subject"] for words, each in ours() if words == "identity federated-credential create"]
    assert subjects == [
        f"system:serviceaccount:{server.NAMESPACE}:{CONTROLLER}",
        "system:serviceaccount:models:scoring",
    ]
    system = f"/namespaces/{server.NAMESPACE}"
    account = models.api.get(f"/api/v1{system}/serviceaccounts/{CONTROLLER}")
    deployment = models.api.get(f"/apis/apps/v1{system}/deployments/{CONTROLLER}")
    assert account["metadata"]["annotations"]["azure.workload.identity/client-id"] == az.IDENTITY["clientId"]
    assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert {each["assignee_object_id"] for words, each in ours() if "role" in words} == {az.IDENTITY["principalId"]}


def azure_command_line(shell: Shell) -> typing.Callable[[], list[tuple[str, dict[str, str]]]]:
    """Give a shell the command `az`; return what it was asked."""
    programs, log = shell.directory / "bin", shell.directory / "az.log"
    programs.mkdir()
    stand_in(programs / "az", pathlib.Path(az.__file__))
    shell.variables |= {"PATH": f"{programs}:{shell.variables['PATH']}", "AZ_LOG": str(log)}
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


WHOLE = [block for block in blocks("yaml") if "apiVersion" in block.text]
CREDENTIALS = [block for block in blocks("yaml") if block.text.startswith("credential:")]


@pytest.mark.parametrize("block", WHOLE, ids=lambda block: block.id)
def test_the_api_server_accepts_each_manifest(block: Block, operated: Operated) -> None:
    operated.api.namespace(NAMESPACE)
    # What names its own namespace is applied without -n, as a reader would.
    named = yaml.safe_load(block.text)["metadata"].get("namespace", NAMESPACE)
    operated.api.kubectl("-n", named, "apply", "--dry-run=server", "-f", "-", input=block.text)


@pytest.mark.parametrize("block", CREDENTIALS, ids=lambda block: block.id)
def test_the_api_server_accepts_each_credential(block: Block, operated: Operated) -> None:
    operated.api.namespace(NAMESPACE)
    text = block.text.replace("00000000-…", "00000000-0000-0000-0000-000000000000")
    storage = {"endpoint": "https://account.blob.core.windows.net", **yaml.safe_load(text)}
    body = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": "churn"},
        "spec": {"storage": storage},
    }
    operated.api.kubectl("-n", NAMESPACE, "apply", "--dry-run=server", "-f", "-", input=json.dumps(body))
