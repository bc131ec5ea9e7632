"""What is behind each of the service's answers: a name, whether another file helps, and what a person can do."""

from __future__ import annotations

import pytest

from modeldata.delivery.azure import answers, refusal
from modeldata.observe import causes

NEXT_FILE = answers.ENDED


def replied(status: int | None, code: str) -> answers.Reply:
    detail = f"{status} {code}" if status is not None else "ServiceRequestError"
    return answers.Reply(answers.classify(status, code), detail)


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (409, "BlobImmutableDueToPolicy", "immutable"),
        (409, "BlobImmutableDueToLegalHold", "immutable"),
        (412, "LeaseIdMissing", "lease"),
        (412, "LeaseIdMismatchWithBlobOperation", "lease"),
        (412, "LeaseLost", "lease"),
        (403, "RequestForbiddenByContainerEncryptionPolicy", "encryption"),
        (403, "KeyVaultEncryptionKeyNotFound", "encryption"),
        (403, "KeyVaultAccessTokenCannotBeAcquired", "encryption"),
        (409, "EncryptionScopeDisabled", "encryption"),
        (409, "ResourceTypeMismatch", "directory"),
        (409, "PathConflict", "directory"),
        (409, "PathAlreadyExists", "directory"),
        (403, "AuthenticationFailed", "credential"),
        (401, "InvalidAuthenticationInfo", "credential"),
        (401, "NoAuthenticationInformation", "credential"),
        (403, "AuthorizationPermissionMismatch", "forbidden"),
        (403, "AuthorizationFailure", "forbidden"),
        (403, "InsufficientAccountPermissions", "forbidden"),
        (403, "AccountIsDisabled", "account_disabled"),
        (409, "AccountBeingCreated", "account_disabled"),
        (404, "ContainerNotFound", "container"),
        (409, "ContainerDisabled", "container"),
        (409, "ContainerBeingDeleted", "busy"),
        (429, "TooManyRequests", "busy"),
        (500, "InternalError", "busy"),
        (503, "ServerBusy", "busy"),
        (503, "", "busy"),
        (None, "", "unreachable"),
        (400, "InvalidHeaderValue", "other"),
        (418, "", "other"),
    ],
)
def test_each_refusal_has_a_name(status: int | None, code: str, cause: str) -> None:
    found = refusal.cause(replied(status, code))
    assert found.value == cause
    assert found.way_out


@pytest.mark.parametrize(
    "code",
    [
        "BlobArchived",
        "BlobBeingRehydrated",
        "BlobImmutableDueToPolicy",
        "BlobImmutableDueToLegalHold",
        "BlobIsSealed",
        "BlobOperationNotSupported",
        "BlobUsesCustomerSpecifiedEncryption",
        "BlockCountExceedsLimit",
        "InvalidBlobType",
        "OperationNotSupportedOnDirectory",
    ],
)
def test_what_concerns_one_file_alone_is_followed_by_the_next(code: str) -> None:
    assert answers.classify(409, code) in NEXT_FILE


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (412, "LeaseIdMissing"),
        (403, "AccountIsDisabled"),
        (403, "AuthorizationPermissionMismatch"),
        (403, "RequestForbiddenByContainerEncryptionPolicy"),
        (409, "ResourceTypeMismatch"),
        (503, "ServerBusy"),
        (None, ""),
    ],
)
def test_for_all_else_no_other_file_is_made(status: int | None, code: str) -> None:
    assert answers.classify(status, code) not in NEXT_FILE


@pytest.mark.parametrize(("status", "code"), [(403, "AccountIsDisabled"), (503, "ServerBusy"), (None, "")])
def test_rows_are_dropped_for_what_may_concern_all_files_only_where_others_arrive(
    status: int | None, code: str
) -> None:
    assert refusal.concerns_all(replied(status, code))


def test_every_cause_says_what_to_do() -> None:
    assert all(each.way_out for each in causes.Cause)
