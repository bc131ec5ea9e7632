"""What a collected pod gets: a pure function from a pod's manifest to the injected one."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..api import names, platforms, pod_token
from ..api.reasons import Reason
from ..api.resources import DataCollection, WorkloadIdentity
from ..api.workloads import Pod

# A quarter of what the pod may write leaves the model its own room, and the spool its slack.
EPHEMERAL_SHARE = 4
# The kubelet evicts a pod whose emptyDir outgrows its sizeLimit, so that limit is never what holds the client back.
# Beside the spool's own bytes the client keeps its journal there, some 9 MiB or an eighth of the bound.
SIZE_LIMIT_FACTOR = 2
LEAST_SPOOL_BYTES = 1024**2
"""As the CRD's least spool.size. The client's journal takes a quarter of a MiB however small the spool is: with less
than this the kubelet would evict the pod for it."""
SETTINGS_BYTES = 4096
"""Of the annotation with its name: some container runtimes start no container of a pod with a longer one. What the CRD
lets a collection say, and what is taken from a pod, stay below it together, with the line end that a push repeats."""
ANNOTATION_BYTES = 256 * 1024
"""All annotations of an object together, names and values: the API server refuses a pod with more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pod can't be injected."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is injected into one pod. Everything here needs a restart to change, and the hash tells when it did."""

    collection: DataCollection
    containers: tuple[str, ...]
    secret: str
    spool_bytes: int
    labels: Mapping[str, str]

    @property
    def signs_in(self) -> bool:
        """Tell whether the pod's processes are to sign in to Azure themselves."""
        return isinstance(self.collection.storage.credential, WorkloadIdentity)

    @property
    def hash(self) -> str:
        """Digest what would need a restart: never the settings, which are live.

        Nor the spool's size: no restart of a model is worth a larger spool (docs/decisions/0006).
        """
        return _digest(str(self.collection.key), self.containers, self.secret, token=self.signs_in)

    def accepts(self, injected: str) -> bool:
        """Tell whether a pod that was injected with this hash needs no restart.

        One that has a token and no more use for it does not: the token goes with the next start.
        """
        return injected in (self.hash, _digest(str(self.collection.key), self.containers, self.secret, token=True))


