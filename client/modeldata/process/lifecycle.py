"""The first collector, fork, signals and exit: the moments when rows are lost if nobody looks.

Importing this package changes nothing in a process: what hooks into it is installed for the first collector that is
configured, and the pipeline is imported for it.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pathlib
import sys
import typing

from ..requests import context, flask, ids
from ..threads import forking
from . import ending, running, signals

if typing.TYPE_CHECKING:
    from . import pipeline

DIRECTORY_VARIABLE = "MODELDATA_DIR"

_installed = False


def why_idle() -> str:
    """Return why nothing is collected in this process; empty if it is."""
    return f"{DIRECTORY_VARIABLE} is not set" if not os.environ.get(DIRECTORY_VARIABLE) else unsupported()


def unsupported() -> str:
    """Return why rows can't be collected on this platform; empty if they can."""
    needed = ("posix_fallocate", "register_at_fork")
    if sys.platform == "linux" and all(hasattr(os, name) for name in needed) and _has_locks():
        return ""
    return f"Linux is needed, and this is {sys.platform}"


def _has_locks() -> bool:
    return importlib.util.find_spec("fcntl") is not None


def install() -> None:
    """Hook into the exit of this process, its SIGTERM, its forks, and Flask's requests, if rows are collected in it.

    The first collector does it by itself. Where that is made in a thread of a pool, which can set no signal handler,
    call this before, on the main thread. Calling it again does no harm.
    """
    global _installed
    if why_idle():
        return
    if not _installed:
        _installed = True
        ids.draw()  # a process that had no hooks when it forked this one has left it its own
        atexit.register(ending.at_exit)
        # An import under way in another thread would stay under way for ever in the child.
        os.register_at_fork(
            before=_before_fork,
            after_in_parent=_after_fork_in_parent,
            after_in_child=_forget_parent,
        )
    signals.chain_sigterm()
    flask.follow()


def begin() -> pipeline.Pipeline | None:
    """Return this process's pipeline, made and started if need be; None where nothing is collected."""
    if running.mine is not None:
        return running.mine
    if why_idle():
        return None
    install()
    with forking.gate.here():
        from . import pipeline
    with running.making.here():
        if running.mine is None:
            made = pipeline.Pipeline(pathlib.Path(os.environ[DIRECTORY_VARIABLE]))
            if running.mine is None:  # else a signal handler has made it meanwhile
                running.take(made)
                made.shipper.start()
        return running.mine


def belongs_here(ours: pipeline.Pipeline) -> bool:
    """Return whether a pipeline is this process's; where it is a parent's, forget it.

    A server that forks in C, and runs no hook of Python's in the child (uWSGI, as it is unless told to), leaves it a
    pipeline without a thread, whose segment its parent and all its siblings write too. Asked each 0.1 s, in what comes
    from uWSGI's master each time: that a child collects sooner after another such fork is not provided for. Nor can it
    be that the parent forks while another of its threads waits for the interpreter's lock: CPython's own hook alone
    makes that anew in the child.
    """
    if ours.pid == os.getpid():
        return True
    with running.making.here():
        if running.mine is ours:  # else another thread has forgotten it, and the process may have its own by now
            _forget_parent()
    return False


def _before_fork() -> None:
    forking.gate.here().acquire()


def _after_fork_in_parent() -> None:
    forking.gate.here().release()


def _forget_parent() -> None:
    from ..spool import locks  # not where this package does nothing: there is no fcntl

    locks.forget_in_child()
    ids.draw()  # else parent and child make the same ids
    context.forget()
    ending.forget_in_child()
    signals.forget_in_child()
    running.forget_in_child()
