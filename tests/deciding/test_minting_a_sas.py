from __future__ import annotations

import base64
import dataclasses
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import UserDelegationKey

from modeldata_operator.access import credentials, delegation, secrets
from modeldata_operator.access.credentials import Account, CredentialError, Delegation
from modeldata_operator.api.reasons import Reason
from modeldata_operator.api.resources import AccountSecret, FileKind

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LIFETIME = timedelta(hours=6)
KEY = base64.b64encode(b"k" * 64).decode()
ACCOUNT = Account("account", KEY)
REFERENCE = AccountSecret("account")
HASH_KEY = "0f" * 32


def secret(**values):
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def held(token, **changes):
    stored = {
        "metadata": {
            "labels": {"a": "b"},
            "annotations": {
                "modeldata.dev/rotation": "3",
                "modeldata.dev/expires-at": credentials.written(credentials.expiry(token)),
            },
        },
        **secret(sas=token, **{"hash-key": HASH_KEY}),
    }
    stored["metadata"]["annotations"].update(changes)
    return credentials.held(stored, labels={"a": "b"})


@pytest.fixture
def storage(build):
    return build.collection().storage


def token(storage, *, now=NOW):
    return credentials.fresh(ACCOUNT, storage, now=now, lifetime=LIFETIME)


def test_the_sas_is_for_the_container_and_allows_what_shared_files_need(storage):
    values = urllib.parse.parse_qs(token(storage))
    assert values["sr"] == ["c"]
    assert sorted(values["sp"][0]) == ["a", "c", "r"]
    assert values["spr"] == ["https"]
    assert values["st"] == ["2026-11-20T11:45:00Z"]
    assert values["se"] == ["2026-11-20T18:00:00Z"]


def test_the_sas_for_a_pods_own_file_only_creates_and_adds(build):
    own = build.collection(spec={"storage": {"file": "PerPod"}}).storage
    assert sorted(urllib.parse.parse_qs(token(own))["sp"][0]) == ["a", "c"]


def test_another_kind_of_file_needs_another_sas(build, storage):
    own = build.collection(spec={"storage": {"file": "PerPod"}}).storage
    assert credentials.must_rotate(held(token(storage)), ACCOUNT, own, now=NOW)
    assert credentials.must_rotate(held(token(own)), ACCOUNT, storage, now=NOW)
    assert not credentials.must_rotate(held(token(own)), ACCOUNT, own, now=NOW)


def test_a_sas_minted_while_the_clock_was_ahead_is_replaced(storage):
    early = held(token(storage, now=NOW + timedelta(minutes=20)))
    assert credentials.must_rotate(early, ACCOUNT, storage, now=NOW)


def test_a_sas_minted_while_the_clock_was_behind_is_replaced(storage):
    late = held(token(storage, now=NOW - timedelta(hours=4)))
    assert credentials.must_rotate(late, ACCOUNT, storage, now=NOW)


def test_over_plain_http_the_sas_says_nothing_of_https(build):
    storage = build.collection(
        spec={"storage": {"endpoint": "http://azurite.storage.svc:10000/devstoreaccount1"}}
    ).storage
    assert "spr" not in urllib.parse.parse_qs(token(storage))


def test_the_key_is_in_no_representation(storage):
    assert KEY not in repr(ACCOUNT)
    assert KEY not in token(storage)
    assert token(storage) not in repr(held(token(storage)))
    assert HASH_KEY not in repr(held(token(storage)))


def test_a_connection_string_gives_name_and_key(storage):
    text = f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={KEY};EndpointSuffix=core.windows.net"
    account = credentials.account(secret(connectionString=text), REFERENCE, storage)
    assert (account.name, account.key, account.note) == ("account", KEY, "")


def test_name_and_key_may_have_their_own_fields_and_a_newline(storage):
    account = credentials.account(secret(accountName="account\n", accountKey=f"{KEY}\n"), REFERENCE, storage)
    assert (account.name, account.key) == ("account", KEY)