# The pods of a collection have very few different ones, and every resync asks for that of each.
@functools.lru_cache(maxsize=1024)
def _digest(collection: str, containers: tuple[str, ...], secret: str, *, token: bool) -> str:
    facts: dict[str, Any] = {
        "collection": collection,
        "containers": sorted(containers),
        "directory": names.DIRECTORY,
        "secret": secret,
    }
    if token:
        facts["token"] = pod_token.DIRECTORY
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def spool_bytes(collection: DataCollection, pod: Pod) -> int:
    """Bound the spool so that it never gets a pod evicted for its disk use.

    The emptyDir of a running pod is as large as it was made: a spool that is wished larger stays below it.
    """
    wished = _wished_bytes(collection, pod)
    return wished if pod.spool_limit is None else min(wished, pod.spool_limit // SIZE_LIMIT_FACTOR)


def outgrown(collection: DataCollection, pod: Pod) -> bool:
    """Tell whether a restart would give a running pod a larger spool."""
    return pod.spool_limit is not None and pod.spool_limit // SIZE_LIMIT_FACTOR < _wished_bytes(collection, pod)


def _wished_bytes(collection: DataCollection, pod: Pod) -> int:
    """Bound the spool as if the pod were started anew."""
    if pod.ephemeral_storage is None:
        return collection.spool_bytes
    return min(collection.spool_bytes, pod.ephemeral_storage // EPHEMERAL_SHARE)


def plan(collection: DataCollection, pod: Pod) -> Plan | Refusal:
    """Decide what this pod would get from this collection, or why it can't get it."""
    containers = _chosen(collection, pod)
    if not containers:
        wanted, present = ", ".join(collection.containers), ", ".join((*pod.containers, *pod.sidecars))
        return Refusal(Reason.CONTAINER_NOT_FOUND, f"no container is named {wanted}; the pod has {present}")
    signs_in = isinstance(collection.storage.credential, WorkloadIdentity)
    for obstacle in pod.obstacles:
        if obstacle.of_token and not signs_in:
            continue
        if obstacle.container is None or obstacle.container in containers:
            return Refusal(obstacle.reason, obstacle.message)
    key = collection.key
    secret = names.credential_secret(
        collection_namespace=key.namespace, collection_name=key.name, pod_namespace=pod.key.namespace
    )
    if pod.injection is None and pod.credential_secret not in (None, secret):
        return Refusal(Reason.NAME_TAKEN, f"the pod already has a volume {names.CREDENTIAL_VOLUME} of another Secret")
    room = spool_bytes(collection, pod)
    if room < LEAST_SPOOL_BYTES:
        message = (
            f"the pod may write too little to disk: its ephemeral-storage limits leave a spool of {room} bytes, and "
            f"{LEAST_SPOOL_BYTES} is the least; limits of {LEAST_SPOOL_BYTES * EPHEMERAL_SHARE} bytes are enough"
        )
        return Refusal(Reason.NO_ROOM, message)
    labels = {names.COLLECTION_LABEL: key.name}
    if key.namespace != pod.key.namespace:
        labels[names.COLLECTION_NAMESPACE_LABEL] = key.namespace
    return Plan(
        collection=collection,
        containers=containers,
        secret=secret,
        spool_bytes=room,
        labels=labels,
    )


def fits(manifest: Mapping[str, Any], settings: str) -> bool:
    """Tell whether the pod can carry the settings.

    With too many annotations the API server would refuse the pod, and with one that is too long no container starts on
    some nodes.
    """
    if len(names.SETTINGS_ANNOTATION) + len(settings.encode()) >= SETTINGS_BYTES:
        return False
    present = (manifest.get("metadata") or {}).get("annotations") or {}
    ours = _annotations(present, "0" * 16, settings)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in {**present, **ours}.items())
    return size <= ANNOTATION_BYTES


def inject(manifest: dict[str, Any], wanted: Plan, settings: str) -> None:
    """Add what the plan says to a pod's manifest, in place. A second time changes nothing."""
    metadata, spec = manifest.setdefault("metadata", {}), manifest.setdefault("spec", {})
    _member(metadata, "labels").update(wanted.labels)
    annotations = _member(metadata, "annotations")
    annotations.update(_annotations(annotations, wanted.hash, settings))
    _append_missing(spec, "volumes", "name", _volumes(wanted))
    # A plain init container is never among the chosen: it ends before the model serves.
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("name") in wanted.containers:
            _append_missing(container, "env", "name", _environment())
            _append_missing(container, "volumeMounts", "mountPath", _mounts(wanted))


def _annotations(present: Mapping[str, str], injected: str, settings: str) -> dict[str, str]:
    return {
        names.INJECTED_ANNOTATION: injected,
        names.SETTINGS_ANNOTATION: settings,
        **platforms.evictable(present),
    }


def _chosen(collection: DataCollection, pod: Pod) -> tuple[str, ...]:
    if collection.containers:
        return tuple(name for name in (*pod.containers, *pod.sidecars) if name in collection.containers)
    # A mesh's proxy may stand before the model, and serves none.
    own = tuple(name for name in pod.containers if name not in pod.proxies) or pod.containers
    default = pod.annotations.get(names.DEFAULT_CONTAINER_ANNOTATION)
    return (default,) if default in own else own[:1]


def _environment() -> list[dict[str, Any]]:
    return [
        {"name": names.DIRECTORY_VARIABLE, "value": names.DIRECTORY},
        {"name": names.POD_UID_VARIABLE, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}},
        {
            "name": names.POD_NAME_VARIABLE,
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        },
        {"name": names.ENABLED_VARIABLE, "value": "true"},
    ]


def _mounts(wanted: Plan) -> list[dict[str, Any]]:
    # Directories, never a subPath: a subPath mount does not follow changes.
    return [
        {"name": names.SETTINGS_VOLUME, "mountPath": f"{names.DIRECTORY}/settings", "readOnly": True},
        {"name": names.CREDENTIAL_VOLUME, "mountPath": f"{names.DIRECTORY}/credential", "readOnly": True},
        {"name": names.SPOOL_VOLUME, "mountPath": f"{names.DIRECTORY}/spool"},
        *([pod_token.mount()] if wanted.signs_in else []),
    ]


def _volumes(wanted: Plan) -> list[dict[str, Any]]:
    # World-readable, because the model's user is unknown; the pod's own processes are the only ones that see them.
    readable = 0o444
    return [
        {
            "name": names.SETTINGS_VOLUME,
            "downwardAPI": {
                "defaultMode": readable,
                "items": [
                    {
                        "path": names.SETTINGS_FILE,
                        "fieldRef": {
                            "apiVersion": "v1",
                            "fieldPath": f"metadata.annotations['{names.SETTINGS_ANNOTATION}']",
                        },
                    }
                ],
            },
        },
        {
            "name": names.CREDENTIAL_VOLUME,
            # Optional: a Secret that is late or gone must not keep a model from starting.
            "secret": {"secretName": wanted.secret, "optional": True, "defaultMode": readable},
        },
        {"name": names.SPOOL_VOLUME, "emptyDir": {"sizeLimit": str(wanted.spool_bytes * SIZE_LIMIT_FACTOR)}},
        *([pod_token.volume()] if wanted.signs_in else []),
    ]


def _member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    if not parent.get(name):
        parent[name] = {}
    member: dict[str, Any] = parent[name]
    return member


def _append_missing(parent: dict[str, Any], name: str, identity: str, items: list[dict[str, Any]]) -> None:
    present = parent.get(name) or []
    known = {item.get(identity) for item in present}
    missing = [item for item in items if item[identity] not in known]
    if missing:
        parent[name] = [*present, *missing]
