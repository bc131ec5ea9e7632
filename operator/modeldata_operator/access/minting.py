"""The SAS Secrets in the pods' namespaces: minted, renewed, removed."""

import asyncio
import functools
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..api import names
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.reasons import Reason
from ..api.resources import AccountSecret, DataCollection, OperatorIdentity, WorkloadIdentity
from ..decide.status import Finding
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, ApiError, said
from ..observe import metrics
from . import credentials, permission, secrets, side_by_side
from .credentials import CredentialError, GivenSas, HeldSas, Source
from .delegation import Delegations
from .permission import Permits

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Minted:
    """What became of a collection's credential."""

    source: Source | WorkloadIdentity | None
    status: CredentialStatus
    finding: Finding
    """What is to be said of the source, and so of every namespace."""
    ready: bool
    """Whether the source is good. What becomes of it differs from namespace to namespace."""
    failed: Mapping[str, Finding] = field(default_factory=dict)
    """The namespaces whose Secret is not as it should be, and why; all others are served."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The Secret of a namespace, or why it can't be read."""

    held: HeldSas | None = None
    failure: Finding | None = None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one namespace. The token is what its pods have now; None where that is not known."""

    token: str | None = None
    written: bool = False
    failure: Finding | None = None
    left_out: bool = False
    """Nothing of the operator's is there."""


