"""What the operator is told by its environment, read once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from . import names


@dataclass(frozen=True, slots=True)
class Configuration:
    """The operator's settings."""

    namespace: str
    """MODELDATA_OPERATOR_NAMESPACE: where the operator, its certificate Secret and the cluster's default live."""

    sas_lifetime: timedelta = timedelta(hours=6)
    """MODELDATA_SAS_LIFETIME, seconds. A SAS is renewed at half its life, so this is also how long a pod may be cut off
    from the operator: at least three hours. Shorter means less time for a stolen one."""

    resync: float = 30.0
    """MODELDATA_RESYNC, seconds between two looks at everything, Secrets included (they are not watched)."""

    webhook_port: int = 9443
    """MODELDATA_WEBHOOK_PORT."""

    health_port: int = 8080
    """MODELDATA_HEALTH_PORT."""

    certificate_directory: str = "/run/modeldata-tls"
    """MODELDATA_CERTIFICATE_DIRECTORY: where the webhook lays its certificate, in memory."""

    log_level: str = "INFO"
    """MODELDATA_LOG_LEVEL."""

    @property
    def webhook_host(self) -> str:
        """Name the webhook as the API server calls it."""
        return f"{names.WEBHOOK_NAME}.{self.namespace}.svc"


def from_environment(environment: Mapping[str, str]) -> Configuration:
    """Read the configuration; a value that makes no sense ends the process with its name."""
    lifetime = _number(environment, "MODELDATA_SAS_LIFETIME", 6 * 3600, least=600)
    return Configuration(
        namespace=environment.get("MODELDATA_OPERATOR_NAMESPACE", "modeldata-system"),
        sas_lifetime=timedelta(seconds=lifetime),
        resync=_number(environment, "MODELDATA_RESYNC", 30, least=1),
        webhook_port=int(_number(environment, "MODELDATA_WEBHOOK_PORT", 9443, least=1)),
        health_port=int(_number(environment, "MODELDATA_HEALTH_PORT", 8080, least=1)),
        certificate_directory=environment.get("MODELDATA_CERTIFICATE_DIRECTORY", "/run/modeldata-tls"),
        log_level=environment.get("MODELDATA_LOG_LEVEL", "INFO").upper(),
    )


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
