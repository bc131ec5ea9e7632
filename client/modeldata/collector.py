"""The public class: what a model script writes to."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import typing

from . import settings
from .encoding import csvtext, layout, paths
from .observe import counters
from .process import lifecycle, running, signals
from .requests import context, given
from .spool import records
from .tables import adapter, cells, pieces, rows

if typing.TYPE_CHECKING:
    from .process import pipeline

logger = logging.getLogger("modeldata")

DEBUG_VARIABLE = "AML_MODEL_DC_DEBUG"
_MOST_STREAMS, _MOST_STREAM_BYTES = 100, 1024 * 1024
"""Of a collector, that are remembered: sets of columns, and the bytes of their names."""
_FEW_ROWS = 100
"""So few rows are encoded at once, and cut if that shows that they are large."""
_BESIDE_BYTES = 4096
"""What the other columns of a row may take at most, whichever they are."""

# What collect() uses in each call, by a name that is found at once.
_PLAIN_CELLS = pieces.PLAIN_CELLS
_SINGLE = records.SINGLE
_enter = context.enter
_now = time.time_ns
_NONE = ""
_plain = records.plain


_shown_key = os.urandom(32)
"""For hashes that are only printed: who reads a log is not to know the hashes of the files."""
_found: set[tuple[str, str]] = set()
"""Models and features: what was found of what is redacted in rows that are printed."""


class _Obeyed:
    """What a collector makes of the settings that it obeys.

    Not to be changed once it is made. A plain class, as ``records.Stream`` is.
    """

    def __init__(
        self, *, settings: settings.Settings, percent: int, stream: records.Stream, headers: dict[str, object]
    ) -> None:
        self.settings = settings
        self.percent = percent
        """Of the requests, how many are collected; 0 where collection is off."""
        self.stream = stream
        self.headers = headers
        """The correlation headers, as far as they are the same for all requests."""


class ModelDataCollector:
    """Collects the rows of one designation of one model.

    Made once, in ``init()``; ``collect`` is called in ``run()``. Where nothing is configured (a laptop), both do
    nothing; with ``AML_MODEL_DC_DEBUG=true`` they print the rows.

    Args:
        model_name: the model's name, part of the file's path.
        designation: ``inputs``, ``predictions``, ``labels`` or any other name of what is collected.
        feature_names: names of the columns. Fewer or more names than the data has columns are no error.
        workspace: ``<subscription>/<resource group>/<workspace>``, if not as configured in the cluster.
        webservice_name: as above.
        model_version: as above.
        collection_name: accepted for scripts that pass it.
        identifier: the older name of ``designation``.
        model_id: accepted for scripts that pass it.

    """

    def __init__(  # noqa: PLR0917 (scripts written for Azure's collector pass them by position)
        self,
        model_name: str,
        designation: str = "default",
        feature_names: typing.Sequence[str] | None = None,
        workspace: str = paths.DEFAULT_WORKSPACE,
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
        *,
        identifier: str | None = None,
        model_id: str = "default",
    ) -> None:
        self.model_name = _name(model_name)
        self.designation = _name(identifier if identifier is not None else designation)
        self.feature_names = _names(feature_names)
        self.workspace = _name(workspace, paths.DEFAULT_WORKSPACE)
        self.webservice_name = _name(webservice_name, "default")
        self.model_version = _name(model_version, "default")
        self.collection_name = _name(collection_name, "default")
        self.model_id = _name(model_id, "default")
        self._debug = os.environ.get(DEBUG_VARIABLE, "").lower() == "true"
        self._stream = records.Stream(
            model=self.model_name,
            designation=self.designation,
            names=self.feature_names,
            version="" if self.model_version == "default" else self.model_version,
            workspace="" if self.workspace == paths.DEFAULT_WORKSPACE else self.workspace,
            webservice="" if self.webservice_name == "default" else self.webservice_name,
        )
        self._streams: dict[tuple[object, ...], records.Stream] = {}
        """By the names of their columns (a DataFrame brings its own) and their redactions."""
        self._stream_bytes = 0
        self._columns = adapter.Columns()
        self._plain_rows = 0 if self._debug else pieces.PLAIN_ROWS
        """Up to so many rows of a list go as they are; what is printed too never does."""
        self._is_inputs = self.designation == "inputs"
        self._obeyed = self._obey(settings.OFF)
        self._second = 0, 0, ""
        """The last row's, in microseconds: its begin, its end, and its text."""
        try:
            # The shipper starts here and not at the first row: rows of a process that was killed may wait in the spool.
            if lifecycle.begin() is not None:
                lifecycle.install()
            else:
                logger.info("modeldata: nothing is collected: %s", lifecycle.why_idle())
        except Exception as error:  # as in collect(), which tries again
            logger.warning("modeldata: a collector can't begin yet: %s", type(error).__name__)

    def collect(self, input_data: object, user_correlation_id: str = "") -> dict[str, object] | None:
        """Collect rows. Never raises, never waits for storage, keeps no reference to the data.

        When it returns, the rows are in the pod's spool and survive the process.

        Args:
            input_data: a list, array, DataFrame or Series; docs/reading.md says what is a row.
            user_correlation_id: written to ``$CorrelationId`` of all rows of this request.

        Returns:
            For ``inputs``: the correlation headers that ``add_correlations`` takes. Otherwise None, as where nothing is
            collected.

        """
        try:
            # What follows runs within a request of the model: each line of it is felt.
            ours = running.mine or lifecycle.begin()
            if ours is None:
                return self._collect_nothing(input_data, user_correlation_id) if self._debug else None
            microseconds = _now() // 1000
            live = ours.live
            if not live.looked <= microseconds < live.look_at:
                if not lifecycle.belongs_here(ours):
                    return self.collect(input_data, user_correlation_id)
                live.current()
                if not ours.shipper.running:
                    ours.shipper.start()
            obeyed = self._obeyed  # all at once: another thread may obey newer settings in the middle of this call
            if live.latest is not obeyed.settings:
                obeyed = self._obeyed = self._obey(live.latest)
            percent = obeyed.percent
            if not percent:
                context.leave()  # what comes after it is switched on again is no part of the request before
                return self._collect_nothing(input_data, user_correlation_id) if self._debug else None
            correlation = "" if user_correlation_id is _NONE else given.safe(user_correlation_id)
            current = _enter(self.designation, correlation, microseconds)
            if percent < 100 and not ours.sampler.keeps(current.id, percent, obeyed.settings):
                return self._leave_out(current, microseconds, ours)
            line = None
            if type(input_data) is list and input_data and (count := len(input_data)) <= self._plain_rows:
                first = input_data[0]
                if (
                    type(first) is list
                    and len(first) <= _PLAIN_CELLS
                    and (count <= _FEW_ROWS or _is_small(first, count))
                ):
                    stream = obeyed.stream
                    first_row = _SINGLE if count == 1 else 0
                    line = _plain(
                        [stream.number, microseconds, current.id, current.correlation, first_row, count, input_data]
                    )
            if line is None or not ours.writer.write(stream, line, count):
                count = self._collect_tables(input_data, current, microseconds, obeyed, ours)
            if signals.wants_collect and threading.get_ident() not in signals.others:
                signals.chain_at_collect()
            if count > current.input_rows:  # noqa: PLR1730 (a call of max takes longer); whatever the inputs are called
                current.input_rows = count
            if not self._is_inputs:
                return None
            return self._correlations(current, microseconds)
        except Exception as error:  # scoring must go on whatever is wrong here
            with contextlib.suppress(Exception):  # a handler of the model's own log, or its deepest recursion
                self._complain(error)
            return None

    def add_correlations(self, input_data: typing.Any, correlations: dict[str, object] | None) -> typing.Any:
        """Return the data with the correlation headers that ``collect`` of the inputs returned as further columns.

        A flat list or array is as many rows as ``collect`` takes it for. Lists and tuples become a list, arrays an
        array of objects, DataFrames a copy (those of Spark one of pandas); with ``correlations=None``, or data of
        another type, the data is returned as it is.
        """
        try:
            if not correlations:
                return input_data
            known = context.input_rows()
            return rows.joined(input_data, correlations, names=self.feature_names, input_rows=known)
        except Exception as error:  # as in collect()
            ours = running.existing()
            if ours is not None:
                ours.counters.complain("correlations", "no correlations added: %s", type(error).__name__)
            return input_data

    def _collect_nothing(self, data: object, user_correlation_id: object) -> dict[str, object] | None:
        microseconds = time.time_ns() // 1000
        correlation = "" if user_correlation_id is _NONE else given.safe(user_correlation_id)
        current = context.enter(self.designation, correlation, microseconds)
        count = self._collect_tables(data, current, microseconds, self._obeyed, None)
        current.input_rows = max(current.input_rows, count)
        return self._correlations(current, microseconds) if self._is_inputs else None

    def _obey(self, latest: settings.Settings) -> _Obeyed:
        known = paths.origin(self._stream, latest.origin)
        fixed = (
            "",
            "",
            layout.BOUNDARY,
            known.whole_workspace,
            known.webservice,
            self.model_name,
            known.model_version,
            "",
        )
        return _Obeyed(
            settings=latest,
            percent=latest.percent if latest.enabled else 0,
            stream=self._stream_of(self.feature_names, latest.redactions),
            headers=dict(zip(layout.AZUREML, fixed)),
        )

    def _leave_out(
        self, current: context.Request, microseconds: int, ours: pipeline.Pipeline
    ) -> dict[str, object] | None:
        if len(current.designations) == 1:
            ours.counters.sampled_out += 1
        return self._correlations(current, microseconds) if self._is_inputs else None

    def _correlations(self, current: context.Request, microseconds: int) -> dict[str, object]:
        begin, end, prefix = self._second
        if not begin <= microseconds < end:
            second = microseconds // 1_000_000
            prefix = layout.second(second)
            self._second = second * 1_000_000, (second + 1) * 1_000_000, prefix
        found = self._obeyed.headers.copy()
        found["$aml_dc_correlation_id"] = current.correlation or current.id
        found["$aml_dc_scoring_timestamp"] = prefix + str(microseconds)[-6:]
        found["$aml_request_id"] = current.id
        return found

    def _complain(self, error: Exception, rows: int = 1) -> None:
        refused = isinstance(error, cells.Refused)
        # The text of other errors stays out of the log: it may hold what was collected.
        detail = f"{self.model_name}/{self.designation}: {error if refused else type(error).__name__}"
        ours = running.existing()
        if ours is not None:
            ours.counters.drop(counters.Drop.REFUSED if refused else counters.Drop.INTERNAL, detail, rows)
        else:
            logger.warning("modeldata: not printed: %s", detail)

    def _collect_tables(
        self,
        data: object,
        current: context.Request,
        microseconds: int,
        obeyed: _Obeyed,
        ours: pipeline.Pipeline | None,
    ) -> int:
        taken = rows.take(data, names=self.feature_names, input_rows=current.input_rows, columns=self._columns)
        is_open = taken.is_open and not self._is_inputs
        count = 0 if is_open else taken.rows
        # Asked for before anything is encoded: a large frame takes seconds, and a spool that is full stays so for long.
        needed, done = taken.least_bytes if taken.rows > 1 else 0, 0
        try:
            for table in taken if ours is None or ours.writer.has_room(needed) else ():
                first = records.UNSETTLED if is_open else done if taken.rows > 1 else records.SINGLE
                if isinstance(table, pieces.TooLarge):
                    self._leave_out_row(table.bytes, ours)
                    done += table.rows
                    continue
                stream = self._stream_of(table.names, obeyed.settings.redactions)
                each = records.Record(stream, microseconds, current.id, current.correlation, first, table)
                if table.rows == 1 and len(table.payload) > pieces.PIECE_BYTES and (size := _exceeds(each)):
                    self._leave_out_row(size, ours)
                    done += table.rows
                    continue
                if ours is not None:
                    line, array = each.to_parts()
                    needed = len(line) + len(array)
                    if not ours.writer.write(stream, line, table.rows, array, most=records.MOST_BYTES):
                        self._leave_out_row(needed, ours)
                done += table.rows  # in the spool, or counted: what fails from here on costs none of them
                if self._debug:
                    self._show(each, obeyed.settings)
                if ours is not None and done < taken.rows and not ours.writer.has_room(needed):
                    break
        except Exception as error:
            if not done:
                raise
            self._complain(error, taken.rows - done)
            return count
        if done < taken.rows and ours is not None:
            ours.counters.drop(counters.Drop.SPOOL_FULL, f"no room for {needed} bytes more", taken.rows - done)
        return count

    def _show(self, record: records.Record, obeyed: settings.Settings) -> None:
        """Print rows as they may be seen: what is printed leaves the pod with its log."""
        if obeyed.unfulfilled or (obeyed is settings.OFF and running.existing() is not None):
            logger.warning("modeldata: rows are not printed: what is to be redacted is not known")
            return
        csv = csvtext.to_csv(record, layout.Layout(obeyed.redactions, _shown_key))
        _found.update((self.model_name, each.feature) for each in csv.matched)
        held = [each.feature for each in obeyed.redactions if each.hold]
        if all((self.model_name, feature) in _found for feature in held):
            print((csv.header + csv.text).decode(), end="")  # noqa: T201 (what the switch is for)
        else:
            logger.warning("modeldata: rows are not printed: none has had %s", ", ".join(held))

    def _leave_out_row(self, size: int, ours: pipeline.Pipeline | None) -> None:
        detail = f"{self.model_name}/{self.designation}: a row of {size} bytes; 4 MiB is what one append takes"
        if ours is not None:
            ours.counters.drop(counters.Drop.ROW_TOO_LARGE, detail)
        else:
            logger.warning("modeldata: not printed: %s", detail)

    def _stream_of(self, names: tuple[str, ...], redactions: tuple[settings.Redaction, ...]) -> records.Stream:
        stream = self._streams.get((names, redactions))
        if stream is None:
            self._stream_bytes += sum(map(len, names)) + 60 * len(names)
            # Columns that change with each call.
            if len(self._streams) >= _MOST_STREAMS or self._stream_bytes > _MOST_STREAM_BYTES:
                self._streams.clear()
                self._stream_bytes = 0
            stream = self._streams[names, redactions] = self._stream.like(names, redactions)
        return stream


def _is_small(first: list[object], count: int) -> bool:
    """Return whether rows like the first one are encoded at once: what is large is cut before it is all in memory."""
    line = _plain(first)
    return line is not None and len(line) * count <= pieces.PIECE_BYTES


def _exceeds(of: records.Record) -> int:
    """Return the length of a row's text if no append takes it, else 0."""
    size = sum(len(chunk.text) for chunk in csvtext.to_csv(of).chunks)
    return size if size > pieces.ROW_BYTES - _BESIDE_BYTES else 0


def _name(given: object, instead: str | None = None) -> str:
    """Return a name of a model, or of a part of its path.

    Args:
        given: what the script said.
        instead: what takes the place of an empty one; None: nothing does.

    """
    try:
        return cells.name_text(given if instead is None else given or instead)
    except Exception as error:  # of the script's own class
        logger.warning("modeldata: a name has no text: %s", type(error).__name__)
        return "default"


def _names(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    try:
        if isinstance(given, str) or not isinstance(given, typing.Iterable):
            return (cells.name_text(given),)
        return tuple(cells.name_text(name) for name in given)
    except Exception as error:  # as above
        logger.warning("modeldata: feature_names can't be read: %s", type(error).__name__)
        return ()
