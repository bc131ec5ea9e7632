"""What an owner of storage may set, and Azurite does not know: answers by state, with the service's own codes.

As everything that the proxy answers, they stay true: a policy refuses what it refuses until it is taken away, and asks
Azurite first where the answer depends on what is there.
"""

from __future__ import annotations

import dataclasses
import typing

Answer = tuple[int, str, str]
"""Status, code and message, as the service words them."""

Look = typing.Callable[[], int]
"""Returns what Azurite answers this append at a position that nothing reaches: 404 for a blob that is not there."""

IMMUTABLE = (
    409,
    "BlobImmutableDueToPolicy",
    "This operation is not permitted as the blob is immutable due to a policy.",
)
LEGAL_HOLD = (
    409,
    "BlobImmutableDueToLegalHold",
    "This operation is not permitted as the blob is immutable due to one or more legal holds.",
)
LEASE = (412, "LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified in the request.")
SCOPE = (
    403,
    "RequestForbiddenByContainerEncryptionPolicy",
    "The request is forbidden by the container encryption policy.",
)
KEY = (
    409,
    "BlobUsesCustomerSpecifiedEncryption",
    "The blob is encrypted with customer specified encryption, but it was not provided in the request.",
)
VAULT = (403, "KeyVaultEncryptionKeyNotFound", "The key vault key is not found to unwrap the encryption key.")
NOT_PERMITTED = (
    403,
    "AuthorizationPermissionMismatch",
    "This request is not authorized to perform this operation using this permission.",
)
DIRECTORY = (409, "OperationNotSupportedOnDirectory", "This operation is not supported on a directory.")
FILE_IN_THE_WAY = (409, "ResourceTypeMismatch", "The specified resource type does not match the type of the resource.")
ARCHIVED = (409, "BlobArchived", "This operation is not permitted on an archived blob.")
DISABLED = (403, "AccountIsDisabled", "The specified account is disabled.")
CONTAINER_DISABLED = (409, "ContainerDisabled", "The specified container has been disabled by the administrator.")
BUSY = (503, "ServerBusy", "The server is busy.")
BROKEN = (500, "InternalError", "The server encountered an internal error. Please retry the request.")


class Policy(typing.Protocol):
    """Says no, or nothing."""

    def answer(self, method: str, address: str, look: Look) -> Answer | None:
        """Return what a request is answered; None if it is Azurite's."""


@dataclasses.dataclass
class Refuses:
    """Each request whose address has one of these pieces; with ``but``, each whose address has none of them."""

    refusal: Answer
    where: tuple[str, ...] = ("",)
    but: tuple[str, ...] = ()
    reads: bool = True
    """Whether what only reads is refused too."""

    def answer(self, method: str, address: str, look: Look) -> Answer | None:
        if any(piece in address for piece in self.but) or not any(piece in address for piece in self.where):
            return None
        return self.refusal if self.reads or method == "PUT" else None


@dataclasses.dataclass
class Immutable:
    """A retention policy or legal hold: what is there may not be changed, what is not may be made."""

    refusal: Answer = IMMUTABLE
    protected_appends: bool = False
    """Whether append blobs may grow all the same (``allowProtectedAppendWrites``)."""
    where: str = ""
    """A piece of the address; with version-level policies they are single blobs'."""

    def answer(self, method: str, address: str, look: Look) -> Answer | None:
        if self.where not in address or "comp=appendblock" not in address or self.protected_appends:
            return None
        return self.refusal if look() in (409, 412) else None


@dataclasses.dataclass
class OnExisting:
    """A state of some blobs that are there: archived, leased, encrypted with somebody's key."""

    refusal: Answer
    names: tuple[str, ...]
    """What the addresses end with, before the question mark."""
    reads: bool = True

    def answer(self, method: str, address: str, look: Look) -> Answer | None:
        if not address.partition("?")[0].endswith(self.names):
            return None
        return self.refusal if self.reads or method == "PUT" else None
