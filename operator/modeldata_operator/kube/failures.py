"""What an API server that is away, or says no, comes to."""

from collections.abc import Mapping
from typing import Any

import aiohttp


class ApiError(Exception):
    """The API server refused a call."""

    def __init__(self, status: int, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.retry_after = retry_after
        """Seconds that the API server asked to be left alone for."""

    @property
    def absent(self) -> bool:
        """Tell whether the object, or its namespace, is not there."""
        return self.status == 404

    @property
    def refused(self) -> bool:
        """Tell whether somebody does not let this be done: a right is missing, a policy or a webhook says no."""
        return self.status in (400, 403, 422)

    @property
    def judged(self) -> bool:
        """Tell whether somebody says no: a right is missing, a policy, a quota, a webhook does, or a webhook fails.

        What is not: an object that is gone or changed, and an API server without time, which passes by itself.
        """
        return 400 <= self.status <= 500 and self.status not in (401, 404, 408, 409, 410, 429)

    @property
    def conflict(self) -> bool:
        """Tell whether somebody else was faster; the next reconcile sees what they did."""
        return self.status == 409


class OvertakenError(Exception):
    """What was to be written is not wanted any more."""


FAILURES = (ApiError, aiohttp.ClientError, TimeoutError)
"""What an API server that is away, or says no, raises."""

UNREADABLE = (ValueError, AttributeError, LookupError, TypeError, ArithmeticError, RecursionError)
"""What parsing raises where an object holds other types than its definition should let through."""


def said(error: Exception) -> str:
    """Put a failure into words for people: the API server's own, where it said any."""
    if isinstance(error, ApiError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the API server did not answer in time"
    return f"the API server can't be reached: {error}"


def refusal(response: aiohttp.ClientResponse, answer: Mapping[str, Any]) -> ApiError:
    """Make an answer that is no success into an error."""
    try:
        retry_after = float(response.headers.get("Retry-After", 0))
    except ValueError:
        retry_after = 0.0  # a date, which no API server sends
    return ApiError(response.status, str(answer.get("message") or response.reason), retry_after=retry_after)
