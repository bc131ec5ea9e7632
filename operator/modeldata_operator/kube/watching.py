"""Listing and watching a kind of object for as long as the process lives, and keeping a slim record of each.

Not kopf's: it keeps every body, takes n² steps to index a namespace of n pods (26 s for 2,000), and ends the process
when a watch is refused for a while, as during a change of roles. Without a webhook, new pods are not collected.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Generic

import aiohttp

from ..api.keys import ObjectKey
from . import breathing
from .cluster import Cluster
from .failures import UNREADABLE, ApiError
from .kinds import Kind
from .store import R, Store

logger = logging.getLogger(__name__)

PAGE = 200
"""Objects in one answer to a list: a megabyte or two of JSON, the most that is ever held of bodies, and parsed at a
stretch in some ten milliseconds."""

CONNECT_SECONDS = 10.0
LIST_SECONDS = 60.0
WATCH_SECONDS = (180, 230)
"""Some load balancers before API servers silently drop connections after four minutes. Drawn, so that not all of a
process's watches begin anew at once."""

SILENCE_SECONDS = 90.0
"""A stream without a word is opened anew: the API server sends a bookmark about every minute."""

SHORT_SECONDS = 1.0
"""A stream that ends so soon, without an event, was not a watch; one that stands longer is, though the first event or
bookmark may be a minute away."""

LONGEST_RETRY_AFTER = 120.0

ABSENT_SECONDS = 30.0
"""How often a kind that does not exist, or must not be listed, is asked for again."""

COMPLAIN_SECONDS = 60.0

LOOKED_THROUGH_SECONDS = 3600.0
"""How often the garbage collector looks through all that is known.

It does so by itself each time as much as a quarter was added, and everything waits meanwhile: with 10,000 pods for 0.07
to 0.16 s, each ten to twenty seconds while many change. What is known is in no circles and goes when it is replaced;
what else was there (connections, tasks) is looked for this often.
"""


