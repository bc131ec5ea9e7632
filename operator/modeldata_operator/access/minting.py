"""The SAS Secrets in the pods' namespaces: minted, renewed, removed."""

import base64
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..api import names
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.reasons import Reason
from ..api.resources import AccountSecret, DataCollection, OperatorIdentity, WorkloadIdentity
from ..decide.status import Finding
from ..kube.cluster import ApiError, Cluster
from ..observe import metrics
from . import credentials
from .credentials import CredentialError, GivenSas, HeldSas, Source
from .delegation import Delegations

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Minted:
    """What became of a collection's credential."""

    source: Source | WorkloadIdentity | None
    status: CredentialStatus
    finding: Finding
    ready: bool


class Minter:
    """Keeps a valid SAS, and the key of hashes, in every namespace where a collection serves pods."""

    def __init__(self, cluster: Cluster, delegations: Delegations, *, lifetime: timedelta) -> None:
        self._cluster = cluster
        self._delegations = delegations
        self._lifetime = lifetime
        # So that a deleted Secret comes back with the key it had. Per collection: its uid, and the key.
        self._hash_keys: dict[ObjectKey, tuple[str, str]] = {}

    async def ensure(
        self,
        collection: DataCollection,
        namespaces: Iterable[str],
        *,
        remembered: CredentialStatus,
        without_token: Collection[str] = (),
    ) -> Minted:
        """Make sure that the SAS Secret is right in each namespace.

        What is written raises the rotation, and with it the generation in the settings: the patched annotation makes
        the kubelet show the new Secret at once, where the Secret alone takes more than a minute.

        Args:
            collection: whose credential it is.
            namespaces: where it serves pods.
            remembered: what was done before.
            without_token: where pods of it run that can't sign in to Azure themselves, and so live by a SAS.

        """
        now = datetime.now(UTC)
        try:
            source = await self._source(collection, now)
        except CredentialError as error:
            # What was handed out before goes on working until it expires.
            return Minted(None, remembered, Finding(error.reason, str(error)), ready=False)
        own = collection.key.namespace
        # Its own namespace first, where its key of hashes is kept.
        present = {
            namespace: await self._held(collection, namespace) for namespace in (own, *sorted(set(namespaces) - {own}))
        }
        hash_key = self._hash_key(collection, present[own])
        before = max(remembered.rotation, *(held.rotation for held in present.values() if held), 0)
        rotation = before
        served, refused = [], []
        for namespace, held in present.items():
            if held is not None and not held.ours:
                refused.append(str(secret_key(collection.key, namespace)))
                continue
            given = _given(source, held if namespace in without_token else None, now)
            if held is not None and held.hash_key == hash_key and not _due(held, collection, namespace, given, now):
                served.append((namespace, held.token))
                continue
            token = self._token(given, collection, namespace, now)
            rotation = before + 1
            secret = sas_secret(collection, namespace, token, rotation, hash_key=hash_key)
            try:
                await self._write(secret, held, owner=collection.uid if namespace == own else "")
            except ApiError as error:
                if error.absent:
                    continue  # the namespace is being deleted, with its pods
                raise
            served.append((namespace, token))
            what = "minted" if token else "no sas"
            if token:
                metrics.ROTATIONS.inc()
            logger.info("%s collection=%s namespace=%s rotation=%d", what, collection.key, namespace, rotation)
        expiries = [moment for _, held_token in served if (moment := credentials.expiry(held_token)) is not None]
        status = CredentialStatus(
            rotation=rotation,
            expires_at=credentials.written(min(expiries)) if expiries else None,
            namespaces=tuple(namespace for namespace, _ in served if namespace != own),
        )
        if refused:
            message = f"Secret {', '.join(refused)} exists and is not this operator's: it is left alone, rename it"
            return Minted(source, status, Finding(Reason.SECRET_NOT_OURS, message), ready=False)
        if isinstance(source, WorkloadIdentity):
            kept = any(held_token for _, held_token in served)
            finding = signing_in(collection, source, sas_kept=kept, until=status.expires_at)
        else:
            finding = _finding(source, collection)
        return Minted(source, status, finding, ready=True)

    def forget(self, collection: ObjectKey) -> None:
        """Drop what is remembered of a collection that is gone: another of its name has another key of hashes."""
        self._hash_keys.pop(collection, None)
        self._delegations.forget(collection)

    async def _source(self, collection: DataCollection, now: datetime) -> Source | WorkloadIdentity:
        storage, reference = collection.storage, collection.storage.credential
        if isinstance(reference, OperatorIdentity):
            return self._delegations.signer(collection.key, storage)
        self._delegations.forget(collection.key)
        if isinstance(reference, WorkloadIdentity):
            return reference
        secret = await self._cluster.get_secret(ObjectKey(collection.key.namespace, reference.name))
        if secret is None:
            raise CredentialError(
                Reason.SECRET_NOT_FOUND,
                f"Secret {reference.name} does not exist in namespace {collection.key.namespace}",
            )
        if isinstance(reference, AccountSecret):
            return credentials.account(secret, reference, storage)
        return credentials.given(secret, reference, storage, now=now)

    def _token(self, source: Source, collection: DataCollection, namespace: str, now: datetime) -> str:
        if isinstance(source, GivenSas):
            return source.token
        storage = collection.storage.within(namespace)
        return credentials.fresh(source, storage, now=now, lifetime=self._lifetime)

    def _hash_key(self, collection: DataCollection, held: HeldSas | None) -> str:
        """Find the collection's key of hashes: what its Secret says, else what it said before, else a new one.

        The Secret goes first, so that two controllers by mistake agree. That of a deleted collection of the same name
        does not count: deleting a collection is how its key is destroyed.
        """
        uid, known = self._hash_keys.get(collection.key, ("", ""))
        key = held.hash_key if held is not None and held.ours and held.owner_uid == collection.uid else ""
        key = key or (known if uid == collection.uid else "") or credentials.new_hash_key()
        self._hash_keys[collection.key] = (collection.uid, key)
        return key

    async def _held(self, collection: DataCollection, namespace: str) -> HeldSas | None:
        secret = await self._cluster.get_secret(secret_key(collection.key, namespace))
        return None if secret is None else credentials.held(secret, labels=labels(collection.key, namespace))

    async def _write(self, secret: dict[str, Any], held: HeldSas | None, *, owner: str) -> None:
        if held is not None and held.owner_uid != owner:
            # Of a collection of this name that was deleted: it goes with its owner, now or when the garbage collector
            # gets to it.
            await self._cluster.delete_secret(_key(secret), held.resource_version)
            held = None
        if held is None:
            await self._cluster.create_secret(secret)
        else:
            secret["metadata"]["resourceVersion"] = held.resource_version
            # Null takes a key away. Applied without it, the Secret would keep it: its creation owns it too.
            secret["data"] = {names.SAS_KEY: None, **secret["data"]}
            await self._cluster.merge_secret(secret)


