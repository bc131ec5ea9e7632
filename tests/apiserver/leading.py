"""Controllers side by side, each behind a proxy of its own that records what it asks of the API server and when."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import signal
import threading
import time
import typing
import urllib.request

from . import proxy as proxies
from . import server
from .conftest import Running, Start
from .server import ApiServer, Refused

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{server.NAMESPACE}/leases/modeldata-operator-controller"
SETTINGS = "modeldata.dev/settings"


@dataclasses.dataclass
class Replica:
    """One controller, its proxy, and what is done to it."""

    running: Running
    proxy: proxies.Proxy

    def writes(self, since: float = float("-inf")) -> list[tuple[float, str]]:
        """What it wrote, the Lease aside: when each request came, and which."""
        found = zip(list(self.proxy.times), list(self.proxy.requests), strict=False)
        return [(at, what) for at, what in found if at > since and what[:3] != "GET" and "/leases" not in what]

    def signal(self, which: signal.Signals) -> None:
        """Kill, freeze or thaw it."""
        self.running.process.send_signal(which)

    def cut_off(self) -> None:
        """Take its requests and answer none. What is under way may still be taken by the API server, much later."""
        self.proxy.stall()

    def terms(self) -> list[float]:
        """When it began to lead (monotonic): its log has the wall clock of this machine."""
        ahead = time.time() - time.monotonic()
        lines = [line for line in self.running.said().splitlines() if "leading as" in line]
        stamps = (datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in lines)
        return [stamp.timestamp() - ahead for stamp in stamps]

    def leads(self, lease: str) -> bool:
        """Whether the holder of the Lease is this one, by what it logs of itself."""
        said = [line for line in self.running.said().splitlines() if "leading" in line]
        return bool(said) and said[-1].endswith(f"leading as {lease}")


class Replicas:
    """Controllers of one operator."""

    def __init__(self, api: ApiServer, start: Start) -> None:
        self.api = api
        self._start = start
        self.all: list[Replica] = []

    def add(self, **environment: str) -> Replica:
        """Start one more."""
        proxy = proxies.Proxy(self.api)
        self.all.append(Replica(self._start("controller", proxy.kubeconfig, environment=environment), proxy))
        return self.all[-1]

    def holder(self) -> str:
        """Who holds the Lease; empty: nobody."""
        return holder(self.api, LEASE)

    def leader(self) -> Replica | None:
        """The one that leads, if one does."""
        holder = self.holder()
        return next((each for each in self.all if holder and each.leads(holder)), None)

    def others(self) -> list[Replica]:
        """Those that run and do not lead."""
        leader = self.leader()
        return [each for each in self.all if each is not leader and each.running.process.poll() is None]

    def close(self) -> None:
        """Let everything go on, so that it can be ended."""
        for each in self.all:
            with contextlib.suppress(ProcessLookupError):
                each.signal(signal.SIGCONT)
            each.proxy.heal()
            if each.running.process.poll() is None:
                each.running.process.kill()
                each.running.process.wait()
            each.proxy.close()


class Generations(threading.Thread):
    """Follows a watch of all pods until the API server ends, and notes each time that a pod's settings go back."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, int] = {}
        self.gone_back: list[str] = []
        self.events = 0
        self._api = api
        version = api.get("/api/v1/pods?limit=1")["metadata"]["resourceVersion"]
        address = f"{api.url}/api/v1/pods?watch=true&resourceVersion={version}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {server.TOKEN}"})
        self._stream = urllib.request.urlopen(request, context=api._context, timeout=600)
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self._stream:
                self._event(json.loads(line))

    def _event(self, event: dict[str, typing.Any]) -> None:
        metadata = event["object"]["metadata"]
        settings = (metadata.get("annotations") or {}).get(SETTINGS)
        self.events += 1
        if not settings:
            return
        uid, document = metadata["uid"], json.loads(settings)
        before, now = self.seen.get(uid, -1), document["generation"]
        if now < before and document["collection"]:
            self.gone_back.append(f"{metadata['name']}: {before} to {now}")
        self.seen[uid] = now


def holder(api: ApiServer, lease: str) -> str:
    """Who holds a Lease; empty: nobody."""
    with contextlib.suppress(Refused):
        return str(api.get(lease)["spec"].get("holderIdentity") or "")
    return ""


def interleaved(replicas: typing.Iterable[Replica]) -> list[str]:
    """Name what was written after another's write by somebody who has not taken the Lease since that."""
    found: list[str] = []
    writes = sorted((at, number, what) for number, each in enumerate(replicas) for at, what in each.writes())
    terms = [each.terms() for each in replicas]
    last: tuple[float, int] | None = None
    for at, number, what in writes:
        if last is not None and last[1] != number:
            begun = max((term for term in terms[number] if term <= at), default=float("-inf"))
            if begun <= last[0]:
                found.append(f"{what} of {number}, {at - last[0]:.3f} s after a write of {last[1]}")
        last = at, number
    return found


def metric(port: int, name: str) -> float:
    """Read a metric without labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    raise LookupError(name)
