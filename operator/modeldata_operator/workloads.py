"""Pods and Deployments as slim records: only what is decided on, so that thousands of them cost little memory."""

import hashlib
import json
import posixpath
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import names, quantities, resources
from .resources import LabelSelector, ObjectKey

# What a selection or a document needs of a pod's annotations; everything else is dropped at the border.
POD_ANNOTATIONS = (
    names.COLLECT_ANNOTATION,
    names.CHOICE_ANNOTATION,
    names.MODEL_VERSION_ANNOTATION,
    names.DEFAULT_CONTAINER_ANNOTATION,
    names.RESTARTED_FOR_ANNOTATION,
)
WRITABLE_ANCESTOR_KINDS = ("emptyDir",)


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of a pod."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Injection:
    """What a pod carries of ours."""

    collection: ObjectKey
    hash: str
    settings_digest: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something of the user's that stands where collecting needs room. No container: it concerns the whole pod."""

    container: str | None
    path_taken: bool
    message: str


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
    ephemeral_storage: int | None
    spool_limit: int | None
    """Bytes that the kubelet lets the spool's emptyDir have; None without such a volume, or without a limit."""
    obstacles: tuple[Obstacle, ...]
    credential_secret: str | None
    injection: Injection | None
    gone: bool
    mirror: bool

    @property
    def deployment_name(self) -> str | None:
        """Name the Deployment this pod would belong to: its ReplicaSet's name without the template's hash."""
        template_hash = self.labels.get(names.TEMPLATE_HASH_LABEL)
        if self.owner is None or self.owner.kind != "ReplicaSet" or not template_hash:
            return None
        suffix = f"-{template_hash}"
        return self.owner.name.removesuffix(suffix) if self.owner.name.endswith(suffix) else None

    def workload_name(self, deployment: "Deployment | None") -> str:
        """Name what a person would call this pod's workload; the same before and after the pod got its name."""
        if deployment is not None:
            return deployment.key.name
        if self.owner is not None:
            return self.owner.name
        return self.generate_name.rstrip("-.") or self.key.name


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is decided on about a Deployment."""

    key: ObjectKey
    uid: str
    selector: LabelSelector
    collect: str | None
    choice: str | None
    restarted_for: str | None
    paused: bool
    observed: bool
    rolled_out: bool
    ready_replicas: int


def pod(body: Mapping[str, Any], *, namespace: str | None = None) -> Pod:
    """Parse a pod. The namespace is given where the object itself may not carry it yet (admission)."""
    metadata, spec, status = body.get("metadata") or {}, body.get("spec") or {}, body.get("status") or {}
    labels = _interned(metadata.get("labels"))
    annotations = metadata.get("annotations") or {}
    where = namespace or metadata.get("namespace") or ""
    containers = spec.get("containers") or []
    return Pod(
        key=ObjectKey(sys.intern(where), metadata.get("name") or ""),
        uid=metadata.get("uid") or "",
        generate_name=metadata.get("generateName") or "",
        labels=labels,
        annotations={name: annotations[name] for name in POD_ANNOTATIONS if name in annotations},
        owner=_owner(metadata.get("ownerReferences")),
        containers=tuple(sys.intern(container.get("name", "")) for container in containers),
        ephemeral_storage=_ephemeral_storage(spec),
        spool_limit=_spool_limit(spec),
        obstacles=tuple(_obstacles(spec)),
        credential_secret=_credential_secret(spec),
        injection=_injection(where, labels, annotations, spec),
        gone=bool(metadata.get("deletionTimestamp")) or status.get("phase") in ("Succeeded", "Failed"),
        mirror=names.MIRROR_ANNOTATION in annotations,
    )


def deployment(body: Mapping[str, Any]) -> Deployment:
    """Parse a Deployment."""
    metadata, spec, status = body.get("metadata") or {}, body.get("spec") or {}, body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    template = ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    wanted = spec.get("replicas", 1)
    return Deployment(
        key=ObjectKey(sys.intern(metadata.get("namespace") or ""), metadata.get("name") or ""),
        uid=metadata.get("uid") or "",
        selector=resources.label_selector(spec.get("selector"), "spec.selector"),
        collect=annotations.get(names.COLLECT_ANNOTATION),
        choice=annotations.get(names.CHOICE_ANNOTATION),
        restarted_for=template.get(names.RESTARTED_FOR_ANNOTATION),
        paused=bool(spec.get("paused")),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        # No pod of an older template is left: an un-injected pod then is one of the present template.
        rolled_out=status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted,
        ready_replicas=status.get("readyReplicas", 0),
    )


def digest(document: str) -> str:
    """Shorten a settings document to what comparing needs; thousands of pods carry the same kilobyte.

    White space around it means nothing: a repeated push ends with a line end.
    """
    return hashlib.sha256(document.strip().encode()).hexdigest()[:16]


def _interned(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    return {sys.intern(str(key)): sys.intern(str(value)) for key, value in (labels or {}).items()}


def _owner(references: Iterable[Mapping[str, Any]] | None) -> Owner | None:
    for reference in references or ():
        if reference.get("controller"):
            return Owner(sys.intern(reference.get("kind", "")), sys.intern(reference.get("name", "")))
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
    return Injection(
        collection=ObjectKey(labels.get(names.COLLECTION_NAMESPACE_LABEL) or namespace, name),
        hash=sys.intern(injected),
        settings_digest=sys.intern(digest(document)),
        enabled=_enabled(document),
    )


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


def _enabled(document: str) -> bool:
    try:
        settings = json.loads(document)
    except ValueError:
        return False
    return isinstance(settings, dict) and settings.get("enabled") is True


def _ephemeral_storage(spec: Mapping[str, Any]) -> int | None:
    """Sum the ephemeral-storage limits that the kubelet holds the whole pod to, emptyDirs included.

    The kubelet adds the limits of those containers that have one and evicts a pod that uses more, however many of its
    containers are unlimited. It may also count a large init container's limit; leaving that out errs to the safe side.
    """
    running = list(spec.get("containers") or ())
    initial = list(spec.get("initContainers") or ())
    running += [container for container in initial if container.get("restartPolicy") == "Always"]
    limits = [limit for container in running if (limit := _limit(container)) is not None]
    if limits:
        return sum(limits)
    return max((limit for container in initial if (limit := _limit(container)) is not None), default=None)


def _limit(container: Mapping[str, Any]) -> int | None:
    limits = (container.get("resources") or {}).get("limits") or {}
    value = limits.get("ephemeral-storage")
    return None if value is None else quantities.to_bytes(str(value))


def _obstacles(spec: Mapping[str, Any]) -> Iterable[Obstacle]:
    """Find what the user defined under our names or around our directory."""
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    for name, kind in (
        (names.SETTINGS_VOLUME, "downwardAPI"),
        (names.CREDENTIAL_VOLUME, "secret"),
        (names.SPOOL_VOLUME, "emptyDir"),
    ):
        if name in volumes and kind not in volumes[name]:
            yield Obstacle(None, False, f"the pod already has a volume {name} of another kind")
    for container in spec.get("containers") or ():
        yield from _container_obstacles(container, volumes)


def _container_obstacles(container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> Iterable[Obstacle]:
    name = container.get("name", "")
    for variable in container.get("env") or ():
        if variable.get("name") == names.DIRECTORY_VARIABLE and variable.get("value") != names.DIRECTORY:
            yield Obstacle(name, False, f"container {name} sets {names.DIRECTORY_VARIABLE} itself")
    ours = (names.SETTINGS_VOLUME, names.CREDENTIAL_VOLUME, names.SPOOL_VOLUME)
    for mount in container.get("volumeMounts") or ():
        path, volume = posixpath.normpath(mount.get("mountPath", "")), mount.get("name", "")
        if volume in ours:
            continue
        if _inside(path, names.DIRECTORY):
            yield Obstacle(name, True, f"container {name} mounts {volume} at {path}")
        elif _above(path) and (
            mount.get("readOnly") or not any(kind in volumes.get(volume, {}) for kind in WRITABLE_ANCESTOR_KINDS)
        ):
            # The runtime makes our mount points inside that volume; in one that can't be written the container would
            # never start.
            yield Obstacle(name, True, f"container {name} mounts {volume} at {path}, where no directory can be made")


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _above(path: str) -> bool:
    # /var/run is a link to /run in most images.
    return any(_inside(directory, path) for directory in (names.DIRECTORY, "/run/modeldata"))
