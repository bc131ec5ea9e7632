"""What a store of files can do, and how it fails."""

from __future__ import annotations

import datetime
import pathlib
import typing


class StorageError(Exception):
    """Storage did not do what was asked; the message names what, where, and the way out."""


class Refused(StorageError):  # noqa: N818
    """The credential does not allow it, or there is none."""


class Unreachable(StorageError):  # noqa: N818
    """Storage does not answer, or answers that it can't now."""


class Missing(StorageError):  # noqa: N818
    """There is no such file, container or directory."""


class Changed(StorageError):  # noqa: N818
    """The file is not the one that was to be replaced, or is there already."""


class Entry(typing.NamedTuple):
    """A file, as a listing shows it."""

    name: str
    size: int
    etag: str
    created: str
    """Tells this file from another one that has its name before or after it; the same while it only grows."""
    append: bool
    """Whether it is one that clients append to. In a directory all are."""
    modified: datetime.datetime
    """When it was last written to, in UTC."""


class Content(typing.NamedTuple):
    """A small file as a whole."""

    data: bytes
    etag: str
    metadata: typing.Mapping[str, str]


class Location(typing.NamedTuple):
    """Where a table lies, for readers and writers of their own ways to storage."""

    uri: str
    options: typing.Mapping[str, str]
    """With a credential, in the words of object_store (delta-rs, polars)."""


class Blobs(typing.Protocol):
    """Files under names with slashes."""

    @property
    def address(self) -> str:
        """Where the files lie, for messages: nothing secret is in it."""

    def folders(self, prefix: str) -> list[str]:
        """Return the last parts of the folders directly below a folder (``""``, or its name with a slash behind it)."""

    def files(self, prefix: str) -> list[Entry]:
        """Return the files that lie directly in a folder, in the order of their names."""

    def entry(self, name: str) -> tuple[Entry, typing.Mapping[str, str]] | None:
        """Return a file and its metadata, without its content; None where there is none."""

    def get(self, name: str) -> Content | None:
        """Return a small file as a whole; None where there is none."""

    def read(self, name: str, start: int, end: int) -> typing.Iterator[bytes]:
        """Yield these bytes of a file, in pieces of some MiB. The file may grow meanwhile. Raises ``Missing``."""

    def local(self, name: str) -> pathlib.Path | None:
        """Return where a file lies on this machine; None where it must be read as above."""

    def put(
        self, name: str, content: bytes | pathlib.Path, *, replaces: str | None, metadata: typing.Mapping[str, str]
    ) -> str:
        """Write a whole file in one atomic step, and return its ETag.

        ``replaces`` is the ETag of the file that it takes the place of; None: there must be none. Raises ``Changed``.
        """

    def table(self, folder: str) -> Location:
        """Return where a folder's files lie, with the credential as it is now."""

    def delete(self, name: str, *, etag: str) -> bool:
        """Delete a file unless it has changed since; return whether it is gone."""
