"""Pods as slim records: only what is decided on, so that thousands of them cost little memory."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import bounds, names, obstacles, owners, platforms, pod_token, quantities
from .keys import ObjectKey
from .obstacles import Obstacle
from .owners import Owner, RestartMark, Workload, WorkloadName
from .restartables import DAEMON_SET, DEPLOYMENT, ROLLOUT, STATEFUL_SET, Restartable

# What a selection or a document needs of a pod's annotations; everything else is dropped at the border.
POD_ANNOTATIONS = (
    names.COLLECT_ANNOTATION,
    names.CHOICE_ANNOTATION,
    names.MODEL_VERSION_ANNOTATION,
    names.DEFAULT_CONTAINER_ANNOTATION,
    names.RESTARTED_FOR_ANNOTATION,
)

# Why a container waits, if it will go on waiting. ErrImagePull is not among them: the first pull may just fail once.
TROUBLE = (
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)

LONGEST_SETTINGS = 16 * 1024
"""Of the settings that a pod carries; what the operator writes is a quarter of it at most."""

# What names a ReplicaSet's pods, and the kind that owns such ReplicaSets.
_TEMPLATE_HASHES = ((names.TEMPLATE_HASH_LABEL, DEPLOYMENT), (names.ROLLOUT_HASH_LABEL, ROLLOUT))


@dataclass(frozen=True, slots=True)
class Injection:
    """What a pod carries of ours."""

    collection: ObjectKey
    hash: str
    settings_digest: str
    enabled: bool
    privacy: str
    """A digest of what of its settings keeps data from being collected: what is redacted, and sampling."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What is decided on about a pod. The name is empty while the API server still has to generate it."""

    key: ObjectKey
    uid: str
    generate_name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: Owner | None
    containers: tuple[str, ...]
    sidecars: tuple[str, ...]
    proxies: tuple[str, ...]
    """Those of the containers that a mesh has injected."""
    ephemeral_storage: int | None
    spool_limit: int | None
    """Bytes that the kubelet lets the spool's emptyDir have; None without such a volume, or without a limit."""
    obstacles: tuple[Obstacle, ...]
    credential_secret: str | None
    has_token: bool
    """Whether its processes can sign in to Azure: such a token is there only from a pod's start on."""
    injection: Injection | None
    created: int
    trouble: str | None
    gone: bool
    mirror: bool
    resource_version: str = field(default="", compare=False)
    """Of the object as it was read. A pod that changed in nothing else is the same."""

    @property
    def deployment_name(self) -> str | None:
        """Name the Deployment this pod would belong to: its ReplicaSet's name without the template's hash."""
        above = self._above_replica_set()
        return above[1] if above is not None and above[0] == DEPLOYMENT else None

    @property
    def controlled_by(self) -> WorkloadName | None:
        """Name what this pod would belong to, of a kind that can be restarted as a whole."""
        above = self._above_replica_set()
        if above is not None:
            return WorkloadName(above[0], ObjectKey(self.key.namespace, above[1]))
        if self.owner is not None and self.owner.kind in (STATEFUL_SET, DAEMON_SET):
            return WorkloadName(self.owner.kind, ObjectKey(self.key.namespace, self.owner.name))
        return None

    @property
    def restarted_for(self) -> RestartMark | None:
        """Say which restart made the template that this pod is of."""
        return owners.restart_mark(self.annotations.get(names.RESTARTED_FOR_ANNOTATION))

    def workload(self, known: Restartable | None) -> Workload:
        """Name what a person would restart to restart this pod."""
        if known is not None:
            return known.workload
        if self.owner is None:
            return Workload("Pod", self.key, Owner("v1", "Pod", self.key.name, self.uid))
        above = self._above_replica_set()
        if above is not None and above[0] == ROLLOUT:
            return Workload("Rollout", ObjectKey(self.key.namespace, above[1]), self.owner)
        return Workload(self.owner.kind, ObjectKey(self.key.namespace, self.owner.name), self.owner)

    def workload_name(self, deployment: Restartable | None) -> str:
        """Name what a person would call this pod's workload; the same before and after the pod got its name.

        And the same when its Deployment is deleted: pods that end go on sending, and to the files of before.
        """
        if deployment is None and self.owner is None:
            return self.generate_name.rstrip("-.") or self.key.name
        above = self._above_replica_set() if deployment is None else None
        if above is not None:
            return above[1]
        return self.workload(deployment).key.name

    def _above_replica_set(self) -> tuple[str, str] | None:
        """Derive kind and name of what made this pod's ReplicaSet, from how it names its ReplicaSets."""
        if self.owner is None or self.owner.kind != "ReplicaSet":
            return None
        for label, kind in _TEMPLATE_HASHES:
            suffix = f"-{self.labels.get(label, '')}"
            if len(suffix) > 1 and self.owner.name.endswith(suffix):
                return kind, self.owner.name.removesuffix(suffix)
        return None


