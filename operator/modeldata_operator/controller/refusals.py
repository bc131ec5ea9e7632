"""What did not succeed, and when it is tried again: each thing by itself, so that one holds no other up."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..kube.failures import ApiError, said

K = TypeVar("K", bound=Hashable)

STANDING_AFTER = 3
"""Failures in succession after which nobody is told any more that it may pass by itself."""

LONGEST_WAIT = 120.0
"""Seconds, if the API server asks for more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failure, in the API server's words."""

    message: str
    standing: bool
    """Whether somebody said no, or it has failed so often that a person should look."""
    tries: int
    again: float
    """When it is due, by the clock of who remembers it."""


class Refusals(Generic[K]):
    """Remembers failures and spaces the next tries."""

    def __init__(self, *, waits: Sequence[float], clock: Callable[[], float]) -> None:
        self._waits = waits
        self._clock = clock
        self._known: dict[K, Refusal] = {}

    def failed(self, key: K, error: Exception) -> Refusal:
        """Take in a failure."""
        before = self._known.get(key)
        tries = before.tries + 1 if before is not None else 1
        wait = self._waits[min(tries, len(self._waits)) - 1]
        refused = False
        if isinstance(error, ApiError):
            refused, wait = error.refused, max(wait, min(error.retry_after, LONGEST_WAIT))
        known = Refusal(said(error), refused or tries >= STANDING_AFTER, tries, self._clock() + wait)
        self._known[key] = known
        return known

    def succeeded(self, key: K) -> None:
        """Forget a failure."""
        self._known.pop(key, None)

    def resting(self, key: K) -> bool:
        """Tell whether something is not to be tried yet."""
        known = self._known.get(key)
        return known is not None and known.again > self._clock()

    def keep(self, keys: Collection[K]) -> None:
        """Forget all but these: the others are not wanted any more."""
        if self._known:
            self._known = {key: refusal for key, refusal in self._known.items() if key in keys}

    @property
    def known(self) -> Mapping[K, Refusal]:
        """What failed and was not done since."""
        return self._known

    @property
    def next_due(self) -> float | None:
        """Say in how many seconds the next one is to be tried that is not due yet."""
        now = self._clock()
        return min((each.again - now for each in self._known.values() if each.again > now), default=None)