def test_another_endpoint_in_the_connection_string_is_said(storage):
    text = f"AccountName=other;AccountKey={KEY};BlobEndpoint=https://other.blob.core.windows.net/"
    account = credentials.account(secret(connectionString=text), REFERENCE, storage)
    assert "another blob endpoint" in account.note


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"connectionString": "nonsense"},
        {"connectionString": "AccountName=a"},
        {"accountName": "a"},
        {"accountKey": KEY},
        {"accountName": "a", "accountKey": "not base64!"},
    ],
)
def test_a_secret_that_can_not_be_used_is_named_and_not_shown(storage, values):
    with pytest.raises(CredentialError) as failure:
        credentials.account(secret(**values), REFERENCE, storage)
    assert failure.value.reason is Reason.SECRET_INVALID
    assert "Secret account" in str(failure.value)
    assert not any(value in str(failure.value) for value in values.values() if len(value) > 5)


def test_a_young_sas_stays(storage):
    assert not credentials.must_rotate(held(token(storage)), ACCOUNT, storage, now=NOW + timedelta(hours=2, minutes=40))


def test_a_sas_is_renewed_before_half_its_life(storage):
    assert credentials.must_rotate(held(token(storage)), ACCOUNT, storage, now=NOW + timedelta(hours=2, minutes=45))


def test_a_missing_sas_is_minted(storage):
    assert credentials.must_rotate(None, ACCOUNT, storage, now=NOW)


@pytest.mark.parametrize(
    ("account", "container"),
    [
        (Account("other", KEY), "modeldata"),
        (Account("account", base64.b64encode(b"n" * 64).decode()), "modeldata"),
        (ACCOUNT, "elsewhere"),
    ],
)
def test_another_account_key_or_container_needs_another_sas(build, storage, account, container):
    now_wanted = build.collection(spec={"storage": {"container": container}}).storage
    assert credentials.must_rotate(held(token(storage)), account, now_wanted, now=NOW)


def test_a_tampered_sas_is_replaced(storage):
    good = token(storage)
    assert credentials.must_rotate(held(good.replace("sp=rac", "sp=racwdl")), ACCOUNT, storage, now=NOW)
    assert credentials.must_rotate(held(good + "x"), ACCOUNT, storage, now=NOW)


def test_a_tampered_expiry_annotation_is_replaced(storage):
    past = held(token(storage), **{"modeldata.dev/expires-at": "2020-01-01T00:00:00Z"})
    assert credentials.must_rotate(past, ACCOUNT, storage, now=NOW)


def test_a_secret_without_our_labels_is_not_ours():
    assert not credentials.held({"metadata": {"labels": {}}}, labels={"a": "b"}).ours


def test_nonsense_in_a_secret_is_no_token():
    stored = {"metadata": {"annotations": {"modeldata.dev/rotation": "x"}}, "data": {"sas": "%%%"}}
    read = credentials.held(stored, labels={})
    assert (read.token, read.rotation) == ("", 0)


def test_the_key_of_hashes_is_32_random_bytes_as_text():
    first, second = credentials.new_hash_key(), credentials.new_hash_key()
    assert first != second
    assert len(bytes.fromhex(first)) == 32


@pytest.mark.parametrize("text", ["", "short", "0F" * 32, "0f" * 31, "0f" * 32 + "\n"])
def test_what_was_not_made_here_is_no_key_of_hashes(text):
    assert credentials.held(secret(**{"hash-key": text}), labels={}).hash_key == ""
    assert credentials.held(secret(**{"hash-key": HASH_KEY}), labels={}).hash_key == HASH_KEY


def test_the_sas_secret_is_owned_by_its_collection_only_in_its_own_namespace(build, storage):
    collection = build.collection()
    own = secrets.sas_secret(collection, "models", token(storage), 4, hash_key=HASH_KEY)
    assert own["metadata"]["ownerReferences"][0]["uid"] == collection.uid
    assert own["metadata"]["annotations"]["modeldata.dev/rotation"] == "4"
    assert list(own["data"]) == ["sas", "hash-key"]
    assert base64.b64decode(own["data"]["hash-key"]).decode() == HASH_KEY
    default = build.collection(metadata={"name": "default", "namespace": "modeldata-system"})
    foreign = secrets.sas_secret(default, "models", token(storage), 1, hash_key=HASH_KEY)
    assert "ownerReferences" not in foreign["metadata"]
    assert foreign["metadata"]["name"] == "modeldata-operator-default"
    assert foreign["metadata"]["labels"]["modeldata.dev/data-collection-namespace"] == "modeldata-system"


