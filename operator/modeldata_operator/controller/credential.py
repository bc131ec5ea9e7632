"""What a collection's credential is at the moment: looked at once in every resync, and judged with its container."""

import logging
from collections.abc import Set
from dataclasses import dataclass, replace

import aiohttp

from ..access import minting
from ..access.minting import Minted, Minter
from ..access.probe import ContainerWatch
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.reasons import Reason
from ..api.resources import DataCollection, Storage, WorkloadIdentity
from ..decide.status import Finding
from ..kube.cluster import ApiError, Cluster
from ..observe import metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Credential:
    """The credential as last looked at, and what it was looked at for."""

    minted: Minted
    storage: Storage
    uid: str
    namespaces: frozenset[str]
    look: int


class Credentials:
    """Looks after the SAS Secrets of all collections; what is known is not asked for again until it is due."""

    def __init__(self, *, cluster: Cluster, minter: Minter, containers: ContainerWatch) -> None:
        self._cluster = cluster
        self._minter = minter
        self._containers = containers
        self._credentials: dict[ObjectKey, _Credential] = {}
        self._look = 0

    def look_again(self) -> None:
        """Make the next look at each collection one at its Secrets, which are not watched."""
        self._look += 1

    def changed(self, key: ObjectKey) -> None:
        """Make the next look at one collection one at its Secrets."""
        if key in self._credentials:
            self._credentials[key] = replace(self._credentials[key], look=-1)

    def looking(self, key: ObjectKey) -> bool:
        """Tell whether it is still being found out for the first time how a collection's container is."""
        return self._containers.first_look(key)

    async def ensure(self, collection: DataCollection, namespaces: Set[str], without_token: Set[str]) -> Minted:
        """Look after the SAS Secrets, once in every resync: switching off must not wait for them."""
        known, look = self._credentials.get(collection.key), self._look
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
                await minting.withdraw(self._cluster, collection.key, gone)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("credential collection=%s error=%s", collection.key, error)
            finding = Finding(
                Reason.CREDENTIALS_UNKNOWN, "the API server did not let the operator look: it tries again"
            )
            minted = Minted(known.minted.source if known else None, remembered, finding, ready=False)
        if not minted.ready:
            metrics.CREDENTIAL_FAILURES.labels(minted.finding.reason.value).inc()
        self._credentials[collection.key] = _Credential(
            minted, collection.storage, collection.uid, frozenset(namespaces), look
        )
        return minted

    def judge(self, collection: DataCollection, minted: Minted) -> tuple[Finding, bool | None]:
        """Say how the credential is, and whether that is good: None where it can't be told."""
        if not minted.ready or minted.source is None:
            return minted.finding, None if minted.finding.reason is Reason.CREDENTIALS_UNKNOWN else False
        if isinstance(minted.source, WorkloadIdentity):
            self._containers.forget(collection.key)
            return minted.finding, True
        storage = collection.storage.within(collection.key.namespace)
        look = self._containers.look(collection.key, minted.source, storage)
        if look is None or look.reason is None:
            return minted.finding, True
        note = f"; {minted.source.note}" if minted.source.note else ""
        # The pods may well reach what the operator can't: unknown, and not wrong.
        ready = None if look.reason is Reason.STORAGE_UNREACHABLE else False
        return Finding(look.reason, look.message + note), ready

    async def withdraw(self, key: ObjectKey, namespaces: Set[str]) -> None:
        """Take back what a deleted collection left where garbage collection does not reach."""
        known = self._credentials.get(key)
        self._containers.forget(key)
        self._minter.forget(key)
        left = namespaces | set(known.minted.status.namespaces if known else ())
        await minting.withdraw(self._cluster, key, left - {key.namespace})
        # Only now: where the API server did not let it, the next try must know the namespaces still.
        self._credentials.pop(key, None)


def _later(stored: CredentialStatus, known: CredentialStatus | None) -> CredentialStatus:
    """Take the later of what the status says and what this process remembers: the rotation only ever grows."""
    return known if known is not None and known.rotation >= stored.rotation else stored
