"""Why storage keeps rows waiting: a name for each of its refusals, and what a person has to do.

The names are what ``stats()``, the metrics and the log call it, so they stay as they are.
"""

from __future__ import annotations

import enum


class Cause(str, enum.Enum):
    """What is behind an answer that is no success."""

    IMMUTABLE = "immutable"
    LEASE = "lease"
    ENCRYPTION = "encryption"
    DIRECTORY = "directory"
    NAMES = "no_free_name"
    CONTENDED = "contended"
    CREDENTIAL = "credential"
    FORBIDDEN = "forbidden"
    ACCOUNT = "account_disabled"
    CONTAINER = "container"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    DISK = "disk"
    OTHER = "other"

    @property
    def way_out(self) -> str:
        """What a person can do about it."""
        return _WAYS_OUT[self]


_WAYS_OUT = {
    Cause.IMMUTABLE: (
        "a retention policy or legal hold forbids appends: allow protected append writes in the container's policy,"
        " or name another container"
    ),
    Cause.LEASE: "somebody holds a lease: end it (az storage blob lease break, or container lease break)",
    Cause.ENCRYPTION: "mend the account's or container's encryption: a scope, a key, or the vault that it is in",
    Cause.DIRECTORY: "move the file that stands where a folder has to be (in an account with a hierarchical namespace)",
    Cause.NAMES: "remove from this folder what is no append blob, or change storage.path",
    Cause.CONTENDED: "something else writes, or deletes, this file all the time: end it, or use file: PerPod",
    Cause.CREDENTIAL: "give a new credential (python -m modeldata doctor says what is wrong with it)",
    Cause.FORBIDDEN: (
        "let this credential add and create here (Shared: and read): its permissions, conditions, network;"
        " in a directory, let this user write (its owner, its mode, a disk that is read-only)"
    ),
    Cause.ACCOUNT: "enable the account again, or wait until its failover is over",
    Cause.CONTAINER: "make the container (a directory: or mount its disk), or enable it",
    Cause.BUSY: "nothing: it is tried again by itself; if it lasts, ask for the account's limits and Azure's status",
    Cause.UNREACHABLE: "let this pod reach the endpoint: its name, network policies, firewalls, proxies",
    Cause.DISK: "make room on the disk of the directory that rows go to (4 MiB at least), or mend it",
    Cause.OTHER: "see the service's code; docs/client.md has what to do",
}
