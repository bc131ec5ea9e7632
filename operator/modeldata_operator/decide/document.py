"""settings.json: what a pod's client obeys. Equal inputs give equal bytes, so comparing strings is enough."""

import contextlib
import json
from typing import Any

from ..api import bounds, names, pod_token, workloads
from ..api.resources import DataCollection, OnMissing, Redaction, WorkloadIdentity
from ..api.restartables import Deployment
from ..api.workloads import Pod
from . import injection

VERSION = 1
DEFAULT_MODEL_VERSION = "default"

MOST_GENERATION = 2**63
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def settings(collection: DataCollection, pod: Pod, deployment: Deployment | None, *, rotation: int) -> str:
    """Write the document for one pod. The generation grows with every change of the spec and every new SAS."""
    storage, workspace = collection.storage.within(pod.key.namespace), collection.workspace
    return encode(
        {
            "version": VERSION,
            "enabled": collection.enabled,
            "collection": str(collection.key),
            "generation": collection.generation + rotation,
            "storage": {
                "endpoint": storage.endpoint,
                "container": storage.container,
                "path": storage.path,
                "file": storage.file,
                **_credential(collection, pod),
            },
            "identity": {
                "subscription": workspace.subscription,
                "resourceGroup": workspace.resource_group,
                "workspace": workspace.name or pod.key.namespace,
                "webservice": collection.webservice
                or bounds.shortened(pod.workload_name(deployment), bounds.LONGEST_NAME),
                "modelVersion": _model_version(pod),
            },
            "sampling": {"percent": collection.sampling_percent},
            "redact": [_redaction(each) for each in collection.redactions],
            "columns": collection.columns,
            "flushInterval": collection.flush_interval,
            "spool": {"bytes": injection.spool_bytes(collection, pod)},
        }
    )


def _redaction(of: Redaction) -> dict[str, str]:
    found = {"feature": of.feature, "action": str(of.action)}
    # What is the default is left out: there is room for few bytes.
    return {**found, "onMissing": str(of.on_missing)} if of.on_missing != OnMissing.SEND else found


def switched_off(present: str, collection: str) -> str:
    """Write the document for a pod that nobody serves any more: what it had, but off.

    The rest is kept, so that the client can still deliver what it already took.
    """
    document = None
    # What is longer, or deeper, is not what the operator wrote.
    if len(present) <= workloads.LONGEST_SETTINGS:
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(present)
    if not isinstance(document, dict) or not 0 <= _generation(document) < MOST_GENERATION:
        document = {"version": VERSION, "collection": collection, "generation": 0}
    return encode({**document, "enabled": False, "generation": document["generation"] + 1})


def _generation(document: dict[str, Any]) -> int:
    generation = document.get("generation")
    return generation if isinstance(generation, int) else -1


def encode(document: dict[str, Any]) -> str:
    """Serialize with sorted keys and no spaces."""
    return _ENCODER.encode(document)


def _credential(collection: DataCollection, pod: Pod) -> dict[str, Any]:
    """Say who the pod is to sign in as; nothing where it is to use the SAS.

    A pod that was started without a token keeps to its SAS until it is started anew, or what it collects would wait
    for a token that never comes, and be lost with the pod.
    """
    credential = collection.storage.credential
    if not isinstance(credential, WorkloadIdentity) or (pod.injection is not None and not pod.has_token):
        return {}
    who = {"clientId": credential.client_id, "tenantId": credential.tenant_id}
    authority = pod_token.authority(collection.storage.endpoint)
    return {"credential": {"workloadIdentity": {**who, **({"authority": authority} if authority else {})}}}


def _model_version(pod: Pod) -> str:
    version = (
        pod.annotations.get(names.MODEL_VERSION_ANNOTATION)
        or pod.labels.get(names.APP_VERSION_LABEL)
        or DEFAULT_MODEL_VERSION
    )
    return bounds.shortened(version, bounds.LONGEST_VERSION)
