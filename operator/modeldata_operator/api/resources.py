"""The DataCollection as a typed, frozen record, parsed once from what the API server sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeAlias

from . import bounds, closing, fields, namespaces, observed, quantities, selectors
from .closing import Closing
from .fields import ResourceError
from .keys import ObjectKey
from .observed import Status
from .selectors import LabelSelector

DEFAULT_CONTAINER = "modeldata"
DEFAULT_PATH = (
    "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
    "/{year}/{month}/{day}/{file}"
)
DEFAULT_PART = "default"
DEFAULT_CLUSTER = "default"
DEFAULT_SPOOL_SIZE = "256Mi"
DEFAULT_FLUSH_INTERVAL = "5s"
DEFAULT_SAS_KEY = "sas"

# As the CRD's: in bytes of the settings, which go to the pods in an annotation (decide/document).
LONGEST_ENDPOINT = 512
LONGEST_PATH = 512
LONGEST_SUBSCRIPTION = 64
LONGEST_RESOURCE_GROUP = 90
LONGEST_WORKSPACE = 64
REDACTION_BYTES = 32
HOLD_BYTES = 20
LONGEST_REDACTIONS = 1792


class FileKind(StrEnum):
    """Whose a file is. It decides what the pods' SAS has to allow."""

    SHARED = "Shared"
    PER_POD = "PerPod"


class Action(StrEnum):
    """What is done to a feature that must not be written as it is."""

    DROP = "Drop"
    HASH = "Hash"


class OnMissing(StrEnum):
    """What becomes of rows while none of their model has had a feature that is to be redacted."""

    SEND = "Send"
    HOLD = "Hold"


class Columns(StrEnum):
    """Which columns the files have beside the features."""

    LEADING = "Leading"
    AZUREML = "AzureML"


class Rollout(StrEnum):
    """Whether running, un-injected Deployments are restarted, or only reported."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True)
class AccountSecret:
    """A Secret with the account's key, from which a SAS is minted."""

    name: str


@dataclass(frozen=True, slots=True)
class SasTokenSecret:
    """A Secret with a SAS that somebody else renews."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """The Azure identity that the pods sign in with themselves. Nothing of it is secret."""

    client_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class OperatorIdentity:
    """The operator's own Azure identity, by whose leave it signs a SAS for the pods."""


