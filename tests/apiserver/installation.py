"""The operator's manifests on a bare API server, and requests under the operator's own accounts."""

from __future__ import annotations

import json
import pathlib
import typing

import yaml

from . import server

INSTALL = server.REPOSITORY / "manifests/install.yaml"
NAMESPACED = server.REPOSITORY / "manifests/namespaced/install.yaml"
CONTROLLER, WEBHOOK = "modeldata-operator-controller", "modeldata-operator-webhook"
WEBHOOK_CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/modeldata-operator"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"


def install_operator(api: server.ApiServer, manifest: pathlib.Path = INSTALL) -> None:
    """Install as a user would. There is no network: the webhook's Service leads to this machine."""
    # Tests share the API server, and some have written a Deployment of the operator's by hand, with other labels.
    deployments = ("deployments", CONTROLLER, WEBHOOK)
    api.kubectl("-n", server.NAMESPACE, "delete", *deployments, "--ignore-not-found")
    api.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest))
    service = {"spec": {"type": "ExternalName", "externalName": "localhost", "selector": None}}
    api.merge(f"/api/v1/namespaces/{server.NAMESPACE}/services/{WEBHOOK}", service)
    # A port that nobody listens on, so that pods do not wait for a webhook that does not run.
    lead_webhook_to(api, 1)


def closing(**changes: typing.Any) -> str:
    """How the installed controller is told to make Jobs that close days."""
    documents = yaml.safe_load_all(INSTALL.read_text(encoding="utf-8"))
    (found,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == ("Deployment", CONTROLLER)]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    (value,) = [each["value"] for each in container["env"] if each["name"] == "MODELDATA_CLOSING"]
    return json.dumps({**json.loads(value), **changes})


def aggregate_roles(api: server.ApiServer) -> None:
    """Give the roles of namespaces what is meant for them, as the controller manager does; none runs here."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    for name in ("view", "edit", "admin"):  # each is part of the next
        (selector,) = api.get(f"{path}/{name}")["aggregationRule"]["clusterRoleSelectors"]
        wanted = selector["matchLabels"].items()
        parts = [each for each in api.get(path)["items"] if wanted <= each["metadata"].get("labels", {}).items()]
        rules = [rule for part in parts for rule in part.get("rules") or ()]
        api.merge(f"{path}/{name}", {"rules": rules})


def lead_webhook_to(api: server.ApiServer, port: int) -> None:
    """Have the API server call a webhook that runs here."""
    operation = {"op": "replace", "path": "/webhooks/0/clientConfig/service/port", "value": port}
    api.request("PATCH", WEBHOOK_CONFIGURATION, [operation], content_type=JSON_PATCH)


def token(api: server.ApiServer, account: str, *, namespace: str = server.NAMESPACE) -> str:
    """Ask for a token of an account of the operator, as its pod would get one."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(api.create(path, body)["status"]["token"])


def may(api: server.ApiServer, account: str, verb: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
    """Ask the API server what an account may do; resources are written as in "apps/deployments/scale"."""
    group, rest = resource.split("/", 1)
    resource, _, subresource = rest.partition("/")
    attributes = {"group": group, "resource": resource, "subresource": subresource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{server.NAMESPACE}:{account}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{server.NAMESPACE}",
                "system:authenticated",
            ],
            "resourceAttributes": {**attributes, "namespace": namespace, "name": name},
        },
    }
    return bool(api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


def pod(name: str, *, app: str, deployment: str = "") -> dict[str, typing.Any]:
    """Write a pod, as a Deployment's ReplicaSet makes one."""
    metadata: dict[str, typing.Any] = {"name": name, "labels": {"app": app}, "annotations": {"team": "risk"}}
    if deployment:
        metadata["labels"]["pod-template-hash"] = "5c6f"
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{deployment}-5c6f", "uid": "1"}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    return {"metadata": metadata, "spec": {"containers": [{"name": "scoring", "image": "model"}]}}


def deployment(name: str, *, app: str, annotations: typing.Mapping[str, str] = {}) -> dict[str, typing.Any]:
    """Write a Deployment."""
    template = {"metadata": {"labels": {"app": app}, "annotations": {"team": "risk"}}, "spec": pod("", app=app)["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"metadata": {"name": name, "annotations": dict(annotations)}, "spec": spec}


def serving(selector: typing.Mapping[str, typing.Any], **storage: typing.Any) -> dict[str, typing.Any]:
    """Write the spec of a default that serves other namespaces, each in a container of its own."""
    whole = {
        "endpoint": "http://127.0.0.1:1/devstoreaccount1",
        "credential": {"secretRef": {"name": "account"}},
        "container": "modeldata-{namespace}",
        **storage,
    }
    return {"namespaceSelector": selector, "storage": whole}


EVERYWHERE = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}


def collection(name: str, **spec: typing.Any) -> dict[str, typing.Any]:
    """Write a DataCollection, whose storage nobody can reach."""
    storage = {
        "endpoint": "http://127.0.0.1:1/devstoreaccount1",
        "credential": {"secretRef": {"name": "account"}},
    }
    head = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection", "metadata": {"name": name}}
    return {**head, "spec": {"storage": storage, **spec}}
