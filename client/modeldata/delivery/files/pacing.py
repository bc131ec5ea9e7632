"""How long a shared file's 50,000 blocks last.

Every pod that writes a file takes a block for each flush. The answers to its appends say how many are gone, so each pod
sees how many others there are, and waits longer between two flushes if all of them together would use up the file
before the day ends. A file that is full nevertheless is followed by the next.
"""

from __future__ import annotations

MOST_BLOCKS = 50_000
"""What an append blob may have, in Azure as in Azurite."""

FREE_BLOCKS = 5_000
"""So many of them go at any pace: a model that is called now and then, or for an hour, waits for nothing."""

MOST_SECONDS = 300.0
"""No row waits longer for this: where more than some 170 pods write one file, the day takes a second."""

_DAY_SECONDS = 86_400
_WEIGHT = 0.2
"""Of the latest append, in the mean number of blocks that go between two of ours."""


class Pace:
    """One file's blocks, as one of its writers sees them."""

    def __init__(self) -> None:
        self.used = 0
        """Blocks in the file, as of our last append."""
        self.share = 1.0
        """Blocks that all writers append for each of ours."""

    def appended(self, used: int) -> None:
        """Take in what an append's answer says: the blocks in the file now."""
        if self.used:
            self.share += _WEIGHT * (max(1, used - self.used) - self.share)
        self.used = max(self.used, used)  # Azurite's number is now and then too low

    def seconds(self, now: float) -> float:
        """Return how long to wait between two flushes, so that the rest of the blocks lasts until midnight UTC.

        Args:
            now: seconds since the epoch.

        """
        if self.used < FREE_BLOCKS:
            return 0.0
        left = max(1, MOST_BLOCKS - self.used)
        return min(MOST_SECONDS, self.share * (_DAY_SECONDS - now % _DAY_SECONDS) / left)
