"""Whether a directory takes rows, as far as can be seen without writing to it."""

from __future__ import annotations

import os
import pathlib

from ..delivery.directory import container
from . import findings

SUBJECT = "storage"


def examine(path: pathlib.Path) -> list[findings.Finding]:
    """Return what is to be said of the directory that rows go to."""
    way_out = "make it (python -m modeldata init), or mount its disk; the client does not make it"
    if not path.is_dir():
        what = "is no directory" if path.exists() else "does not exist"
        return [findings.wrong(SUBJECT, f"{path} {what}: rows wait", way_out)]
    try:
        disk = os.statvfs(path)
    except OSError as error:
        return [findings.wrong(SUBJECT, f"{path} can't be looked at: {error.strerror}: rows wait", way_out)]
    if disk.f_flag & os.ST_RDONLY:
        return [findings.wrong(SUBJECT, f"the disk of {path} is read-only: rows wait", "mount it writable")]
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        text = f"user {os.geteuid()} may not read and write in {path}: rows wait"
        return [findings.wrong(SUBJECT, text, "change its owner or its mode, or run the model as another user")]
    room = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and room < container.LEAST_ROOM_BYTES:
        text = f"the disk of {path} has only {findings.amount(room)} left: rows wait"
        return [findings.wrong(SUBJECT, text, "make room: a file is begun where there are 4 MiB")]
    left = f"its disk has {findings.amount(room)} left" if disk.f_blocks else "its disk has no bound"
    return [findings.ok(SUBJECT, f"{path} can be written; {left}")]