class Minter:
    """Keeps a valid SAS, and the key of hashes, in every namespace where a collection serves pods.

    Each namespace stands by itself: what one refuses (by a quota, a policy, a missing right, its own end) keeps no
    other from having its SAS renewed.
    """

    def __init__(self, cluster: Cluster, delegations: Delegations, permits: Permits, *, lifetime: timedelta) -> None:
        self._cluster = cluster
        self._delegations = delegations
        self._permits = permits
        self._lifetime = lifetime
        # So that a deleted Secret comes back with the key it had. Per collection: its uid, and each namespace's key.
        self._hash_keys: dict[ObjectKey, tuple[str, dict[str, str]]] = {}
        # They come last the next time: what takes its time to fail must not cost others their turn.
        self._failed: dict[ObjectKey, frozenset[str]] = {}

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

        Raises:
            ApiError, ClientError, TimeoutError: what the SAS is made from can't be read.

        """
        now, until = datetime.now(UTC), asyncio.get_running_loop().time() + side_by_side.LOOK_SECONDS
        source: Source | WorkloadIdentity | Finding
        withheld: Mapping[str, Finding] = {}
        try:
            withheld = permission.withheld(self._permits, collection, namespaces)
            source = await self._source(collection, now, withheld, namespaces)
        except CredentialError as error:
            source = Finding(error.reason, str(error))
            if permission.asked_for(collection) and not withheld:
                # What was handed out before goes on working until it expires.
                return Minted(None, remembered, source, ready=False)
        own, failed_before = collection.key.namespace, self._failed.get(collection.key, frozenset())
        # Its own namespace first, where its key of hashes is kept.
        order = [own, *sorted(set(namespaces) - {own}, key=lambda each: (each in failed_before, each))]
        looks = {each: functools.partial(self._look, collection, each) for each in order}
        seen = await side_by_side.in_each(looks, until=until, late=_Seen(failure=_LATE))
        keys = {namespace: self._hash_key(collection, namespace, found) for namespace, found in seen.items()}
        before = {namespace: _rotation(remembered, namespace, found) for namespace, found in seen.items()}

        async def bring_into_line(namespace: str, found: _Seen) -> _Outcome:
            # Asked once more: reading may have taken its time.
            outlived = permission.outlived(self._permits, collection, namespace, found.held)
            refused = namespace in withheld or not permission.permitted(self._permits, collection, namespace)
            if refused or (outlived and isinstance(source, Finding)):
                given: Source = GivenSas("")
            elif isinstance(source, Finding):
                return _Outcome(found.held.token if found.held is not None else None)
            else:
                given = _given(source, found.held if namespace in without_token and not outlived else None, now)
            return await self._bring_into_line(
                collection, namespace, found, given, hash_key=keys[namespace], rotation=before[namespace] + 1, now=now
            )

        calls = {namespace: functools.partial(bring_into_line, namespace, found) for namespace, found in seen.items()}
        outcomes = await side_by_side.in_each(calls, until=until, late=_Outcome(failure=_LATE))
        failed = {namespace: outcome.failure for namespace, outcome in outcomes.items() if outcome.failure is not None}
        # The operator's own default has no pods where it stands, so nobody misses a SAS there.
        failed = {each: withheld[each] for each in withheld if each != own or len(order) == 1} | failed
        self._failed[collection.key] = frozenset(failed)
        # A write that failed may have been made: the next look sees that in the Secret.
        rotations = {namespace: before[namespace] + outcome.written for namespace, outcome in outcomes.items()}
        status = CredentialStatus(
            rotation=rotations.pop(own),
            rotations=rotations,
            expires_at=_first_end(outcomes.values(), remembered),
            # Also where it failed: what is there has to be withdrawn one day.
            namespaces=tuple(
                sorted(each for each, outcome in outcomes.items() if each != own and not outcome.left_out)
            ),
        )
        if isinstance(source, Finding):
            return Minted(None, status, source, ready=False, failed=failed)
        if isinstance(source, WorkloadIdentity):
            kept = any(outcome.token for outcome in outcomes.values())
            finding = signing_in(collection, source, sas_kept=kept, until=status.expires_at)
        else:
            finding = _finding(source, collection)
        return Minted(source, status, finding, ready=True, failed=failed)

    def forget(self, collection: ObjectKey) -> None:
        """Drop what is remembered of a collection that is gone: another of its name has another key of hashes."""
        self._hash_keys.pop(collection, None)
        self._failed.pop(collection, None)
        self._delegations.forget(collection)

    async def _source(
        self,
        collection: DataCollection,
        now: datetime,
        withheld: Mapping[str, Finding],
        namespaces: Iterable[str],
    ) -> Source | WorkloadIdentity:
        storage, reference = collection.storage, collection.storage.credential
        if isinstance(reference, OperatorIdentity):
            # Until it is granted, nothing of it is kept.
            try:
                endpoint = permission.endpoint(self._permits, collection, namespaces, withheld)
            except CredentialError:
                self._delegations.forget(collection.key)
                raise
            return self._delegations.signer(collection.key, replace(storage, endpoint=str(endpoint)))
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

    def _hash_key(self, collection: DataCollection, namespace: str, seen: _Seen) -> str:
        """Find the key of hashes of a namespace: what its Secret says, else what it said before, else a new one.

        Each namespace has its own: with another's, it could find out what stands behind that one's pseudonyms. The
        Secret goes first, so that two controllers by mistake agree. That of a deleted collection of the same name does
        not count: deleting a collection is how its keys are destroyed.

        Returns:
            Nothing if its Secret can't be read now and was not before: a new key would belie the pseudonyms so far.

        """
        uid, keys = self._hash_keys.get(collection.key, ("", {}))
        if uid != collection.uid:
            keys = {}
            self._hash_keys[collection.key] = (collection.uid, keys)
        known = keys.get(namespace, "")
        if seen.failure is not None:
            return known
        own = collection.key.namespace
        made_for = None if seen.held is None or not seen.held.ours else seen.held
        if made_for is not None and namespace == own and made_for.owner_uid != collection.uid:
            made_for = None
        # Before each namespace had its own, all had that of the collection, and nothing told whose it was.
        if made_for is not None and namespace != own:
            made_for = made_for if made_for.hash_key_of == collection.uid else None
            made_for = None if made_for is not None and made_for.hash_key == keys.get(own) else made_for
        key = keys[namespace] = (made_for.hash_key if made_for else "") or known or credentials.new_hash_key()
        return key

    async def _look(self, collection: DataCollection, namespace: str) -> _Seen:
        try:
            secret = await self._cluster.get_secret(secrets.secret_key(collection.key, namespace))
        except FAILURES as error:
            return _Seen(failure=_failure(error))
        return _Seen(
            None if secret is None else credentials.held(secret, labels=secrets.labels(collection.key, namespace))
        )

    async def _bring_into_line(
        self,
        collection: DataCollection,
        namespace: str,
        seen: _Seen,
        source: Source,
        *,
        hash_key: str,
        rotation: int,
        now: datetime,
    ) -> _Outcome:
        """Write the Secret of one namespace if it is not as it should be."""
        held = seen.held
        if seen.failure is not None:
            return _Outcome(failure=seen.failure)
        if held is not None and not held.ours:
            secret_name = secrets.secret_key(collection.key, namespace)
            message = f"Secret {secret_name} exists and is not this operator's: it is left alone, rename it"
            return _Outcome(failure=Finding(Reason.SECRET_NOT_OURS, message), left_out=True)
        present = held.token if held is not None else ""
        if held is not None and held.hash_key == hash_key and not _due(held, collection, namespace, source, now):
            return _Outcome(present)
        token = self._token(source, collection, namespace, now)
        secret = secrets.sas_secret(collection, namespace, token, rotation, hash_key=hash_key)
        owner = collection.uid if namespace == collection.key.namespace else ""
        try:
            await self._write(secret, held, owner=owner)
        except FAILURES as error:
            if isinstance(error, ApiError) and error.absent:
                return _Outcome(left_out=True)  # the namespace is being deleted, with its pods
            logger.warning("no sas written collection=%s namespace=%s error=%s", collection.key, namespace, said(error))
            return _Outcome(present, failure=_failure(error))
        if token:
            metrics.ROTATIONS.inc()
        what = "minted" if token else "no sas"
        logger.info("%s collection=%s namespace=%s rotation=%d", what, collection.key, namespace, rotation)
        return _Outcome(token, written=True)

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


_LATE = Finding(Reason.CREDENTIALS_UNKNOWN, "the API server takes too long to answer: it is looked at later")


def _failure(error: Exception) -> Finding:
    """Say what kept a namespace from being served: somebody's no, or something that may pass by itself."""
    refused = isinstance(error, ApiError) and error.refused
    return Finding(Reason.SECRET_REFUSED if refused else Reason.CREDENTIALS_UNKNOWN, said(error))


