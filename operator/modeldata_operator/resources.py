"""The DataCollection as a typed, frozen record, parsed once from what the API server sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MIB = 1024 * 1024
DEFAULT_CONTAINER = "modeldata"
DEFAULT_PATH = (
    "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
    "/{year}/{month}/{day}/{file}"
)
DEFAULT_SPOOL_BYTES = 256 * MIB


class ResourceError(ValueError):
    """An object can't be understood; the message names the field."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Where an object lives."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of matchExpressions."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet this requirement, as the API server would."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A Kubernetes label selector."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet every requirement. A selector without requirements matches nothing.

        Kubernetes lets an empty selector match everything; a selector emptied by mistake must not collect a namespace.
        """
        return bool(self.requirements) and all(requirement.matches(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the rows go and which Secret holds the account key."""

    endpoint: str
    container: str
    path: str
    secret: str
    file: str = "Shared"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The first three parts of the default path."""

    subscription: str
    resource_group: str
    name: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a status."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What the operator remembers of a minted SAS; nothing of it is secret."""

    rotation: int = 0
    expires_at: str | None = None
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PodCounts:
    """Pods this collection should serve, pods that carry its injection, pods that obey its present settings."""

    matched: int = 0
    injected: int = 0
    current: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a DataCollection."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    pods: PodCounts | None = None
    credential: CredentialStatus = CredentialStatus()


@dataclass(frozen=True, slots=True)
class DataCollection:
    """One DataCollection, all defaults applied."""

    key: ObjectKey
    uid: str
    generation: int
    created: str
    enabled: bool
    selector: LabelSelector | None
    containers: tuple[str, ...]
    storage: Storage
    workspace: Workspace
    webservice: str | None
    spool_bytes: int
    status: Status

    @property
    def age_order(self) -> tuple[str, str]:
        """Sort key: the older collection first, the name between two of the same second."""
        return (self.created, self.key.name)


@dataclass(frozen=True, slots=True)
class UnreadableCollection:
    """A DataCollection that got past the CRD's rules and still makes no sense: reported, never obeyed."""

    key: ObjectKey
    uid: str
    generation: int
    problem: str
    status: Status


def collection(body: Mapping[str, Any]) -> DataCollection | UnreadableCollection:
    """Parse a DataCollection; what can't be understood becomes a record that says so."""
    metadata = body.get("metadata") or {}
    key = ObjectKey(str(metadata.get("namespace", "")), str(metadata.get("name", "")))
    uid, generation = str(metadata.get("uid", "")), int(metadata.get("generation", 0))
    status = _status(body.get("status"))
    try:
        spec = _mapping(body.get("spec"), "spec")
        return DataCollection(
            key=key,
            uid=uid,
            generation=generation,
            created=str(metadata.get("creationTimestamp", "")),
            enabled=_boolean(spec.get("enabled", True), "spec.enabled"),
            selector=label_selector(spec["selector"], "spec.selector") if spec.get("selector") is not None else None,
            containers=_strings(spec.get("containers"), "spec.containers"),
            storage=_storage(spec.get("storage")),
            workspace=_workspace(spec.get("workspace")),
            webservice=_text(spec["webservice"], "spec.webservice") if spec.get("webservice") else None,
            spool_bytes=DEFAULT_SPOOL_BYTES,
            status=status,
        )
    except ResourceError as error:
        return UnreadableCollection(key=key, uid=uid, generation=generation, problem=str(error), status=status)


def label_selector(value: object, path: str) -> LabelSelector:
    """Parse a label selector."""
    selector = _mapping(value, path)
    requirements = [
        Requirement(key, "In", frozenset((_text(label, f"{path}.matchLabels"),)))
        for key, label in sorted(_mapping(selector.get("matchLabels"), f"{path}.matchLabels").items())
    ]
    expressions = selector.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise ResourceError(f"{path}.matchExpressions must be a list")
    for number, item in enumerate(expressions):
        where = f"{path}.matchExpressions[{number}]"
        expression = _mapping(item, where)
        operator = _text(expression.get("operator"), f"{where}.operator")
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ResourceError(f"{where}.operator is {operator!r}: use In, NotIn, Exists or DoesNotExist")
        values = frozenset(_strings(expression.get("values"), f"{where}.values"))
        requirements.append(Requirement(_text(expression.get("key"), f"{where}.key"), operator, values))
    return LabelSelector(tuple(requirements))


def timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _storage(value: object) -> Storage:
    storage = _mapping(value, "spec.storage")
    credential = _mapping(storage.get("credential"), "spec.storage.credential")
    reference = _mapping(credential.get("secretRef"), "spec.storage.credential.secretRef")
    endpoint = _text(storage.get("endpoint"), "spec.storage.endpoint").rstrip("/")
    if not re.match(r"https?://[^/?#@\s]+[^?#@\s]*$", endpoint):
        raise ResourceError("spec.storage.endpoint must be an http or https URL without credentials or query")
    return Storage(
        endpoint=endpoint,
        container=_text(storage.get("container", DEFAULT_CONTAINER), "spec.storage.container"),
        path=_text(storage.get("path", DEFAULT_PATH), "spec.storage.path"),
        secret=_text(reference.get("name"), "spec.storage.credential.secretRef.name"),
    )


def _workspace(value: object) -> Workspace:
    workspace = _mapping(value, "spec.workspace")
    return Workspace(
        subscription=_text(workspace.get("subscription", "default"), "spec.workspace.subscription"),
        resource_group=_text(workspace.get("resourceGroup", "default"), "spec.workspace.resourceGroup"),
        name=_text(workspace.get("name", "default"), "spec.workspace.name"),
    )


def _status(value: object) -> Status:
    """Read back what this operator wrote; anything else counts as never written."""
    if not isinstance(value, Mapping):
        return Status()
    try:
        pods, credential = value.get("pods"), value.get("credential") or {}
        return Status(
            observed_generation=value.get("observedGeneration"),
            conditions=tuple(
                Condition(
                    type=item["type"],
                    status=item["status"],
                    reason=item.get("reason", ""),
                    message=item.get("message", ""),
                    observed_generation=item.get("observedGeneration", 0),
                    last_transition_time=item.get("lastTransitionTime", ""),
                )
                for item in value.get("conditions") or ()
            ),
            pods=PodCounts(pods.get("matched", 0), pods.get("injected", 0), pods.get("current", 0)) if pods else None,
            credential=CredentialStatus(
                rotation=int(credential.get("rotation", 0)),
                expires_at=credential.get("expiresAt"),
                namespaces=tuple(credential.get("namespaces") or ()),
            ),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return Status()


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ResourceError(f"{path} must be an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise ResourceError(f"{path} must be a non-empty string")
    return value


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise ResourceError(f"{path} must be true or false")
    return value


def _strings(value: object, path: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ResourceError(f"{path} must be a list of strings")
    return tuple(value)
