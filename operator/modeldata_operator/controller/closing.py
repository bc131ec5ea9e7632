"""Closing days: one Job at a time for each collection's container, in the operator's own namespace.

All of them are looked at together, as they share a budget and take turns. What is known of them is in the Jobs; what
was found, in memory and in the collections' statuses.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..access import closing as access
from ..access.credentials import CredentialError, Source
from ..api import jobs, names
from ..api.jobs import Job, JobPod
from ..api.keys import ObjectKey
from ..api.observed import ClosingStatus
from ..api.reasons import Reason
from ..api.resources import DataCollection, OperatorIdentity, Storage, WorkloadIdentity
from ..configuration import Configuration
from ..decide import closing as decide
from ..decide import closing_job, closing_told
from ..decide.closing import Next, Place, Wanted
from ..decide.closing_told import Seen
from ..decide.status import Finding, Told
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..kube import breathing
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, UNREADABLE, ApiError
from ..observe import metrics
from .credential import Credentials
from .refusals import Refusals

logger = logging.getLogger(__name__)

REFUSED_AGAIN = (30.0, 120.0, 600.0)
"""Seconds between tries of a Job that is refused."""

SLOW_TO_START = timedelta(seconds=60)
"""After so long the pod of a Job is looked at: an image that can't be had, or no node, would else be told in hours."""

REST = 1.0
"""Seconds between two looks, however much changes."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What may be done about a place now."""

    collection: DataCollection
    wanted: Wanted | None = None
    source: Source | None = None
    storage: Storage | None = None
    lifetime: timedelta = timedelta()
    blocked: Finding | None = None
    gone: bool = False
    """Whether a Job that runs has to end: nobody lets it, or nobody wants it."""
    unknown: bool = False
    """Whether nobody has looked at the credential yet."""


async def listed(cluster: Cluster, namespace: str) -> list[Job]:
    """List the Jobs of ours that there are in the operator's namespace."""
    found = []
    for body in await cluster.list_jobs(
        namespace, f"{names.MANAGED_BY_LABEL}={names.FIELD_MANAGER},{names.CLOSING_LABEL}"
    ):
        try:
            job = jobs.job(body)
        except UNREADABLE as error:
            logger.warning("not understood job=%s error=%s", body["metadata"]["name"], error)
            continue
        if closing_job.is_ours(job):
            found.append(job)
    return found


