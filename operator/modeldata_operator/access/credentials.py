"""Account keys or others' SAS in, the pods' SAS out. No key and no signature may reach a log, an Event or a status."""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from azure.storage.blob import ContainerSasPermissions, UserDelegationKey, generate_container_sas

from ..api import names, observed
from ..api.reasons import Reason
from ..api.resources import AccountSecret, SasTokenSecret, Storage
from . import sas

# A pod's or the storage's clock may be this far behind ours.
CLOCK_SKEW = timedelta(minutes=15)
RENEWED_WITH_LEFT = 0.55
"""What is left of its life when a SAS is renewed: that is before half of it, as looks come half a minute apart."""
# Whoever renews a SAS in time does so before its last quarter; one that does not say when it began is given this long.
SOON_SHARE = 4
SOON = timedelta(hours=1)
LONGEST_VALUE = 8192
"""Characters of a value in a user's Secret. A connection string and a SAS have some hundreds."""


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
class Delegation:
    """A storage account's name, and a key that it gave to the operator's identity. The SAS it signs ends with it."""

    name: str
    key: UserDelegationKey = field(repr=False)
    start: datetime
    end: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class GivenSas:
    """A SAS that is handed out as it is: one that somebody else renews, or that was minted before. May be empty."""

    token: str = field(repr=False)
    expires_soon: bool = False
    note: str = ""


Signer: TypeAlias = Account | Delegation
"""What signs a SAS."""
Source: TypeAlias = Signer | GivenSas
"""Where the SAS for pods comes from."""


@dataclass(frozen=True, slots=True)
class HeldSas:
    """The Secret as it lies in a pod's namespace."""

    token: str = field(repr=False)
    hash_key: str = field(repr=False)
    """Empty if there is none that was made here."""
    rotation: int
    expires_annotation: str
    hash_key_of: str
    """The uid of the collection that the key was made for, in this namespace. Before there was one in each, none."""
    granted: bool
    """Whether the operator's identity signed it, under a grant. Whoever writes the same by hand only loses by it."""
    ours: bool
    owner_uid: str
    resource_version: str


def account(secret: Mapping[str, Any], reference: AccountSecret, storage: Storage) -> Account:
    """Read the account from a user's Secret: connectionString, or accountName and accountKey."""
    connection, note = _value(secret, reference.name, "connectionString"), ""
    if connection is not None:
        parts = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
        name, key = parts.get("AccountName"), parts.get("AccountKey")
        if not name or not key:
            raise CredentialError(
                Reason.SECRET_INVALID,
                f"Secret {reference.name}: connectionString must contain AccountName and AccountKey",
            )
        note = _contradiction(parts, name, reference, storage)
    else:
        name, key = _value(secret, reference.name, "accountName"), _value(secret, reference.name, "accountKey")
        if not name or not key:
            raise CredentialError(
                Reason.SECRET_INVALID,
                f"Secret {reference.name} must have the keys accountName and accountKey, or connectionString",
            )
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise CredentialError(
            Reason.SECRET_INVALID, f"Secret {reference.name}: the account key is not base64"
        ) from None
    return Account(name, key, note)


def given(secret: Mapping[str, Any], reference: SasTokenSecret, storage: Storage, *, now: datetime) -> GivenSas:
    """Read the SAS from a user's Secret, and judge it by what it says of itself."""
    where = f"Secret {reference.name}, key {reference.key}"
    text = _value(secret, reference.name, reference.key)
    if text is None:
        raise CredentialError(Reason.SECRET_INVALID, f"Secret {reference.name} has no key {reference.key}")
    if "://" in text:
        raise CredentialError(
            Reason.SECRET_INVALID, f"{where}: only what stands behind the URL's question mark belongs there"
        )
    found = sas.parse(sas.cleaned(text))
    if not found.signed:
        raise CredentialError(Reason.SECRET_INVALID, f"{where} is no SAS (sv=…&sp=…&se=…&sig=…)")
    lacks = sas.shortcomings(found, storage)
    if lacks:
        raise CredentialError(Reason.SAS_INSUFFICIENT, f"the SAS in {where} is not enough: {'; '.join(lacks)}")
    if found.expiry is not None and found.expiry <= now:
        raise CredentialError(
            Reason.SAS_EXPIRED, f"the SAS in {where} expired at {written(found.expiry)}: write a new one there"
        )
    if found.start is not None and found.start > now:
        raise CredentialError(
            Reason.SAS_NOT_VALID_YET,
            f"the SAS in {where} is valid from {written(found.start)} on: it is not used before",
        )
    more = sas.surplus(found, storage)
    notes = [f"it allows more than pods need (sp={found.permissions})"] if more else []
    soon = _soon(found, now)
    if soon and found.expiry is not None:
        notes.append(f"it expires at {written(found.expiry)}: whoever renews it is late")
    return GivenSas(found.token, soon, "; ".join(notes))


def mint(who: Signer, storage: Storage, *, start: datetime, expiry: datetime) -> str:
    """Sign a SAS for one container, that lets pods do what they must. The same arguments give the same token."""
    return signed(who, storage, permissions=sas.NEEDED[storage.file], start=start, expiry=expiry)


