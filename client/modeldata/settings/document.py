"""``settings.json`` as records. Its schema is ``docs/contract/settings.schema.json``."""

from __future__ import annotations

import enum
import logging
import re
import typing

import orjson

from . import endpoints

if typing.TYPE_CHECKING:
    import pathlib

logger = logging.getLogger("modeldata")

DEFAULT_PATH = (
    "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
    "/{year}/{month}/{day}/{file}"
)
SHARED, PER_POD = "Shared", "PerPod"
"""All pods append to ``data.csv``; or each has its own ``data.<pod>.csv``, with a credential that need not read."""

DEFAULT_SPOOL_BYTES = 256 * 1024 * 1024
DEFAULT_FLUSH_SECONDS = 5.0

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class SettingsError(ValueError):
    """The settings file can't be read as settings; the message names the field."""


class Action(str, enum.Enum):
    """What is done to a feature. Equal to that of another copy of this package."""

    DROP = "Drop"
    """Its column is left out."""
    HASH = "Hash"
    """Its values are replaced by their HMAC-SHA256 under the collection's key. An empty cell stays empty."""


class Redaction(typing.NamedTuple):
    """One feature, and what is done to it."""

    feature: str
    action: Action
    hold: bool = False
    """Whether rows of a model wait until the feature was found in one of them."""


class OnMissing(enum.Enum):
    """What becomes of rows while a feature was found in none of their model."""

    SEND = "Send"
    """They are sent."""
    HOLD = "Hold"
    """They wait."""


class WorkloadIdentity(typing.NamedTuple):
    """Who the pod is to sign in to Azure as. Nothing of it is secret."""

    client_id: str
    tenant_id: str
    authority: str = ""
    """Who gives the tokens; empty: as the environment says, else the public cloud's."""

    def __str__(self) -> str:
        """As log lines name it."""
        return f"client {self.client_id} of tenant {self.tenant_id}"


class Storage(typing.NamedTuple):
    """Where the rows go."""

    endpoint: str
    container: str
    path: str
    file: str = SHARED
    """``SHARED`` or ``PER_POD``."""
    identity: WorkloadIdentity | None = None
    """Without one, the SAS in ``credential/sas`` is used."""

    @property
    def directory(self) -> pathlib.Path | None:
        """The container, where the endpoint is a directory of this machine: then no credential is used."""
        return endpoints.directory(self.endpoint, self.container)


class Origin(typing.NamedTuple):
    """Who the model is, as the operator knows it; what a collector was told itself goes before it."""

    subscription: str = "default"
    resource_group: str = "default"
    workspace: str = "default"
    webservice: str = "default"
    model_version: str = "default"

    @property
    def whole_workspace(self) -> str:
        """``<subscription>/<resource group>/<workspace>``."""
        return f"{self.subscription}/{self.resource_group}/{self.workspace}"


class Columns(str, enum.Enum):
    """Which columns the files have beside the features."""

    LEADING = "Leading"
    """``$Timestamp,$CorrelationId,$RequestId`` before them."""
    AZUREML = "AzureML"
    """Eight ``$aml_`` columns behind them."""


class Settings(typing.NamedTuple):
    """One reading of the file."""

    enabled: bool = False
    collection: str = ""
    generation: int = 0
    storage: Storage | None = None
    origin: Origin = Origin()
    percent: int = 100
    """Of the requests, those that are collected."""
    redactions: tuple[Redaction, ...] = ()
    columns: Columns = Columns.LEADING
    flush_seconds: float = DEFAULT_FLUSH_SECONDS
    spool_bytes: int = DEFAULT_SPOOL_BYTES
    unfulfilled: str = ""
    """A demand that this client can't fulfil: nothing is collected, shown or sent; ``storage`` is None."""


OFF = Settings()
"""Before the first settings arrive, nothing is collected."""


