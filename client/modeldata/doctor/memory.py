"""How much memory is left in this container, which the model shares with whoever looks at it."""

from __future__ import annotations

import pathlib

CGROUPS = pathlib.Path("/sys/fs/cgroup")

_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Of cgroup version 2, and of version 1: the limit, what is used, and in the statistics what the kernel gives back."""


def left(cgroups: pathlib.Path = CGROUPS) -> int | None:
    """Return the bytes that this container may still take before one of its processes is killed; None if no limit."""
    for limit_file, usage_file, statistics_file, given_back in _FILES:
        try:
            limit = int((cgroups / limit_file).read_text())
            used = int((cgroups / usage_file).read_text())
            lines = (cgroups / statistics_file).read_text().splitlines()
        except (OSError, ValueError):  # not this version, or "max"
            continue
        cache = sum(int(line.split()[1]) for line in lines if line.startswith(f"{given_back} "))
        return max(0, limit - used + cache)
    return None
