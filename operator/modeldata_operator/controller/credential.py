"""What a collection's credential is at the moment: looked at once in every resync, and judged with its container."""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..access import withdrawing
from ..access.credentials import Delegation, Source
from ..access.minting import Minted, Minter
from ..access.probe import ContainerWatch
from ..access.withdrawing import Left
from ..api import endpoints
from ..api.endpoints import AllowedHost
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.reasons import Reason
from ..api.resources import DataCollection, Storage, WorkloadIdentity
from ..decide import hosts
from ..decide.status import Finding
from ..known.grants import Grants
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, said
from ..observe import metrics

logger = logging.getLogger(__name__)


# Looked at again, and then perhaps well.
_PASSING = (Reason.CREDENTIALS_UNKNOWN, Reason.STORAGE_UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a credential is: all in all, and where."""

    finding: Finding
    ready: bool | None
    """None where it can't be told."""
    of_all: Finding
    """What is to be said of the source, and so of every namespace."""
    source_ready: bool
    failed: Mapping[str, Finding]
    """Namespaces that can't be served all the same, and why."""

    @property
    def unserved(self) -> frozenset[str]:
        """Name those whose pods have nothing to collect with. They may well reach a storage that the operator can't."""
        return frozenset(key for key, found in self.failed.items() if found.reason is not Reason.STORAGE_UNREACHABLE)


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
        default: ObjectKey,
    ) -> None:
        """Begin with nothing. The default is the one collection that has anything to do with others' namespaces."""
        self._cluster = cluster
        self._default = default
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

    def looking(self, key: ObjectKey) -> frozenset[str]:
        """Name the namespaces of whose container it is still being found out for the first time how it is."""
        return self._containers.first_looks(key)

    def known(self, collection: DataCollection) -> Minted | None:
        """Say what was found the last time, if that was for the same storage."""
        known = self._credentials.get(collection.key)
        if known is None or known.uid != collection.uid or known.storage != collection.storage:
            return None
        return known.minted

    async def ensure(self, collection: DataCollection, namespaces: Set[str], without_token: Set[str]) -> Minted:
        """Look after the SAS Secrets, once in every resync: what is known is not asked for again until then."""
        known = self._credentials.get(collection.key)
        look = self._look, self._changes.get(collection.key, 0)
        if (
            known is not None
            and self.known(collection) is not None
            and namespaces <= known.namespaces
            and look == known.look
        ):
            return known.minted
        remembered = _later(collection.status.credential, known.minted.status if known else None)
        if collection.key != self._default:
            # Whoever may write this status must not have Secrets of others looked at, nor deleted.
            remembered = replace(remembered, namespaces=(), rotations={})
        try:
            minted = await self._minter.ensure(
                collection, namespaces, remembered=remembered, without_token=without_token
            )
            gone = set(remembered.namespaces) - namespaces
            if gone:
                left = await withdrawing.withdraw(self._cluster, collection.key, gone)
                minted = _with_left(_without(minted, gone), left)
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

    def judge(self, collection: DataCollection, minted: Minted) -> Judgement:
        """Say how the credential is, and whether that is good."""
        if not minted.ready or minted.source is None:
            if minted.finding.reason is Reason.IDENTITY_NOT_GRANTED:
                # With its key, and the look that may be on its way with it.
                self._containers.forget(collection.key)
            ready = None if minted.finding.reason is Reason.CREDENTIALS_UNKNOWN else False
            return Judgement(minted.finding, ready, minted.finding, ready is not False, {})
        if isinstance(minted.source, WorkloadIdentity):
            self._containers.forget(collection.key)
            return _judgement(minted.finding, True, minted.failed)
        own, *others = (collection.key.namespace, *minted.status.namespaces)
        self._containers.keep(collection.key, {own, *others})
        finding, ready = self._judge_container(collection, minted.source, own, minted.finding)
        failed, looked_at = dict(minted.failed), self.dialled(collection, minted.source, own)
        for namespace in others:
            if looked_at is not None and looked_at.container == collection.storage.within(namespace).container:
                continue  # what was found of it is said already
            found, good = self._judge_container(collection, minted.source, namespace, minted.finding)
            if good is not True and namespace not in failed:
                failed[namespace] = found
        return _judgement(finding, ready, failed)

    def _judge_container(
        self, collection: DataCollection, source: Source, namespace: str, finding: Finding
    ) -> tuple[Finding, bool | None]:
        storage = self.dialled(collection, source, namespace)
        if storage is None and isinstance(source, Delegation):
            return finding, True  # not granted there, which is said of that namespace
        if storage is None:
            return _unchecked(finding, collection.storage), True
        look = self._containers.look(collection.key, namespace, source, storage)
        if look is None or look.reason is None:
            return finding, True
        note = f"; {source.note}" if source.note else ""
        # The pods may well reach what the operator can't: unknown, and not wrong.
        ready = None if look.reason is Reason.STORAGE_UNREACHABLE else False
        return Finding(look.reason, look.message + note), ready

    def dialled(self, collection: DataCollection, source: Source, namespace: str) -> Storage | None:
        """Return the container of a namespace to look at, with its endpoint in the form to dial it in.

        None where the operator opens no connection: it would tell a tenant what answers at an address, and lend the
        tenant its place in the network.
        """
        storage = collection.storage.within(namespace)
        granted = self._grants.granted(namespace, storage)
        if granted is not None:
            return replace(storage, endpoint=str(granted))
        endpoint = endpoints.parse(collection.storage.endpoint)
        if isinstance(source, Delegation) or not hosts.may_dial(endpoint, self._allowed_hosts):
            return None
        return replace(storage, endpoint=str(endpoint))

    async def withdraw(self, key: ObjectKey, namespaces: Set[str]) -> None:
        """Take back what a deleted collection left where garbage collection does not reach."""
        known = self._credentials.get(key)
        self._containers.forget(key)
        self._minter.forget(key)
        served = namespaces | set(known.minted.status.namespaces if known else ())
        for left in (await withdrawing.withdraw(self._cluster, key, served - {key.namespace})).values():
            # Only then it is forgotten where to look: the next try must know the namespaces still.
            raise left.error
        self._credentials.pop(key, None)
        self._changes.pop(key, None)


