"""Which days of which streams are meant: by names, and by when."""

from __future__ import annotations

import dataclasses
import datetime
import typing

from .. import catalog
from ..days import names, template
from ..storage import Blobs
from . import errors, joining

ALL = "*"
"""For a name: any, and a column tells which."""

When = datetime.date | str | None
"""A day, a moment (UTC where it names no zone), or one of them as ISO 8601."""

DESIGNATIONS = ("inputs", "predictions", "labels")
_OF_ONE_CALL = frozenset({"inputs", "predictions"})
_DAY = datetime.timedelta(days=1)


def is_of_one_call(designation: str) -> bool:
    """Return whether a designation is collected where the model is called."""
    return designation in _OF_ONE_CALL


COLUMNS = {
    "version": "$Version",
    "webservice": "$Webservice",
    "workspace": "$Workspace",
    "resourceGroup": "$ResourceGroup",
    "subscription": "$Subscription",
    "namespace": "$Namespace",
}
"""The columns that tell what a path tells."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A model, by the fields of its path."""

    fields: tuple[tuple[str, str], ...]
    """Those that were named."""
    told: tuple[str, ...]
    """Those that may be anything, and are told by a column each."""

    def __str__(self) -> str:
        """Return it for messages."""
        return ", ".join(f"{name} {value!r}" for name, value in self.fields) or "any model"


def choose(path: template.Template, given: typing.Mapping[str, str | None]) -> Chosen:
    """Return which streams are meant by names as the collector was given them.

    Raises ``NotFoundError``: the path does not tell what was named.
    """
    fields: list[tuple[str, str]] = []
    told: list[str] = []
    for name, value in given.items():
        if value is None:
            continue
        if f"{{{name}}}" not in path.text:
            if value != ALL:
                raise errors.NotFoundError(f"the path {path.text!r} has no {{{name}}}: leave {name} out")
        elif value == ALL:
            told.append(name)
        else:
            fields.append((name, names.safe(value)))
    return Chosen(tuple(fields), tuple(told))


@dataclasses.dataclass(frozen=True)
class Period:
    """From when to when."""

    first: datetime.date | None
    last: datetime.date | None
    between: joining.Between


def period(since: When, until: When) -> Period:
    """Return days and moments of a question.

    Raises ``ValueError``.
    """
    begin, end = _parsed(since, "since"), _parsed(until, "until")
    first = last = None
    after = before = None
    if begin is not None:
        after = begin if isinstance(begin, datetime.datetime) else _midnight(begin)
        first = after.date()
    if end is not None:
        before = end if isinstance(end, datetime.datetime) else _midnight(end + _DAY)
        last = (before - datetime.timedelta(microseconds=1)).date()
    if after is not None and before is not None and after >= before:
        raise ValueError(f"until ({until}) is before since ({since})")
    return Period(first, last, joining.Between(after, before))


def days(
    store: Blobs, path: template.Template, chosen: Chosen, asked: typing.Sequence[str] | None, when: Period
) -> dict[str, list[template.Day]]:
    """Return the days of each designation that is read, in the order asked for.

    The first one's are those of the period. What belongs to its rows may have been collected later: predictions until
    the day after, what else there is (labels) at any time since.

    Raises ``NotFoundError``, ``AmbiguousError``.
    """
    wanted = template.Wanted(chosen.fields, None if when.first is None else when.first - _DAY)
    found: dict[str, list[template.Day]] = {}
    for day in catalog.find(store, path, wanted):
        found.setdefault(day.stream.designation, []).append(day)
    order = _order(store, path, chosen, asked, found)
    _one_of_each(chosen, [day for each in order for day in found[names.safe(each)]])
    read = {}
    for place, name in enumerate(order):
        first, last = when.first, when.last
        if place:
            first = first and first - _DAY
            last = last + _DAY if last is not None and {name, order[0]} <= _OF_ONE_CALL else None
        read[name] = [day for day in found[names.safe(name)] if _within(day, first, last)]
    if not read[order[0]]:
        raise errors.NotFoundError(_nothing(store, path, chosen, order[0]))
    return read


def _order(
    store: Blobs,
    path: template.Template,
    chosen: Chosen,
    asked: typing.Sequence[str] | None,
    found: typing.Mapping[str, object],
) -> list[str]:
    if asked is None and found:
        return [name for name in DESIGNATIONS if name in found] or sorted(found)
    for name in asked or ():
        if names.safe(name) not in found:
            raise errors.NotFoundError(_nothing(store, path, chosen, name))
    if not asked:
        raise errors.NotFoundError(_nothing(store, path, chosen))
    return list(dict.fromkeys(asked))


def _one_of_each(chosen: Chosen, found: typing.Sequence[template.Day]) -> None:
    """Refuse what would mix, unasked, rows of models that have only their name in common."""
    open_fields = [name for name, _ in found[0].stream.fields if name in {"model", *COLUMNS}]
    for name in open_fields:
        if name in chosen.told or name in dict(chosen.fields):
            continue
        values = sorted({dict(day.stream.fields)[name] for day in found})
        if len(values) > 1:
            raise errors.AmbiguousError(
                f"{chosen} is there more than once, in {_word(name)} {', '.join(values)}: name one, as"
                f" {_parameter(name)}={values[0]!r}"
                + (f", or all by {_parameter(name)}='*'" if name != "model" else "")
            )


def _nothing(store: Blobs, path: template.Template, chosen: Chosen, designation: str = "") -> str:
    """Return what to say where nothing is found: what there is."""
    there = list(catalog.find(store, path, template.Wanted()))
    if not there:
        return (
            f"nothing was collected in {store.address} below {path.text}: look at the address, and at spec.storage.path"
            " of the DataCollection (path=)"
        )
    ours = [day for day in there if dict(chosen.fields).items() <= dict(day.stream.fields).items()]
    if not ours:
        known = {f"{each.stream.webservice}/{each.stream.model}/{each.stream.version}" for each in there}
        return f"{chosen} was not collected in {store.address}: there are (webservice/model/version) {_listed(known)}"
    dates = [day.date for day in ours if designation in {"", day.stream.designation}]
    if not dates:
        known = {day.stream.designation for day in ours}
        return f"{chosen} has no {designation} in {store.address}: there are {_listed(known)}"
    what = designation or "rows"
    return (
        f"no {what} of {chosen} were collected in this time in {store.address}: there are some from {min(dates)} to"
        f" {max(dates)}"
    )


def _listed(found: typing.Iterable[str]) -> str:
    known = sorted(found)
    return ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")


def _word(name: str) -> str:
    return {"resourceGroup": "resource groups"}.get(name, f"{name}s")


def _parameter(name: str) -> str:
    return {"resourceGroup": "resource_group", "model": "name"}.get(name, name)


def _within(day: template.Day, first: datetime.date | None, last: datetime.date | None) -> bool:
    return (first is None or day.date >= first) and (last is None or day.date <= last)


def _parsed(value: When, name: str) -> datetime.date | None:
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value) if len(value) <= 10 else datetime.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name} must be a day such as 2026-11-30, or a time in ISO 8601: {value!r}") from None
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)
    return value


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)
