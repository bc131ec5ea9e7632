"""The little of the Kubernetes API that `up`, `down` and `status` ask."""

import http.client
import json
import ssl
from typing import Any

from layout import API_PORT, NODE_IP, NODE_NAME, Layout


class Unreachable(Exception):  # noqa: N818 - a state of things, not a mistake
    """The API server gave no answer, or not the one that was asked for."""


def ready(layout: Layout) -> bool:
    """Whether the API server says it is ready."""
    try:
        _ask(layout, "GET", "/readyz")
    except Unreachable:
        return False
    return True


def node_ready(layout: Layout) -> bool:
    """Whether the node is ready, and a pod could be made in the default namespace."""
    try:
        node = _json(layout, f"/api/v1/nodes/{NODE_NAME}")
        # Until the controller manager has made it, the API server refuses pods: no service account "default".
        _json(layout, "/api/v1/namespaces/default/serviceaccounts/default")
    except Unreachable:
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def delete_pods(layout: Layout) -> None:
    """Deletes every pod at once, without a grace period."""
    for namespace in {pod["metadata"]["namespace"] for pod in _json(layout, "/api/v1/pods")["items"]}:
        _ask(layout, "DELETE", f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0")


def _json(layout: Layout, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_ask(layout, "GET", path))
    return answer


def _ask(layout: Layout, method: str, path: str) -> bytes:
    try:
        context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        connection = http.client.HTTPSConnection(NODE_IP, API_PORT, context=context, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(str(error)) from error
    if answer.status >= 300:
        raise Unreachable(f"{method} {path}: {answer.status}")
    return body
