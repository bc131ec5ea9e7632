"""The public class: what a model script writes to."""

from __future__ import annotations

import logging
import os
import time
import typing

from . import counters, lifecycle, pipeline, record, request, rows, settings, target, text

logger = logging.getLogger("modeldata")

DEBUG_VARIABLE = "AML_MODEL_DC_DEBUG"
_MOST_STREAMS = 100


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
        workspace: str = target.DEFAULT_WORKSPACE,
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
        *,
        identifier: str | None = None,
        model_id: str = "default",
    ) -> None:
        self.model_name = rows.name_text(model_name)
        self.designation = rows.name_text(identifier if identifier is not None else designation)
        self.feature_names = _names(feature_names)
        self.workspace = rows.name_text(workspace)
        self.webservice_name = rows.name_text(webservice_name)
        self.model_version = rows.name_text(model_version)
        self.collection_name = rows.name_text(collection_name)
        self.model_id = rows.name_text(model_id)
        self._debug = os.environ.get(DEBUG_VARIABLE, "").lower() == "true"
        self._stream = record.Stream(
            model=self.model_name,
            designation=self.designation,
            names=self.feature_names,
            version="" if self.model_version == "default" else self.model_version,
            workspace="" if self.workspace == target.DEFAULT_WORKSPACE else self.workspace,
            webservice="" if self.webservice_name == "default" else self.webservice_name,
        )
        self._streams = {self.feature_names: self._stream}
        """By the names of their columns: a DataFrame brings its own."""
        self._is_inputs = self.designation == "inputs"
        self._headers: dict[str, object] = {
            "$aml_dc_correlation_id": "",
            "$aml_dc_scoring_timestamp": "",
            "$aml_dc_boundary": 1440,
            "$aml_workspace": self.workspace,
            "$aml_service_name": self.webservice_name,
            "$aml_model_name": self.model_name,
            "$aml_model_version": self.model_version,
            "$aml_request_id": "",
        }
        # The shipper starts here and not at the first row: rows of a process that was killed may wait in the spool.
        if pipeline.current() is None:
            logger.info("modeldata: %s is not set: nothing is collected", pipeline.DIRECTORY_VARIABLE)
        else:
            lifecycle.chain_sigterm()

    def collect(self, input_data: object, user_correlation_id: str = "") -> dict[str, object] | None:
        """Collect rows. Never raises, never waits for storage, keeps no reference to the data.

        When it returns, the rows are in the pod's spool and survive the process.

        Args:
            input_data: a list, array, DataFrame or Series; see ``rows.take`` for what is a row.
            user_correlation_id: written to ``$CorrelationId`` of all rows of this request.

        Returns:
            For ``inputs``: the correlation headers that ``add_correlations`` takes. Otherwise None, as where nothing is
            collected.

        """
        try:
            # What follows runs within a request of the model: each line of it is felt.
            ours = pipeline.mine or pipeline.current()
            if ours is None:
                return self._collect_nothing(input_data, user_correlation_id) if self._debug else None
            microseconds = time.time_ns() // 1000
            live = ours.live
            if not 0 <= microseconds - live.looked < settings.LOOK_MICROSECONDS:
                live.current()
            if not live.latest.enabled:
                request.leave()  # what comes after it is switched on again is no part of the request before
                return self._collect_nothing(input_data, user_correlation_id) if self._debug else None
            given = _correlation(user_correlation_id) if user_correlation_id else ""
            current = request.enter(self.designation, given, microseconds)
            count, line = 0, None
            if type(input_data) is list and 0 < (count := len(input_data)) <= rows.PLAIN_ROWS and not self._debug:
                first = input_data[0]
                if type(first) is list and len(first) <= rows.PLAIN_CELLS:
                    line = record.plain(
                        [
                            self._stream.number,
                            microseconds,
                            current.id,
                            current.correlation,
                            -1 if count == 1 else 0,  # record.SINGLE
                            count,
                            input_data,
                        ]
                    )
            if line is None:
                count = self._collect_tables(input_data, current, microseconds, ours)
            else:
                ours.write(self._stream, line, count)
            if lifecycle.wants_collect:
                lifecycle.chain_at_collect()
            if not self._is_inputs:
                return None
            current.input_rows = count
            return self._correlations(current, microseconds)
        except Exception as error:  # scoring must go on whatever is wrong here
            self._complain(error)
            return None

    def add_correlations(self, input_data: typing.Any, correlations: dict[str, object] | None) -> typing.Any:
        """Return the data with the correlation headers that ``collect`` of the inputs returned as further columns.

        Lists and tuples become a list, arrays an array of objects, DataFrames a copy; with ``correlations=None``, or
        data of another type, the data is returned as it is.
        """
        try:
            return self._with_correlations(input_data, correlations) if correlations else input_data
        except Exception as error:  # as in collect()
            logger.warning("modeldata: no correlations added: %s", type(error).__name__)
            return input_data

    @staticmethod
    def _with_correlations(input_data: typing.Any, correlations: dict[str, object]) -> typing.Any:
        values = list(correlations.values())
        if isinstance(input_data, (list, tuple)):
            if input_data and isinstance(input_data[0], (list, tuple)):
                return [[*row, *values] for row in input_data]
            return [*input_data, *values]
        if hasattr(input_data, "assign") and hasattr(input_data, "columns"):
            return input_data.assign(**correlations)
        if hasattr(input_data, "astype") and getattr(input_data, "ndim", 0) in (1, 2):
            import numpy

            table = input_data.astype(object).reshape(1, -1) if input_data.ndim == 1 else input_data.astype(object)
            return numpy.hstack([table, numpy.array([values] * len(table), dtype=object)])
        return input_data

    def _collect_nothing(self, data: object, user_correlation_id: object) -> dict[str, object] | None:
        microseconds = time.time_ns() // 1000
        given = _correlation(user_correlation_id) if user_correlation_id else ""
        current = request.enter(self.designation, given, microseconds)
        current.input_rows = self._collect_tables(data, current, microseconds, None)
        return self._correlations(current, microseconds) if self._is_inputs else None

    def _correlations(self, current: request.Request, microseconds: int) -> dict[str, object]:
        found = self._headers.copy()
        found["$aml_dc_correlation_id"] = current.correlation or current.id
        found["$aml_dc_scoring_timestamp"] = text.timestamp(microseconds)[:-1]
        found["$aml_request_id"] = current.id
        return found

    def _complain(self, error: Exception) -> None:
        refused = isinstance(error, rows.Refused)
        # The text of other errors stays out of the log: it may hold what was collected.
        detail = f"{self.model_name}/{self.designation}: {error if refused else type(error).__name__}"
        ours = pipeline.existing()
        if ours is not None:
            ours.counters.drop(counters.Drop.REFUSED if refused else counters.Drop.INTERNAL, detail)
        else:
            logger.warning("modeldata: not printed: %s", detail)

    def _collect_tables(
        self, data: object, current: request.Request, microseconds: int, ours: pipeline.Pipeline | None
    ) -> int:
        tables = rows.take(data, names=self.feature_names, input_rows=current.input_rows)
        count = sum(table.rows for table in tables)
        first = 0
        for table in tables:
            each = record.Record(
                self._stream_of(table.names),
                microseconds,
                current.id,
                current.correlation,
                first if count > 1 else record.SINGLE,
                table,
            )
            first += table.rows
            if ours is not None:
                ours.write(each.stream, each.to_line(), table.rows)
            if self._debug:
                csv = text.to_csv(each)
                print(csv.header.decode(), *csv.rows, sep="", end="")  # noqa: T201 (what the switch is for)
        return count

    def _stream_of(self, names: tuple[str, ...]) -> record.Stream:
        stream = self._streams.get(names)
        if stream is None:
            if len(self._streams) >= _MOST_STREAMS:  # columns that change with each call
                self._streams = {self.feature_names: self._stream}
            stream = self._streams[names] = self._stream.with_names(names)
        return stream


def _correlation(given: object) -> str:
    return rows.name_text(given)[: request.MOST_ID_CHARACTERS]


def _names(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, typing.Iterable):
        return (rows.name_text(given),)
    return tuple(rows.name_text(name) for name in given)


lifecycle.install()