class Watch(Generic[R]):
    """Keeps a store equal to what the API server has, of one kind in one namespace or in all."""

    def __init__(self, cluster: Cluster, kind: Kind[R], store: Store[R], *, namespace: str = "") -> None:
        self.synced = asyncio.Event()
        """Set once everything was listed, and from then on."""
        self._cluster = cluster
        self._kind = kind
        self._store = store
        self._namespace = namespace
        # Where the watch goes on; without it, everything is listed first.
        self._version: str | None = None
        self._heard_at = self._answered_at = time.monotonic()
        # What is done at the moment, so that it can be broken off; and who waits for a list that begins after that.
        self._turn = asyncio.Timeout(None)
        self._asked: asyncio.Event | None = None
        self._owed: asyncio.Event | None = None
        self._delays = delays()
        self._failing_since: float | None = None
        self._complained_at = float("-inf")
        self._absent_for = 0

    def __str__(self) -> str:
        return f"{self._kind.name} in {self._namespace}" if self._namespace else self._kind.name

    @property
    def silent_for(self) -> float:
        """Say for how many seconds nothing sensible came from the API server."""
        return time.monotonic() - self._heard_at

    @property
    def deaf_for(self) -> float:
        """Say for how many seconds the API server gave no answer at all, or would not know who asks.

        Any other refusal is its own word, and beginning anew would not change it.
        """
        return time.monotonic() - max(self._heard_at, self._answered_at)

    async def run(self) -> None:
        """List, watch and begin anew, without end: an API server that is away for an hour must not end the process."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as self._turn:
                    await self._once()
            if self._turn.expired():
                # refresh() broke it off. Lists count that begin from now on.
                self._version, self._owed = None, self._asked

    async def refresh(self) -> None:
        """List everything anew, whatever is done or waited for at the moment; return when that is known.

        By then nothing is older than this call, though a watch may have been silent for long. One waits at a time.
        """
        asked = self._asked = asyncio.Event()
        if not self._turn.expired():
            self._turn.reschedule(asyncio.get_running_loop().time())
        await asked.wait()

    async def _once(self) -> None:
        """List if need be, and watch until that ends; wait if there was trouble."""
        delay = 0.0
        try:
            if self._version is None:
                await self._list()
            await self._follow()
        except ApiError as error:
            if self._kind.optional and error.status in (403, 404):
                await self._absent(error)
                return
            if error.status == 410:
                self._version = None
            delay = self._failed(error, retry_after=error.retry_after)
            if error.status != 401:
                self._answered_at = time.monotonic() + delay
        except ValueError as error:
            # Something was said that can't be read, so something may have been missed.
            self._version = None
            delay = self._failed(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            delay = self._failed(error)
        if delay and not self._turn.expired():
            await asyncio.sleep(delay)

    async def _absent(self, error: ApiError) -> None:
        """Do without a kind: nobody waits for it, and no process is sick for it. It is asked for again now and then."""
        self._version = None
        self._heard_at = time.monotonic()
        for key in list(self._store.keys(self._namespace)):
            self._store.drop(key)
        if error.status != self._absent_for:
            # Without Argo Rollouts, which is how most clusters are, there is nothing to say.
            log = logger.debug if error.absent else logger.warning
            log("no %s are watched: %s", self, error)
        self._absent_for = error.status
        self._known()
        rest = ABSENT_SECONDS * random.uniform(0.7, 1.3)
        self._heard_at = self._answered_at = time.monotonic() + rest
        await asyncio.sleep(rest)

    async def _list(self) -> None:
        """Take everything, page by page, and then drop what is no longer there."""
        seen: set[ObjectKey] = set()
        token, number = "", 0
        while True:
            # Without a resourceVersion: the newest, never older than what was seen before.
            query = [("limit", str(PAGE)), *self._selector(), *([("continue", token)] if token else [])]
            page = await self._cluster.get_list(self._kind.path(self._namespace), query, seconds=LIST_SECONDS)
            metadata, items = page.get("metadata"), page.get("items", ())
            if not isinstance(metadata, dict) or not metadata.get("resourceVersion") or "items" not in page:
                raise ValueError(f"an answer to a list of {self} is no list")
            self._heard_at = time.monotonic()
            for body in items or ():
                seen.add(self._take(body))
                number += 1
                if number % breathing.BREATH == 0:
                    await asyncio.sleep(0)
            token, version = metadata.get("continue") or "", metadata["resourceVersion"]
            del page, items
            if not token:
                break
        for key in [key for key in self._store.keys(self._namespace) if key not in seen]:
            self._store.drop(key)
        self._version = version
        if not self.synced.is_set() or self._absent_for:
            logger.info("listed %s: %d", self, number)
        self._absent_for = 0
        self._known()

    def _known(self) -> None:
        """Tell those who wait for it that all there is has been listed."""
        self.synced.set()
        if self._owed is not None:
            self._owed.set()
            self._owed = None

    async def _follow(self) -> None:
        """Take changes until the stream ends. A torn line at its end is sent again: the version has not moved."""
        assert self._version is not None
        seconds = random.randint(*WATCH_SECONDS)
        query = [
            ("watch", "true"),
            ("resourceVersion", self._version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(seconds)),
            *self._selector(),
        ]
        limits = aiohttp.ClientTimeout(
            total=seconds + 2 * SILENCE_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
        )
        opened, events = time.monotonic(), 0
        async with self._cluster.stream(self._kind.path(self._namespace), query, limits=limits) as content:
            self._heard_at = time.monotonic()
            stands = asyncio.get_running_loop().call_later(SHORT_SECONDS, self._through)
            try:
                async for line in lines(content):
                    self._event(json.loads(line))
                    self._through()
                    events += 1
            except TimeoutError:
                return  # nothing to tell, or a dead connection: the next one shows which
            finally:
                stands.cancel()
        if not events and time.monotonic() - opened < SHORT_SECONDS:
            raise ConnectionError("the watch ended at once")
        self._through()

    def _event(self, event: Any) -> None:
        match event:
            case {"type": "ERROR", "object": {"code": int(code), **status}}:
                # Whatever it is, nobody promises that the stream was whole: 410 stands for all of them.
                self._version = None
                raise ApiError(code, str(status.get("message", "")))
            case {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}:
                pass
            case {"type": "ADDED" | "MODIFIED", "object": {"metadata": {"resourceVersion": str(version)}} as body}:
                self._take(body)
            case {"type": "DELETED", "object": {"metadata": {"resourceVersion": str(version)}} as body}:
                self._store.drop(_key(body))
            case _:
                raise ValueError(f"an event of {self} can't be read")
        self._version = version

    def _take(self, body: Mapping[str, Any]) -> ObjectKey:
        key = _key(body)
        try:
            self._store.put(self._kind.parse(body))
        except UNREADABLE as error:
            # One odd object must not end the watch of all the others.
            logger.warning("%s %s ignored: %s", self._kind.name, key, error)
            self._store.drop(key)
        return key

    def _selector(self) -> list[tuple[str, str]]:
        return [("fieldSelector", self._kind.field_selector)] if self._kind.field_selector else []

    def _through(self) -> None:
        """Note that the watch works: only now, as a server may answer lists and refuse every watch."""
        self._heard_at = time.monotonic()
        if self._failing_since is not None:
            logger.info("watch of %s works again after %.1f s", self, self._heard_at - self._failing_since)
            self._failing_since, self._complained_at = None, float("-inf")
            self._delays = delays()

    def _failed(self, error: Exception, *, retry_after: float = 0.0) -> float:
        """Say what is wrong, at most once a minute; return the seconds to wait."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            logger.warning("watch of %s is tried again: %s: %s", self, type(error).__name__, error)
        return max(next(self._delays), min(retry_after, LONGEST_RETRY_AFTER))


