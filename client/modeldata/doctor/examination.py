"""``python -m modeldata doctor``: what is configured here, whether storage can be reached, and what waits in the spool.

It looks and changes nothing: no file is written, no lock is taken, no blob is made. It is for a process of its own, as
``backlog`` is; ``kubectl exec <pod> -- python -m modeldata doctor`` is one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pathlib
import platform
import shutil
import time
import typing
import urllib.parse

from .. import settings
from ..delivery import detour, matching
from ..delivery.azure import answers, tokens
from ..delivery.files import pacing
from ..encoding import paths, redaction
from ..observe import causes
from ..process import lifecycle
from ..spool import records
from . import backlog, credential, disk, findings, memory, probe

_LATE_SECONDS = 60.0
"""So much after its turn, and a row is late."""

_REQUEST_BYTES = 64 * 1024 * 1024
"""What a request may take: 32 MB were measured, for importing azure-storage-blob. The container's limit holds for both
this process and the model, which must not be killed for it."""


def report(write: typing.Callable[[str], object]) -> int:
    """Write what is found, a line each, in the order of a row's way; return 1 if something is wrong, else 0."""
    worst = 0
    for each in examine():
        write(f"{each}\n")
        worst |= each.level is findings.Level.WRONG
    return worst


def examine() -> typing.Iterator[findings.Finding]:
    """Yield the findings on this pod."""
    installed = ", ".join(f"{name} {_version(name)}" for name in ("modeldata", "azure-storage-blob"))
    yield findings.ok("client", f"{installed}, Python {platform.python_version()}, user {os.geteuid()}")
    named = os.environ.get(lifecycle.DIRECTORY_VARIABLE)
    if not named:
        text = f"{lifecycle.DIRECTORY_VARIABLE} is not set: nothing is collected here"
        way_out = (
            "in a cluster it is set when a pod starts that a DataCollection selects: see kubectl get mdc; elsewhere set"
            " it to what python -m modeldata init makes"
        )
        yield findings.wrong("directory", text, way_out)
        return
    directory = pathlib.Path(named)
    if not directory.is_dir():
        text = f"{directory} ({lifecycle.DIRECTORY_VARIABLE}) is no directory: nothing is collected here"
        yield findings.wrong("directory", text, "are the volumes modeldata-* mounted there? a new pod gets them")
        return
    yield findings.ok("directory", str(directory))
    current, found = _settings(directory / "settings" / "settings.json")
    yield from found
    yield from _treatment(directory / "credential" / "hash-key", current)
    yield from _unmatched(directory / "spool" / ".shipper" / matching.FILE, current)
    yield from _storage(directory, current)
    yield from _refusals(directory / "spool", time.time())
    yield from _spool(directory / "spool", current)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _settings(file: pathlib.Path) -> tuple[settings.Settings, list[findings.Finding]]:
    way_out = "processes that run keep the last good settings, new ones collect nothing; the operator writes the file"
    try:
        content = file.read_bytes()
    except OSError as error:
        return settings.OFF, [findings.wrong("settings", f"{file} can't be read: {error.strerror}", way_out)]
    complaints = _Complaints()
    try:
        with complaints:
            current = settings.parse(content)
    except settings.SettingsError as error:
        return settings.OFF, [findings.wrong("settings", f"{file}: {error}", way_out)]
    found = [findings.ok("settings", f"{current.collection or 'no name'}, generation {current.generation}")]
    if complaints.messages:
        way_out = "use a newer client, or change the DataCollection"
        found += [findings.wrong("settings", each, way_out) for each in complaints.messages]
    elif not current.enabled:
        text = "collection is off; rows collected before are still sent"
        found.append(findings.warning("settings", text, "to switch it on: enabled: true, in the DataCollection's spec"))
    if current.unfulfilled:
        return current, found
    if current.storage is None:
        text = "no storage is named: nothing is collected, and nothing sent"
        found.append(findings.wrong("settings", text, "storage.endpoint is missing"))
        return current, found
    example = records.Stream(model="MODEL", designation="DESIGNATION")
    path = paths.directory(example, time.time_ns() // 1000, current, current.storage.path)
    name = path.replace("{file}", "data.csv" if current.storage.file == settings.SHARED else "data.POD.csv")
    found.append(findings.ok("settings", f"rows go to {current.storage.endpoint}/{current.storage.container}/{name}"))
    found.append(
        findings.ok(
            "settings",
            f"sent every {current.flush_seconds:g} s; the spool may hold {findings.amount(current.spool_bytes)}",
        )
    )
    return current, found


def _treatment(key: pathlib.Path, current: settings.Settings) -> typing.Iterator[findings.Finding]:
    """Yield what is left out of the rows, or changed."""
    if current.percent < 100:
        yield findings.ok("settings", f"{current.percent} % of the requests are collected")
    for action, done in ((settings.Action.DROP, "left out"), (settings.Action.HASH, "hashed")):
        features = [each.feature for each in current.redactions if each.action is action]
        if features:
            yield findings.ok("settings", f"{done}: {', '.join(features)}")
        if features and action == settings.Action.HASH and not redaction.read_key(key):
            way_out = "the operator writes it beside the credential: see the condition CredentialsReady"
            yield findings.wrong("settings", f"{key} has no key for the hashes: rows that need it wait", way_out)


def _unmatched(file: pathlib.Path, current: settings.Settings) -> typing.Iterator[findings.Finding]:
    """Yield what is to be redacted and was found nowhere."""
    held = {each.feature for each in current.redactions if each.hold}
    for feature, models in matching.read(file).unmatched(current.redactions).items():
        text = f"nothing is redacted as {feature!r}: no row of {', '.join(models)} has such a column or key so far"
        way_out = "if its name is misspelt, mend spec.redact in the DataCollection"
        if feature in held:
            yield findings.wrong("redaction", f"{text}, so all rows wait (onMissing: Hold)", way_out)
        else:
            yield findings.warning("redaction", text, way_out)


class _Complaints(logging.Handler):
    """What is logged within a ``with``, and not shown elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage().partition("modeldata: ")[2])

    def __enter__(self) -> None:
        logging.getLogger("modeldata").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("modeldata").removeHandler(self)


def _storage(directory: pathlib.Path, current: settings.Settings) -> typing.Iterator[findings.Finding]:
    where, path = current.storage, directory / "credential" / "sas"
    if where is not None and where.directory is not None:
        yield from disk.examine(where.directory)
        return
    if where is not None and where.identity is not None:
        identity, file = where.identity, directory / "identity" / "token"
        yield from _identity(identity, file)
        if where.endpoint.startswith("https://"):
            yield from _reach(where, lambda: tokens.Tokens(identity, file))
        else:
            way_out = "change the endpoint, or use a SAS"
            yield findings.wrong(
                probe.SUBJECT, f"{where.endpoint} is not https, and a token is not sent to it", way_out
            )
        return
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        way_out = "rows wait; the operator writes it: see the condition CredentialsReady (kubectl describe mdc)"
        yield findings.wrong(credential.SUBJECT, f"{path} can't be read: {why}", way_out)
        return
    https = where is None or where.endpoint.startswith("https://")
    reads = where is None or where.file == settings.SHARED
    yield from credential.examine(token, https=https, reads=reads, now=time.time())
    if where is not None and token:
        yield from _reach(where, lambda: token)


def _identity(identity: settings.WorkloadIdentity, file: pathlib.Path) -> typing.Iterator[findings.Finding]:
    installed = f"{tokens.PACKAGE} {_version(tokens.PACKAGE)}"
    yield findings.ok(credential.SUBJECT, f"signs in as {identity}, with {installed}")
    try:
        token = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        text = f"{file} can't be read: {error.strerror if isinstance(error, OSError) else 'no text'}"
        yield findings.wrong(credential.SUBJECT, text, credential.way_to_token(text))
        return
    yield from credential.examine_token(token, now=time.time())


def _reach(
    where: settings.Storage, credentials: typing.Callable[[], str | tokens.Tokens]
) -> typing.Iterator[findings.Finding]:
    url = urllib.parse.urlsplit(where.endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        yield findings.wrong(probe.SUBJECT, f"the endpoint {where.endpoint!r} is no URL", "https://<account>.blob...")
        return
    left = memory.left()
    if left is not None and left < _REQUEST_BYTES:
        text = f"not asked: this container has only {findings.amount(left)} of memory left, which is the model's"
        yield findings.warning(probe.SUBJECT, text, "ask from another pod, or give this one more")
        return
    try:
        yield from probe.examine(where, probe.ask(where, credentials()))
    except answers.NotDone as undone:
        detail = undone.reply.detail
        yield findings.wrong(credential.SUBJECT, f"{detail}: rows wait", credential.way_to_token(detail))
    except ImportError as error:
        way_out = "pip install azure-storage-blob; rows wait until then"
        yield findings.wrong(probe.SUBJECT, f"azure-storage-blob can't be imported: {error.name or error}", way_out)


def _refusals(directory: pathlib.Path, now: float) -> typing.Iterator[findings.Finding]:
    """Yield what storage refuses the process that ships: what a request of ours does not meet, as it writes nothing."""
    for each in detour.told(directory / ".shipper"):
        more = f" and {each.files - 1} files more" if each.files > 1 else ""
        lasts = findings.span(max(0.0, now - each.since))
        text = f"{each.path}{more}: {each.cause} ({each.detail}) for {lasts}: rows wait"
        known = each.cause in {cause.value for cause in causes.Cause}
        yield findings.wrong("refusals", text, causes.Cause(each.cause if known else "other").way_out)


def _spool(directory: pathlib.Path, current: settings.Settings) -> typing.Iterator[findings.Finding]:
    try:
        seen = backlog.look(directory)
        room = shutil.disk_usage(directory).free
    except FileNotFoundError:
        yield findings.warning(
            "spool", f"{directory} is not there", "the first row makes it, if the disk can be written"
        )
        return
    except OSError as error:
        way_out = "run this as the user that the model runs as"
        yield findings.wrong("spool", f"{directory} can't be read: {error.strerror}", way_out)
        return
    yield from spool_findings(
        seen, current, room=room, writable=os.access(directory, os.W_OK | os.X_OK), now=time.time()
    )


def spool_findings(
    seen: backlog.Backlog, current: settings.Settings, *, room: int, writable: bool, now: float
) -> list[findings.Finding]:
    """Return what is to be said of a spool.

    Args:
        seen: what lies in it.
        current: the settings in force.
        room: bytes that are free on its disk.
        writable: whether it can be written.
        now: seconds since the epoch.

    """
    found = []
    text = f"it holds {findings.amount(seen.used_bytes)} of {findings.amount(current.spool_bytes)}"
    if not writable:
        found.append(
            findings.wrong(
                "spool", "it can't be written: rows are dropped (disk)", "mount it writable; is this the model's user?"
            )
        )
    elif seen.used_bytes >= current.spool_bytes:
        way_out = "mend what keeps storage away, or give it more: spool.size in the DataCollection"
        found.append(findings.wrong("spool", f"{text}: it is full, new rows are dropped (spool_full)", way_out))
    elif room < current.spool_bytes - seen.used_bytes:
        text = f"{text}, but its disk has only {findings.amount(room)} left"
        found.append(findings.warning("spool", text, "free some, or rows may be dropped (disk)"))
    else:
        found.append(findings.ok("spool", f"{text}; its disk has {findings.amount(room)} left"))
    found += [
        findings.wrong("spool", f"can't be read: {each}", "its rows wait; is this the model's user?")
        for each in seen.unreadable
    ]
    alive = [each for each in seen.processes if each.alive]
    dead = [each for each in seen.processes if not each.alive and each.waiting_bytes]
    found.append(findings.ok("processes", _waits("running", alive)))
    if dead and seen.shipped:
        found.append(findings.ok("processes", f"{_waits('ended', dead)}; one that runs sends it"))
    elif dead:
        way_out = "the next process of this pod that collects sends it; if the pod is deleted before, it is lost"
        found.append(findings.warning("processes", _waits("ended", dead), way_out))
    found += _waiting(seen, current, alive=bool(alive), now=now)
    return found


def _waits(what: str, processes: list[backlog.Process]) -> str:
    return f"{len(processes)} {what}; {findings.amount(sum(each.waiting_bytes for each in processes))} of theirs wait"


def _waiting(
    seen: backlog.Backlog, current: settings.Settings, *, alive: bool, now: float
) -> typing.Iterator[findings.Finding]:
    cause = "what keeps them is in the lines above, or in the log of the model"
    if seen.oldest:
        age = max(0.0, now - seen.oldest)
        text = f"the oldest row that waits was collected {findings.span(age)} ago"
        if age <= max(current.flush_seconds, pacing.MOST_SECONDS) + _LATE_SECONDS:
            yield findings.ok("waiting", text)
        else:
            yield findings.warning("waiting", text, cause)
    elif seen.waiting_bytes:
        yield findings.ok("waiting", "no whole row that could be read")
    else:
        yield findings.ok("waiting", "nothing")
    if seen.taken is not None:
        age = max(0.0, now - seen.taken.since)
        tried = f"; the append under way goes to {seen.taken.intent}" if seen.taken.intent else ""
        text = f"{seen.taken.rows} rows for {seen.taken.into} were taken on {findings.span(age)} ago{tried}"
        if age <= _LATE_SECONDS:
            yield findings.ok("batch", text)
        else:
            yield findings.warning("batch", text, f"{cause}; they are tried again until they have arrived")
    if seen.aside[0]:
        text = f"{seen.aside[0]} blocks ({findings.amount(seen.aside[1])}) that storage refuses were set aside"
        yield findings.warning("set aside", text, f"{cause}; they are tried again, and nothing behind them waits")
    if alive and seen.waiting_bytes and not seen.shipped:
        way_out = "one is chosen within a second: look again; if it stays so, see 'shipper' in the log of the model"
        yield findings.warning("shipper", "no process ships, and rows wait", way_out)
    elif seen.shipped:
        yield findings.ok("shipper", "one process ships, for all")
