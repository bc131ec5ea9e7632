"""What localcluster tells the person in front of it: a short line a step, a clear paragraph when it can't go on."""

import contextlib
import sys
import time
from collections.abc import Iterator


class ProblemError(Exception):
    """Something a person has to know or do. Its text is shown as it is, without a traceback."""


_unfinished: list[str] = []


def note(text: str) -> None:
    """Prints one line."""
    _end_line()
    print(text, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Prints what is being done, and when it is done how many seconds it took."""
    begun = time.monotonic()
    _end_line()
    print(f"{text} ...", end="", flush=True)
    _unfinished.append(text)
    try:
        yield
    except BaseException:
        _end_line()
        raise
    # Another step's line may have come between.
    print(
        f" {time.monotonic() - begun:.1f} s" if _unfinished else f"{text}: {time.monotonic() - begun:.1f} s", flush=True
    )
    _unfinished.clear()


def _end_line() -> None:
    if _unfinished:
        print(flush=True)
        _unfinished.clear()


def complain(text: str) -> None:
    """Prints an error where errors belong."""
    print(f"localcluster: {text}", file=sys.stderr, flush=True)
