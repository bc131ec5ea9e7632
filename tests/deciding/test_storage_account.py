"""Against a real Azurite: the container is made, and the minted SAS allows what it must and no more."""

from __future__ import annotations

import dataclasses
import socket
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

from modeldata_operator import credentials, storage
from modeldata_operator.credentials import Account
from modeldata_operator.reasons import Reason


@pytest.fixture
def place(build, local_azurite):
    spec = {"storage": {"endpoint": local_azurite.endpoint, "container": "made-by-operator"}}
    return build.collection(spec=spec).storage


@pytest.fixture
def account(local_azurite):
    return Account(local_azurite.account_name, local_azurite.account_key)


async def test_the_container_is_made_and_found_again(place, account):
    assert (await storage.ensure_container(account, place)).reason is None
    assert (await storage.ensure_container(account, place)).reason is None


async def test_a_wrong_key_is_found(place, account):
    wrong = dataclasses.replace(account, key=account.key.replace("Eby8", "AAAA"))
    look = await storage.ensure_container(wrong, place)
    assert look.reason is Reason.KEY_REJECTED
    assert wrong.key not in look.message


async def test_storage_that_is_not_there_is_said_and_costs_little_time(place, account):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = dataclasses.replace(place, endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}/devstoreaccount1")
        look = await storage.ensure_container(account, nowhere)
    assert look.reason is Reason.STORAGE_UNREACHABLE


async def test_a_minted_sas_creates_appends_and_reads_but_neither_deletes_nor_truncates(place, account):
    await storage.ensure_container(account, place)
    token = credentials.fresh(account, place, now=datetime.now(UTC), lifetime=timedelta(hours=1))
    blob = BlobClient(place.endpoint, place.container, "a/data.csv", credential=token)
    blob.create_append_blob()
    blob.append_block(b"row\r\n")
    assert blob.download_blob().readall() == b"row\r\n"
    for forbidden in (blob.delete_blob, blob.create_append_blob):
        with pytest.raises(HttpResponseError) as refused:
            forbidden()
        assert refused.value.status_code in (403, 409)
    assert blob.download_blob().readall() == b"row\r\n"
