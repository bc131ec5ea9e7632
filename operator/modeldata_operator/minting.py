"""The SAS Secrets in the pods' namespaces: minted, renewed, removed."""

import base64
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import credentials, names
from .cluster import ApiError, Cluster
from .credentials import Account, CredentialError
from .reasons import Reason
from .resources import CredentialStatus, DataCollection, ObjectKey
from .status import Finding

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Minted:
    """What became of a collection's credential."""

    account: Account | None
    status: CredentialStatus
    finding: Finding
    ready: bool


class Minter:
    """Keeps a valid SAS in every namespace where a collection serves pods."""

    def __init__(self, cluster: Cluster, *, lifetime: timedelta) -> None:
        self._cluster = cluster
        self._lifetime = lifetime

    async def ensure(
        self, collection: DataCollection, namespaces: Iterable[str], *, remembered: CredentialStatus
    ) -> Minted:
        """Make sure that the SAS Secret is right in each namespace.

        A new SAS raises the rotation, and with it the generation in the settings: the patched annotation makes the
        kubelet show the new Secret at once, where the Secret alone takes more than a minute.
        """
        try:
            account = await self._account(collection)
        except CredentialError as error:
            # What was handed out before goes on working until it expires.
            return Minted(None, remembered, Finding(error.reason, str(error)), ready=False)
        now = datetime.now(UTC)
        rotation, token = remembered.rotation, ""
        served, refused = [], []
        for namespace in sorted(namespaces):
            secret = secret_key(collection.key, namespace)
            try:
                held = await self._held(secret, collection, namespace)
                if held is not None and not held.ours:
                    refused.append(str(secret))
                    continue
                rotation = max(rotation, held.rotation if held else 0)
                if held is not None and not _due(held, collection, namespace, account, now):
                    served.append((namespace, held.token))
                    continue
                if not token:
                    token = credentials.fresh(account, collection.storage, now=now, lifetime=self._lifetime)
                    rotation += 1
                await self._write(collection, namespace, token, rotation, held.resource_version if held else None)
                served.append((namespace, token))
                logger.info("minted collection=%s namespace=%s rotation=%d", collection.key, namespace, rotation)
            except ApiError as error:
                if error.absent:
                    continue  # the namespace is being deleted, with its pods
                raise
        expiries = [moment for _, held_token in served if (moment := credentials.expiry(held_token)) is not None]
        status = CredentialStatus(
            rotation=rotation,
            expires_at=credentials.written(min(expiries)) if expiries else None,
            namespaces=tuple(namespace for namespace, _ in served if namespace != collection.key.namespace),
        )
        if refused:
            message = f"Secret {', '.join(refused)} exists and is not this operator's: it is left alone, rename it"
            return Minted(account, status, Finding(Reason.SECRET_NOT_OURS, message), ready=False)
        message = f"a SAS for container {collection.storage.container} is handed out"
        note = f"; {account.note}" if account.note else ""
        return Minted(account, status, Finding(Reason.CREDENTIALS_VALID, message + note), ready=True)

    async def withdraw(self, collection: ObjectKey, namespaces: Iterable[str]) -> None:
        """Delete the SAS Secrets in other namespaces; those in the collection's own go with their owner."""
        for namespace in sorted(namespaces):
            key = secret_key(collection, namespace)
            secret = await self._cluster.get_secret(key)
            if secret is None:
                continue
            held = credentials.held(secret, labels=labels(collection, namespace))
            if held.ours:
                await self._cluster.delete_secret(key, held.resource_version)
                logger.info("withdrawn collection=%s namespace=%s", collection, namespace)

    async def _account(self, collection: DataCollection) -> Account:
        storage = collection.storage
        secret = await self._cluster.get_secret(ObjectKey(collection.key.namespace, storage.secret))
        if secret is None:
            raise CredentialError(
                Reason.SECRET_NOT_FOUND,
                f"Secret {storage.secret} does not exist in namespace {collection.key.namespace}",
            )
        return credentials.account(secret, storage)

    async def _held(self, key: ObjectKey, collection: DataCollection, namespace: str) -> credentials.HeldSas | None:
        secret = await self._cluster.get_secret(key)
        return None if secret is None else credentials.held(secret, labels=labels(collection.key, namespace))

    async def _write(
        self, collection: DataCollection, namespace: str, token: str, rotation: int, resource_version: str | None
    ) -> None:
        secret = sas_secret(collection, namespace, token, rotation)
        if resource_version is None:
            await self._cluster.create_secret(secret)
        else:
            secret["metadata"]["resourceVersion"] = resource_version
            await self._cluster.apply_secret(secret)


def _due(
    held: credentials.HeldSas, collection: DataCollection, namespace: str, account: Account, now: datetime
) -> bool:
    # A Secret of a collection that was deleted and made again is about to be garbage-collected with its old owner.
    owner = collection.uid if namespace == collection.key.namespace else ""
    return held.owner_uid != owner or credentials.must_rotate(held, account, collection.storage, now=now)


def secret_key(collection: ObjectKey, namespace: str) -> ObjectKey:
    """Name the SAS Secret of a collection in a namespace."""
    name = names.credential_secret(
        collection_namespace=collection.namespace, collection_name=collection.name, pod_namespace=namespace
    )
    return ObjectKey(namespace, name)


def labels(collection: ObjectKey, namespace: str) -> Mapping[str, str]:
    """Label a SAS Secret, so that it is known to be ours and whose."""
    own = {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.COLLECTION_LABEL: collection.name}
    if namespace != collection.namespace:
        own[names.COLLECTION_NAMESPACE_LABEL] = collection.namespace
    return own


def sas_secret(collection: DataCollection, namespace: str, token: str, rotation: int) -> dict[str, Any]:
    """Write a SAS Secret. Only in its own namespace it can have its collection as owner."""
    key = secret_key(collection.key, namespace)
    moment = credentials.expiry(token)
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": namespace,
        "labels": dict(labels(collection.key, namespace)),
        "annotations": {
            names.ROTATION_ANNOTATION: str(rotation),
            names.EXPIRES_ANNOTATION: credentials.written(moment) if moment else "",
        },
    }
    if namespace == collection.key.namespace:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": collection.key.name,
                "uid": collection.uid,
                "controller": True,
            }
        ]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "data": {names.SAS_KEY: base64.b64encode(token.encode()).decode()},
    }