Credential: TypeAlias = AccountSecret | SasTokenSecret | WorkloadIdentity | OperatorIdentity


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the rows go, and by whose leave."""

    endpoint: str
    container: str
    path: str
    credential: Credential
    file: FileKind

    def within(self, namespace: str) -> "Storage":
        """Say where the pods of a namespace write: with its name in the place of ``{namespace}``."""
        return replace(
            self,
            container=namespaces.in_container(self.container, namespace),
            path=namespaces.in_path(self.path, namespace),
        )


@dataclass(frozen=True, slots=True)
class Redaction:
    """One feature, and what is done to it."""

    feature: str
    action: Action
    on_missing: OnMissing


@dataclass(frozen=True, slots=True)
class Workspace:
    """The first three parts of the default path."""

    subscription: str
    resource_group: str
    name: str | None
    """None: the namespace of the pod, so that two namespaces never share a file by accident."""


@dataclass(frozen=True, slots=True)
class DataCollection:
    """One DataCollection, all defaults applied."""

    key: ObjectKey
    uid: str
    generation: int
    created: str
    enabled: bool
    selector: LabelSelector | None
    namespace_selector: LabelSelector | None
    """Which other namespaces it serves, if it is the operator's default. Nobody else's crosses namespaces."""
    containers: tuple[str, ...]
    storage: Storage
    workspace: Workspace
    webservice: str | None
    sampling_percent: int
    redactions: tuple[Redaction, ...]
    columns: Columns
    flush_interval: str
    """As the settings carry it: a number and ``s`` or ``m``."""
    spool_bytes: int
    """What is wished for; a pod may have room for less, see ``injection.spool_bytes``."""
    rollout: Rollout
    closing: Closing | None
    """None: no day is closed."""
    status: Status
    resource_version: str = field(default="", compare=False)
    """Of the object as it was read: over another one, a status that was computed from it is not written."""

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
    resource_version: str = field(default="", compare=False)


def alike(one: DataCollection | UnreadableCollection, other: DataCollection | UnreadableCollection) -> bool:
    """Tell whether two records differ by their status at most, in which the operator only writes what it saw."""
    return one is other or replace(one, status=other.status) == other


def collection(body: Mapping[str, Any], *, cluster: str = DEFAULT_CLUSTER) -> DataCollection | UnreadableCollection:
    """Parse a DataCollection; what can't be understood becomes a record that says so.

    Args:
        body: as the API server sent it.
        cluster: the name of the cluster, for what it gives no resource group.

    """
    metadata = body.get("metadata") or {}
    key = ObjectKey(str(metadata.get("namespace", "")), str(metadata.get("name", "")))
    uid, generation = str(metadata.get("uid", "")), int(metadata.get("generation", 0))
    status, version = observed.status(body.get("status")), str(metadata.get("resourceVersion", ""))
    try:
        spec = fields.mapping(body.get("spec"), "spec")
        storage, namespace_selector = _storage(spec.get("storage")), _selector(spec, "namespaceSelector")
        if namespace_selector is not None:
            _apart(storage)
        webservice = spec.get("webservice")
        return DataCollection(
            key=key,
            uid=uid,
            generation=generation,
            created=str(metadata.get("creationTimestamp", "")),
            enabled=fields.boolean(spec.get("enabled", True), "spec.enabled"),
            selector=_selector(spec, "selector"),
            namespace_selector=namespace_selector,
            containers=fields.strings(spec.get("containers"), "spec.containers"),
            storage=storage,
            workspace=_workspace(spec.get("workspace"), cluster),
            webservice=fields.text(webservice, "spec.webservice", most=bounds.LONGEST_NAME) if webservice else None,
            sampling_percent=_sampling_percent(spec.get("sampling")),
            redactions=_redactions(spec.get("redact")),
            columns=fields.choice(spec.get("columns", Columns.LEADING), "spec.columns", Columns),
            flush_interval=_flush_interval(spec.get("flushInterval", DEFAULT_FLUSH_INTERVAL)),
            spool_bytes=_spool_bytes(spec.get("spool")),
            rollout=fields.choice(spec.get("rollout", Rollout.AUTOMATIC), "spec.rollout", Rollout),
            closing=closing.closing(spec.get("closing")),
            status=status,
            resource_version=version,
        )
    except ResourceError as error:
        return UnreadableCollection(
            key=key, uid=uid, generation=generation, problem=str(error), status=status, resource_version=version
        )


def _selector(spec: Mapping[str, Any], name: str) -> LabelSelector | None:
    return None if spec.get(name) is None else selectors.label_selector(spec[name], f"spec.{name}")


def _apart(storage: Storage) -> None:
    """Refuse what would let namespaces read each other's data. The CRD does so too; this is for what got past it."""
    if storage.file is not FileKind.PER_POD and namespaces.FIELD not in storage.container:
        raise ResourceError(
            f"with spec.namespaceSelector either spec.storage.container must hold {namespaces.FIELD} or "
            "spec.storage.file be PerPod: namespaces must not read each other's data"
        )
    if not isinstance(storage.credential, AccountSecret | OperatorIdentity):
        raise ResourceError(
            "with spec.namespaceSelector the credential must be secretRef or operatorIdentity: only then has each "
            "namespace a SAS of its own"
        )


def _storage(value: object) -> Storage:
    storage = fields.mapping(value, "spec.storage")
    endpoint = fields.text(storage.get("endpoint"), "spec.storage.endpoint", most=LONGEST_ENDPOINT).rstrip("/")
    if not re.match(r"https?://[^/?#@\s]+[^?#@\s]*$", endpoint):
        raise ResourceError("spec.storage.endpoint must be an http or https URL without credentials or query")
    return Storage(
        endpoint=endpoint,
        container=fields.text(
            storage.get("container", DEFAULT_CONTAINER), "spec.storage.container", most=namespaces.LONGEST_CONTAINER
        ),
        path=_path(storage.get("path", DEFAULT_PATH)),
        credential=_credential(storage.get("credential")),
        file=fields.choice(storage.get("file", FileKind.SHARED), "spec.storage.file", FileKind),
    )