def signed(who: Signer, storage: Storage, *, permissions: str, start: datetime, expiry: datetime) -> str:
    """Sign a SAS for one container."""
    return generate_container_sas(
        account_name=who.name,
        container_name=storage.container,
        account_key=who.key if isinstance(who, Account) else None,
        user_delegation_key=who.key if isinstance(who, Delegation) else None,
        permission=ContainerSasPermissions.from_string(permissions),
        start=start,
        expiry=expiry,
        protocol="https" if storage.endpoint.startswith("https:") else None,
    )


def fresh(who: Signer, storage: Storage, *, now: datetime, lifetime: timedelta) -> str:
    """Mint a SAS that is valid from a little before now, or as long as the key that signs it."""
    if isinstance(who, Delegation):
        return mint(who, storage, start=who.start, expiry=who.end)
    now = now.astimezone(UTC).replace(microsecond=0)
    return mint(who, storage, start=now - CLOCK_SKEW, expiry=now + lifetime)


def expiry(token: str) -> datetime | None:
    """Read when a SAS ends."""
    return sas.parse(token).expiry


def must_rotate(held: HeldSas | None, source: Source, storage: Storage, *, now: datetime) -> bool:
    """Tell whether another SAS is due: none there, nearly half its life gone, or not what this source would give now.

    Signing the held token's own times again and comparing finds a changed account, key, container or kind of file and a
    tampered token alike, without keeping anything derived from the key anywhere. What a delegated key signed is renewed
    when there is another key, as at the operator's start: it is known to nobody else.
    """
    if held is None:
        return True
    present = sas.parse(held.token)
    if held.expires_annotation != (written(present.expiry) if present.expiry else ""):
        return True
    if isinstance(source, GivenSas):
        return held.token != source.token
    if isinstance(source, Delegation):
        return held.token != mint(source, storage, start=source.start, expiry=source.end)
    start, end = present.start, present.expiry
    if start is None or end is None:
        return True
    # One that begins in the future was minted when this clock was ahead: storage refuses it.
    if start > now or end - now < (end - start - CLOCK_SKEW) * RENEWED_WITH_LEFT:
        return True
    return held.token != mint(source, storage, start=start, expiry=end)


def remaining(held: HeldSas | None, *, now: datetime) -> GivenSas:
    """Return what is left of a SAS that is not renewed any more: itself until it ends, then nothing."""
    end = expiry(held.token) if held is not None else None
    return GivenSas("" if held is None or (end is not None and end <= now) else held.token)


def new_hash_key() -> str:
    """Make a key for `redact: Hash`: 32 random bytes as text."""
    return secrets.token_hex(32)


def held(secret: Mapping[str, Any], *, labels: Mapping[str, str]) -> HeldSas:
    """Parse the Secret in a pod's namespace; it is ours if it carries all the labels we give it."""
    metadata = secret.get("metadata") or {}
    annotations, present = metadata.get("annotations") or {}, metadata.get("labels") or {}
    data = secret.get("data") or {}
    hash_key = _decoded(data.get(names.HASH_KEY)) or ""
    return HeldSas(
        token=_decoded(data.get(names.SAS_KEY)) or "",
        hash_key=hash_key if re.fullmatch("[0-9a-f]{64}", hash_key) else "",
        rotation=observed.rotation(annotations.get(names.ROTATION_ANNOTATION)),
        expires_annotation=annotations.get(names.EXPIRES_ANNOTATION, ""),
        hash_key_of=annotations.get(names.HASH_KEY_OF_ANNOTATION, ""),
        granted=bool(annotations.get(names.SIGNED_BY_ANNOTATION)),
        ours=all(present.get(name) == value for name, value in labels.items()),
        owner_uid=next((owner.get("uid", "") for owner in metadata.get("ownerReferences") or ()), ""),
        resource_version=metadata.get("resourceVersion", ""),
    )


def written(moment: datetime) -> str:
    """Write a time as a SAS and our annotation do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _soon(found: sas.Sas, now: datetime) -> bool:
    if found.expiry is None:
        return False
    return found.expiry - now < ((found.expiry - found.start) / SOON_SHARE if found.start else SOON)


def _decoded(encoded: object) -> str | None:
    try:
        return base64.b64decode(encoded).decode() if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        return None


def _value(secret: Mapping[str, Any], name: str, key: str) -> str | None:
    encoded = (secret.get("data") or {}).get(key)
    if encoded is None:
        return None
    value = _decoded(encoded)
    if value is None:
        raise CredentialError(Reason.SECRET_INVALID, f"Secret {name}: {key} is not text")
    if len(value) > LONGEST_VALUE:
        raise CredentialError(
            Reason.SECRET_INVALID, f"Secret {name}: {key} is longer than the {LONGEST_VALUE} characters that are read"
        )
    return value.strip()


def _contradiction(parts: Mapping[str, str], account_name: str, reference: AccountSecret, storage: Storage) -> str:
    """Say if the connection string has another address than the spec, which is the truth.

    Both may be right (a private address of the same account), so this is a hint for whoever wonders about a 403.
    """
    stated = parts.get("BlobEndpoint")
    if stated is None and parts.get("EndpointSuffix"):
        scheme = parts.get("DefaultEndpointsProtocol", "https")
        stated = f"{scheme}://{account_name}.blob.{parts['EndpointSuffix']}"
    if stated is None or stated.rstrip("/") == storage.endpoint:
        return ""
    return f"the connectionString in Secret {reference.name} names another blob endpoint than spec.storage.endpoint"
