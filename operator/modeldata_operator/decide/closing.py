"""When a collection's days are closed: whether a Job is due, what becomes of one, and whose turn it is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from ..api.jobs import Job
from ..api.keys import ObjectKey
from ..api.resources import DataCollection

DELAYS = tuple(timedelta(minutes=minutes) for minutes in (10, 30, 60, 120, 240))
"""After so long one that failed is made again; the last counts for all that follow."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What one Job is about: the container of one namespace, for one collection. There is one Job for it at a time."""

    collection: ObjectKey
    namespace: str
    """The collection's own, but for the operator's default, which serves others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a Job would be made for now."""

    collection: DataCollection
    arguments: tuple[str, ...]


class Next(Enum):
    """What is to be done about a place."""

    NOTHING = auto()
    START = auto()
    """A Job is due. One that has ended goes first."""
    END = auto()
    """The one that runs is not wanted any more, or wanted otherwise."""
    CLEAR = auto()
    """One that has ended is of no use any more."""


def came_due(waits: timedelta, now: datetime) -> datetime:
    """Say when a day came due the last time: so long after midnight in UTC.

    A run that began later has seen all that is due. Each such moment brings one run, which also takes in the late rows
    of days that are closed.
    """
    midnight = (now.astimezone(UTC) - waits).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + waits


def next_step(job: Job | None, wanted: Wanted | None, *, gone: bool, last: datetime | None, now: datetime) -> Next:
    """Decide about one place.

    Args:
        job: the one that is there.
        wanted: None while none can be made.
        gone: whether nobody asks for one any more, or may: then one that runs is ended.
        last: when the last good run ended, as the status says, for where its Job is not there any more.
        now: the present.

    """
    if job is None:
        if wanted is None or wanted.collection.closing is None:
            return Next.NOTHING
        due = came_due(wanted.collection.closing.waits, now)
        return Next.NOTHING if last is not None and due <= last <= now else Next.START
    if job.deleting:
        return Next.NOTHING
    if job.finished is None:
        changed = wanted is not None and (
            job.arguments != wanted.arguments or job.collection_uid != wanted.collection.uid
        )
        return Next.END if gone or changed else Next.NOTHING
    if wanted is None or wanted.collection.closing is None:
        return Next.CLEAR if gone else Next.NOTHING
    if job.collection_uid != wanted.collection.uid:
        return Next.START
    if job.succeeded:
        return Next.START if job.created < came_due(wanted.collection.closing.waits, now) else Next.NOTHING
    # A person's change of the spec is a reason to try at once.
    return Next.START if again_at(job) <= now or job.generation != wanted.collection.generation else Next.NOTHING


def again_at(job: Job) -> datetime:
    """Say when a Job that failed is made again."""
    assert job.finished is not None
    return job.finished + DELAYS[min(job.tries, len(DELAYS) - 1)]


def turns(due: Iterable[Place], jobs: Sequence[Job], *, at_once: int) -> list[Place]:
    """Choose whose Job is made now, within what may run at a time.

    First whose namespace has the fewest, then whose had its last one the longest ago. No namespace has all the room,
    where there is room for two: its Jobs may take hours, and others' days are to be closed too.
    """
    running = Counter(job.namespace for job in jobs if job.finished is None)
    namespaces, places = dict[str, datetime](), dict[Place, datetime]()
    for job in jobs:
        namespaces[job.namespace] = max(job.created, namespaces.get(job.namespace, job.created))
        places[Place(job.collection, job.namespace)] = job.created
    never = datetime.min.replace(tzinfo=UTC)
    most = max(at_once - 1, 1)
    waiting, chosen = set(due), list[Place]()
    while waiting and sum(running.values()) < at_once:
        room = [place for place in waiting if running[place.namespace] < most]
        if not room:
            break
        first = min(
            room,
            key=lambda place: (
                running[place.namespace],
                namespaces.get(place.namespace, never),
                places.get(place, never),
                place,
            ),
        )
        chosen.append(first)
        waiting.discard(first)
        running[first.namespace] += 1
    return chosen
