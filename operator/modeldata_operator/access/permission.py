"""Whom the operator's own identity may serve: asked before a key is asked for, and again before a SAS is written."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from ..api.endpoints import Endpoint
from ..api.reasons import Reason
from ..api.resources import DataCollection, OperatorIdentity, Storage
from ..decide.status import Finding
from .credentials import CredentialError, HeldSas


class Permits(Protocol):
    """The grants there are at the moment."""

    @property
    def known(self) -> bool:
        """Tell whether all of them are known; one that is not may still be there."""

    def granted(self, namespace: str, storage: Storage) -> Endpoint | None:
        """Return the endpoint in the form to dial it in, if a namespace may have a SAS for this container there."""

    def request(self, namespace: str, storage: Storage) -> str:
        """Say what is not granted, for the administrator."""


def asked_for(collection: DataCollection) -> bool:
    """Tell whether a collection asks for the operator's own identity."""
    return isinstance(collection.storage.credential, OperatorIdentity)


def permitted(permits: Permits, collection: DataCollection, namespace: str) -> bool:
    """Tell whether a namespace may have a collection's SAS. Other credentials than the operator's own need no leave."""
    return not asked_for(collection) or permits.granted(namespace, collection.storage.within(namespace)) is not None


def outlived(permits: Permits, collection: DataCollection, namespace: str, held: HeldSas | None) -> bool:
    """Tell whether a SAS was signed under a grant that is gone, for a collection that asks for something else by now.

    It may be kept meanwhile, as where the new credential can't be had, but no longer than it is granted.
    """
    if held is None or not held.granted or asked_for(collection) or not permits.known:
        return False
    return permits.granted(namespace, collection.storage.within(namespace)) is None


def withheld(permits: Permits, collection: DataCollection, namespaces: Iterable[str]) -> dict[str, Finding]:
    """Find the namespaces that no grant covers: they get no SAS, and have theirs taken out.

    Raises:
        CredentialError: that can't be told yet, and nobody's is taken out for it.

    """
    refused = [each for each in namespaces if not permitted(permits, collection, each)]
    if refused and not permits.known:
        message = "the StorageGrants of the cluster are not known yet, or the operator can't list them"
        raise CredentialError(Reason.CREDENTIALS_UNKNOWN, message)
    storage = collection.storage
    return {each: Finding(Reason.IDENTITY_NOT_GRANTED, permits.request(each, storage.within(each))) for each in refused}


def endpoint(
    permits: Permits, collection: DataCollection, namespaces: Iterable[str], refused: Mapping[str, Finding]
) -> Endpoint:
    """Return where the operator may ask for a key, in some namespace's name.

    Raises:
        CredentialError: nobody was granted it.

    """
    for namespace in sorted(set(namespaces) - set(refused)):
        found = permits.granted(namespace, collection.storage.within(namespace))
        if found is not None:
            return found
    # The operator's own default runs no pods where it stands: first who asks for it.
    first = min(refused, key=lambda each: (each == collection.key.namespace, each))
    raise CredentialError(Reason.IDENTITY_NOT_GRANTED, refused[first].message)