class Watches:
    """All watches of a process. A kind is listed when those before it are whole: pods are decided on only once."""

    def __init__(self, cluster: Cluster, *, namespaces: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._namespaces = namespaces or ("",)
        self._kinds: list[list[Watch[Any]]] = []
        self._synced = asyncio.Event()

    @property
    def whole(self) -> bool:
        """Tell whether everything has been listed once."""
        return self._synced.is_set()

    @property
    def silent(self) -> tuple[str, float]:
        """Name the watch that has heard nothing sensible for the longest time, and that time in seconds."""
        silent = max(itertools.chain.from_iterable(self._kinds), key=lambda watch: watch.silent_for)
        return str(silent), silent.silent_for

    @property
    def deaf(self) -> tuple[str, float]:
        """Name the watch that has had no answer for the longest time, and that time in seconds."""
        deaf = max(itertools.chain.from_iterable(self._kinds), key=lambda watch: watch.deaf_for)
        return str(deaf), deaf.deaf_for

    def add(self, kind: Kind[R], store: Store[R], *, but: str = "") -> None:
        """Watch a kind, from start() on, in all namespaces that were given but one."""
        places = [place for place in self._namespaces if not but or place != but] if kind.namespaced else [""]
        self._kinds.append([Watch(self._cluster, kind, store, namespace=namespace) for namespace in places])

    def start(self) -> asyncio.Task[None]:
        """Begin; the task that is returned ends only if one of the watches does, and takes all with it."""
        return asyncio.create_task(self._run(), name="watches")

    async def wait(self) -> None:
        """Wait until everything has been listed once."""
        await self._synced.wait()

    async def refresh(self) -> None:
        """List everything anew; return when that is known. One waits at a time."""
        await asyncio.gather(*(watch.refresh() for watch in itertools.chain.from_iterable(self._kinds)))

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as running:
            for watches in self._kinds:
                for watch in watches:
                    running.create_task(watch.run(), name=f"watch of {watch}")
                for watch in watches:
                    await watch.synced.wait()
            self._synced.set()
            await _spare_the_collector()


async def _spare_the_collector() -> None:
    """Keep what is known out of the garbage collector's sight, without end."""
    while True:
        gc.collect()
        gc.freeze()
        try:
            await asyncio.sleep(LOOKED_THROUGH_SECONDS)
        finally:
            gc.unfreeze()


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream; what follows the last line end is torn, and left out. The reader's own split has a limit."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def delays() -> Iterator[float]:
    """Yield seconds between tries, from a fifth to about twenty, with jitter, without end."""
    delay = 0.2
    while True:
        yield delay * random.uniform(0.7, 1.3)
        delay = min(delay * 1.7, 20.0)


def _key(body: Mapping[str, Any]) -> ObjectKey:
    match body:
        case {"metadata": {"namespace": str(namespace), "name": str(name)}}:
            return ObjectKey(namespace, name)
        case {"metadata": {"name": str(name)}}:
            return ObjectKey("", name)
    raise ValueError("an object without a name")
