"""Rows out of the spool: the next ones of all processes, as blocks; and segments that hold no more rows, removed."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pathlib
import threading
import time
import typing

from .. import settings
from ..encoding import csvtext, layout, redaction
from ..observe import counters
from ..spool import cutting, records, segments
from ..threads import names, turns
from . import batches, building, headers, matching, settling

logger = logging.getLogger("modeldata")


@dataclasses.dataclass(frozen=True)
class Taken:
    """Rows from the spool, ready to be sent."""

    blocks: tuple[batches.Block, ...]
    since: dict[str, int]
    """For each segment they are from: the offset at which the first record begins."""
    upto: dict[str, int]
    """As ``batches.Batch``."""
    drops: tuple[tuple[counters.Drop, str, int], ...]
    """What of them can't be delivered; to be counted when the blocks are sent."""
    kept: tuple[records.Record, ...]
    """Of that, what our own encoder is to blame for."""
    found: list[segments.Found]
    """What was in the spool."""
    full: bool
    """Whether more may be behind them."""
    circumstances: tuple[settings.Settings, bytes]
    """Settings, and key of redactions by hash, that made them."""


class Taker:
    """Takes rows from the spool. One thread at a time."""

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        own: typing.Callable[[], str],
        key_file: pathlib.Path,
        owner: str,
        tally: counters.Counters,
        stopped: typing.Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopped = stopped
        self._spool = directory
        self._own = own
        self._key_file = key_file
        self._owner = owner
        self._counters = tally
        self.unreadable: set[str] = set()
        """Segments that could not be read."""
        self._segments: dict[str, segments.Segment] = {}
        self._whole: dict[str, int] = {}
        """For segments with rows that wait: the offset at which a whole record was seen. Looking again costs a read."""
        self._headers = headers.Headers()
        self._matches = matching.Matching(directory / ".shipper" / matching.FILE)
        self._searched: dict[tuple[str, str, str], int] = {}
        """By segment, model and feature: up to where it was searched for rows that have it."""
        self._settling = settling.Settling(self._reader, is_too_large=self._is_too_large)
        self.holds = False
        """Whether rows were left that are too young to be taken."""
        self._cut: set[str] = set()
        """Segments that have no very large record any more."""
        self._turn = ""

    def scan(self) -> list[segments.Found]:
        """Return all segments."""
        return segments.scan(self._spool, self._own)

    def circumstances(self, current: settings.Settings) -> tuple[settings.Settings, bytes]:
        """Return what decides, beside the rows, how they are written."""
        return current, redaction.read_key(self._key_file)

    def take(self, current: settings.Settings, consumed: typing.Mapping[str, int], *, most: int) -> Taken | None:
        """Return the next rows; None where there are none.

        Args:
            current: they have a storage.
            consumed: for each segment: the offset up to which rows were taken.
            most: of text, in bytes; what goes beyond is part of one call's rows.

        Raises:
            OSError: the spool can't be listed.

        """
        assert current.storage is not None
        circumstances = self.circumstances(current)
        builder = building.Builder(current, key=circumstances[1], known=self._headers, matches=self._matches)
        since: dict[str, int] = {}
        upto: dict[str, int] = {}
        segments = self.scan()
        self._settling.forget(segments)
        self.holds = False
        for found in self._in_turn(segments):
            if builder.bytes >= most:
                break
            start = consumed.get(found.key, 0)
            if found.size <= start or found.key in self.unreadable:
                continue
            builder.writer = found.key.partition("/")[0]
            try:
                if self._is_too_large(found, start) and not self._cut_up(found, start):
                    continue
                for end in self._adding(builder, found, start, segments):
                    since[found.key], upto[found.key] = start, end
                    if builder.bytes >= most:
                        break
            except matching.Held as held:
                self._counters.complain(
                    "held",
                    "rows of %s wait for one that has %s, as redact[].onMissing says: mend its name in the "
                    "DataCollection, or take it out",
                    held.model,
                    ", ".join(held.features),
                )
            except redaction.KeyMissing:
                self._counters.complain("hash-key", "rows wait for the key of redactions by hash: credential/hash-key")
            except FileNotFoundError:  # somebody removed it
                continue
            except OSError as error:
                self.unreadable.add(found.key)
                self._counters.complain(
                    "unreadable", "%s can't be read, so its rows wait: %s", found.key, error.strerror
                )
        for feature, models in self._matches.unmatched(current.redactions).items():
            self._counters.complain(
                f"redaction {feature}",
                "nothing is redacted as %r: no row of %s has such a column or key so far: is it misspelt?",
                feature,
                ", ".join(models),
            )
        if not upto:
            return None
        self._turn = next(reversed(upto)).partition("/")[0]
        owner = self._owner if current.storage.file == settings.PER_POD else ""
        blocks = tuple(dataclasses.replace(block, owner=owner) for block in builder.blocks())
        return Taken(
            blocks,
            since,
            upto,
            tuple(builder.drops),
            tuple(builder.kept),
            segments,
            builder.bytes >= most,
            circumstances,
        )

    def _adding(
        self, builder: building.Builder, found: segments.Found, start: int, among: list[segments.Found]
    ) -> typing.Iterator[int]:
        """Add a segment's rows, and yield the offset behind each record that was added."""
        for record, end in self._reader(found).read(start):
            whole = record
            if isinstance(record, records.Record) and record.first_row == records.UNSETTLED:
                whole = self._settling.settled(record, found, among, now=time.time_ns() // 1000)
                if whole is None:
                    self.holds = True
                    return
            try:
                builder.add(whole)
            except matching.Held as held:
                if not self._search(held, among):
                    raise
                builder.add(whole)
            yield end

    def _search(self, held: matching.Held, among: list[segments.Found]) -> bool:
        """Return whether rows further on have what rows of their model wait for: predictions may come before inputs."""
        there = {each.key for each in among}
        self._searched = {known: upto for known, upto in self._searched.items() if known[0] in there}
        return all(any(self._has(held.model, feature, each) for each in among) for feature in held.features)

    def _has(self, model: str, feature: str, found: segments.Found) -> bool:
        known = (found.key, model, feature)
        if self._is_too_large(found, self._searched.get(known, 0)):
            return False  # it is cut in its turn, and its rows are looked at then
        wanted = layout.Layout((settings.Redaction(feature, settings.Action.DROP),))
        with contextlib.suppress(OSError):  # whoever takes rows from it says so
            for record, end in self._reader(found).read(self._searched.get(known, 0)):
                self._searched[known] = end
                for each in record.records() if isinstance(record, records.Run) else [record]:
                    if each is None or each.stream.model != model:
                        continue
                    turns.give_way()
                    with contextlib.suppress(Exception):  # a record that is no CSV is dropped in its turn
                        if csvtext.to_csv(each, wanted).matched:
                            self._matches.find(model, wanted.redactions)
                            return True
        return False

    def clean(self, consumed: typing.Mapping[str, int]) -> None:
        """Remove the segments that are delivered and complete.

        Raises:
            OSError: one can't be removed.

        """
        for found in self.scan():
            if not found.complete or found.key in self.unreadable:
                continue
            turns.give_way()
            offset = consumed.get(found.key, 0)
            if self._whole.get(found.key) == offset:
                continue
            try:
                if found.size - offset > cutting.LARGE_BYTES:  # not to be read whole
                    continue
                if found.size > offset and next(self._reader(found).read(offset), None) is not None:
                    self._whole[found.key] = offset
                    continue
            except OSError:
                continue
            if found.size > offset:
                logger.info("modeldata: %d bytes of an unfinished write left out of %s", found.size - offset, found.key)
            found.path.unlink(missing_ok=True)
            self._segments.pop(found.key, None)
            self._whole.pop(found.key, None)
            self._cut.discard(found.key)

    def _is_too_large(self, found: segments.Found, start: int) -> bool:
        """Return whether a segment may have, behind an offset, a record that one can't hold in memory."""
        return found.size - start > cutting.LARGE_BYTES and found.key not in self._cut

    def _cut_up(self, found: segments.Found, start: int) -> bool:
        """Cut what one can't hold in memory; return whether it can be read now.

        Raises:
            OSError: it can't be cut, such as for want of room.

        """
        if not found.complete:  # its process, of a version before, has it open: its next rows go to another one
            self._counters.complain("large", "%s has a very large record, and waits until it is complete", found.key)
            return False
        try:
            cut = cutting.cut(found.path, start, self._stopped)
        except cutting.Stopped:
            return False
        self._cut.add(found.key)
        logger.warning("modeldata: %s had %d bytes that wait, and was cut into pieces", found.key, found.size - start)
        for size in cut.too_large:
            self._counters.drop(counters.Drop.ROW_TOO_LARGE, f"a row of {size} bytes; 4 MiB is what one append takes")
        return True

    def _in_turn(self, found: list[segments.Found]) -> list[segments.Found]:
        """Return the segments, first those of the process behind the last one's: none waits for a busy one."""
        later = [each for each in found if each.key.partition("/")[0] > self._turn]
        return later + [each for each in found if each.key.partition("/")[0] <= self._turn]

    def _reader(self, found: segments.Found) -> segments.Segment:
        reader = self._segments.get(found.key)
        if reader is None:
            reader = self._segments[found.key] = segments.Segment(found.key, found.path)
        return reader


class Ahead:
    """The next rows, taken while the ones before them are being sent: the one computes, the other waits."""

    def __init__(
        self, taker: Taker, current: settings.Settings, consumed: typing.Mapping[str, int], *, most: int
    ) -> None:
        self._taken: Taken | None = None

        def take() -> None:
            # What goes wrong here comes again when they are taken in their turn, and is dealt with there.
            with contextlib.suppress(Exception):
                self._taken = taker.take(current, consumed, most=most)

        self._thread: threading.Thread | None = threading.Thread(target=take, name=names.TAKER, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads; nor can any be had when the interpreter ends
            self._thread = None

    def result(self) -> Taken | None:
        """Wait for it, and return what was taken."""
        if self._thread is not None:
            self._thread.join()
        return self._taken
