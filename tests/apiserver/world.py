"""The operator's two real processes under their own accounts, and models as a bare API server can have them."""

from __future__ import annotations

import json
import typing

from ..conftest import Eventually
from . import installation, server
from .conftest import Running, Start, healthy
from .installation import CONTROLLER, WEBHOOK
from .server import ApiServer, Refused


class World:
    """One API server, one operator, and what a user does."""

    def __init__(self, api: ApiServer, eventually: Eventually) -> None:
        self.api = api
        self._eventually = eventually
        self.running: list[Running] = []
        self._pods = 0

    def start(self, start: Start, **environment: str) -> None:
        """Start both, and let the API server find the webhook."""
        for role, account in (("controller", CONTROLLER), ("webhook", WEBHOOK)):
            kubeconfig = self.api.kubeconfig_for(token=installation.token(self.api, account), name=f"kubeconfig-{role}")
            self.running.append(start(role, kubeconfig, environment=environment))
        installation.lead_webhook_to(self.api, self.running[1].webhook_port)
        self.ready("modeldata-operator-webhook", server.NAMESPACE)
        for each in self.running:
            self._eventually(lambda each=each: healthy(each.health_port))

    def ready(self, name: str, namespace: str) -> None:
        """Say that a Deployment's pods are there: nothing here makes any."""
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        generation = self.api.get(path)["metadata"]["generation"]
        self.api.merge(f"{path}/status", {"status": {"observedGeneration": generation, **counts}})

    def account(self, namespace: str) -> None:
        """Make an account's Secret."""
        body = {
            "metadata": {"name": "account"},
            "stringData": {"accountName": "devstoreaccount1", "accountKey": "eA=="},
        }
        self.api.create(f"/api/v1/namespaces/{namespace}/secrets", body)

    def collect(self, name: str, namespace: str, **spec: typing.Any) -> None:
        """Make a DataCollection."""
        path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections"
        self.api.create(path, installation.collection(name, **spec))

    def deploy(self, name: str, namespace: str, **annotations: str) -> None:
        """Make a Deployment with a pod."""
        body = installation.deployment(name, app=name, annotations=annotations)
        self.api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", body)
        self.ready(name, namespace)
        self.pod(name, namespace)

    def pod(self, deployment: str, namespace: str) -> dict[str, typing.Any]:
        """Make one more pod of a Deployment."""
        self._pods += 1
        body = installation.pod(f"{deployment}-5c6f-{self._pods}", app=deployment, deployment=deployment)
        return typing.cast("dict[str, typing.Any]", self.api.create(f"/api/v1/namespaces/{namespace}/pods", body))

    def injected_pod(self, deployment: str, namespace: str) -> str:
        """Make pods until the webhook has seen one; return its name."""

        def made() -> str:
            metadata = self.pod(deployment, namespace)["metadata"]
            return metadata["name"] if "modeldata.dev/injected" in metadata["annotations"] else ""

        return self._eventually(made)

    def settings(self, pod: str, namespace: str) -> dict[str, typing.Any]:
        """Read what a pod was told."""
        metadata = self.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["metadata"]
        return typing.cast("dict[str, typing.Any]", json.loads(metadata["annotations"]["modeldata.dev/settings"]))

    def restarted_for(self, deployment: str, namespace: str) -> str:
        """Say why a Deployment was restarted."""
        body = self.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
        return str(body["spec"]["template"]["metadata"]["annotations"].get("modeldata.dev/restarted-for", ""))

    def secret(self, name: str, namespace: str) -> dict[str, typing.Any] | None:
        """Read a Secret."""
        try:
            return typing.cast("dict[str, typing.Any]", self.api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}"))
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def conditions(self, collection: str, namespace: str) -> dict[str, str]:
        """Read a DataCollection's conditions."""
        path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections/{collection}"
        return {each["type"]: each["reason"] for each in self.api.get(path).get("status", {}).get("conditions", ())}

    def assert_never_refused(self) -> None:
        """Nothing that the processes asked for was forbidden."""
        for each in self.running:
            assert "forbidden" not in each.said().lower()