def _credential(value: object) -> Credential:
    path = "spec.storage.credential"
    given = {kind: content for kind, content in fields.mapping(value, path).items() if content is not None}
    match list(given):
        case ["secretRef"]:
            reference = fields.mapping(given["secretRef"], f"{path}.secretRef")
            return AccountSecret(fields.text(reference.get("name"), f"{path}.secretRef.name"))
        case ["sasTokenSecretRef"]:
            reference = fields.mapping(given["sasTokenSecretRef"], f"{path}.sasTokenSecretRef")
            return SasTokenSecret(
                fields.text(reference.get("name"), f"{path}.sasTokenSecretRef.name"),
                fields.text(reference.get("key", DEFAULT_SAS_KEY), f"{path}.sasTokenSecretRef.key"),
            )
        case ["workloadIdentity"]:
            who = fields.mapping(given["workloadIdentity"], f"{path}.workloadIdentity")
            return WorkloadIdentity(
                fields.text(who.get("clientId"), f"{path}.workloadIdentity.clientId"),
                fields.text(who.get("tenantId"), f"{path}.workloadIdentity.tenantId"),
            )
        case ["operatorIdentity"]:
            return OperatorIdentity()
    raise ResourceError(
        f"{path} must be exactly one of secretRef, sasTokenSecretRef, workloadIdentity, operatorIdentity"
    )


def _path(value: object) -> str:
    path = fields.text(value, "spec.storage.path", most=LONGEST_PATH)
    if len(namespaces.in_path(path, "n" * namespaces.LONGEST)) > LONGEST_PATH:
        raise ResourceError(f"spec.storage.path holds {namespaces.FIELD} too often: {LONGEST_PATH} bytes are the most")
    return path


def _workspace(value: object, cluster: str) -> Workspace:
    workspace = fields.mapping(value, "spec.workspace")
    name = workspace.get("name")
    return Workspace(
        subscription=fields.text(
            workspace.get("subscription", DEFAULT_PART), "spec.workspace.subscription", most=LONGEST_SUBSCRIPTION
        ),
        resource_group=fields.text(
            workspace.get("resourceGroup", cluster), "spec.workspace.resourceGroup", most=LONGEST_RESOURCE_GROUP
        ),
        name=fields.text(name, "spec.workspace.name", most=LONGEST_WORKSPACE) if name is not None else None,
    )


def _sampling_percent(value: object) -> int:
    sampling = fields.mapping(value, "spec.sampling")
    return fields.integer(sampling.get("percent", 100), "spec.sampling.percent", least=1, most=100)


def _redactions(value: object) -> tuple[Redaction, ...]:
    found = tuple(_redaction(item, path) for path, item in fields.items(value, "spec.redact"))
    lengths = [
        bounds.size(each.feature) + REDACTION_BYTES + (HOLD_BYTES if each.on_missing == OnMissing.HOLD else 0)
        for each in found
    ]
    if sum(lengths) > LONGEST_REDACTIONS:
        raise ResourceError(f"spec.redact is too long: the settings of a pod have room for {LONGEST_REDACTIONS} bytes")
    return found


def _redaction(item: Mapping[str, Any], path: str) -> Redaction:
    return Redaction(
        feature=fields.text(item.get("feature"), f"{path}.feature"),
        action=fields.choice(item.get("action"), f"{path}.action", Action),
        on_missing=fields.choice(item.get("onMissing", OnMissing.SEND), f"{path}.onMissing", OnMissing),
    )


def _flush_interval(value: object) -> str:
    text = fields.text(value, "spec.flushInterval")
    if not re.fullmatch(r"[1-9][0-9]{0,3}(s|m)", text):
        raise ResourceError(f"spec.flushInterval is {text!r}: write a duration such as 5s or 2m")
    return text


def _spool_bytes(value: object) -> int:
    size = fields.text(fields.mapping(value, "spec.spool").get("size", DEFAULT_SPOOL_SIZE), "spec.spool.size")
    parsed = quantities.to_bytes(size)
    if parsed <= 0:
        raise ResourceError(f"spec.spool.size is {size!r}: write a quantity such as 256Mi")
    return parsed
