"""A container is read while real clients write to it and its days are closed; who may not read is told so."""

from __future__ import annotations

import datetime
import pathlib
import typing
import uuid

import duckdb
import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from modeldata_analytics import NotFoundError, ReadingError, Store
from modeldata_analytics.catalog import StoreAddressError, open_store
from modeldata_analytics.days import manifest, template
from modeldata_analytics.storage import Missing, Refused, azure

from ..delivery.conftest import Model, Pod, model, pod  # noqa: F401 (fixtures)
from . import stores
from .collecting import NOON, Collected, into_container

pytestmark = pytest.mark.azurite

PATH = "{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}"
"""That of ``Pod``."""


@pytest.fixture
def container(local_azurite: typing.Any) -> ContainerClient:
    return stores.container(local_azurite)


def address(container: ContainerClient) -> str:
    return str(container.url).partition("?")[0]


def close(store: Store, scratch: pathlib.Path, path: str, now: datetime.datetime, **wish: typing.Any) -> None:
    outcomes = stores.close(store._reader.store, scratch, now=now, path=template.Template(path), **wish)
    assert not [each.message for each in outcomes if each.reason not in {"", "Changed"}]


@pytest.mark.parametrize("formats", [("CSV",), ("Parquet",)])
def test_no_row_is_twice_and_none_seen_vanishes_while_clients_write_and_days_are_closed(
    pod: Pod,  # noqa: F811
    model: typing.Callable[..., Model],  # noqa: F811
    scratch: pathlib.Path,
    formats: tuple[str, ...],
) -> None:
    own = pod.beside("pod-2")
    own.file = "PerPod"
    own.settings()
    own.credential("ac")
    writers = [model(pod), model(own)]
    store = Store(address(pod.container), pod.azurite.account_key, path=PATH, scratch=scratch)
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    seen: set[int] = set()

    def read() -> set[int]:
        numbers = store.model("m").table()["n"].tolist()
        assert len(numbers) == len(set(numbers))
        assert seen <= set(numbers)
        return set(numbers)

    for turn in range(6):
        for place, writer in enumerate(writers):
            writer.collect(turn * 100 + place * 50, 50)
        if turn == 0:
            while not seen:
                try:
                    seen = read()
                except NotFoundError:
                    continue
        if turn % 2:
            close(store, scratch, PATH, tomorrow, formats=formats)
        seen = read()
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=60)
    while seen != set(range(600)):
        assert datetime.datetime.now() < deadline, len(seen)
        seen = read()
    for _ in range(2):  # what a run has closed, the next one deletes
        close(store, scratch, PATH, tomorrow + datetime.timedelta(days=30), delete_after=datetime.timedelta(days=7))
    assert not [name for name in pod.container.list_blob_names() if name.startswith("churn/") and name.endswith(".csv")]
    assert read() == set(range(600))
    assert store.streams()["rows"].tolist() == [600]
    assert list(scratch.iterdir()) == []


def sas(container: ContainerClient, rights: str, azurite: typing.Any) -> str:
    return str(
        generate_container_sas(
            azurite.account_name,
            container.container_name,
            account_key=azurite.account_key,
            permission=ContainerSasPermissions.from_string(rights),
            expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
        )
    )


def test_every_kind_of_credential_reads(container: ContainerClient, local_azurite: typing.Any) -> None:
    collected = Collected(into_container(container))
    collected.collect([[1]], ["a"])
    reading = sas(container, "rl", local_azurite)
    for store in (
        Store(address(container), local_azurite.account_key),
        Store(address(container), reading),
        Store(f"{address(container)}?{reading}"),
        Store(container.container_name, local_azurite.connection_string),
    ):
        assert store.model("churn").table()["a"].tolist() == [1]
        assert "sig=" not in repr(store)


def test_who_may_not_read_is_told(container: ContainerClient, local_azurite: typing.Any) -> None:
    Collected(into_container(container)).collect([[1]], ["a"])
    with pytest.raises(Refused, match="refuse"):
        Store(address(container), "AAAA").model("churn").table()
    for rights in ("ac", "l"):
        with pytest.raises(Refused, match="refuse") as refused:
            Store(address(container), sas(container, rights, local_azurite)).model("churn").table()
        assert "sig=" not in str(refused.value)
    with pytest.raises(Missing, match="no container"):
        Store(f"{local_azurite.endpoint}/none-{uuid.uuid4().hex[:8]}", local_azurite.account_key).streams()
    with pytest.raises(StoreAddressError):
        Store("https://account.blob.core.windows.net")


