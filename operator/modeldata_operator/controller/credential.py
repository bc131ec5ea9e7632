"""What a collection's credential is at the moment: looked at once in every resync, and judged with its container."""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..access import minting
from ..access.credentials import Delegation, Source
from ..access.minting import Minted, Minter
from ..access.probe import ContainerWatch
from ..api import endpoints
from ..api.endpoints import AllowedHost
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.reasons import Reason
from ..api.resources import DataCollection, Storage, WorkloadIdentity
from ..decide import hosts
from ..decide.status import Finding
from ..known.grants import Grants
from ..kube.cluster import FAILURES, Cluster, said
from ..observe import metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Credential:
    """The credential as last looked at, and what it was looked at for."""

    minted: Minted
    storage: Storage
    uid: str
    namespaces: frozenset[str]
    look: tuple[int, int]


class Credentials:
    """Looks after the SAS Secrets of all collections; what is known is not asked for again until it is due."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        minter: Minter,
        containers: ContainerWatch,
        grants: Grants,
        allowed_hosts: Sequence[AllowedHost],
    ) -> None:
        self._cluster = cluster
        self._minter = minter
        self._containers = containers
        self._grants = grants
        self._allowed_hosts = allowed_hosts
        self._credentials: dict[ObjectKey, _Credential] = {}
        self._look = 0
        # Counted, as it may change again while it is being looked at.
        self._changes: dict[ObjectKey, int] = {}

    def look_again(self) -> None:
        """Make the next look at each collection one at its Secrets, which are not watched."""
        self._look += 1

    def changed(self, key: ObjectKey) -> None:
        """Make the next look at one collection one at its Secrets."""
        self._changes[key] = self._changes.get(key, 0) + 1

    def looking(self, key: ObjectKey) -> bool:
        """Tell whether it is still being found out for the first time how a collection's container is."""
        return self._containers.first_look(key)

    async def ensure(self, collection: DataCollection, namespaces: Set[str], without_token: Set[str]) -> Minted:
        """Look after the SAS Secrets, once in every resync: switching off must not wait for them."""
        known = self._credentials.get(collection.key)
        look = self._look, self._changes.get(collection.key, 0)
        if (
            known is not None
            and known.uid == collection.uid
            and known.storage == collection.storage
            and namespaces <= known.namespaces
            and look == known.look
        ):
            return known.minted
        remembered = _later(collection.status.credential, known.minted.status if known else None)
        try:
            minted = await self._minter.ensure(
                collection, namespaces, remembered=remembered, without_token=without_token
            )
            gone = set(remembered.namespaces) - namespaces
            if gone and minted.source is not None:
                minted = _with_left(minted, await minting.withdraw(self._cluster, collection.key, gone))
        except FAILURES as error:
            logger.warning("credential collection=%s error=%s", collection.key, said(error))
            finding = Finding(
                Reason.CREDENTIALS_UNKNOWN,
                f"the API server did not let the operator look, it tries again: {said(error)}",
            )
            minted = Minted(known.minted.source if known else None, remembered, finding, ready=False)
        for finding in ([] if minted.ready else [minted.finding]) + list(minted.failed.values()):
            metrics.CREDENTIAL_FAILURES.labels(finding.reason.value).inc()
        self._credentials[collection.key] = _Credential(
            minted, collection.storage, collection.uid, frozenset(namespaces), look
        )
        return minted

    def judge(self, collection: DataCollection, minted: Minted) -> tuple[Finding, bool | None]:
        """Say how the credential is, and whether that is good: None where it can't be told."""
        if not minted.ready or minted.source is None:
            if minted.finding.reason is Reason.IDENTITY_NOT_GRANTED:
                # With its key, and the look that may be on its way with it.
                self._containers.forget(collection.key)
            return minted.finding, None if minted.finding.reason is Reason.CREDENTIALS_UNKNOWN else False
        finding, ready = self._judge_storage(collection, minted.source, minted.finding)
        return _with_failed(finding, ready, minted.failed)

    def _judge_storage(
        self, collection: DataCollection, source: Source | WorkloadIdentity, finding: Finding
    ) -> tuple[Finding, bool | None]:
        if isinstance(source, WorkloadIdentity):
            self._containers.forget(collection.key)
            return finding, True
        storage = self._dialled(collection, source)
        if storage is None:
            self._containers.forget(collection.key)
            return _unchecked(finding, collection.storage), True
        look = self._containers.look(collection.key, source, storage)
        if look is None or look.reason is None:
            return finding, True
        note = f"; {source.note}" if source.note else ""
        # The pods may well reach what the operator can't: unknown, and not wrong.
        ready = None if look.reason is Reason.STORAGE_UNREACHABLE else False
        return Finding(look.reason, look.message + note), ready

    def _dialled(self, collection: DataCollection, source: Source) -> Storage | None:
        """Return the container to look at, with its endpoint in the form to dial it in.

        None where the operator opens no connection: it would tell a tenant what answers at an address, and lend the
        tenant its place in the network.
        """
        known = self._credentials.get(collection.key)
        own = collection.key.namespace
        for namespace in (own, *sorted((known.namespaces if known else frozenset()) - {own})):
            storage = collection.storage.within(namespace)
            granted = self._grants.granted(namespace, storage)
            if granted is not None:
                return replace(storage, endpoint=str(granted))
        endpoint = endpoints.parse(collection.storage.endpoint)
        if isinstance(source, Delegation) or not hosts.may_dial(endpoint, self._allowed_hosts):
            return None
        return replace(collection.storage.within(own), endpoint=str(endpoint))

    async def withdraw(self, key: ObjectKey, namespaces: Set[str]) -> None:
        """Take back what a deleted collection left where garbage collection does not reach."""
        known = self._credentials.get(key)
        self._containers.forget(key)
        self._minter.forget(key)
        left = namespaces | set(known.minted.status.namespaces if known else ())
        refused = await minting.withdraw(self._cluster, key, left - {key.namespace})
        for error in refused.values():
            # Only then it is forgotten where to look: the next try must know the namespaces still.
            raise error
        self._credentials.pop(key, None)
        self._changes.pop(key, None)


