"""A bucket of tokens: so many at once, and so many a second afterwards."""


class Bucket:
    """Holds tokens; whoever acts takes one."""

    def __init__(self, burst: float, a_second: float, now: float) -> None:
        self._burst, self._a_second = burst, a_second
        self._tokens, self._filled = float(burst), now

    def fill(self, now: float) -> None:
        """Put in what has come by now."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._a_second)
        self._filled = now

    @property
    def has_one(self) -> bool:
        """Tell whether there is a token, as of when it was filled last."""
        return self._tokens >= 1

    @property
    def seconds_left(self) -> float:
        """Say how long it takes until there is one; 0 or less if there is."""
        return (1 - self._tokens) / self._a_second

    def take(self) -> None:
        """Take a token out."""
        self._tokens -= 1