def pod(body: Mapping[str, Any], *, namespace: str | None = None) -> Pod:
    """Parse a pod. The namespace is given where the object itself may not carry it yet (admission)."""
    metadata, spec, status = body.get("metadata") or {}, body.get("spec") or {}, body.get("status") or {}
    labels = _interned(metadata.get("labels"))
    annotations = metadata.get("annotations") or {}
    where = namespace or metadata.get("namespace") or ""
    containers = spec.get("containers") or []
    sidecars = obstacles.sidecars(spec)
    return Pod(
        key=ObjectKey(sys.intern(where), metadata.get("name") or ""),
        uid=metadata.get("uid") or "",
        generate_name=metadata.get("generateName") or "",
        labels=labels,
        annotations={
            name: bounds.shortened(annotations[name], bounds.LONGEST_NAME)
            for name in POD_ANNOTATIONS
            if name in annotations
        },
        owner=owners.controller(metadata.get("ownerReferences")),
        containers=tuple(sys.intern(container.get("name", "")) for container in containers),
        sidecars=tuple(sys.intern(container.get("name", "")) for container in sidecars),
        proxies=tuple(sys.intern(name) for name in platforms.proxies(annotations, containers)),
        ephemeral_storage=_ephemeral_storage(spec),
        spool_limit=_spool_limit(spec),
        obstacles=tuple(obstacles.obstacles(spec)),
        credential_secret=_credential_secret(spec),
        has_token=pod_token.has_token(spec),
        injection=_injection(where, labels, annotations, spec),
        created=_epoch(metadata.get("creationTimestamp")),
        trouble=_trouble(status),
        gone=bool(metadata.get("deletionTimestamp")) or status.get("phase") in ("Succeeded", "Failed"),
        mirror=names.MIRROR_ANNOTATION in annotations,
        resource_version=metadata.get("resourceVersion") or "",
    )


def digest(document: str) -> str:
    """Shorten a settings document to what comparing needs; thousands of pods carry the same kilobyte.

    White space around it means nothing: a repeated push ends with a line end.
    """
    return hashlib.sha256(document.strip().encode()).hexdigest()[:16]


def _interned(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    return {sys.intern(str(key)): sys.intern(str(value)) for key, value in (labels or {}).items()}


def _epoch(timestamp: str | None) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp()) if timestamp else 0


def _trouble(status: Mapping[str, Any]) -> str | None:
    """Find a container that does not get on its feet."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
            if reason in TROUBLE:
                return sys.intern(f"{reason} in container {container.get('name', '')}")
    return None


def _injection(
    namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> Injection | None:
    """Read what was injected. A label and annotations alone, say copied into a template, are no injection."""
    name, injected = labels.get(names.COLLECTION_LABEL), annotations.get(names.INJECTED_ANNOTATION)
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    if not name or not injected or not {names.SETTINGS_VOLUME, names.SPOOL_VOLUME} <= volumes:
        return None
    document = annotations.get(names.SETTINGS_ANNOTATION, "")
    enabled, hidden = obeyed(document)
    return Injection(
        collection=ObjectKey(labels.get(names.COLLECTION_NAMESPACE_LABEL) or namespace, name),
        hash=sys.intern(bounds.shortened(injected, bounds.LONGEST_NAME)),
        settings_digest=sys.intern(digest(document)),
        enabled=enabled,
        privacy=sys.intern(hidden),
    )


def obeyed(document: str) -> tuple[bool, str]:
    """Say of a settings document whether it has anything collected, and a digest of what it hides."""
    if len(document) > LONGEST_SETTINGS:
        return False, ""  # nothing that the operator wrote
    try:
        settings = json.loads(document)
        if not isinstance(settings, dict):
            return False, ""
        hidden = json.dumps([settings.get("redact"), settings.get("sampling")], sort_keys=True)
    except (ValueError, RecursionError):
        return False, ""
    return settings.get("enabled") is True, digest(hidden)


def _credential_secret(spec: Mapping[str, Any]) -> str | None:
    for volume in spec.get("volumes") or ():
        if volume.get("name") == names.CREDENTIAL_VOLUME:
            return (volume.get("secret") or {}).get("secretName") or ""
    return None


def _spool_limit(spec: Mapping[str, Any]) -> int | None:
    for volume in spec.get("volumes") or ():
        if volume.get("name") == names.SPOOL_VOLUME:
            limit = (volume.get("emptyDir") or {}).get("sizeLimit")
            return None if limit is None else quantities.to_bytes(str(limit))
    return None


def _ephemeral_storage(spec: Mapping[str, Any]) -> int | None:
    """Sum the ephemeral-storage limits that the kubelet holds the whole pod to, emptyDirs included.

    The kubelet adds the limits of those containers that have one and evicts a pod that uses more, however many of its
    containers are unlimited. It may also count a large init container's limit; leaving that out errs to the safe side.
    """
    running = [*(spec.get("containers") or ()), *obstacles.sidecars(spec)]
    initial = spec.get("initContainers") or ()
    limits = [limit for container in running if (limit := _limit(container)) is not None]
    if limits:
        return sum(limits)
    return max((limit for container in initial if (limit := _limit(container)) is not None), default=None)


def _limit(container: Mapping[str, Any]) -> int | None:
    limits = (container.get("resources") or {}).get("limits") or {}
    value = limits.get("ephemeral-storage")
    return None if value is None else quantities.to_bytes(str(value))
