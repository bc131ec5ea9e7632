"""What must not be under way while this process forks.

A forked child has one thread, and every lock as it was. An import in the middle of another thread would stay so for
ever; so would a lock of a library that the shipper's thread holds just then.
"""

from __future__ import annotations

import threading

gate = threading.RLock()
"""Held by whoever imports azure or takes a library's locks in the background, and by who forks.

Re-entrant: the SDK's client runs a program (``uname``, for its user agent), which with gevent forks as Python does.
"""


def renew() -> None:
    """Open the gate in a child whose parent's fork ran no hooks: whoever held it is not there."""
    global gate
    gate = threading.RLock()
