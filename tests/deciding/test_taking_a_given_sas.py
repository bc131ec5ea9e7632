"""A SAS that somebody else renews is judged by what it says of itself, and never shown."""

from __future__ import annotations

import base64
import dataclasses
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest

from modeldata_operator.access import credentials, sas
from modeldata_operator.access.credentials import Account, CredentialError, GivenSas
from modeldata_operator.api.reasons import Reason
from modeldata_operator.api.resources import FileKind, SasTokenSecret

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
REFERENCE = SasTokenSecret("writer", "token")
SIGNATURE = "c2lnbmF0dXJlLXRoYXQtbm9ib2R5LW1heS1zZWU="
FIELDS = {
    "sv": "2024-11-04",
    "st": "2026-11-20T10:00:00Z",
    "se": "2026-11-20T18:00:00Z",
    "sr": "c",
    "sp": "rac",
    "sig": SIGNATURE,
}


def token(**changes):
    return urllib.parse.urlencode({key: value for key, value in {**FIELDS, **changes}.items() if value is not None})


def given(text, storage, *, key="token"):
    secret = {"data": {key: base64.b64encode(text.encode()).decode()}}
    return credentials.given(secret, REFERENCE, storage, now=NOW)


def refusal(text, storage, **arguments):
    with pytest.raises(CredentialError) as failure:
        given(text, storage, **arguments)
    assert "Secret writer" in str(failure.value)
    assert SIGNATURE not in str(failure.value)
    assert urllib.parse.quote(SIGNATURE) not in str(failure.value)
    return failure.value


@pytest.fixture
def storage(build):
    return build.collection().storage


@pytest.fixture
def own_files(storage):
    return dataclasses.replace(storage, file=FileKind.PER_POD)


def test_a_good_one_is_taken_as_it_is(storage):
    assert given(token(), storage) == GivenSas(token(), expires_soon=False)
    assert SIGNATURE not in repr(given(token(), storage))


@pytest.mark.parametrize("around", ["?{}", " {}\n", "\n? {}\r\n"])
def test_a_question_mark_and_white_space_do_no_harm(storage, around):
    assert given(around.format(token()), storage).token == token()


@pytest.mark.parametrize(
    "text",
    [
        token(sr=None, ss="b", srt="o"),
        token(sr=None, ss="bfqt", srt="sco", sp="rwdlac"),
        token(sp=None, st=None, se=None, si="policy"),
        token(se="2026-11-20T18:00Z"),
        token(se="2026-11-21"),
        token(skoid="o", sktid="t", skv="2024-11-04"),
    ],
)
def test_other_kinds_are_taken_too(storage, text):
    assert given(text, storage).token == text


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("", Reason.SECRET_INVALID, "is no SAS"),
        ("hunter2", Reason.SECRET_INVALID, "is no SAS"),
        (token(sig=None), Reason.SECRET_INVALID, "is no SAS"),
        (token() + "&a=b" * 1500, Reason.SECRET_INVALID, "is no SAS"),
        (token() + "&a=b" * 200_000, Reason.SECRET_INVALID, "longer than the 8192 characters that are read"),
        (token() + "\n" + token(), Reason.SECRET_INVALID, "is no SAS"),
        (f"https://a.blob.core.windows.net/c?{token()}", Reason.SECRET_INVALID, "behind the URL's question mark"),
        (token(se="2026-11-20T12:00:00Z"), Reason.SAS_EXPIRED, "expired at 2026-11-20T12:00:00Z"),
        (token(se="2026-11-20"), Reason.SAS_EXPIRED, "expired at 2026-11-20T00:00:00Z"),
        (token(st="2026-11-20T13:00:00Z"), Reason.SAS_NOT_VALID_YET, "valid from 2026-11-20T13:00:00Z on"),
        (token(sp="r"), Reason.SAS_INSUFFICIENT, "sp=r, and Shared files need rac"),
        (token(sp="ac"), Reason.SAS_INSUFFICIENT, "sp=ac, and Shared files need rac"),
        (token(sr="b"), Reason.SAS_INSUFFICIENT, "not for a container"),
        (token(sr=None, ss="f", srt="o"), Reason.SAS_INSUFFICIENT, "not for blobs"),
        (token(sr=None, ss="b", srt="sc"), Reason.SAS_INSUFFICIENT, "not for objects"),
    ],
)
def test_what_pods_can_not_write_with_is_refused_with_its_reason(storage, text, reason, said):
    error = refusal(text, storage)
    assert error.reason is reason
    assert said in str(error)


