"""What a run says at its end: at most 4,096 bytes of JSON, which a pod's termination message holds.

Its schema is docs/contract/closing.schema.json.
"""

from __future__ import annotations

import collections
import datetime
import json
import typing

from ..days import template
from .closer import Outcome, State

VERSION = 1
MOST_BYTES = 4096
MOST_FAILED, MOST_STREAMS = 10, 10
MOST_MESSAGE = 256


class Failure(typing.NamedTuple):
    """What could not be done."""

    day: str
    """The day's folder; empty where it is about none."""
    reason: str
    message: str


class Summary:
    """Adds up what became of days."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._states: collections.Counter[State] = collections.Counter()
        self._days: dict[template.Stream, list[Outcome]] = {}
        self.rows = self.late_days = self.late_rows = self.deleted = 0

    def add(self, outcome: Outcome) -> None:
        """Take one in."""
        self._states[outcome.state] += 1
        self._days.setdefault(outcome.day.stream, []).append(outcome)
        self.rows += outcome.rows
        self.deleted += outcome.deleted
        if outcome.late and outcome.new:
            self.late_days += 1
            self.late_rows += outcome.new
        if outcome.state is State.FAILED:
            self.fail(outcome.day.folder, outcome.reason, outcome.message)

    def fail(self, day: str, reason: str, message: str) -> None:
        """Take in what went wrong."""
        self.failures.append(Failure(day, reason, message[:MOST_MESSAGE]))

    @property
    def closed(self) -> int:
        """Days of which all is closed."""
        return self._states[State.CLOSED]

    @property
    def pending(self) -> int:
        """Days that are not due, or that another one closes."""
        return self._states[State.OPEN] + self._states[State.WAITING]

    @property
    def through(self) -> datetime.date | None:
        """The last day of which, and of all before it, everything that is there is closed."""
        return _through([each for found in self._days.values() for each in found])

    def to_json(self) -> str:
        """Return the report."""
        failed = [each._asdict() for each in self.failures[:MOST_FAILED]]
        streams = self._streams()
        while True:
            text = json.dumps(
                {
                    "version": VERSION,
                    "closed": {"days": self.closed, "rows": self.rows, **_through_text(self.through)},
                    "late": {"days": self.late_days, "rows": self.late_rows},
                    "pending": {"days": self.pending},
                    "failed": failed,
                    "deleted": {"files": self.deleted},
                    "streams": streams,
                },
                ensure_ascii=False,
            )
            if len(text.encode()) <= MOST_BYTES:
                return text
            # Names may be long: what matters least goes first.
            (streams or failed).pop()

    def _streams(self) -> list[dict[str, object]]:
        """Return those with the most rows."""
        found = [(sum(each.rows for each in days), str(stream), _through(days)) for stream, days in self._days.items()]
        closed = sorted(((rows, stream, date) for rows, stream, date in found if date is not None), reverse=True)
        return [{"stream": stream, **_through_text(date), "rows": rows} for rows, stream, date in closed[:MOST_STREAMS]]


def _through(days: typing.Sequence[Outcome]) -> datetime.date | None:
    first = min(
        (each.day.date for each in days if each.state not in {State.CLOSED, State.EMPTY}), default=datetime.date.max
    )
    return max((each.day.date for each in days if each.state is State.CLOSED and each.day.date < first), default=None)


def _through_text(date: datetime.date | None) -> dict[str, str]:
    return {} if date is None else {"through": date.isoformat()}