def parse(text: bytes) -> Settings:
    """Read ``settings.json``.

    Fields this client does not know are ignored. A demand that it knows but can't fulfil (rows to be redacted, say)
    switches collection off, and what waits stays in the spool: what should not have been sent can't be taken back.

    Raises:
        SettingsError: the text is no JSON object, or a field has another type than the schema says.

    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"no JSON: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError("not a JSON object")
    unfulfilled = _unfulfilled(document)
    if unfulfilled:
        logger.error(
            "modeldata: nothing is collected, and what waits is not sent: the settings ask for %s, which this client "
            "can't do",
            unfulfilled,
        )
    storage = _get(document, "storage", dict, {})
    origin = _get(document, "identity", dict, {})
    endpoint = _get(storage, "endpoint", str, "").rstrip("/")
    if any(sign in endpoint for sign in "?#@"):  # log lines name the endpoint: no signature may be in it
        raise SettingsError("endpoint holds more than an address; a SAS belongs in credential/sas")
    container = _get(storage, "container", str, "modeldata")
    try:
        endpoints.directory(endpoint, container)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return Settings(
        enabled=_get(document, "enabled", bool, False) and bool(endpoint) and not unfulfilled,
        collection=_get(document, "collection", str, ""),
        generation=_get(document, "generation", int, 0),
        storage=Storage(
            endpoint=endpoint,
            container=container,
            path=_get(storage, "path", str, DEFAULT_PATH),
            file=_get(storage, "file", str, SHARED),
            identity=_workload_identity(_get(storage, "credential", dict, {})),
        )
        if endpoint and not unfulfilled
        else None,
        origin=Origin(
            subscription=_get(origin, "subscription", str, "default"),
            resource_group=_get(origin, "resourceGroup", str, "default"),
            workspace=_get(origin, "workspace", str, "default"),
            webservice=_get(origin, "webservice", str, "default"),
            model_version=_get(origin, "modelVersion", str, "default"),
        ),
        percent=100 if unfulfilled else _percent(document),
        redactions=() if unfulfilled else _redactions(document),
        columns=Columns.LEADING if unfulfilled else Columns(_get(document, "columns", str, "Leading")),
        flush_seconds=_seconds(_get(document, "flushInterval", str, "5s")),
        spool_bytes=_get(_get(document, "spool", dict, {}), "bytes", int, DEFAULT_SPOOL_BYTES),
        unfulfilled=unfulfilled,
    )


Value = typing.TypeVar("Value")


def _get(document: dict[str, typing.Any], key: str, kind: type[Value], default: Value) -> Value:
    value = document.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{key} is {value!r}, not of type {kind.__name__}")
    return value


def _workload_identity(credential: dict[str, typing.Any]) -> WorkloadIdentity | None:
    if "workloadIdentity" not in credential:
        return None
    given = _get(credential, "workloadIdentity", dict, {})
    identity = WorkloadIdentity(
        client_id=_get(given, "clientId", str, ""),
        tenant_id=_get(given, "tenantId", str, ""),
        authority=_get(given, "authority", str, ""),
    )
    if not identity.client_id or not identity.tenant_id:
        raise SettingsError("workloadIdentity needs a clientId and a tenantId")
    if identity.authority and not identity.authority.startswith("https://"):
        raise SettingsError(f"authority is {identity.authority!r}, not an https URL")
    return identity


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found:
        raise SettingsError(f"flushInterval is {text!r}, not a duration like 5s")
    return float(found.group(1)) * _UNIT_SECONDS[found.group(2)]


def _unfulfilled(document: dict[str, typing.Any]) -> str:
    if _get(document, "version", int, 1) != 1:
        return f"version {document['version']}"
    try:
        percent = _percent(document)
        _redactions(document)
    except ValueError as error:  # half understood, it must not be taken for nothing
        return str(error)
    if not 1 <= percent <= 100:
        return f"a sampling of {percent} percent"
    columns = _get(document, "columns", str, Columns.LEADING.value)
    if columns not in {each.value for each in Columns}:
        return f"columns {columns}"
    file = _get(_get(document, "storage", dict, {}), "file", str, SHARED)
    return "" if file in (SHARED, PER_POD) else f"file {file}"


def _percent(document: dict[str, typing.Any]) -> int:
    return _get(_get(document, "sampling", dict, {}), "percent", int, 100)


def _redactions(document: dict[str, typing.Any]) -> tuple[Redaction, ...]:
    found = []
    for each in _get(document, "redact", list, []):
        if not isinstance(each, dict) or not _get(each, "feature", str, ""):
            raise SettingsError("a redaction without a feature")
        on_missing = OnMissing(_get(each, "onMissing", str, OnMissing.SEND.value))
        action = Action(_get(each, "action", str, ""))
        found.append(Redaction(each["feature"], action, on_missing is OnMissing.HOLD))
    return tuple(found)