def _first_end(outcomes: Iterable[_Outcome], remembered: CredentialStatus) -> str | None:
    """Say when the first SAS ends. Where it is not known what is there, nothing is known that ends later."""
    moments = [moment for each in outcomes if each.token and (moment := credentials.expiry(each.token)) is not None]
    ends = [credentials.written(moment) for moment in moments]
    if remembered.expires_at and any(each.token is None and not each.left_out for each in outcomes):
        ends.append(remembered.expires_at)
    return min(ends, default=None)


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


def _rotation(remembered: CredentialStatus, namespace: str, seen: _Seen) -> int:
    """Say how many SAS a namespace has got so far. What another one's Secret says of itself does not count here."""
    held = seen.held.rotation if seen.held is not None and seen.held.ours else 0
    return max(remembered.rotation_in(namespace), held)


def _given(source: Source | WorkloadIdentity, held: HeldSas | None, now: datetime) -> Source:
    """Find where a namespace's SAS comes from. Where the pods sign in, only what some still live by is left."""
    return credentials.remaining(held, now=now) if isinstance(source, WorkloadIdentity) else source


def _due(held: HeldSas, collection: DataCollection, namespace: str, source: Source, now: datetime) -> bool:
    owner = collection.uid if namespace == collection.key.namespace else ""
    storage = collection.storage.within(namespace)
    foreign_key = namespace != collection.key.namespace and held.hash_key_of != collection.uid
    return held.owner_uid != owner or foreign_key or credentials.must_rotate(held, source, storage, now=now)


def _finding(source: Source, collection: DataCollection) -> Finding:
    note = f"; {source.note}" if source.note else ""
    if isinstance(source, GivenSas):
        reason = Reason.SAS_EXPIRES_SOON if source.expires_soon else Reason.CREDENTIALS_VALID
        return Finding(reason, f"the given SAS is handed out{note}")
    return Finding(Reason.CREDENTIALS_VALID, f"a SAS for container {collection.storage.container} is handed out{note}")


def _key(secret: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(secret["metadata"]["namespace"], secret["metadata"]["name"])
