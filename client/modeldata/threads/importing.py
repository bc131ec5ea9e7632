"""Large imports in the background, such as azure's: 0.1 to 1 s.

A thread shares the interpreter with the model's all the while, in short turns. A greenlet of gevent does not, and no
request would be answered meanwhile: there a real thread of gevent's own pool imports, and the greenlet waits for it.
"""

from __future__ import annotations

import importlib
import sys
import typing

from . import forking, turns


def load(*names: str) -> None:
    """Import modules, with the gate closed to forks.

    Raises:
        ImportError: one can't be imported.

    """
    with forking.gate.here(), turns.short():
        for name in names:
            if name not in sys.modules:
                _import(name)


def _import(name: str) -> None:
    # Not imported for it: where the model has no gevent, there is none.
    gevent: typing.Any = sys.modules.get("gevent")
    monkey: typing.Any = sys.modules.get("gevent.monkey")
    if gevent is None or monkey is None or not monkey.is_module_patched("threading"):
        importlib.import_module(name)
    else:
        gevent.get_hub().threadpool.apply(importlib.import_module, (name,))
