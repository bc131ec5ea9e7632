"""The import of azure-storage-blob, without a library that nothing here uses.

Where aiohttp is installed, ``azure.storage.blob`` imports it (measured, 12.31 with aiohttp 3.14: 70 of 540 modules,
40 % of the time, 8 of 40 MB, and a TLS context with all certificates of the system), to ask of a transport whether it
is aiohttp's. It is spared that: who asks gets an answer all the same, and who uses the transport gets the real one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import typing

from ...threads import forking, importing

_TRANSPORTS = "azure.core.pipeline.transport"
_OF_AIOHTTP = f"{_TRANSPORTS}._aiohttp"
_NAME = "AioHttpTransport"


def load() -> None:
    """Import what requests to Blob Storage need.

    Raises:
        ImportError: it can't be imported.

    """
    with forking.gate.here():
        importing.load("azure.core.exceptions", _TRANSPORTS)
        with _without_aiohttp():
            importing.load("azure.storage.blob", "requests")


@contextlib.contextmanager
def _without_aiohttp() -> typing.Iterator[None]:
    transports = sys.modules[_TRANSPORTS]
    known = vars(transports)
    # Where the model has it, nothing is spared; and nothing is changed in a version that does not import it late.
    if _OF_AIOHTTP in sys.modules or _NAME in known or "__getattr__" not in known or not _is_installed():
        yield
        return
    stand_in = Later()
    setattr(transports, _NAME, stand_in)
    try:
        yield
    finally:
        if known.get(_NAME) is stand_in:
            delattr(transports, _NAME)  # the module's own way to import it is there again


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("aiohttp") is not None
    except ValueError:  # somebody has put a module of his own in its place
        return False


class Later:
    """What azure's transport for aiohttp is, imported when it is used: called, subclassed, asked for an attribute.

    To ask whether something is an instance of it imports nothing: where it was never imported, nothing is.
    """

    def __instancecheck__(self, instance: object) -> bool:
        found = sys.modules.get(_OF_AIOHTTP)
        return found is not None and isinstance(instance, getattr(found, _NAME))

    def __subclasscheck__(self, kind: type) -> bool:
        found = sys.modules.get(_OF_AIOHTTP)
        return found is not None and issubclass(kind, getattr(found, _NAME))

    def __call__(self, *arguments: typing.Any, **options: typing.Any) -> typing.Any:
        """Make a transport."""
        return _real()(*arguments, **options)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[typing.Any, ...]:
        return (_real(),)

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(_real(), name)


def _real() -> typing.Any:
    return getattr(importlib.import_module(_OF_AIOHTTP), _NAME)
