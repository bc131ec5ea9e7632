"""Against a real Azurite: the container is made, and the minted SAS allows what it must and no more."""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import socket
import urllib.parse
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import yarl
from aiohttp import web
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient

from modeldata_operator.access import closing, credentials, probe
from modeldata_operator.access.credentials import Account, GivenSas
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.reasons import Reason
from modeldata_operator.api.resources import FileKind


@pytest.fixture
def place(build, local_azurite):
    spec = {"storage": {"endpoint": local_azurite.endpoint, "container": "made-by-operator"}}
    return build.collection(spec=spec).storage


@pytest.fixture
def account(local_azurite):
    return Account(local_azurite.account_name, local_azurite.account_key)


async def test_the_container_is_made_and_found_again(place, account):
    assert (await probe.look_at(account, place)).reason is None
    assert (await probe.look_at(account, place)).reason is None


async def test_a_wrong_key_is_found(place, account):
    wrong = dataclasses.replace(account, key=account.key.replace("Eby8", "AAAA"))
    look = await probe.look_at(wrong, place)
    assert look.reason is Reason.KEY_REJECTED
    assert wrong.key not in look.message


async def test_storage_that_is_not_there_is_said_and_costs_little_time(place, account):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = dataclasses.replace(place, endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}/devstoreaccount1")
        look = await probe.look_at(account, nowhere)
    assert look.reason is Reason.STORAGE_UNREACHABLE


async def test_a_minted_sas_creates_appends_and_reads_but_neither_deletes_nor_truncates(place, account):
    await probe.look_at(account, place)
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


@pytest.mark.parametrize("deletes", [False, True])
async def test_a_jobs_sas_lists_reads_and_replaces_and_deletes_only_where_that_was_asked_for(place, account, deletes):
    await probe.look_at(account, place)
    now = datetime.now(UTC)
    token = closing.token(account, place, deletes=deletes, start=now, end=now + timedelta(hours=1))
    key = {"account_name": account.name, "account_key": account.key}
    raw = BlobClient(place.endpoint, place.container, f"{deletes}/data.csv", credential=key)
    raw.create_append_blob()
    raw.append_block(b"row\r\n")
    container = ContainerClient(place.endpoint, place.container, credential=token)
    assert f"{deletes}/data.csv" in [each.name for each in container.list_blobs()]
    assert container.get_blob_client(f"{deletes}/data.csv").download_blob().readall() == b"row\r\n"
    closed = container.get_blob_client(f"closed/{deletes}/data.csv")
    for content in (b"first", b"second"):
        closed.stage_block("MQ==", content)
        closed.commit_block_list([BlobBlock("MQ==")])
    manifest = container.get_blob_client(f"{deletes}/_closed.json")
    manifest.upload_blob(b"{}", overwrite=False)
    etag = manifest.get_blob_properties().etag
    manifest.upload_blob(b"{1}", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
    if deletes:
        container.delete_blob(f"{deletes}/data.csv")
        return
    for forbidden in (lambda: container.delete_blob(f"{deletes}/data.csv"), container.delete_container):
        with pytest.raises(HttpResponseError) as refused:
            forbidden()
        assert refused.value.status_code == 403


async def test_a_jobs_sas_is_of_no_use_for_another_container_nor_after_its_time(place, account):
    now = datetime.now(UTC)
    other = dataclasses.replace(place, container="another-one")
    for each in (place, other):
        await probe.look_at(account, each)
    token = closing.token(account, place, deletes=True, start=now, end=now + timedelta(hours=1))
    over = closing.token(account, place, deletes=True, start=now - timedelta(hours=2), end=now - timedelta(minutes=1))
    for where, credential in ((other, token), (place, over)):
        with pytest.raises(HttpResponseError) as refused:
            list(ContainerClient(where.endpoint, where.container, credential=credential).list_blobs())
        assert refused.value.status_code == 403


@pytest.mark.parametrize("file", FileKind)
async def test_a_minted_sas_is_of_no_use_for_another_container(place, account, file):
    place = dataclasses.replace(place, container="modeldata-{namespace}", file=file)
    own, other = place.within("first"), place.within("second")
    for each in (own, other):
        await probe.look_at(account, each)
    token = credentials.fresh(account, own, now=datetime.now(UTC), lifetime=timedelta(hours=1))
    BlobClient(own.endpoint, own.container, f"{file}/data.csv", credential=token).create_append_blob()
    foreign = BlobClient(other.endpoint, other.container, "a/data.csv", credential=token)
    container = ContainerClient(other.endpoint, other.container, credential=token)
    tries = (
        foreign.create_append_blob,
        foreign.get_blob_properties,
        lambda: foreign.append_block(b"row"),
        lambda: list(container.list_blobs()),
    )
    for forbidden in tries:
        with pytest.raises(HttpResponseError) as refused:
            forbidden()
        assert refused.value.status_code == 403


async def test_a_sas_for_a_pods_own_file_can_neither_read_list_overwrite_nor_delete(place, account):
    place = dataclasses.replace(place, file=FileKind.PER_POD)
    await probe.look_at(account, place)
    token = credentials.fresh(account, place, now=datetime.now(UTC), lifetime=timedelta(hours=1))
    blob = BlobClient(place.endpoint, place.container, "b/data.pod.csv", credential=token)
    blob.create_append_blob()
    blob.append_block(b"row\r\n")
    container = ContainerClient(place.endpoint, place.container, credential=token)
    for forbidden in (
        blob.download_blob,
        blob.get_blob_properties,
        blob.delete_blob,
        blob.create_append_blob,
        lambda: blob.upload_blob(b"other", overwrite=True),
        lambda: list(container.list_blobs()),
        container.get_container_properties,
        container.delete_container,
    ):
        with pytest.raises(HttpResponseError) as refused:
            forbidden()
        assert refused.value.status_code in (403, 409)
    key = {"account_name": account.name, "account_key": account.key}
    whole = BlobClient(place.endpoint, place.container, "b/data.pod.csv", credential=key).download_blob().readall()
    assert whole == b"row\r\n"


def given(account, place):
    token = credentials.fresh(account, place, now=datetime.now(UTC), lifetime=timedelta(hours=1))
    return GivenSas(token, expires_soon=False)


@pytest.mark.parametrize("file", list(FileKind))
async def test_a_given_sas_that_works_is_seen_to_work_and_leaves_nothing(place, account, file):
    place = dataclasses.replace(place, container=f"given-{file.lower()}", file=file)
    await probe.look_at(account, place)
    assert (await probe.look_at(given(account, place), place)).reason is None
    key = {"account_name": account.name, "account_key": account.key}
    assert list(ContainerClient(place.endpoint, place.container, credential=key).list_blobs()) == []


async def test_a_given_sas_that_storage_rejects_is_found_and_not_shown(place, account):
    await probe.look_at(account, place)
    good = given(account, place)
    wrong = GivenSas(good.token.replace("sig=", "sig=AAAA"), expires_soon=False)
    look = await probe.look_at(wrong, place)
    assert look.reason is Reason.SAS_REJECTED
    assert urllib.parse.parse_qs(good.token)["sig"][0] not in look.message


async def test_a_container_that_a_given_sas_can_not_make_is_named(place, account):
    nowhere = dataclasses.replace(place, container="nobody-made-this")
    look = await probe.look_at(given(account, nowhere), nowhere)
    assert look.reason is Reason.STORAGE_REFUSED
    assert "container nobody-made-this does not exist" in look.message


@pytest.fixture
async def set_clock(local_azurite):
    """A proxy in front of Azurite that has the time of day it is told; returns its endpoint."""
    clock = {"ahead": timedelta(0)}

    async def forward(request: web.Request) -> web.Response:
        origin = local_azurite.endpoint.rsplit("/", 1)[0]
        # As it was sent: path and headers are signed.
        target = yarl.URL(f"{origin}{request.raw_path}", encoded=True)
        body = await request.read() or None
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Content-Type", "User-Agent", "Accept"]) as session,
            session.request(request.method, target, headers=request.headers, data=body) as answer,
        ):
            hop = ("date", "transfer-encoding", "content-length")
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in hop}
            headers["Date"] = email.utils.format_datetime(datetime.now(UTC) + clock["ahead"], usegmt=True)
            return web.Response(status=answer.status, headers=headers, body=await answer.read())

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def tell(ahead: timedelta) -> str:
        clock["ahead"] = ahead
        return f"http://127.0.0.1:{runner.addresses[0][1]}/{local_azurite.account_name}"

    yield tell
    await runner.cleanup()


