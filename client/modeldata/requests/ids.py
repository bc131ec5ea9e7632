"""Ids of requests: UUIDv7, made without a look at the clock or the kernel each time."""

from __future__ import annotations

import itertools
import os

_SAME_TIME = 50_000
"""For so many microseconds ids carry the same time: formatting it for each is a tenth of what ``collect`` may take."""

_FIRST_COUNT, _MOST_COUNT = 10_000_000, 90_000_000
"""The counter's eight digits are decimal, which are hexadecimal ones too and take half the time to make. Where it is
looked at, it has room for what 0.05 s can bring."""

_process = ""
_prefix = ""
_time = _until = 0
_count = itertools.count(_FIRST_COUNT)


def new_id(microseconds: int) -> str:
    """Return a UUIDv7 (RFC 9562) of a time up to 0.05 s before: sorts by time, so that the rows of a file do.

    42 of its random bits are the process's, drawn once; the rest are a counter that begins anywhere (§6.2 of the RFC).

    Args:
        microseconds: since the epoch.

    """
    global _prefix, _time, _until
    if not _time <= microseconds < _until:
        if not _process or next(_count) > _MOST_COUNT:
            draw()
        milliseconds = microseconds // 1000
        _prefix = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-{_process}"
        _time, _until = microseconds, microseconds + _SAME_TIME
    return _prefix + str(next(_count))


def draw() -> None:
    """Draw the random part of this process's ids."""
    global _process, _count, _time, _until
    # Of the kernel: the module ``random`` is the model's. Scripts seed it (two pods of one seed would make equal ids),
    # and drawing from it would change what a model draws.
    noise = int.from_bytes(os.urandom(16), "big")
    _process = f"7{noise & 0xFFF:03x}-{0x8000 | (noise >> 12) & 0x3FFF:04x}-{(noise >> 26) & 0xFFFF:04x}"
    _count = itertools.count(_FIRST_COUNT + (noise >> 42) % (_MOST_COUNT - _FIRST_COUNT))
    _time = _until = 0