def delegated(now, *, value="a"):
    key = UserDelegationKey()
    key.signed_oid, key.signed_tid, key.signed_service, key.signed_version = "o", "t", "b", "2025-11-05"
    start, end = now - credentials.CLOCK_SKEW, now + LIFETIME
    key.signed_start, key.signed_expiry = credentials.written(start), credentials.written(end)
    key.value = base64.b64encode(value.encode() * 32).decode()
    return Delegation("account", key, start, end)


def test_a_delegated_sas_ends_with_its_key_and_changes_only_with_it(storage):
    signer = delegated(NOW)
    token = credentials.fresh(signer, storage, now=NOW + timedelta(hours=1), lifetime=LIFETIME)
    assert credentials.expiry(token) == signer.end
    late = NOW + LIFETIME - timedelta(minutes=1)
    assert not credentials.must_rotate(held(token), signer, storage, now=late)
    assert credentials.must_rotate(held(token), delegated(NOW, value="b"), storage, now=NOW)
    assert credentials.must_rotate(held(token), delegated(NOW + LIFETIME / 2), storage, now=NOW)
    assert signer.key.value not in repr(signer)


def test_a_switch_between_key_and_identity_needs_another_sas(storage):
    assert credentials.must_rotate(held(token(storage)), delegated(NOW), storage, now=NOW)
    by_identity = credentials.fresh(delegated(NOW), storage, now=NOW, lifetime=LIFETIME)
    assert credentials.must_rotate(held(by_identity), ACCOUNT, storage, now=NOW)


def test_a_delegated_sas_may_do_what_its_files_need(storage):
    for file, permissions in ((FileKind.SHARED, "rac"), (FileKind.PER_POD, "ac")):
        token = credentials.mint(
            delegated(NOW), dataclasses.replace(storage, file=file), start=NOW, expiry=NOW + LIFETIME
        )
        assert urllib.parse.parse_qs(token)["sp"] == [permissions]


def test_what_is_left_of_a_sas_is_itself_until_it_ends(storage):
    present = token(storage)
    end = credentials.expiry(present)
    assert credentials.remaining(held(present), now=end - timedelta(seconds=1)).token == present
    assert credentials.remaining(held(present), now=end).token == ""
    assert credentials.remaining(None, now=NOW).token == ""
    by_policy = dataclasses.replace(held(present), token="sv=2024-11-04&si=writers&sr=c&sig=x")  # it says no end
    assert credentials.remaining(by_policy, now=end).token == by_policy.token


def test_a_secret_without_a_sas_has_the_key_of_hashes_alone(build):
    secret = secrets.sas_secret(build.collection(), "models", "", 3, hash_key="k")
    assert list(secret["data"]) == ["hash-key"]
    assert secret["metadata"]["annotations"]["modeldata.dev/expires-at"] == ""


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://account.blob.core.windows.net", "account"),
        ("https://account.privatelink.blob.core.windows.net", "account"),
        ("https://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
    ],
)
def test_the_endpoint_names_the_account(endpoint, name):
    assert delegation.account_name(endpoint) == name


@pytest.mark.parametrize(
    "values",
    [
        {"connectionString": "AccountName=account;AccountKey=eA==;" + "a=b;" * 200_000},
        {"accountName": "a" * 9000, "accountKey": "eA=="},
        {"accountName": "account", "accountKey": "eA==" * 9000},
    ],
    ids=["string", "name", "key"],
)
def test_of_a_users_secret_only_so_much_is_read_that_nobody_waits_for_it(storage, values):
    with pytest.raises(CredentialError) as failure:
        credentials.account(secret(**values), REFERENCE, storage)
    assert failure.value.reason is Reason.SECRET_INVALID
    assert "longer than the 8192 characters that are read" in str(failure.value)
