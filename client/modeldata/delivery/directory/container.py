"""A directory as the appender needs it: the four requests of ``azure.blobs``.

It is not made here: where a disk is not mounted, rows wait for it, as for a container that is missing. Everything that
is changed in it is changed by one process at a time.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import random
import stat
import time
import typing

from ...spool import locks
from ..azure import answers, credentials
from . import folders, pending

logger = logging.getLogger("modeldata")

LEAST_ROOM_BYTES = 4 * 1024 * 1024
"""A file is begun only where there is room for a whole block: rows of others that are smaller would pass by otherwise,
and those that are larger be taken for refused."""

_LOOK_SECONDS = (0.001, 0.05)
"""Between two tries to get the lock: the first pause, and the longest."""

_NO_BLOCKS = 1
"""What each answer says of a file's blocks: a file has none, so that there is nothing to pace."""

_jitter = random.Random()  # not the module's generator, which is the model's

Value = typing.TypeVar("Value")


class Directory:
    """One container that is a directory; any number of processes may append to it."""

    def __init__(self, account: credentials.Account, path: pathlib.Path) -> None:
        self.account = account
        self.read_seconds: float = answers.READ_SECONDS
        """How long the lock is waited for."""
        self._path = path

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        """Append a block if the file is exactly ``position`` bytes long."""

        def request(root: int) -> answers.Reply:
            *around, last = folders.parts(name)
            with self._locked(root), folders.deepest(root, around) as (folder, is_there):
                if not is_there:
                    return _missing(folder)
                try:
                    file = folders.open_file(folder, last, os.O_RDWR)
                except FileNotFoundError:
                    return _missing(folder)
                try:
                    pending.finish(folder, last, file)
                    if os.fstat(file).st_size != position:
                        return answers.Reply(answers.Answer.POSITION)
                    pending.append(folder, last, file, data, position)
                finally:
                    os.close(file)
            return answers.Reply(answers.Answer.DONE, blocks=_NO_BLOCKS)

        return self._asked(request)

    def create(self, name: str) -> answers.Reply:
        """Create an empty file unless there is something of this name."""

        def request(root: int) -> answers.Reply:
            *around, last = folders.parts(name)
            mode = stat.S_IMODE(os.fstat(root).st_mode) & 0o666
            with self._locked(root):
                folders.make(root, around)
                with folders.deepest(root, around) as (folder, _):
                    try:
                        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                        file = os.open(last, flags, mode, dir_fd=folder)
                    except FileExistsError:
                        return answers.Reply(answers.Answer.EXISTS)
                    try:
                        os.fchmod(file, mode)  # who may use the directory may use the file, whatever this umask
                    finally:
                        os.close(file)
                    pending.forget(folder, last)  # of a file that somebody removed
                    os.fsync(folder)
            return answers.Reply(answers.Answer.DONE)

        return self._asked(request)

    def size(self, name: str) -> tuple[answers.Reply, int]:
        """Return the length of a file in bytes."""
        return self._look(name, lambda file: os.fstat(file).st_size, 0)

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        """Return a range of a file; less than ``length`` where the file ends before."""
        return self._look(name, lambda file: _read(file, start, length), b"")

    def refresh_credential(self) -> bool:
        """Return that there is no other credential: a directory needs none."""
        return False

    def restore_credential(self) -> None:
        """Do nothing, as above."""

    def close(self) -> None:
        """Do nothing: nothing is open between two requests."""

    def _look(self, name: str, of: typing.Callable[[int], Value], nothing: Value) -> tuple[answers.Reply, Value]:
        found = nothing

        def request(root: int) -> answers.Reply:
            nonlocal found
            *around, last = folders.parts(name)
            with folders.deepest(root, around) as (folder, is_there):
                if not is_there:
                    return answers.Reply(answers.Answer.NO_BLOB)
                file = folders.open_file(folder, last, os.O_RDONLY)
            try:
                found = of(file)
            finally:
                os.close(file)
            return answers.Reply(answers.Answer.DONE)

        reply = self._asked(request)
        return reply, found

    def _asked(self, request: typing.Callable[[int], answers.Reply]) -> answers.Reply:
        """Open the directory and make a request; return what came of it."""
        try:
            root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            return answers.Reply(answers.Answer.NO_CONTAINER, _detail(error))
        except OSError as error:
            return _reply(error)
        try:
            return request(root)
        except FileNotFoundError:
            # In the middle of the request: the file, or the folder that it was in, was removed by somebody.
            return answers.Reply(answers.Answer.NO_BLOB)
        except OSError as error:
            return _reply(error)
        finally:
            os.close(root)

    @contextlib.contextmanager
    def _locked(self, root: int) -> typing.Iterator[None]:
        """Hold the directory's lock.

        Raises:
            OSError: it can't be had: EAGAIN where others hold it all the time.

        """
        path = self._path / locks.STORAGE
        deadline, pause = time.monotonic() + self.read_seconds, _LOOK_SECONDS[0]
        while True:
            try:
                lock = locks.take(path)
                if _is_at(lock.status(), path):
                    break
                lock.end()  # somebody removed the file meanwhile: others would not see this one
            except FileNotFoundError:
                raise _gone() from None
            except locks.TakenError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_jitter.uniform(0, pause))
            pause = min(2 * pause, _LOOK_SECONDS[1])
        try:
            if not _is_at(os.fstat(root), self._path):
                raise _gone()
            yield
        finally:
            lock.end()


def _is_at(status: os.stat_result, path: pathlib.Path) -> bool:
    try:
        return os.path.samestat(status, path.stat())
    except FileNotFoundError:
        return False


def _gone() -> OSError:
    # Not that the file is missing: it may be there when the directory is again, and hold the rows in doubt.
    return OSError(errno.ESTALE, "the directory has just gone, or is another one")


def _missing(folder: int) -> answers.Reply:
    """Return that a file is missing, where it could be made.

    Raises:
        OSError: it could not.

    """
    if not folders.may_write(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    disk = os.fstatvfs(folder)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < LEAST_ROOM_BYTES:  # without blocks: one that has no bound
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return answers.Reply(answers.Answer.NO_BLOB)


def _read(file: int, start: int, length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = os.pread(file, length - len(found), start + len(found))
        if not more:
            break
        found += more
    return found


def _detail(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'EIO')} {error.strerror}"


def _reply(error: OSError) -> answers.Reply:
    detail = _detail(error)
    if isinstance(error, pending.UncertainError):
        return answers.Reply(answers.Answer.AMBIGUOUS, detail)
    if isinstance(error, folders.NotOursError):
        is_folder = error.errno == errno.EISDIR
        return answers.Reply(answers.Answer.DIRECTORY if is_folder else answers.Answer.NO_APPEND_BLOB, detail)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return answers.Reply(answers.Answer.DENIED, detail)
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
        return answers.Reply(answers.Answer.REFUSED, detail)
    return answers.Reply(answers.Answer.DISK, detail)
