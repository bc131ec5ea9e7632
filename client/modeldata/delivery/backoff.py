"""How long storage is left alone after it refused rows, or did not answer."""

from __future__ import annotations

import os
import time

BACKOFF_SECONDS = (0.5, 30.0)
HURRIED_BACKOFF_SECONDS = 0.25
MOST_BACKOFF_SECONDS = 300.0
"""However long the service asks to wait."""


class Backoff:
    """The pause after failures in a row."""

    def __init__(self) -> None:
        self._retry_at = self._failed_at = 0.0
        self._failed_under: object = None
        self._failures = 0

    def fail(self, *, asked: float, under: object) -> None:
        """Note a failure.

        Args:
            asked: seconds that the service asks to wait.
            under: the circumstances: under others the next try need not wait. None: it waits whatever they are.

        """
        first, most = BACKOFF_SECONDS
        pause = min(most, first * 2**self._failures)
        pause -= pause / 2 * os.urandom(1)[0] / 255  # not by ``random``, whose generator is the model's
        self._failures = min(self._failures + 1, 10)
        self._failed_at = time.monotonic()
        self._retry_at = self._failed_at + min(MOST_BACKOFF_SECONDS, max(asked, pause))
        self._failed_under = under

    def recover(self) -> None:
        """Note that rows were delivered."""
        self._failures = 0

    def must_wait(self, now: float, *, hurried: bool, under: object) -> bool:
        """Return whether storage is to be left alone.

        Args:
            now: by the monotonic clock.
            hurried: whether the process is about to end.
            under: the circumstances.

        """
        until = min(self._retry_at, self._failed_at + HURRIED_BACKOFF_SECONDS) if hurried else self._retry_at
        return now < until and (self._failed_under is None or under == self._failed_under)
