"""The live settings of this pod: a file that the operator rewrites while the model serves.

``$MODELDATA_DIR/settings/settings.json`` comes from a pod annotation through the downward API and changes without a
restart, some 0.1 s after the annotation.
"""

from __future__ import annotations

import logging
import os
import pathlib
import time

from . import document

logger = logging.getLogger("modeldata")

LOOK_MICROSECONDS = 100_000
"""How often the file is looked at, at most: a ``stat`` costs 2 us, and a switch shall be obeyed within a second."""


class LiveSettings:
    """The latest good reading of the file; looks again by itself, at most so often (``every``, in microseconds)."""

    def __init__(self, path: pathlib.Path, *, every: int = LOOK_MICROSECONDS) -> None:
        self._path = path
        self._every = every
        self.latest = document.OFF
        """The settings in force, as of the last look."""
        self.looked = time.time_ns() // 1000
        """When, in microseconds since the epoch."""
        self.look_at = self.looked + every
        """When the next look is due: until then (and from ``looked`` on) ``latest`` is as good as ``current()``."""
        self._signature: tuple[int, int, int] | None = None
        self._complained = False
        self._look()  # here, or a thread that asks while another reads the file for the first time is told OFF

    def current(self) -> document.Settings:
        """Return the settings in force. Costs a clock reading, and now and then a ``stat``."""
        now = time.time_ns() // 1000
        if not self.looked <= now < self.look_at:  # or the clock was set back
            self.looked, self.look_at = now, now + self._every
            self._look()
        return self.latest

    def _look(self) -> None:
        # The kubelet swaps a symlink, so a new version is a new inode.
        try:
            status = os.stat(self._path)  # noqa: PTH116 (a pathlib stat costs twice as much)
            signature = (status.st_ino, status.st_mtime_ns, status.st_size)
            if signature == self._signature:
                return
            content = self._path.read_bytes()
        except OSError as error:
            # Keep the last good settings: a file that is gone for a moment must not lose rows.
            if not self._complained:
                self._complained = True
                self._say(error.strerror)
            return
        try:
            latest = document.parse(content)
        except document.SettingsError as error:
            self._signature = signature  # said once for each version of the file
            self._say(error)
            return
        self._signature, self._complained = signature, False
        if latest.enabled != self.latest.enabled:
            logger.info("modeldata: collection switched %s (%s)", "on" if latest.enabled else "off", latest.collection)
        self.latest = latest

    def _say(self, why: object) -> None:
        kept = "no settings yet, nothing is collected" if self.latest is document.OFF else "settings kept as they were"
        logger.warning("modeldata: %s: %s: %s", kept, self._path, why)
