"""What the operator is told by its environment, read once at the start."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from .api import closing, endpoints, grants, names, resources
from .api.closing import Runner
from .api.endpoints import AllowedHost
from .api.fields import ResourceError
from .api.grants import StorageGrant
from .api.keys import ObjectKey

_PART = re.compile(r"[A-Za-z0-9_(][A-Za-z0-9._()-]{0,89}")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class OwnIdentity(StrEnum):
    """As what the operator signs in to Azure."""

    WORKLOAD = "WorkloadIdentity"
    MANAGED = "ManagedIdentity"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The operator's settings."""

    namespace: str
    """MODELDATA_OPERATOR_NAMESPACE: where the operator, its certificate Secret and the cluster's default live."""

    namespaces: tuple[str, ...] = ()
    """MODELDATA_NAMESPACES, separated by commas: where models are collected, all other namespaces being none of the
    operator's business. Its rights are then Roles there (manifests/namespaced). Empty: the whole cluster."""

    cluster_name: str = resources.DEFAULT_CLUSTER
    """MODELDATA_CLUSTER_NAME: what {resourceGroup} in a path stands for where a DataCollection gives no other, so that
    the same models in two clusters do not share a file by accident."""

    webhook_configuration: str = names.WEBHOOK_CONFIGURATION
    """MODELDATA_WEBHOOK_CONFIGURATION: the MutatingWebhookConfiguration that leads to this operator's webhook. Where
    operators for some namespaces stand side by side, each has one of its own."""

    webhook_name: str = names.WEBHOOK_NAME
    """MODELDATA_WEBHOOK_NAME: the Deployment of the webhook, and the Service that leads to it."""

    controller_name: str = names.CONTROLLER_NAME
    """MODELDATA_CONTROLLER_NAME: the Deployment of the controller."""

    certificate_secret: str = names.CERTIFICATE_SECRET
    """MODELDATA_CERTIFICATE_SECRET: the Secret with the webhook's certificate."""

    own_certificates: bool = True
    """MODELDATA_CERTIFICATES, "own" or "given". Own: the controller makes the webhook's certificate and has it trusted.
    Given: someone else (cert-manager) keeps the Secret and the caBundle; the controller touches neither."""

    sas_lifetime: timedelta = timedelta(hours=6)
    """MODELDATA_SAS_LIFETIME, seconds. A SAS is renewed before half its life, so this is also how long a pod may be cut
    off from the operator: at least three hours. Shorter means less time for a stolen one."""

    identity: OwnIdentity = OwnIdentity.WORKLOAD
    """MODELDATA_IDENTITY. WorkloadIdentity: by the token of the controller's service account. ManagedIdentity: as the
    node, which may be allowed much that has nothing to do with models; so never without being told."""

    grants: tuple[StorageGrant, ...] = ()
    """MODELDATA_GRANTS, a JSON list: who may use that identity. Where the whole cluster is watched, beside the
    StorageGrants."""

    allowed_hosts: tuple[AllowedHost, ...] = ()
    """MODELDATA_ALLOWED_HOSTS, separated by commas: host, host:port or host:*. Whom the operator may dial beside Azure
    Blob Storage and what is granted, if a DataCollection names it."""

    resync: float = 30.0
    """MODELDATA_RESYNC, seconds between two looks at everything, Secrets included (they are not watched)."""

    sick_after: float = 300.0
    """MODELDATA_SICK_AFTER, seconds that one reconcile may take (thousands of pods take seconds), or a watch may be
    without an answer of an API server that answers others, before /healthz fails: beginning anew may help."""

    restarts_at_once: int = 3
    """MODELDATA_RESTARTS_AT_ONCE: how many workloads may be restarted, or have an evicted pod replaced, at a time over
    all collections. 0: none is, as if each collection's rollout were Manual."""

    closing: Runner | None = None
    """MODELDATA_CLOSING, JSON: how the Jobs are made that close days. Empty: none are made."""

    webhook_port: int = 10250
    """MODELDATA_WEBHOOK_PORT."""

    health_port: int = 8080
    """MODELDATA_HEALTH_PORT."""

    metrics_port: int = 8081
    """MODELDATA_METRICS_PORT, for Prometheus."""

    certificate_directory: str = "/run/modeldata-tls"
    """MODELDATA_CERTIFICATE_DIRECTORY: where the webhook lays its certificate, in memory."""

    log_level: str = "INFO"
    """MODELDATA_LOG_LEVEL."""

    json_logs: bool = False
    """MODELDATA_LOG_FORMAT, "text" or "json": lines for people, or an object a line."""

    def serves(self, namespace: str) -> bool:
        """Tell whether the pods of a namespace may be collected."""
        return not self.namespaces or namespace in self.namespaces

    @property
    def webhook_host(self) -> str:
        """Name the webhook as the API server calls it."""
        return f"{self.webhook_name}.{self.namespace}.svc"

    @property
    def controller(self) -> ObjectKey:
        """Name the controller's Deployment."""
        return ObjectKey(self.namespace, self.controller_name)

    @property
    def certificate(self) -> ObjectKey:
        """Name the Secret with the webhook's certificate."""
        return ObjectKey(self.namespace, self.certificate_secret)


