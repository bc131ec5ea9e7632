"""The live settings file."""

from __future__ import annotations

import json
import logging
import pathlib
import typing

import pytest

from modeldata import settings

GOOD: dict[str, typing.Any] = {
    "version": 1,
    "enabled": True,
    "collection": "models/churn",
    "generation": 3,
    "storage": {"endpoint": "https://a.blob.core.windows.net/", "container": "c", "path": "{model}/{file}"},
    "identity": {"subscription": "s", "resourceGroup": "g", "workspace": "w", "webservice": "churn"},
    "flushInterval": "1500ms",
    "spool": {"bytes": 1000},
}


def parse(**changes: object) -> settings.Settings:
    return settings.parse(json.dumps({**GOOD, **changes}).encode())


def test_every_field_is_read() -> None:
    assert parse() == settings.Settings(
        enabled=True,
        collection="models/churn",
        generation=3,
        storage=settings.Storage("https://a.blob.core.windows.net", "c", "{model}/{file}"),
        origin=settings.Origin("s", "g", "w", "churn", "default"),
        flush_seconds=1.5,
        spool_bytes=1000,
    )


def test_little_is_needed() -> None:
    read = settings.parse(b'{"enabled": true, "storage": {"endpoint": "http://x"}}')
    assert read.enabled
    assert read.storage == settings.Storage("http://x", "modeldata", settings.DEFAULT_PATH)


@pytest.mark.parametrize(
    ("endpoint", "directory"),
    [
        ("file:///data", "/data/c"),
        ("file:///data/", "/data/c"),
        ("FILE:///srv/what%20is%20%23collected", "/srv/what is #collected/c"),
        ("https://a.blob.core.windows.net", None),
        ("http://127.0.0.1:10000/file:///data", None),
    ],
)
def test_a_directory_is_an_endpoint(endpoint: str, directory: str | None) -> None:
    storage = parse(storage={"endpoint": endpoint, "container": "c"}).storage
    assert storage is not None
    assert storage.directory == (pathlib.Path(directory) if directory else None)


@pytest.mark.parametrize(
    "endpoint", ["file:", "file:data", "file://data", "file://host/data", "file:///", "file:///%00"]
)
def test_only_an_absolute_path_of_this_machine_is_a_directory(endpoint: str) -> None:
    with pytest.raises(settings.SettingsError, match="its absolute path"):
        parse(storage={"endpoint": endpoint, "container": "c"})


@pytest.mark.parametrize("container", ["", ".", "..", "a/b", "../../etc"])
def test_the_container_of_a_directory_is_below_it(container: str) -> None:
    with pytest.raises(settings.SettingsError, match="container is"):
        parse(storage={"endpoint": "file:///data", "container": container})


def signing_in(**who: object) -> settings.Settings:
    return parse(storage={**GOOD["storage"], "credential": {"workloadIdentity": who}})


def test_who_to_sign_in_as_is_read() -> None:
    read = signing_in(clientId="c", tenantId="t", authority="https://login.example.com/")
    assert read.storage is not None
    assert read.storage.identity == settings.WorkloadIdentity("c", "t", "https://login.example.com/")


def test_a_credential_of_another_kind_leaves_it_to_the_sas() -> None:
    assert parse(storage={**GOOD["storage"], "credential": {"later": {}}}) == parse()


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"clientId": "c"},
        {"clientId": "c", "tenantId": ""},
        {"clientId": 1, "tenantId": "t"},
        {"clientId": "c", "tenantId": "t", "authority": "http://login.example.com"},
    ],
)
def test_half_an_identity_is_none(who: dict[str, object]) -> None:
    with pytest.raises(settings.SettingsError):
        signing_in(**who)


def test_unknown_fields_are_ignored() -> None:
    assert parse(news={"a": 1}) == parse()


def test_without_storage_nothing_is_collected() -> None:
    assert not parse(storage={}).enabled


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": "yes"},
        {"generation": True},
        {"storage": []},
        {"identity": {"workspace": 1}},
        {"flushInterval": "5 parsecs"},
        {"flushInterval": 5},
        {"spool": {"bytes": "1Mi"}},
        {"storage": {**GOOD["storage"], "endpoint": "https://account.blob.core.windows.net/?sv=2025&sig=secret"}},
        {"storage": {**GOOD["storage"], "endpoint": "https://user:secret@storage"}},
    ],
    ids=str,
)
def test_a_wrong_field_is_an_error(changes: dict[str, object]) -> None:
    with pytest.raises(settings.SettingsError):
        parse(**changes)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff"])
