"""Whatever happens between the operator and the API server, the records end up equal to what the API server has."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import logging
import threading
import typing

import aiohttp
import pytest
from kubernetes.aio import config

from modeldata_operator.api import restartables
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.workloads import Pod
from modeldata_operator.kube import kinds, store, watching
from modeldata_operator.kube.cluster import Cluster
from modeldata_operator.kube.connection import Connection

from ..conftest import Eventually
from . import proxy as proxies
from .conftest import Start, healthy
from .server import ApiServer

Seen = dict[ObjectKey, tuple[str, dict[str, str]]]


class Watching:
    """A watch of pods that runs in a thread of its own, through a proxy."""

    def __init__(self, api: ApiServer, proxy: proxies.Proxy, namespace: str, store: store.Store[Pod]) -> None:
        self.api, self.proxy, self.namespace, self.store = api, proxy, namespace, store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.watch = self._run(self._open())
        self._task = asyncio.run_coroutine_threadsafe(self.watch.run(), self._loop)

    def close(self) -> None:
        self._task.cancel()
        self._run(self._cluster.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def seen(self) -> Seen:
        """What the watch knows."""
        assert not self._task.done(), self._task.exception()

        async def read() -> Seen:
            return {pod.key: (pod.uid, dict(pod.labels)) for pod in self.store.of(self.namespace)}

        return self._run(read())

    def there(self) -> Seen:
        """What the API server has."""
        items = self.api.get(self.pods)["items"] or ()
        metadata = [item["metadata"] for item in items if item["status"]["phase"] not in ("Succeeded", "Failed")]
        return {ObjectKey(self.namespace, each["name"]): (each["uid"], each.get("labels", {})) for each in metadata}

    def equal(self) -> bool:
        return self.watch.synced.is_set() and self.seen() == self.there()

    def make(self, *names: str) -> None:
        for name in names:
            spec = {"nodeName": "nowhere", "containers": [{"name": "model", "image": "model"}]}
            self.api.create(self.pods, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})

    def label(self, name: str, value: str) -> None:
        self.api.merge(f"{self.pods}/{name}", {"metadata": {"labels": {"changed": value}}})

    def remove(self, name: str) -> None:
        self.api.delete(f"{self.pods}/{name}")

    def _run(self, coroutine: collections.abc.Coroutine[typing.Any, typing.Any, typing.Any]) -> typing.Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _open(self) -> watching.Watch[Pod]:
        self._cluster = Cluster(Connection(await config.new_client_from_config(str(self.proxy.kubeconfig))))
        return watching.Watch(self._cluster, kinds.PODS, self.store, namespace=self.namespace)


@pytest.fixture
def proxy(api: ApiServer) -> typing.Iterator[proxies.Proxy]:
    made = proxies.Proxy(api)
    yield made
    made.close()


@pytest.fixture
def running(api: ApiServer, proxy: proxies.Proxy, namespace: str, eventually: Eventually) -> typing.Iterator[Watching]:
    """A watch that knows three pods."""
    made = Watching(api, proxy, namespace, store.Store())
    try:
        made.make("kept", "changed", "removed")
        eventually(lambda: made.equal() and len(made.seen()) == 3)
        yield made
    finally:
        proxy.heal()
        made.close()


def change_everything(running: Watching) -> None:
    running.make("new")
    running.label("changed", "yes")
    running.remove("removed")
    # The same name, and another pod.
    running.remove("kept")
    running.make("kept")


def test_however_many_watches_there_are_requests_go_through(api: ApiServer, namespace: str) -> None:
    async def ask() -> None:
        cluster = Cluster(Connection(await config.new_client_from_config(str(api.kubeconfig))))
        query, limits = [("watch", "true"), ("timeoutSeconds", "120")], aiohttp.ClientTimeout(total=120)
        try:
            async with contextlib.AsyncExitStack() as watches:
                # Three for each of forty namespaces.
                for _ in range(120):
                    stream = cluster.stream(kinds.PODS.path(namespace), query, limits=limits)
                    await watches.enter_async_context(stream)
                await cluster.get_list(kinds.PODS.path(namespace), [("limit", "1")], seconds=30)
        finally:
            await cluster.close()

    asyncio.run(asyncio.wait_for(ask(), 100))


def test_changes_are_seen_as_they_come(running: Watching, eventually: Eventually) -> None:
    lists = running.proxy.asked("limit=")
    change_everything(running)
    eventually(running.equal)
    assert running.proxy.asked("limit=") == lists


def test_a_finished_pod_is_dropped(running: Watching, eventually: Eventually) -> None:
    path = f"{running.pods}/kept/status"
    running.api.merge(path, {"status": {"phase": "Succeeded"}})
    eventually(running.equal)
    assert len(running.seen()) == 2


@pytest.mark.parametrize("answer", [401, 403, 404, 429, 500, 503, 504, b"<html>", b"{}", b"[]", b""])
def test_while_refused_nothing_is_forgotten_and_afterwards_nothing_is_missed(
    running: Watching, eventually: Eventually, answer: int | bytes
) -> None:
    before, asked = running.seen(), running.proxy.asked("/pods")
    running.proxy.refuse(answer, "/pods")
    assert running.proxy.cut("/pods")
    change_everything(running)
    eventually(lambda: running.proxy.asked("/pods") >= asked + 3)
    assert running.seen() == before
    running.proxy.heal()
    eventually(running.equal)


def test_a_cut_watch_goes_on_where_it_was(running: Watching, eventually: Eventually) -> None:
    lists = running.proxy.asked("limit=")
    for number in range(3):
        eventually(lambda: running.proxy.cut("watch=true"))
        running.label("changed", str(number))
        eventually(running.equal)
    assert running.proxy.asked("limit=") == lists


def test_a_torn_line_is_no_event(running: Watching, eventually: Eventually) -> None:
    lists = running.proxy.asked("limit=")
    assert running.proxy.inject(b'{"type":"DELETED","object":{"metadata":{"na', "/pods")
    running.proxy.cut("/pods")
    change_everything(running)
    eventually(running.equal)
    assert running.proxy.asked("limit=") == lists


@pytest.mark.parametrize(
    "line", [proxies.error_event(410), proxies.error_event(500), b"garbage\n", b'{"type":"NEWS","object":{}}\n']
)
def test_after_an_event_that_may_hide_others_everything_is_listed(
    running: Watching, eventually: Eventually, line: bytes
) -> None:
    lists = running.proxy.asked("limit=")
    assert running.proxy.inject(line, "/pods")
    change_everything(running)
    eventually(lambda: running.proxy.asked("limit=") > lists and running.equal())


def test_what_vanished_between_two_lists_is_told_as_deleted(running: Watching, eventually: Eventually) -> None:
    told: list[tuple[ObjectKey, bool]] = []
    running.store.subscribe(lambda key, before, after: told.append((key, after is None)))
    # No watch comes about, so lists alone can tell.
    running.proxy.refuse(410, "watch=true")
    running.proxy.cut("/pods")
    change_everything(running)
    eventually(running.equal)
    running.remove("changed")
    eventually(running.equal)
    for name in ("removed", "changed"):
        assert (ObjectKey(running.namespace, name), True) in told
    running.proxy.heal()


def test_a_silent_connection_is_given_up(
    running: Watching, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SILENCE_SECONDS", 1.0)
    assert running.proxy.cut("/pods")
    watches = running.proxy.asked("watch=true")
    eventually(lambda: running.proxy.asked("watch=true") > watches)
    running.proxy.stall("/pods")
    change_everything(running)
    stalled = running.proxy.asked("watch=true")
    eventually(lambda: running.proxy.asked("watch=true") > stalled)
    running.proxy.heal()
    eventually(running.equal)


def test_pages_are_put_together_and_a_list_that_expires_is_begun_anew(
    running: Watching, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE", 2)
    change_everything(running)
    running.make(*(f"more-{number}" for number in range(6)))
    eventually(running.equal)
    running.proxy.refuse(410, "continue=")
    running.proxy.inject(proxies.error_event(410), "/pods")
    eventually(lambda: running.proxy.asked("continue=") >= 2)
    running.proxy.heal()
    running.remove("more-3")
    watches = running.proxy.asked("watch=true")
    eventually(lambda: running.proxy.asked("watch=true") > watches and running.equal())


def test_as_long_as_it_is_asked_to_wait_it_waits(running: Watching, eventually: Eventually) -> None:
    running.proxy.retry_after = "3"
    first = len(running.proxy.requests)
    running.proxy.refuse(429)
    running.proxy.cut("/pods")
    eventually(lambda: len(running.proxy.requests) >= first + 2)
    assert running.proxy.times[first + 1] - running.proxy.times[first] >= 3


def test_a_long_failure_is_said_once(
    running: Watching, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = running.proxy.asked("/pods")
    running.proxy.refuse(503)
    running.proxy.cut("/pods")
    eventually(lambda: running.proxy.asked("/pods") >= asked + 5)
    assert caplog.text.count("is tried again") == 1
    running.proxy.heal()
    running.label("changed", "again")
    eventually(lambda: "works again" in caplog.text)


def test_that_it_works_again_is_said_though_nothing_happens(
    running: Watching, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = running.proxy.asked("/pods")
    running.proxy.refuse(503)
    running.proxy.cut("/pods")
    eventually(lambda: running.proxy.asked("/pods") >= asked + 2)
    running.proxy.heal()
    # The first bookmark may be a minute away.
    eventually(lambda: "works again" in caplog.text, seconds=30)


def test_an_api_server_that_was_away_is_found_again(own_api: ApiServer, eventually: Eventually) -> None:
    own_api.namespace("models")
    proxy = proxies.Proxy(own_api)
    running = Watching(own_api, proxy, "models", store.Store())
    try:
        running.make("kept", "changed", "removed")
        eventually(lambda: running.equal() and len(running.seen()) == 3)
        before = running.seen()
        proxy.refuse(503)
        proxy.cut()
        own_api.stop()
        proxy.heal()
        asked = proxy.asked("/pods")
        eventually(lambda: proxy.asked("/pods") >= asked + 3)
        assert running.seen() == before
        own_api.start()
        change_everything(running)
        eventually(running.equal)
    finally:
        running.close()
        proxy.close()


@pytest.mark.parametrize("role", ["controller", "webhook"])
def test_a_process_outlives_a_time_without_rights(
    own_api: ApiServer, start_operator: Start, eventually: Eventually, role: str
) -> None:
    proxy = proxies.Proxy(own_api)
    try:
        controller = start_operator("controller", proxy.kubeconfig)
        process = controller if role == "controller" else start_operator(role, proxy.kubeconfig)
        eventually(lambda: healthy(process.health_port))
        own_api.namespace("models")
        asked = proxy.asked("/datacollections?")
        proxy.refuse(403)
        proxy.cut()
        own_api.create(_COLLECTIONS, _COLLECTION)
        eventually(lambda: proxy.asked("/datacollections?") >= asked + 4)
        assert process.process.poll() is None
        proxy.heal()
        # Nobody made its Secret: that is what the controller has to say.
        eventually(lambda: own_api.get(f"{_COLLECTIONS}/churn")["status"]["observedGeneration"] == 1)
        eventually(lambda: healthy(process.health_port))
        assert process.process.poll() is None
    finally:
        proxy.close()


_COLLECTIONS = "/apis/modeldata.dev/v1alpha1/namespaces/models/datacollections"
_COLLECTION = {
    "apiVersion": "modeldata.dev/v1alpha1",
    "kind": "DataCollection",
    "metadata": {"name": "churn"},
    "spec": {
        "selector": {"matchLabels": {"app": "churn"}},
        "storage": {
            "endpoint": "https://account.blob.core.windows.net",
            "credential": {"secretRef": {"name": "account"}},
        },
    },
}


async def test_a_kind_that_is_not_there_or_must_not_be_listed_keeps_nobody_waiting(
    api: ApiServer, proxy: proxies.Proxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ABSENT_SECONDS", 0.1)
    cluster = Cluster(Connection(await config.new_client_from_config(str(proxy.kubeconfig))))
    sets: store.Store[restartables.Restartable] = store.Store()
    arrived = asyncio.Event()
    sets.subscribe(lambda *_: arrived.set())
    proxy.refuse(403, "/statefulsets")
    watches = [
        watching.Watch(cluster, kinds.OTHERS[restartables.ROLLOUT], store.Store(), namespace=namespace),
        watching.Watch(cluster, kinds.OTHERS[restartables.STATEFUL_SET], sets, namespace=namespace),
    ]
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    try:
        for watch in watches:
            await asyncio.wait_for(watch.synced.wait(), 60)
        labels = {"app": "a"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        spec = {"serviceName": "a", "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": "a"}, "spec": spec}
        await asyncio.to_thread(api.create, f"/apis/apps/v1/namespaces/{namespace}/statefulsets", body)
        assert len(sets) == 0
        # Once the right is there, what there is is known, without a new start.
        proxy.heal()
        await asyncio.wait_for(arrived.wait(), 60)
        assert len(sets) == 1
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cluster.close()