OPTIONS = (
    "namespaces",
    "certificates",
    "sas-lifetime",
    "resync",
    "webhook-port",
    "health-port",
    "metrics-port",
    "log-level",
    "log-format",
)
"""What can be said on the command line too, as ``--log-level=DEBUG``: not where the operator is, which only its
installation knows."""


def with_options(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Put options over the variables that they stand for; one that is unknown ends the process with its name."""
    found = dict(environment)
    for argument in arguments:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or name not in OPTIONS:
            raise SystemExit(f"unknown option {argument!r}: there are --{'=, --'.join(OPTIONS)}=")
        found[f"MODELDATA_{name.replace('-', '_').upper()}"] = value
    return found


def from_environment(environment: Mapping[str, str]) -> Configuration:
    """Read the configuration; a value that makes no sense ends the process with its name."""
    lifetime = _number(environment, "MODELDATA_SAS_LIFETIME", 6 * 3600, least=600)
    return Configuration(
        namespace=environment.get("MODELDATA_OPERATOR_NAMESPACE", "modeldata-system"),
        namespaces=_namespaces(environment),
        cluster_name=_cluster_name(environment),
        webhook_configuration=environment.get("MODELDATA_WEBHOOK_CONFIGURATION") or names.WEBHOOK_CONFIGURATION,
        webhook_name=environment.get("MODELDATA_WEBHOOK_NAME") or names.WEBHOOK_NAME,
        controller_name=environment.get("MODELDATA_CONTROLLER_NAME") or names.CONTROLLER_NAME,
        certificate_secret=environment.get("MODELDATA_CERTIFICATE_SECRET") or names.CERTIFICATE_SECRET,
        own_certificates=_either(environment, "MODELDATA_CERTIFICATES", "own", "given") == "own",
        sas_lifetime=timedelta(seconds=lifetime),
        identity=OwnIdentity(_either(environment, "MODELDATA_IDENTITY", *OwnIdentity)),
        grants=_grants(environment),
        allowed_hosts=_allowed_hosts(environment),
        resync=_number(environment, "MODELDATA_RESYNC", 30, least=1),
        sick_after=_number(environment, "MODELDATA_SICK_AFTER", 300, least=1),
        restarts_at_once=int(_number(environment, "MODELDATA_RESTARTS_AT_ONCE", 3, least=0)),
        closing=_closing(environment),
        webhook_port=int(_number(environment, "MODELDATA_WEBHOOK_PORT", 10250, least=1)),
        health_port=int(_number(environment, "MODELDATA_HEALTH_PORT", 8080, least=1)),
        metrics_port=int(_number(environment, "MODELDATA_METRICS_PORT", 8081, least=1)),
        certificate_directory=environment.get("MODELDATA_CERTIFICATE_DIRECTORY", "/run/modeldata-tls"),
        log_level=environment.get("MODELDATA_LOG_LEVEL", "INFO").upper(),
        json_logs=_either(environment, "MODELDATA_LOG_FORMAT", "text", "json") == "json",
    )


def _namespaces(environment: Mapping[str, str]) -> tuple[str, ...]:
    names = {name.strip() for name in environment.get("MODELDATA_NAMESPACES", "").split(",")} - {""}
    for name in sorted(names):
        # A pattern would be taken by kopf, and then need the right to list the cluster's namespaces.
        if not _NAMESPACE.fullmatch(name):
            raise SystemExit(f"MODELDATA_NAMESPACES: {name!r} is no namespace's name; write names, with commas between")
    return tuple(sorted(names))


def _cluster_name(environment: Mapping[str, str]) -> str:
    name = environment.get("MODELDATA_CLUSTER_NAME") or resources.DEFAULT_CLUSTER
    if not _PART.fullmatch(name):
        message = "it becomes a part of a path (at most 90 letters, digits, and . _ ( ) - but not first)"
        raise SystemExit(f"MODELDATA_CLUSTER_NAME: {name!r}: {message}")
    return name


def _either(environment: Mapping[str, str], name: str, default: str, other: str) -> str:
    value = environment.get(name, "") or default
    if value not in (default, other):
        raise SystemExit(f'{name} must be "{default}" or "{other}", not {value!r}')
    return value


def _grants(environment: Mapping[str, str]) -> tuple[StorageGrant, ...]:
    try:
        return grants.given(environment.get("MODELDATA_GRANTS", "") or "[]")
    except ResourceError as error:
        raise SystemExit(f"MODELDATA_GRANTS: {error}") from None


def _closing(environment: Mapping[str, str]) -> Runner | None:
    try:
        return closing.runner(environment.get("MODELDATA_CLOSING", ""))
    except ResourceError as error:
        raise SystemExit(f"MODELDATA_CLOSING: {error}") from None


def _allowed_hosts(environment: Mapping[str, str]) -> tuple[AllowedHost, ...]:
    found = []
    for text in environment.get("MODELDATA_ALLOWED_HOSTS", "").split(","):
        if text.strip():
            host = endpoints.allowed_host(text.strip())
            if host is None:
                raise SystemExit(f"MODELDATA_ALLOWED_HOSTS: {text.strip()!r} is neither host, host:port nor host:*")
            found.append(host)
    return tuple(found)


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {text!r}") from None
    if value < least:
        raise SystemExit(f"{name} must be at least {least:g}")
    return value