def test_what_is_no_document_is_an_error(text: bytes) -> None:
    with pytest.raises(settings.SettingsError):
        settings.parse(text)


def test_what_an_endpoint_holds_beside_an_address_is_not_said(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, json.dumps({**GOOD, "storage": {**GOOD["storage"], "endpoint": "https://account/?sig=secret"}}))
    assert settings.LiveSettings(tmp_path / "settings.json").latest == settings.OFF
    assert "no settings yet" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"redact": [{"feature": "ssn", "action": "Encrypt"}]},
        {"redact": [{"action": "Drop"}]},
        {"redact": [{"feature": "ssn"}]},
        {"redact": ["ssn"]},
        {"redact": {"feature": "ssn", "action": "Drop"}},
        {"sampling": {"percent": 99.5}},
        {"sampling": {"percent": 0}},
        {"sampling": {"percent": 101}},
        {"columns": "Trailing"},
        {"version": 2},
        {"storage": {**GOOD["storage"], "file": "PerNode"}},
    ],
    ids=str,
)
def test_a_demand_that_is_not_fulfilled_switches_off(
    changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    assert not parse(**changes).enabled
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_demands_are_read() -> None:
    redact = [{"feature": "ssn", "action": "Drop"}, {"feature": "email", "action": "Hash"}]
    read = parse(redact=redact, sampling={"percent": 10}, columns="AzureML")
    assert read.enabled
    assert read.redactions == (
        settings.Redaction("ssn", settings.Action.DROP),
        settings.Redaction("email", settings.Action.HASH),
    )
    assert (read.percent, read.columns) == (10, settings.Columns.AZUREML)


@pytest.fixture
def live(tmp_path: pathlib.Path) -> settings.LiveSettings:
    return settings.LiveSettings(tmp_path / "settings.json", every=0)


def put(tmp_path: pathlib.Path, content: str) -> None:
    aside = tmp_path / "new"
    aside.write_text(content)
    aside.replace(tmp_path / "settings.json")


def test_no_file_is_off(live: settings.LiveSettings) -> None:
    assert live.current() == settings.OFF


def test_a_file_that_is_there_counts_from_the_first_call(tmp_path: pathlib.Path) -> None:
    put(tmp_path, json.dumps(GOOD))
    assert settings.LiveSettings(tmp_path / "settings.json").current().enabled


def test_the_switch_is_obeyed(live: settings.LiveSettings, tmp_path: pathlib.Path) -> None:
    seen = []
    for enabled in (True, False, True):
        put(tmp_path, json.dumps({**GOOD, "enabled": enabled}))
        seen.append(live.current().enabled)
    assert seen == [True, False, True]


@pytest.mark.parametrize("bad", ["{", '{"enabled": "yes"}'])
def test_bad_settings_keep_the_last_good_ones_and_are_said_once(
    live: settings.LiveSettings, tmp_path: pathlib.Path, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, json.dumps(GOOD))
    good = live.current()
    put(tmp_path, bad)
    assert [live.current(), live.current()] == [good, good]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    put(tmp_path, json.dumps({**GOOD, "generation": 4}))
    assert live.current().generation == 4


def test_a_file_that_is_gone_keeps_the_last_good_settings(live: settings.LiveSettings, tmp_path: pathlib.Path) -> None:
    put(tmp_path, json.dumps(GOOD))
    good = live.current()
    (tmp_path / "settings.json").unlink()
    assert live.current() == good


def test_the_kubelets_way_of_replacing_is_seen(live: settings.LiveSettings, tmp_path: pathlib.Path) -> None:
    (tmp_path / "settings.json").symlink_to("..data/settings.json")
    for generation in (1, 2, 3):
        version = tmp_path / f"..version{generation}"
        version.mkdir()
        (version / "settings.json").write_text(json.dumps({**GOOD, "generation": generation}))
        (tmp_path / "..data_tmp").symlink_to(version.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        assert live.current().generation == generation