def _without(minted: Minted, gone: Set[str]) -> Minted:
    """Drop namespaces that are not served any more from what is remembered."""
    left = tuple(namespace for namespace in minted.status.namespaces if namespace not in gone)
    rotations = {key: value for key, value in minted.status.rotations.items() if key not in gone}
    return replace(minted, status=replace(minted.status, namespaces=left, rotations=rotations))


def _with_left(minted: Minted, left: Mapping[str, Left]) -> Minted:
    """Keep in mind where a SAS that nobody needs any more could not be deleted, and say so: it lives on until then."""
    if not left:
        return minted
    status = replace(minted.status, namespaces=tuple(sorted({*minted.status.namespaces, *left})))
    words = "; ".join(f"in namespace {namespace}: {said(left[namespace].error)}" for namespace in sorted(left))
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


def _judgement(finding: Finding, ready: bool | None, failed: Mapping[str, Finding]) -> Judgement:
    """Add the namespaces that can't be served to what is to be said of all; what is wrong for all goes first."""
    if not failed or ready is False:
        return Judgement(finding, ready, finding, ready is not False, failed)
    # First what waits for a person.
    order = sorted(failed.items(), key=lambda item: (item[1].reason in _PASSING, item[0]))
    reason = order[0][1].reason
    # What was not granted says so itself, fit to be forwarded.
    message = "; ".join(
        each.message
        if each.reason is Reason.IDENTITY_NOT_GRANTED
        else f"no valid SAS can be kept, which is tried again, in namespace {namespace}: {each.message}"
        for namespace, each in order
    )
    return Judgement(Finding(reason, message), None if reason in _PASSING else False, finding, True, failed)


def _later(stored: CredentialStatus, known: CredentialStatus | None) -> CredentialStatus:
    """Take the later of what the status says and what this process remembers: the rotation only ever grows."""
    return known if known is not None and known.rotation >= stored.rotation else stored