def _with_left(minted: Minted, left: Mapping[str, Exception]) -> Minted:
    """Keep in mind where a SAS that nobody needs any more could not be deleted, and say so: it lives on until then."""
    if not left:
        return minted
    status = replace(minted.status, namespaces=tuple(sorted({*minted.status.namespaces, *left})))
    words = "; ".join(f"in namespace {namespace}: {said(error)}" for namespace, error in sorted(left.items()))
    message = f"{minted.finding.message}; a SAS that is not needed any more can't be deleted {words}"
    return replace(minted, status=status, finding=replace(minted.finding, message=message))


def _unchecked(finding: Finding, storage: Storage) -> Finding:
    """Say that storage was not asked; what is wrong with the credential itself is said all the same."""
    message = (
        f"{finding.message}; whether {storage.endpoint} takes it was not tried: the operator connects only to Azure "
        "Blob Storage and to what its administrator allows, by the chart's value storage.allowedHosts. In a pod: "
        "python -m modeldata doctor"
    )
    reason = Reason.STORAGE_UNCHECKED if finding.reason is Reason.CREDENTIALS_VALID else finding.reason
    return Finding(reason, message)


def _with_failed(finding: Finding, ready: bool | None, failed: Mapping[str, Finding]) -> tuple[Finding, bool | None]:
    """Add the namespaces whose Secret is not right to what is to be said of all; what is wrong for all goes first."""
    if not failed or ready is False:
        return finding, ready
    # First what waits for a person.
    order = sorted(failed.items(), key=lambda item: (item[1].reason is Reason.CREDENTIALS_UNKNOWN, item[0]))
    reason = order[0][1].reason
    # What was not granted says so itself, fit to be forwarded.
    message = "; ".join(
        each.message
        if each.reason is Reason.IDENTITY_NOT_GRANTED
        else f"the Secret with the SAS can't be kept, and is tried again, in namespace {namespace}: {each.message}"
        for namespace, each in order
    )
    return Finding(reason, message), None if reason is Reason.CREDENTIALS_UNKNOWN else False


def _later(stored: CredentialStatus, known: CredentialStatus | None) -> CredentialStatus:
    """Take the later of what the status says and what this process remembers: the rotation only ever grows."""
    return known if known is not None and known.rotation >= stored.rotation else stored
