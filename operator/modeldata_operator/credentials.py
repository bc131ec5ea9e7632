"""Account keys in, container SAS out. Nothing here may reach a log, an Event or a status."""

import base64
import binascii
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from . import names
from .reasons import Reason
from .resources import Storage

# A pod's or the storage's clock may be this far behind ours.
CLOCK_SKEW = timedelta(minutes=15)
# Shared files are appended to and read back after a conflict; `w` would let a retry truncate them.
SHARED = ContainerSasPermissions(read=True, add=True, create=True)


class CredentialError(Exception):
    """A SAS can't be minted; the message is fit for a status."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account's name and key."""

    name: str
    key: str = field(repr=False)
    note: str = ""


@dataclass(frozen=True, slots=True)
class HeldSas:
    """The Secret as it lies in a pod's namespace."""

    token: str = field(repr=False)
    rotation: int
    expires_annotation: str
    ours: bool
    owner_uid: str
    resource_version: str


def account(secret: Mapping[str, Any], storage: Storage) -> Account:
    """Read the account from a user's Secret: connectionString, or accountName and accountKey."""
    connection, note = _value(secret, "connectionString", storage), ""
    if connection is not None:
        parts = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
        name, key = parts.get("AccountName"), parts.get("AccountKey")
        if not name or not key:
            raise CredentialError(
                Reason.SECRET_INVALID,
                f"Secret {storage.secret}: connectionString must contain AccountName and AccountKey",
            )
        note = _contradiction(parts, name, storage)
    else:
        name, key = _value(secret, "accountName", storage), _value(secret, "accountKey", storage)
        if not name or not key:
            raise CredentialError(
                Reason.SECRET_INVALID,
                f"Secret {storage.secret} must have the keys accountName and accountKey, or connectionString",
            )
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise CredentialError(
            Reason.SECRET_INVALID, f"Secret {storage.secret}: the account key is not base64"
        ) from None
    return Account(name, key, note)


def mint(who: Account, storage: Storage, *, start: datetime, expiry: datetime) -> str:
    """Sign a SAS for one container. The same arguments give the same token."""
    return generate_container_sas(
        account_name=who.name,
        container_name=storage.container,
        account_key=who.key,
        permission=SHARED,
        start=start,
        expiry=expiry,
        protocol="https" if storage.endpoint.startswith("https:") else None,
    )


def fresh(who: Account, storage: Storage, *, now: datetime, lifetime: timedelta) -> str:
    """Mint a SAS that is valid from a little before now."""
    now = now.astimezone(UTC).replace(microsecond=0)
    return mint(who, storage, start=now - CLOCK_SKEW, expiry=now + lifetime)


def expiry(token: str) -> datetime | None:
    """Read when a SAS ends."""
    return _moment(token, "se")


def must_rotate(held: HeldSas | None, who: Account, storage: Storage, *, now: datetime) -> bool:
    """Tell whether a new SAS is due: none there, half its life gone, or not what this key would sign now.

    Signing the held token's own times again and comparing finds a changed account, key or container and a tampered
    token alike, without keeping anything derived from the key anywhere.
    """
    if held is None:
        return True
    start, end = _moment(held.token, "st"), _moment(held.token, "se")
    if start is None or end is None or held.expires_annotation != written(end):
        return True
    if end - now < (end - start - CLOCK_SKEW) / 2:
        return True
    return held.token != mint(who, storage, start=start, expiry=end)


def held(secret: Mapping[str, Any], *, labels: Mapping[str, str]) -> HeldSas:
    """Parse the Secret in a pod's namespace; it is ours if it carries all the labels we give it."""
    metadata = secret.get("metadata") or {}
    annotations, present = metadata.get("annotations") or {}, metadata.get("labels") or {}
    try:
        rotation = int(annotations.get(names.ROTATION_ANNOTATION, 0))
    except ValueError:
        rotation = 0
    try:
        token = base64.b64decode((secret.get("data") or {}).get(names.SAS_KEY, "")).decode()
    except (binascii.Error, ValueError):
        token = ""
    return HeldSas(
        token=token,
        rotation=rotation,
        expires_annotation=annotations.get(names.EXPIRES_ANNOTATION, ""),
        ours=all(present.get(name) == value for name, value in labels.items()),
        owner_uid=next((owner.get("uid", "") for owner in metadata.get("ownerReferences") or ()), ""),
        resource_version=metadata.get("resourceVersion", ""),
    )


def written(moment: datetime) -> str:
    """Write a time as a SAS and our annotation do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(token: str, field_name: str) -> datetime | None:
    values = urllib.parse.parse_qs(token).get(field_name)
    try:
        return datetime.fromisoformat(values[0]).astimezone(UTC) if values else None
    except ValueError:
        return None


def _value(secret: Mapping[str, Any], key: str, storage: Storage) -> str | None:
    encoded = (secret.get("data") or {}).get(key)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded).decode().strip()
    except (binascii.Error, ValueError):
        raise CredentialError(Reason.SECRET_INVALID, f"Secret {storage.secret}: {key} is not text") from None


def _contradiction(parts: Mapping[str, str], account_name: str, storage: Storage) -> str:
    """Say if the connection string has another address than the spec, which is the truth.

    Both may be right (a private address of the same account), so this is a hint for whoever wonders about a 403.
    """
    stated = parts.get("BlobEndpoint")
    if stated is None and parts.get("EndpointSuffix"):
        scheme = parts.get("DefaultEndpointsProtocol", "https")
        stated = f"{scheme}://{account_name}.blob.{parts['EndpointSuffix']}"
    if stated is None or stated.rstrip("/") == storage.endpoint:
        return ""
    return f"the connectionString in Secret {storage.secret} names another blob endpoint than spec.storage.endpoint"
