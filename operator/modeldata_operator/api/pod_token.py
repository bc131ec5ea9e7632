"""What a pod gets so that the client can sign in to Azure with its own identity: a service account token, and no more.

No label and no variable of Azure's: the label would have Azure's own webhook called, which fails closed, for pods that
did not ask for it, and the variables change which identity a model finds that has one (docs/decisions/0009).
"""

import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from . import names

DIRECTORY = f"{names.DIRECTORY}/identity"
AUDIENCE = "api://AzureADTokenExchange"
EXPIRATION_SECONDS = 3600
"""As Azure's webhook asks for; the kubelet renews the token at four fifths of it."""

_AUTHORITIES = {
    ".core.windows.net": "https://login.microsoftonline.com/",
    ".core.usgovcloudapi.net": "https://login.microsoftonline.us/",
    ".core.chinacloudapi.cn": "https://login.chinacloudapi.cn/",
}


def authority(endpoint: str) -> str | None:
    """Name who gives tokens for a storage endpoint; None where its address does not tell its cloud."""
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    return next((found for suffix, found in _AUTHORITIES.items() if host.endswith(suffix)), None)


def volume() -> dict[str, Any]:
    """Write the volume with the pod's service account token."""
    token = {"audience": AUDIENCE, "expirationSeconds": EXPIRATION_SECONDS, "path": names.TOKEN_FILE}
    # No defaultMode: the kubelet sees to it that the pod's users, and few others, can read it.
    return {"name": names.IDENTITY_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}


def mount() -> dict[str, Any]:
    """Write the mount of that volume in a collected container."""
    return {"name": names.IDENTITY_VOLUME, "mountPath": DIRECTORY, "readOnly": True}


def has_token(spec: Mapping[str, Any]) -> bool:
    """Tell whether some container of a pod finds a token where the client looks for it."""
    return any(
        each.get("name") == names.IDENTITY_VOLUME and each.get("mountPath", "").rstrip("/") == DIRECTORY
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        for each in container.get("volumeMounts") or ()
    )


def is_token(candidate: Mapping[str, Any]) -> bool:
    """Tell whether a volume carries a service account token in the file that the client looks for."""
    sources: Iterable[Mapping[str, Any]] = (candidate.get("projected") or {}).get("sources") or ()
    return any((source.get("serviceAccountToken") or {}).get("path") == names.TOKEN_FILE for source in sources)