async def withdraw(cluster: Cluster, collection: ObjectKey, namespaces: Iterable[str]) -> None:
    """Delete a collection's SAS Secrets in these namespaces; what is not the operator's stays."""
    for namespace in sorted(namespaces):
        key = secret_key(collection, namespace)
        secret = await cluster.get_secret(key)
        if secret is None:
            continue
        held = credentials.held(secret, labels=labels(collection, namespace))
        if held.ours:
            await cluster.delete_secret(key, held.resource_version)
            logger.info("withdrawn collection=%s namespace=%s", collection, namespace)


def signing_in(collection: DataCollection, identity: WorkloadIdentity, *, sas_kept: bool, until: str | None) -> Finding:
    """Say what can be known where the pods sign in themselves: nothing is handed out, so nothing can be tried."""
    storage = collection.storage
    message = (
        f"the pods sign in as client {identity.client_id} of tenant {identity.tenant_id}; whether that may append to "
        f"{storage.endpoint}/{storage.container}, which must exist, only they can tell: "
        "kubectl exec <pod> -- python -m modeldata doctor"
    )
    if sas_kept:
        message += "; pods started before keep to their SAS" + (f" until {until}" if until else "")
    return Finding(Reason.WORKLOAD_IDENTITY, message)


def _given(source: Source | WorkloadIdentity, held: HeldSas | None, now: datetime) -> Source:
    """Find where a namespace's SAS comes from. Where the pods sign in, only what some still live by is left."""
    return credentials.remaining(held, now=now) if isinstance(source, WorkloadIdentity) else source


def _due(held: HeldSas, collection: DataCollection, namespace: str, source: Source, now: datetime) -> bool:
    owner = collection.uid if namespace == collection.key.namespace else ""
    storage = collection.storage.within(namespace)
    return held.owner_uid != owner or credentials.must_rotate(held, source, storage, now=now)


def _finding(source: Source, collection: DataCollection) -> Finding:
    note = f"; {source.note}" if source.note else ""
    if isinstance(source, GivenSas):
        reason = Reason.SAS_EXPIRES_SOON if source.expires_soon else Reason.CREDENTIALS_VALID
        return Finding(reason, f"the given SAS is handed out{note}")
    return Finding(Reason.CREDENTIALS_VALID, f"a SAS for container {collection.storage.container} is handed out{note}")


def _key(secret: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(secret["metadata"]["namespace"], secret["metadata"]["name"])


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


def sas_secret(
    collection: DataCollection, namespace: str, token: str, rotation: int, *, hash_key: str
) -> dict[str, Any]:
    """Write a SAS Secret, without a SAS if the token is empty. Only in its own namespace it can have an owner."""
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
        "data": {
            key: base64.b64encode(value.encode()).decode()
            for key, value in ((names.SAS_KEY, token), (names.HASH_KEY, hash_key))
            if value
        },
    }
