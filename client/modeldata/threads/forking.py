"""What must not be under way while this process forks.

A forked child has one thread, and every lock as it was. An import in the middle of another thread would stay so for
ever; so would a lock of a library that the shipper's thread holds just then.
"""

from __future__ import annotations

import os
import sys
import threading


class Lock:
    """A re-entrant lock of this process: a child has its own, which nobody holds, whatever forked it.

    No hook of Python's makes it anew, as some servers fork in C and run none, or only some of them.
    """

    def __init__(self) -> None:
        self._locks: dict[int, threading.RLock] = {}

    def here(self) -> threading.RLock:
        """Return the lock of the process that asks."""
        # Of two threads that ask first, both get the same: this is one step.
        return self._locks.setdefault(os.getpid(), threading.RLock())


def is_master() -> bool:
    """Return whether this is uWSGI's master, which forks its workers in C, without Python's hooks unless told to.

    With a thread of ours in it, a worker may find the interpreter's lock taken by a thread that it does not have, and
    never answer (measured: not one request of a model that was loaded before the fork, with ``enable-threads``).
    """
    # Not imported for it: it is there in uWSGI's processes alone.
    number = getattr(sys.modules.get("uwsgi"), "masterpid", None)
    return number is not None and number() == os.getpid()


gate = Lock()
"""Held by whoever imports azure or takes a library's locks in the background, and by who forks.

Re-entrant: the SDK's client runs a program (``uname``, for its user agent), which with gevent forks as Python does.
"""
