"""Records what a model sees and says: ``ModelDataCollector(...).collect(data)``.

Rows go to a spool on the pod's disk and from there, exactly once, to CSV files in Azure Blob Storage. Importing this
package loads none of azure, pandas and numpy, and changes nothing in a process: no signal handler, no hook, no thread.
All that comes with the first collector that is configured.

The way of a row, room by room, each of which knows only those below it:

- ``collector``: the class that a script writes to
- ``process``: the pipeline of this process; its forks, signals and exit
- ``delivery``: in the background, from the spool into Blob Storage, once
- ``encoding``: CSV text, and the paths of its files
- ``spool``: rows on the pod's disk
- ``requests``: which rows belong together
- ``tables``: what a call's data is
- ``observe``: what a person sees of it all
- ``settings``: what is asked for; ``threads``: how the background shares the process with the model

Beside it: ``doctor`` and ``preparation``, for the command line; ``metrics`` and ``web``, for scripts.
"""

from __future__ import annotations

import time

from . import metrics
from .collector import ModelDataCollector
from .observe.statistics import Statistics
from .process import ending, running
from .process.lifecycle import install
from .requests.context import request_id

__all__ = ["ModelDataCollector", "Statistics", "close", "flush", "install", "metrics", "request_id", "stats"]


def flush(timeout: float = ending.EXIT_SECONDS) -> bool:
    """Wait, at most ``timeout`` seconds, until what this process collected is in Blob Storage; return whether it is."""
    ours = running.existing()
    return ours.flush(timeout) if ours is not None else True


def close(timeout: float = ending.EXIT_SECONDS) -> bool:
    """Send what is left and stop; for a server's shutdown hook. Return whether all is in Blob Storage."""
    ours = running.existing()
    return ours.close(timeout) if ours is not None else True


def stats() -> Statistics:
    """Return what this process has collected, delivered and dropped, and what waits in the pod's spool."""
    ours = running.existing()
    return ours.statistics(time.time()) if ours is not None else Statistics()
