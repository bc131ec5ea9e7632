"""A directory, as one that the client fills, or as a copy of a container."""

from __future__ import annotations

import collections.abc
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import typing

from ..records import identity
from . import blobs, locking

PIECE = 1024 * 1024
"""Bytes that are read at a time: what is done with them finds them in the processor's cache."""


class Directory:
    """Files in a directory. Its files' names are the same as in a container."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """The directory, as an address."""
        return self._root.as_uri()

    def folders(self, prefix: str) -> list[str]:
        """Return the last parts of the folders directly below a folder."""
        return [each.name for each in self._scan(prefix) if each.is_dir()]

    def files(self, prefix: str) -> list[blobs.Entry]:
        """Return the files that lie directly in a folder."""
        found = (self._entry(prefix + each.name) for each in self._scan(prefix) if _shown(each.name) and each.is_file())
        return [each for each in found if each is not None]

    def entry(self, name: str) -> tuple[blobs.Entry, typing.Mapping[str, str]] | None:
        """Return a file and its metadata."""
        for _ in range(100):  # replaced while one looks: look again
            before = self._entry(name)
            if before is None:
                return None
            metadata = self._metadata(name)
            if self._entry(name) == before:
                return before, metadata
        raise blobs.Changed(f"{name} in {self.address} changes all the time")

    def get(self, name: str) -> blobs.Content | None:
        """Return a small file as a whole."""
        with self._told(name):
            try:
                with self._path(name).open("rb") as file:
                    data, metadata = file.read(), self._metadata(name)
                    return blobs.Content(data, _etag(os.fstat(file.fileno())), metadata)
            except FileNotFoundError:
                return None

    def read(self, name: str, start: int, end: int) -> typing.Iterator[bytes]:
        """Yield these bytes of a file."""
        with self._told(name), self._path(name).open("rb") as file:
            file.seek(start)
            while start < end:
                piece = file.read(min(PIECE, end - start))
                if not piece:
                    raise blobs.Changed(f"{name} in {self.address} is shorter than it was")
                start += len(piece)
                yield piece

    def local(self, name: str) -> pathlib.Path | None:
        """Return where a file lies."""
        return self._path(name)

    def put(
        self, name: str, content: bytes | pathlib.Path, *, replaces: str | None, metadata: typing.Mapping[str, str]
    ) -> str:
        """Write a whole file in one atomic step."""
        path = self._path(name)
        aside = path.with_name(f".{path.name}.new")  # one that was killed has left it to the next one
        with self._told(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone(path.parent):
                there = self._entry(name)
                if (there.etag if there else None) != replaces:
                    raise blobs.Changed(f"{name} in {self.address} was written by another one meanwhile")
                try:
                    _write(aside, content)
                    if metadata:
                        self._tell(path, aside, metadata)
                    aside.replace(path)
                finally:
                    aside.unlink(missing_ok=True)
                _sync(path.parent)
                return _etag(path.stat())

    def table(self, folder: str) -> blobs.Location:
        """Return where a folder's files lie."""
        return blobs.Location(str(self._path(folder)), {})

    def delete(self, name: str, *, etag: str) -> bool:
        """Delete a file unless it has changed since, or is being appended to."""
        path = self._path(name)
        with self._told(name), locking.against_appends(self._root):
            try:
                # What a client that was killed has left unfinished, the next one finishes.
                if _etag(path.stat()) != etag or path.with_name(f".{path.name}.pending").exists():
                    return False
                path.unlink()
            except FileNotFoundError:
                pass
            return True

    def _path(self, name: str) -> pathlib.Path:
        if any(part in {"", ".", ".."} for part in name.split("/")):
            raise blobs.Missing(f"there can be no {name!r} in {self.address}")
        return self._root / name

    def _scan(self, prefix: str) -> list[os.DirEntry[str]]:
        folder = self._path(prefix[:-1]) if prefix else self._root
        with self._told(prefix):
            try:
                with os.scandir(folder) as found:
                    return sorted(found, key=lambda each: each.name)
            except (FileNotFoundError, NotADirectoryError):
                if not self._root.is_dir():
                    raise blobs.Missing(f"there is no directory at {self.address}") from None
                return []

    def _entry(self, name: str) -> blobs.Entry | None:
        with self._told(name):
            try:
                with self._path(name).open("rb") as file:
                    first, status = file.read(identity.BYTES), os.fstat(file.fileno())
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
            modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
            return blobs.Entry(name, status.st_size, _etag(status), identity.first(first), True, modified)

    def _metadata(self, name: str) -> dict[str, str]:
        """Return what was told of a file when it was written: of just this one, as both can't change in one step."""
        path = self._path(name)
        try:
            told: list[dict[str, typing.Any]] = json.loads(_told_in(path).read_bytes())
            status = path.stat()
        except (FileNotFoundError, ValueError):
            return {}
        # In a copy of the directory it is another file: told by its size then.
        same = [each for each in told if each["etag"] == _etag(status)] or [
            each for each in told if each["size"] == status.st_size
        ]
        return dict(same[-1]["metadata"]) if same else {}

    def _tell(self, path: pathlib.Path, aside: pathlib.Path, metadata: typing.Mapping[str, str]) -> None:
        before = [path] if path.exists() else []
        told = [
            {
                "etag": _etag(each.stat()),
                "size": each.stat().st_size,
                "metadata": dict(metadata if each is aside else old),
            }
            for each in (*before, aside)
            for old in [self._metadata(path.relative_to(self._root).as_posix())]
        ]
        new = _told_in(path).with_suffix(".json.new")
        _write(new, json.dumps(told).encode())
        new.replace(_told_in(path))

    @contextlib.contextmanager
    def _alone(self, folder: pathlib.Path) -> collections.abc.Iterator[None]:
        """Hold a lock against others that replace a file of the folder: looking and replacing are two steps."""
        with (folder / ".lock").open("ab") as file:
            locking.exclusive(file, wait=True)
            yield

    @contextlib.contextmanager
    def _told(self, name: str) -> collections.abc.Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise blobs.Missing(f"there is no {name} in {self.address}") from None
        except PermissionError as error:
            raise blobs.Refused(f"{name or 'the directory'} in {self.address}: {error.strerror}") from None
        except OSError as error:
            raise blobs.StorageError(
                f"{name or 'the directory'} in {self.address}: {error.strerror or error}"
            ) from None


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _told_in(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.json")


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _write(path: pathlib.Path, content: bytes | pathlib.Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync(folder: pathlib.Path) -> None:
    """Have a rename survive the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
