from __future__ import annotations

import asyncio
import dataclasses
import typing
from datetime import UTC, datetime, timedelta

import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob import UserDelegationKey

from modeldata_operator.access import credentials, delegation
from modeldata_operator.access.credentials import CredentialError
from modeldata_operator.api import resources
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.reasons import Reason
from modeldata_operator.configuration import OwnIdentity

LIFETIME = timedelta(hours=6)
KEY = ObjectKey("models", "churn")
STORAGE = resources.Storage(
    "https://account.blob.core.windows.net", "rows", "{file}", resources.OperatorIdentity(), resources.FileKind.SHARED
)


class Keys:
    """Keys, or a failure, at once."""

    def __init__(self) -> None:
        self.failure: CredentialError | None = None
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def ask(self, endpoint: str, start: datetime, end: datetime) -> UserDelegationKey:
        self.asked.append((endpoint, start, end))
        if self.failure is not None:
            raise self.failure
        return UserDelegationKey()

    async def close(self) -> None:
        pass


class World:
    """Delegations with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        self.keys = Keys()
        self.changed: list[ObjectKey] = []
        self.delegations = delegation.Delegations(
            self.keys, self.changed.append, lifetime=LIFETIME, clock=lambda: self.now
        )

    async def settled(self) -> None:
        """Let the tasks end that the last call has started."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def signer(self) -> credentials.Delegation:
        return self.delegations.signer(KEY, STORAGE)

    async def first(self) -> credentials.Delegation:
        with pytest.raises(CredentialError):
            self.signer()
        await self.settled()
        return self.signer()


async def test_the_first_key_is_asked_for_in_the_background_and_its_coming_is_told() -> None:
    world = World()
    with pytest.raises(CredentialError) as pending:
        world.signer()
    assert pending.value.reason is Reason.CREDENTIALS_UNKNOWN
    await world.settled()
    assert world.changed == [KEY]
    signer = world.signer()
    assert (signer.start, signer.end) == (world.now - credentials.CLOCK_SKEW, world.now + LIFETIME)
    assert len(world.keys.asked) == 1


async def test_a_key_is_renewed_before_half_its_life_and_used_until_the_next_is_there() -> None:
    world = World()
    first = await world.first()
    world.now += LIFETIME * 0.44
    assert world.signer() is first
    await world.settled()
    assert len(world.keys.asked) == 1
    world.now += LIFETIME * 0.03
    assert world.signer() is first
    await world.settled()
    assert world.signer().end > first.end
    assert world.changed == [KEY, KEY]


async def test_a_key_that_can_not_be_renewed_is_used_to_its_end_and_the_reason_is_told(
    failures: typing.Callable[[str], float],
) -> None:
    world = World()
    first = await world.first()
    world.keys.failure = CredentialError(Reason.IDENTITY_REJECTED, "no such role")
    world.now = first.end - timedelta(minutes=1)
    world.signer()
    await world.settled()
    assert world.signer().note == "not renewed: no such role"
    assert failures("IdentityRejected") == 1
    world.now = first.end
    with pytest.raises(CredentialError) as ended:
        world.signer()
    assert ended.value.reason is Reason.IDENTITY_REJECTED


async def test_a_failure_rests_before_it_is_tried_again() -> None:
    world = World()
    world.keys.failure = CredentialError(Reason.IDENTITY_UNAVAILABLE, "no token")
    for _ in range(5):
        with pytest.raises(CredentialError):
            world.signer()
        await world.settled()
    assert len(world.keys.asked) == 1
    assert world.changed == [KEY]
    world.now += delegation.AGAIN_AFTER + timedelta(seconds=1)
    world.keys.failure = None
    assert await world.first()
    assert world.changed == [KEY, KEY]


async def test_another_account_needs_another_key() -> None:
    world = World()
    await world.first()
    elsewhere = dataclasses.replace(STORAGE, endpoint="https://other.blob.core.windows.net")
    with pytest.raises(CredentialError):
        world.delegations.signer(KEY, elsewhere)
    await world.settled()
    assert world.delegations.signer(KEY, elsewhere).name == "other"


def test_the_nodes_identity_takes_nobodys_place_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    with pytest.raises(ValueError, match=r"tenant_id|token_file"):
        delegation.signed_in(OwnIdentity.WORKLOAD)
    assert isinstance(delegation.signed_in(OwnIdentity.MANAGED), ManagedIdentityCredential)


async def test_without_any_identity_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token")
    monkeypatch.setenv("AZURE_CLIENT_ID", "c")
    monkeypatch.setenv("AZURE_TENANT_ID", "t")
    keys = delegation.AzureKeys(OwnIdentity.WORKLOAD)
    now = datetime.now(UTC)
    try:
        with pytest.raises(CredentialError, match="no identity of its own") as failure:
            await keys.ask(STORAGE.endpoint, now, now + LIFETIME)
    finally:
        await keys.close()
    assert failure.value.reason is Reason.IDENTITY_UNAVAILABLE