def test_a_container_of_others_files_has_no_models(container: ContainerClient, local_azurite: typing.Any) -> None:
    for name in ("a/b/c.csv", "data.csv", "x/y/z/w/m/1/inputs/2026/11/30x/data.csv"):
        container.upload_blob(name, b"a,b\r\n1,2\r\n")
    store = Store(address(container), local_azurite.account_key)
    assert store.streams().empty
    with pytest.raises(NotFoundError, match="nothing was collected"):
        store.model("m").table()


def test_one_closed_request_is_found_by_ranges(
    container: ContainerClient, local_azurite: typing.Any, scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = Collected(into_container(container))
    rows = [[number, number / 7, f"text {number * 7919}"] for number in range(60_000)]
    for first in range(0, len(rows), 20_000):
        collected.collect(rows[first : first + 20_000], ["n", "x", "text"], request=f"r{first}")
    store = Store(address(container), local_azurite.account_key)
    close(store, scratch, template.DEFAULT, NOON + datetime.timedelta(days=2))
    (part,) = container.list_blobs(name_starts_with="tables/")
    # With smaller groups of rows: those that DuckDB writes have 122,880.
    (scratch / "part").write_bytes(container.download_blob(part.name).readall())
    duckdb.connect().execute(
        f"copy (select * from read_parquet('{scratch}/part') order by \"$RequestId\")"
        f" to '{scratch}/small' (format parquet, row_group_size 2048)"
    )
    container.upload_blob(part.name, (scratch / "small").read_bytes(), overwrite=True)
    read: list[int] = []
    real = azure.Container.read

    def counted(self: azure.Container, name: str, start: int, end: int) -> typing.Iterator[bytes]:
        if name.endswith(".parquet"):
            read.append(end - start)
        return real(self, name, start, end)

    monkeypatch.setattr(azure.Container, "read", counted)
    found = store.model("churn", version="10").request("r20000-777")
    assert found[["n", "x", "text"]].to_numpy().tolist() == [[20777, 20777 / 7, f"text {20777 * 7919}"]]
    assert 0 < sum(read) < (scratch / "small").stat().st_size / 3
    with pytest.raises(NotFoundError, match="no request"):
        store.model("churn", version="10").request("r20000-77777")


def test_a_manifest_that_can_not_be_obeyed_is_told(
    container: ContainerClient, local_azurite: typing.Any, scratch: pathlib.Path
) -> None:
    Collected(into_container(container)).collect([[1]], ["a"])
    store = Store(address(container), local_azurite.account_key)
    close(store, scratch, template.DEFAULT, NOON + datetime.timedelta(days=2))
    (name,) = [each.name for each in container.list_blobs() if each.name.endswith("_closed.json")]
    good = container.download_blob(name).readall()
    for content, error in ((b"{}", manifest.Damaged), (good.replace(b'"version": 1', b'"version": 2'), manifest.Newer)):
        container.upload_blob(name, content, overwrite=True)
        with pytest.raises(error, match=r"_closed\.json in http"):
            store.model("churn").table()
    container.upload_blob(name, good, overwrite=True)
    assert store.model("churn").table()["a"].tolist() == [1]
    (part,) = [each.name for each in container.list_blobs() if each.name.endswith(".parquet")]
    container.delete_blob(part)
    with pytest.raises(ReadingError, match="do not fit together"):
        store.model("churn").table()


def test_a_copy_of_a_container_has_no_row_twice(
    container: ContainerClient, local_azurite: typing.Any, scratch: pathlib.Path
) -> None:
    collected = Collected(into_container(container))
    collected.collect([[1]], ["a"], request="closed")
    store = Store(address(container), local_azurite.account_key)
    close(store, scratch, template.DEFAULT, NOON + datetime.timedelta(days=2))
    collected.collect([[2]], ["a"], request="late")
    copy = stores.container(local_azurite)
    for blob in container.list_blobs():
        content = container.download_blob(blob.name).readall()
        copy.upload_blob(blob.name, content, blob_type=blob.blob_type, metadata=blob.metadata)
    assert sorted(Store(address(copy), local_azurite.account_key).model("churn").table()["a"]) == [1, 2]
    assert open_store(address(copy), local_azurite.account_key).folders("") != []
