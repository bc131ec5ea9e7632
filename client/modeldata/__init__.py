"""Records what a model sees and says: ``ModelDataCollector(...).collect(data)``.

Rows go to a spool on the pod's disk and from there, exactly once, to CSV files in Azure Blob Storage. Importing this
package loads none of azure, pandas and numpy.

The way of a row, module by module:

- on the model's thread: ``collector``, ``correlation``; ``rows``, ``cells``, ``frames``; ``record``; ``writer``
- the pod's disk: ``spool``, ``sharing``
- in the background: ``shipper``, ``delivery``, ``taking``; text and place: ``batch``, ``text``, ``redaction``,
  ``target``
- once, and no more: ``journal``, ``aside``; ``appender``, ``sharedfile``, ``podfile``, ``firstline``, ``pacing``;
  ``storage``

Beside it: ``settings``, ``request`` and ``web`` (ids), ``pipeline``, ``lifecycle`` and ``forking`` (processes),
``turns``.
What a person sees: ``counters``, ``statistics``, ``waiting``, ``metrics``; ``doctor`` with ``finding``, ``credential``,
``reach``, ``backlog`` and ``memory``.
"""

from __future__ import annotations

import time

from . import lifecycle, metrics, pipeline, statistics
from .collector import ModelDataCollector
from .request import request_id
from .statistics import Statistics

__all__ = ["ModelDataCollector", "Statistics", "close", "flush", "metrics", "request_id", "stats"]


def flush(timeout: float = lifecycle.EXIT_SECONDS) -> bool:
    """Wait, at most ``timeout`` seconds, until what this process collected is in Blob Storage; return whether it is."""
    ours = pipeline.existing()
    return ours.flush(timeout) if ours is not None else True


def close(timeout: float = lifecycle.EXIT_SECONDS) -> bool:
    """Send what is left and stop; for a server's shutdown hook. Return whether all is in Blob Storage."""
    ours = pipeline.existing()
    return ours.close(timeout) if ours is not None else True


def stats() -> Statistics:
    """Return what this process has collected, delivered and dropped, and what waits in the pod's spool."""
    return statistics.take(pipeline.existing(), time.time())
