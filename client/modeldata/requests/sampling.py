"""Which requests are collected, where a percentage of them is."""

from __future__ import annotations

import re
import zlib

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_sampled(request_id: str, percent: int) -> bool:
    """Return whether a request is among the percentage that is collected: the same for each row of it, anywhere.

    A row's number behind a UUID is left out of account: labels may come later, with the id of one row.
    """
    whole = request_id[:36] if _UUID.match(request_id) else request_id
    return zlib.crc32(whole.encode()) % 100 < percent