@pytest.mark.parametrize(
    ("ahead", "said"), [(timedelta(minutes=20), "20 minutes behind"), (timedelta(minutes=-20), "20 minutes ahead of")]
)
@pytest.mark.parametrize("key_is_right", [True, False])
async def test_a_clock_that_is_wrong_is_said_before_anything_else(place, account, set_clock, ahead, said, key_is_right):
    place = dataclasses.replace(place, endpoint=await set_clock(ahead))
    if not key_is_right:
        account = dataclasses.replace(account, key=account.key.replace("Eby8", "AAAA"))
    look = await probe.look_at(account, place)
    assert look.reason is Reason.CLOCK_SKEW
    assert said in look.message


async def test_a_clock_that_is_nearly_right_is_no_news(place, account, set_clock):
    place = dataclasses.replace(place, endpoint=await set_clock(timedelta(minutes=5)))
    assert (await probe.look_at(account, place)).reason is None


async def changes(queue, count):
    return {await asyncio.wait_for(queue.get(), 30) for _ in range(count)}


async def test_collections_that_share_a_container_and_a_key_share_the_look(place, account, failures):
    changed = asyncio.Queue()
    watch = probe.ContainerWatch(changed.put_nowait)
    churn, ranker = ObjectKey("models", "churn"), ObjectKey("models", "ranker")
    assert watch.look(churn, "models", account, place) is None
    assert watch.look(ranker, "models", account, place) is None
    assert await changes(changed, 2) == {churn, ranker}
    assert watch.look(churn, "models", account, place) == probe.Look(None, "")

    wrong = dataclasses.replace(account, key=account.key.replace("Eby8", "AAAA"))
    assert watch.look(churn, "models", wrong, place) is None
    assert await changes(changed, 1) == {churn}
    found = watch.look(churn, "models", wrong, place)
    assert found is not None
    assert found.reason is Reason.KEY_REJECTED
    assert watch.look(ranker, "models", account, place) == probe.Look(None, "")
    assert failures("KeyRejected") == 1


async def test_what_was_well_is_looked_at_again_at_the_next_resync(place, account, set_clock):
    now, changed = [100.0], asyncio.Queue()
    watch = probe.ContainerWatch(changed.put_nowait, clock=lambda: now[0])
    place = dataclasses.replace(place, endpoint=await set_clock(timedelta(0)))
    key = ObjectKey("models", "churn")
    watch.look(key, "models", account, place)
    await changes(changed, 1)
    await set_clock(timedelta(minutes=20))
    assert watch.look(key, "models", account, place) == probe.Look(None, "")
    now[0] += 30
    watch.look(key, "models", account, place)
    await changes(changed, 1)
    found = watch.look(key, "models", account, place)
    assert found is not None
    assert found.reason is Reason.CLOCK_SKEW