class Closer:
    """Makes Jobs, one at a time for each place, and finds out what became of them."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        inventory: Inventory,
        credentials: Credentials,
        grants: Grants,
        configuration: Configuration,
        changed: Callable[[ObjectKey], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin with nothing.

        Args:
            cluster: where writes go only while this process leads.
            inventory: the collections, and the labels of namespaces.
            credentials: what signs a SAS for each collection.
            grants: whom the operator's own identity may serve.
            configuration: see there.
            changed: is told of a collection about whose days there is something new to say.
            clock: seconds, for what is refused.
            now: the time of day.

        """
        self._cluster = cluster
        self._inventory = inventory
        self._credentials = credentials
        self._grants = grants
        self._namespace = configuration.namespace
        self._runner = configuration.closing
        self._changed = changed
        self._now = now
        self._refusals: Refusals[Place] = Refusals(waits=REFUSED_AGAIN, clock=clock)
        self._told: dict[ObjectKey, Told] = {}
        # By the Jobs' uids. Of one that has ended, the pod is looked for once.
        self._pods: dict[str, JobPod | None] = {}
        self._ended: set[str] = set()
        self._running: set[str] = set()
        self._with_secret: set[str] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Have everything looked at soon."""
        self._wake.set()

    async def rest(self, seconds: float) -> None:
        """Wait for so long, or until something changes."""
        await asyncio.sleep(min(REST, seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def told(self, collection: ObjectKey) -> Told | None:
        """Return what is known of a collection's days; None: nobody has looked yet."""
        return self._told.get(collection)

    async def look(self) -> None:
        """Look at everything, once: end what must not run, make what is due and has its turn, and tell."""
        found, unlisted = await self._list()
        there = {closing_job.place_of(job): job for job in found}
        plans = await self._plan(there)
        if unlisted is not None:
            plans = {place: replace(plan, wanted=None, blocked=unlisted) for place, plan in plans.items()}
        steps = {place: self._step(place, there.get(place), plans.get(place)) for place in {*plans, *there}}
        for place, step in steps.items():
            if step in (Next.END, Next.CLEAR):
                await self._quietly("not deleted", there[place].name, self._delete(there[place]))
        due = [place for place, step in steps.items() if step is Next.START and not self._refusals.resting(place)]
        room = decide.turns(due, found, at_once=self._runner.at_once) if self._runner is not None else []
        for place in room:
            made = await self._start(place, plans[place], there.get(place))
            if made is not None:
                there[place] = made
        await self._look_after(there, plans)
        self._tell(plans, there, waiting={place for place, step in steps.items() if step is Next.START} - set(room))
        self._forget(there, plans)

    async def _plan(self, there: Iterable[Place]) -> dict[Place, _Plan]:
        plans = {}
        async for key in breathing.each(list(self._inventory.collection_keys())):
            collection = self._inventory.collection(key)
            if isinstance(collection, DataCollection) and collection.closing is not None:
                for place in self._places(collection, there):
                    plans[place] = self._plan_for(collection, place)
        return plans

    def _places(self, collection: DataCollection, there: Iterable[Place]) -> set[Place]:
        """Name the containers of a collection: its own, or those of all namespaces that the operator's default serves.

        Also of one that has no pod at the moment: its last days are to be closed all the same.
        """
        key, selector = collection.key, collection.namespace_selector
        if key != self._inventory.operator_default or selector is None:
            return {Place(key, key.namespace)}
        known = self._credentials.known(collection)
        served = {place.namespace for place in there if place.collection == key}
        served.update(known.status.namespaces if known is not None else ())
        served.update(run.namespace for run in (collection.status.closing or ClosingStatus()).runs)
        labels = self._inventory.namespace_labels
        return {Place(key, each) for each in served if selector.matches(labels(each))}

    def _plan_for(self, collection: DataCollection, place: Place) -> _Plan:
        """Find out whether, and by whose leave, a Job can be made. Asked each time, as a grant may be gone."""
        closing, runner = collection.closing, self._runner
        assert closing is not None
        if runner is None:
            return _Plan(collection, blocked=closing_told.unavailable(), gone=True)
        if closing.suspend:
            return _Plan(collection, gone=True)
        storage = collection.storage.within(place.namespace)
        if isinstance(storage.credential, WorkloadIdentity):
            return _Plan(collection, blocked=closing_told.without_credential(storage), gone=True)
        if isinstance(storage.credential, OperatorIdentity):
            refusal = self._not_granted(place.namespace, storage)
            if refusal is not None:
                return _Plan(collection, blocked=refusal, gone=refusal.reason is not Reason.CREDENTIALS_UNKNOWN)
        minted = self._credentials.known(collection)
        if minted is None:
            return _Plan(collection, unknown=True)
        if minted.source is None or isinstance(minted.source, WorkloadIdentity):
            return _Plan(collection, blocked=minted.finding)
        dialled = self._credentials.dialled(collection, minted.source, place.namespace)
        if dialled is None:
            return _Plan(collection, blocked=closing_told.not_allowed(storage), gone=True)
        try:
            deletes = closing.delete_after is not None
            left = access.lifetime(minted.source, most=runner.deadline, deletes=deletes, now=self._now())
        except CredentialError as error:
            return _Plan(collection, blocked=Finding(error.reason, str(error)))
        wanted = Wanted(collection, closing_job.arguments(collection, dialled, place.namespace, runner))
        return _Plan(collection, wanted, minted.source, dialled, left)

    def _not_granted(self, namespace: str, storage: Storage) -> Finding | None:
        if self._grants.closable(namespace, storage) is not None:
            return None
        if not self._grants.known:
            return Finding(Reason.CREDENTIALS_UNKNOWN, "the StorageGrants of the cluster are not known yet")
        granted = self._grants.granted(namespace, storage) is not None
        reason = Reason.CLOSING_NOT_GRANTED if granted else Reason.IDENTITY_NOT_GRANTED
        return Finding(reason, self._grants.request(namespace, storage, closing=True))

    def _step(self, place: Place, job: Job | None, plan: _Plan | None) -> Next:
        if plan is None:
            return decide.next_step(job, None, gone=True, last=None, now=self._now())
        runs = (plan.collection.status.closing or ClosingStatus()).runs
        last = next((datetime.fromisoformat(run.finished) for run in runs if run.namespace == place.namespace), None)
        return decide.next_step(job, plan.wanted, gone=plan.gone, last=last, now=self._now())

    async def _list(self) -> tuple[list[Job], Finding | None]:
        """List the Jobs that there are; or say who does not let that be done."""
        if self._runner is None:
            return [], None
        try:
            return await listed(self._cluster, self._namespace), None
        except ApiError as error:
            if not error.refused:
                raise
            message = f"the operator can't list Jobs in {self._namespace}: {error}"
            return [], Finding(Reason.CLOSING_REFUSED, message)

    async def _delete(self, job: Job) -> None:
        ended = job.finished is not None
        await self._cluster.delete_job(ObjectKey(self._namespace, job.name), job.uid, with_pods=not ended)
        logger.info("deleted job=%s collection=%s ended=%s", job.name, job.collection, ended)

    async def _start(self, place: Place, plan: _Plan, before: Job | None) -> Job | None:
        """Make a Job, in the place of one that has ended."""
        assert plan.wanted is not None
        assert self._runner is not None
        now = self._now()
        tries = before.tries + 1 if before is not None and not before.succeeded else 0
        body = closing_job.job(
            place,
            plan.collection,
            plan.wanted.arguments,
            self._runner,
            namespace=self._namespace,
            seconds=int(plan.lifetime.total_seconds()),
            tries=tries,
            now=now,
        )
        try:
            if before is not None:
                await self._delete(before)
            made = jobs.job(await self._cluster.create_job(body))
        except FAILURES as error:
            if isinstance(error, ApiError) and error.conflict:
                return before  # one of the name is on its way out
            refusal = self._refusals.failed(place, error)
            logger.warning("not made job for=%s/%s error=%s", place.collection, place.namespace, refusal.message)
            return None
        metrics.CLOSING_JOBS.labels("made").inc()
        logger.info("made job=%s collection=%s namespace=%s", made.name, place.collection, place.namespace)
        return made

    async def _look_after(self, there: Mapping[Place, Job], plans: Mapping[Place, _Plan]) -> None:
        """See that Jobs that run have their SAS, and what became of those that have ended."""
        for place, job in there.items():
            if job.finished is None:
                self._running.add(job.uid)
                await self._give_sas(place, job, plans.get(place))
                if self._now() - job.created > SLOW_TO_START:
                    await self._quietly("pod not looked at", job.name, self._look_at_pod(job))
            elif job.uid not in self._ended:
                await self._quietly("pod not looked at", job.name, self._look_at_pod(job))
                if job.uid in self._ended and job.uid in self._running:
                    metrics.CLOSING_JOBS.labels("succeeded" if job.succeeded else "failed").inc()
                    logger.info("ended job=%s collection=%s succeeded=%s", job.name, job.collection, job.succeeded)

    async def _give_sas(self, place: Place, job: Job, plan: _Plan | None) -> None:
        """Write the Secret of a Job, unless whoever led before has."""
        if plan is None or plan.wanted is None or plan.source is None or plan.storage is None:
            return
        if job.uid in self._with_secret or job.deleting or self._refusals.resting(place):
            return
        if job.arguments != plan.wanted.arguments:
            return  # it is being ended, and what is signed now is not for it
        assert plan.collection.closing is not None
        # Asked once more: making the Job may have taken its time.
        if isinstance(plan.collection.storage.credential, OperatorIdentity):
            within = plan.collection.storage.within(place.namespace)
            if self._grants.closable(place.namespace, within) is None:
                self.wake()
                return
        token = access.token(
            plan.source,
            plan.storage,
            deletes=plan.collection.closing.delete_after is not None,
            start=job.created,
            end=job.created + timedelta(seconds=job.deadline),
        )
        try:
            await self._cluster.create_secret(closing_job.secret(job, self._namespace, token))
        except FAILURES as error:
            if not (isinstance(error, ApiError) and error.conflict):
                refusal = self._refusals.failed(place, error)
                logger.warning("no sas written job=%s error=%s", job.name, refusal.message)
                return
        self._with_secret.add(job.uid)
        self._refusals.succeeded(place)

    async def _look_at_pod(self, job: Job) -> None:
        bodies = await self._cluster.list_pods_of(self._namespace, f"{names.CLOSING_LABEL}={job.name}")
        ours = [pod for pod in map(jobs.pod, bodies) if pod.owner_uid == job.uid]
        self._pods[job.uid] = max(ours, key=lambda pod: pod.created, default=None)
        if job.finished is not None:
            self._ended.add(job.uid)

    async def _quietly(self, otherwise: str, job: str, doing: Coroutine[Any, Any, None]) -> None:
        """Do one thing; what goes wrong with it is tried again at the next look, and keeps nobody waiting."""
        try:
            await doing
        except (*FAILURES, *UNREADABLE) as error:
            logger.warning("%s job=%s error=%s", otherwise, job, error)

    def _tell(self, plans: Mapping[Place, _Plan], there: Mapping[Place, Job], *, waiting: set[Place]) -> None:
        seen: dict[ObjectKey, list[Seen]] = {}
        unknown = {place.collection for place, plan in plans.items() if plan.unknown}
        for place in sorted(plans):
            job = there.get(place)
            refusal = self._refusals.known.get(place)
            refused = None
            if refusal is not None and refusal.standing:
                message = f"no Job can be made in {self._namespace}, which is tried again: {refusal.message}"
                refused = Finding(Reason.CLOSING_REFUSED, message)
            one = Seen(
                place,
                job,
                self._pods.get(job.uid) if job is not None else None,
                plans[place].blocked,
                refused,
                waits=place in waiting,
            )
            seen.setdefault(place.collection, []).append(one)
        for key in self._inventory.collection_keys():
            collection = self._inventory.collection(key)
            if not isinstance(collection, DataCollection) or collection.closing is None:
                self._told.pop(key, None)
            elif key not in unknown:
                self._say(collection, seen.get(key, []))

    def _say(self, collection: DataCollection, seen: list[Seen]) -> None:
        previous = collection.status.closing
        if collection.closing is not None and collection.closing.suspend:
            told = closing_told.suspended(previous)
        else:
            told = closing_told.told(seen, previous=previous, namespace=self._namespace)
        if self._told.get(collection.key) != told:
            self._told[collection.key] = told
            self._changed(collection.key)

    def _forget(self, there: Mapping[Place, Job], plans: Mapping[Place, _Plan]) -> None:
        present = {job.uid for job in there.values()}
        self._pods = {uid: pod for uid, pod in self._pods.items() if uid in present}
        self._ended &= present
        self._running &= present
        self._with_secret &= present
        self._refusals.keep(set(plans))
        for key in [key for key in self._told if self._inventory.collection(key) is None]:
            del self._told[key]
