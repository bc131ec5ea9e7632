"""A container and a directory do the same."""

from __future__ import annotations

import fcntl
import http.server
import os
import pathlib
import random
import struct
import threading
import typing
import uuid

import pytest
from azure.storage.blob import ContainerClient

from modeldata_analytics.catalog import StoreAddressError, open_store
from modeldata_analytics.storage import Blobs, Changed, Missing, Refused, StorageError, Unreachable

from ..conftest import Azurite
from . import azure_proxy, stores

pytestmark = pytest.mark.azurite


@pytest.fixture(params=["container", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, local_azurite: typing.Any) -> Blobs:
    if request.param == "directory":
        return open_store(tmp_path.as_uri())
    name = f"test-{uuid.uuid4().hex[:12]}"
    ContainerClient(local_azurite.endpoint, name, credential=local_azurite.account_key).create_container()
    return open_store(f"{local_azurite.endpoint}/{name}", local_azurite.account_key)


@pytest.mark.parametrize("size", [10, 20 * 1024 * 1024])
def test_a_file_is_made_and_replaced_but_only_the_one_that_was_seen(
    store: Blobs, tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    source = tmp_path_factory.mktemp("source") / "file"
    source.write_bytes(b"1" * size)
    first = store.put("a/b/data.csv", source, replaces=None, metadata={"pass": "1"})
    with pytest.raises(Changed):
        store.put("a/b/data.csv", source, replaces=None, metadata={"pass": "2"})
    source.write_bytes(b"2" * size)
    second = store.put("a/b/data.csv", source, replaces=first, metadata={"pass": "2"})
    with pytest.raises(Changed):
        store.put("a/b/data.csv", source, replaces=first, metadata={"pass": "3"})
    found = store.entry("a/b/data.csv")
    assert found is not None
    assert (found[0].size, dict(found[1])) == (size, {"pass": "2"})
    content = store.get("a/b/data.csv")
    assert content is not None
    assert (content.data, content.metadata["pass"]) == (b"2" * size, "2")
    assert store.delete("a/b/data.csv", etag=first) is False
    assert content.etag.strip('"') == second.strip('"') == found[0].etag
    assert store.delete("a/b/data.csv", etag=content.etag) is True
    assert store.entry("a/b/data.csv") is None


def test_folders_and_files_are_listed_and_ranges_read(store: Blobs) -> None:
    for name in ("a/x/1", "a/x/2", "a/y/1", "b"):
        store.put(name, name.encode() * 3, replaces=None, metadata={})
    assert (store.folders(""), store.folders("a/"), store.folders("none/")) == (["a"], ["x", "y"], [])
    assert [each.name for each in store.files("a/x/")] == ["a/x/1", "a/x/2"]
    assert store.files("none/") == []
    assert b"".join(store.read("a/x/1", 5, 12)) == b"a/x/1a/"
    assert store.get("none") is None
    with pytest.raises(Missing, match="none"):
        list(store.read("none", 0, 1))


def test_wrong_credentials_and_addresses_are_told(local_azurite: typing.Any, tmp_path: pathlib.Path) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client = ContainerClient(local_azurite.endpoint, name, credential=local_azurite.account_key)
    with pytest.raises(Missing, match="no container"):
        open_store(f"{local_azurite.endpoint}/{name}", local_azurite.account_key).files("")
    client.create_container()
    with pytest.raises(Refused, match="refuse"):
        open_store(f"{local_azurite.endpoint}/{name}", "AAAA").files("")
    assert open_store(name, local_azurite.connection_string).files("") == []
    with pytest.raises(Missing, match="no directory"):
        open_store(str(tmp_path / "none")).folders("")
    for address in (
        "ftp://x/y",
        "https://a.blob.core.windows.net",
        "https://a.blob.core.windows.net/c/d",
        "file://host/x",
    ):
        with pytest.raises(StoreAddressError):
            open_store(address)
    with pytest.raises(StoreAddressError, match="no credential"):
        open_store(str(tmp_path), "key")


def test_no_redirect_is_followed() -> None:
    asked: list[str] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            store = open_store(f"http://127.0.0.1:{server.server_port}/account/container", "AAAA")
            with pytest.raises(StorageError, match="307"):
                store.files("")
            with pytest.raises(StorageError, match="307"):
                store.get("file")
        finally:
            server.shutdown()
    assert asked
    assert not [path for path in asked if path.startswith("/elsewhere")]


def test_no_answer_is_told() -> None:
    store = open_store("http://127.0.0.1:1/account/container", "AAAA")
    with pytest.raises(Unreachable, match="does not answer"):
        store.files("")


def test_a_file_of_a_directory_is_not_deleted_beneath_an_append(tmp_path: pathlib.Path) -> None:
    """The client holds the directory's lock, and leaves a note beside a file that it has not finished."""
    store = open_store(str(tmp_path))
    store.put("d/data.csv", b"x", replaces=None, metadata={})
    etag = store.files("d/")[0].etag
    with (tmp_path / ".modeldata.lock").open("w+b") as lock:
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        deleting = threading.Thread(target=store.delete, args=("d/data.csv",), kwargs={"etag": etag})
        deleting.start()
        deleting.join(0.2)
        assert deleting.is_alive()
        with (tmp_path / "d/data.csv").open("ab") as file:
            file.write(b"y")
    deleting.join(60)
    assert (tmp_path / "d/data.csv").read_bytes() == b"xy"
    (tmp_path / "d/.data.csv.pending").touch()
    assert store.delete("d/data.csv", etag=store.files("d/")[0].etag) is False
    (tmp_path / "d/.data.csv.pending").unlink()
    assert store.delete("d/data.csv", etag=store.files("d/")[0].etag) is True
    assert not (tmp_path / "d/data.csv").exists()


@pytest.mark.parametrize("first_to_commit", ["first", "second"])
def test_of_two_that_upload_blocks_at_a_time_one_is_there_and_whole(
    local_azurite: Azurite, proxy: azure_proxy.AzureProxy, tmp_path: pathlib.Path, first_to_commit: str
) -> None:
    """Blocks of both lie beside each other: no list may take up the other one's."""
    container = stores.container(local_azurite)
    direct, behind = (
        open_store(f"{endpoint}/{container.container_name}", local_azurite.account_key)
        for endpoint in (local_azurite.endpoint, proxy.endpoint)
    )
    contents = {name: name[:1].encode() * 20 * 2**20 for name in ("first", "second")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    etag = direct.put("x", b"before", replaces=None, metadata={})
    at_its_list, may_go_on = threading.Event(), threading.Event()

    def before(method: str, path: str) -> None:
        if "comp=blocklist" in path:
            at_its_list.set()
            may_go_on.wait(60)

    proxy.before = before
    ends: dict[str, str] = {}

    def put(name: str, store: Blobs) -> None:
        try:
            store.put("x", tmp_path / name, replaces=etag, metadata={"who": name})
            ends[name] = "done"
        except Changed:
            ends[name] = "changed"

    slow = threading.Thread(target=put, args=("first", behind))
    slow.start()
    assert at_its_list.wait(60)
    if first_to_commit == "second":
        put("second", direct)
        may_go_on.set()
        slow.join()
    else:
        # The second has staged all, and the first puts its list before the second does.
        quick = azure_proxy.AzureProxy(local_azurite, random.Random(0))
        try:
            staged = threading.Event()
            quick.before = lambda method, path: (staged.set(), slow.join()) if "comp=blocklist" in path else None
            late = open_store(f"{quick.endpoint}/{container.container_name}", local_azurite.account_key)
            other = threading.Thread(target=put, args=("second", late))
            other.start()
            assert staged.wait(60)
            may_go_on.set()
            other.join()
        finally:
            quick.close()
    assert ends == {"first": "changed", "second": "changed"} | {first_to_commit: "done"}
    content = direct.get("x")
    assert content is not None
    assert content.data == contents[first_to_commit]
    assert content.metadata["who"] == first_to_commit