def test_what_somebody_wrote_in_the_place_of_a_sas_is_not_taken_apart_field_by_field():
    # A megabyte of them would take a second or two, in which nobody else is served.
    found = sas.parse(token() + "&a=b" * 200_000)
    assert (found.signed, found.expiry) == (False, None)


def test_for_https_only_it_is_no_use_at_a_plain_endpoint(storage):
    assert given(token(spr="https"), storage)
    plain = dataclasses.replace(storage, endpoint="http://azurite.storage.svc:10000/devstoreaccount1")
    assert "the endpoint is http" in str(refusal(token(spr="https"), plain))
    assert given(token(spr="https,http"), plain)


def test_own_files_need_no_right_to_read(own_files):
    assert given(token(sp="ac"), own_files).note == ""
    assert "PerPod files need ac" in str(refusal(token(sp="rc"), own_files))


def test_rights_beyond_what_is_needed_are_said(storage, own_files):
    assert given(token(), storage).note == ""
    assert given(token(sp="racwd"), storage).note == "it allows more than pods need (sp=racwd)"
    assert given(token(), own_files).note == "it allows more than pods need (sp=rac)"


def test_a_missing_key_is_named(storage):
    error = refusal(token(), storage, key="sas")
    assert error.reason is Reason.SECRET_INVALID
    assert str(error) == "Secret writer has no key token"


@pytest.mark.parametrize(
    ("start", "end", "soon"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T14:00:00Z", False),
        ("2026-11-20T10:00:00Z", "2026-11-20T12:30:00Z", True),
        (None, "2026-11-20T13:30:00Z", False),
        (None, "2026-11-20T12:30:00Z", True),
    ],
)
def test_in_its_last_quarter_it_is_late_to_be_renewed(storage, start, end, soon):
    found = given(token(st=start, se=end), storage)
    assert found.expires_soon is soon
    assert (f"expires at {end}" in found.note) is soon


def held(text, expires):
    stored = {
        "metadata": {"annotations": {"modeldata.dev/expires-at": expires}},
        "data": {"sas": base64.b64encode(text.encode()).decode()},
    }
    return credentials.held(stored, labels={})


def test_it_is_handed_out_anew_only_when_it_changed(storage):
    present, renewed = given(token(), storage), given(token(se="2026-11-20T20:00:00Z"), storage)
    lying = held(token(), "2026-11-20T18:00:00Z")
    late = NOW + timedelta(hours=5)
    assert not credentials.must_rotate(lying, present, storage, now=late)
    assert credentials.must_rotate(lying, renewed, storage, now=NOW)
    assert credentials.must_rotate(held(token(), "2020-01-01T00:00:00Z"), present, storage, now=NOW)
    assert credentials.must_rotate(None, present, storage, now=NOW)
    endless = token(se=None, st=None, sp=None, si="policy")
    assert not credentials.must_rotate(held(endless, ""), given(endless, storage), storage, now=NOW)


def test_a_key_takes_the_place_of_a_given_sas_and_back(storage):
    account = Account("account", base64.b64encode(b"k" * 64).decode())
    assert credentials.must_rotate(held(token(), "2026-11-20T18:00:00Z"), account, storage, now=NOW)
    minted = credentials.fresh(account, storage, now=NOW, lifetime=timedelta(hours=6))
    lying = held(minted, "2026-11-20T18:00:00Z")
    assert not credentials.must_rotate(lying, account, storage, now=NOW)
    assert credentials.must_rotate(lying, given(token(), storage), storage, now=NOW)


def test_a_date_alone_is_utc_whatever_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert sas.parse(token(se="2026-11-21")).expiry == datetime(2026, 11, 21, tzinfo=UTC)
