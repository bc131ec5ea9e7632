"""What a pod says of its platform: nodes that can't carry what collecting needs, a mesh's proxies, an autoscaler."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from . import names
from .reasons import Reason

VIRTUAL_NODE = {"type": "virtual-kubelet"}
"""How AKS labels its virtual nodes, and its documentation has pods select them."""

VIRTUAL_NODE_TAINT = "virtual-kubelet.io/provider"
"""The taint of every virtual node. Who names it in a toleration means that its pods are to go there."""

OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")

PROXIES = frozenset(("istio-proxy", "linkerd-proxy"))
"""What Istio and Linkerd call the containers that they inject. As native sidecars they are no containers to choose."""

ISTIO_STATUS_ANNOTATION = "sidecar.istio.io/status"
"""What Istio's webhook leaves on a pod: among others the names of all that it has injected."""


def unfit(spec: Mapping[str, Any]) -> Iterable[tuple[Reason, str]]:
    """Say why a pod's nodes can't carry what collecting needs."""
    selector = spec.get("nodeSelector") or {}
    tolerated = {toleration.get("key") for toleration in spec.get("tolerations") or ()}
    if VIRTUAL_NODE.items() <= selector.items() or VIRTUAL_NODE_TAINT in tolerated:
        yield Reason.VIRTUAL_NODE, "the pod is for virtual nodes, where no downward API volume can be mounted"
    system = (spec.get("os") or {}).get("name")
    if system == "windows" or any(selector.get(label) == "windows" for label in OS_LABELS):
        yield Reason.WINDOWS_NODE, "the pod is for Windows nodes, and the client collects on Linux"


def proxies(annotations: Mapping[str, str], containers: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Name those of a pod's containers that are a mesh's, by their own names and by what the mesh says of itself."""
    try:
        status = json.loads(annotations.get(ISTIO_STATUS_ANNOTATION) or "{}")
    except ValueError:
        status = {}
    said = status.get("containers") if isinstance(status, dict) else None
    injected = said if isinstance(said, list) else []
    for container in containers:
        name = container.get("name", "")
        if name in PROXIES or name in injected:
            yield name


def evictable(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotation by which the cluster autoscaler does not keep a node for the spool's sake; nothing to add.

    Rows are sent when a pod is ended, whoever ends it. But a person who wrote that the pod must stay is obeyed.
    """
    present = annotations.get(names.SAFE_VOLUMES_ANNOTATION) or ""
    listed = {name.strip() for name in present.split(",")}
    if annotations.get(names.SAFE_TO_EVICT_ANNOTATION) == "false" or names.SPOOL_VOLUME in listed:
        return {}
    return {names.SAFE_VOLUMES_ANNOTATION: f"{present},{names.SPOOL_VOLUME}" if present.strip() else names.SPOOL_VOLUME}
