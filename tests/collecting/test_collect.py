"""``collect`` as a model script calls it, down to the spool; nothing is shipped here."""

from __future__ import annotations

import copy
import logging
import math
import os
import pathlib
import re
import sys
import threading
import types
import typing

import pytest

import modeldata
from modeldata import ModelDataCollector, settings
from modeldata.encoding import csvtext, layout
from modeldata.process import ending, lifecycle, running, signals
from modeldata.spool import records
from modeldata.tables import pieces, rows

from .conftest import Spooled


@pytest.fixture
def spooled(collecting: typing.Callable[..., Spooled]) -> Spooled:
    return collecting()


def cells(records: typing.Iterable[records.Record]) -> list[str]:
    """Return what follows the leading columns in each row."""
    return [line.split(",", 3)[3] for each in records for line in csvtext.to_csv(each).text.decode().splitlines()]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([[1, 2.5]], ["1,2.5"]),
        ([[1, 2], [3, 4]], ["1,2", "3,4"]),
        ([[1, math.nan], [math.inf, None]], ["1,NaN", "1e999,"]),
        ([["a,b", True]], ['"a,b",true']),
        ([["null", 0]], ["null,0"]),
        ([[1, [2, 3]]], ['1,"[2,3]"']),
        ([[2**70, -1]], ["1180591620717411303424,-1"]),
        ([["\udc80", 1]], ["?,1"]),
        ([[1], 2, [3, 4]], ["1,", "2,", "3,4"]),
        ([[]], [""]),
        ([[1], (2,)], ["1", "2"]),
        ([[1, [2]], 3, [4]], ["1,[2]", "3,", "4,"]),
        ([[1], [2, [3]], 4], ["1,", "2,[3]", "4,"]),
    ],
    ids=str,
)
def test_lists_are_written_as_they_are(spooled: Spooled, data: typing.Any, expected: list[str]) -> None:
    kept = copy.deepcopy(data)
    ModelDataCollector("m", "predictions").collect(data)
    assert cells(spooled()) == expected
    assert repr(data) == repr(kept)


def test_multiprocessing_that_another_thread_is_still_importing_is_no_error(
    spooled: Spooled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("multiprocessing.process", "multiprocessing.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(ending, "_child_hooked", False)
    monkeypatch.setattr(signals, "wants_collect", True)
    assert ModelDataCollector("m", "inputs").collect([[1]])
    assert cells(spooled()) == ["1"]
    assert caplog.text == ""


def test_a_thread_is_asked_once_whether_it_is_the_main_one(spooled: Spooled, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[threading.Thread] = []

    def chain() -> None:
        asked.append(threading.current_thread())
        chain_at_collect()

    chain_at_collect = signals.chain_at_collect
    monkeypatch.setattr(signals, "chain_at_collect", chain)
    monkeypatch.setattr(signals, "wants_collect", True)
    monkeypatch.setattr(signals, "others", set())
    collector = ModelDataCollector("m", "predictions")

    def collect_thrice() -> None:
        for number in range(3):
            collector.collect([[number]])

    other = threading.Thread(target=collect_thrice)
    other.start()
    other.join()
    assert asked == [other]
    assert signals.wants_collect
    collect_thrice()
    assert asked == [other, threading.main_thread()]
    assert not signals.wants_collect
    assert len(spooled()) == 6


def test_a_child_forked_by_a_thread_has_that_one_as_its_main_thread(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lifecycle.DIRECTORY_VARIABLE, str(tmp_path))
    lifecycle.install()
    monkeypatch.setattr(signals, "others", set())
    reader, writer = os.pipe()

    def fork() -> None:
        signals.chain_at_collect()
        known = len(signals.others)
        child = os.fork()
        if child == 0:
            os.write(writer, f"{known} {len(signals.others)}".encode())
            os._exit(0)
        os.waitpid(child, 0)

    other = threading.Thread(target=fork)
    other.start()
    other.join()
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.read() == "1 0"


@pytest.mark.parametrize("count", [1, pieces.PLAIN_ROWS, pieces.PLAIN_ROWS + 1, 5000])
def test_rows_are_all_there_and_numbered_however_many(spooled: Spooled, count: int) -> None:
    ModelDataCollector("m", "inputs").collect([[number, 0.5] for number in range(count)])
    records = spooled()
    assert cells(records) == [f"{number},0.5" for number in range(count)]
    ids = [line.split(",")[2] for each in records for line in csvtext.to_csv(each).text.decode().splitlines()]
    (given,) = {each.request for each in records}
    assert ids == ([f"{given}-{number}" for number in range(count)] if count > 1 else [given])


def test_what_the_caller_changes_later_changes_nothing(spooled: Spooled) -> None:
    data = [[1, [2]]]
    ModelDataCollector("m", "inputs").collect(data)
    data[0][0] = 7
    data[0][1].append(8)  # type: ignore[attr-defined]
    assert cells(spooled()) == ["1,[2]"]


def test_correlation_headers_name_the_request(spooled: Spooled) -> None:
    collector = ModelDataCollector("m", "inputs", workspace="s/g/w", webservice_name="svc", model_version="3")
    (first, second) = (collector.collect([[n]], user_correlation_id="mine" if n else "") for n in range(2))
    assert first is not None
    assert second is not None
    ids = [each.request for each in spooled()]
    assert [first["$aml_request_id"], second["$aml_request_id"]] == ids
    assert [first["$aml_dc_correlation_id"], second["$aml_dc_correlation_id"]] == [ids[0], "mine"]
    times = [layout.timestamp(each.microseconds)[:-1] for each in spooled()]
    assert [first["$aml_dc_scoring_timestamp"], second["$aml_dc_scoring_timestamp"]] == times
    assert list(first) == list(layout.AZUREML)
    assert list(first.values())[2:7] == [layout.BOUNDARY, "s/g/w", "svc", "m", "3"]


@pytest.mark.parametrize(
    "data",
    [[b"secret"], b"secret", "text", None, object(), [[object()]]],
    ids=lambda data: re.sub(" at 0x.*", "", str(data)),
)
def test_what_is_refused_is_counted_and_said_without_its_content(
    spooled: Spooled, data: typing.Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        ModelDataCollector("m", "predictions").collect(data)
    assert spooled() == []
    assert running.mine is not None
    assert running.mine.counters.dropped == {"refused": 1}
    assert "m/predictions" in caplog.text
    assert "secret" not in caplog.text


def test_many_sets_of_columns_need_no_more_memory_than_some(spooled: Spooled) -> None:
    collector = ModelDataCollector("m", "inputs")
    for number in range(300):
        collector.collect([{f"column {number}": number}])
    assert len(collector._streams) <= 100
    columns = [each.stream.names for each in spooled()]
    assert columns[:16] == [tuple(f"column {number}" for number in range(count)) for count in range(1, 17)]
    assert columns[16:] == [(f"column {number}",) for number in range(16, 300)]


def test_settings_that_change_while_a_row_is_on_its_way_do_not_cost_it(
    spooled: Spooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, make = ModelDataCollector("m", "predictions"), records.plain

    def make_slowly(head: list[object]) -> bytes | None:
        line = make(head)
        monkeypatch.setattr("modeldata.collector._plain", make)
        assert running.mine is not None
        live = running.mine.live
        live.latest = live.latest._replace(redactions=(settings.Redaction("b", settings.Action.DROP),))
        other = threading.Thread(target=collector.collect, args=([[3, 4]],))
        other.start()
        other.join()
        return line

    monkeypatch.setattr("modeldata.collector._plain", make_slowly)
    collector.collect([[1, 2]])
    assert sorted(cells(spooled())) == ["1,2", "3,4"]


def test_a_table_is_redacted_as_asked_for_when_its_call_began(
    spooled: Spooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, take = ModelDataCollector("m", "predictions"), rows.take
    assert running.mine is not None
    live = running.mine.live
    dropped = settings.Redaction("secret", settings.Action.DROP)
    live.latest = live.latest._replace(redactions=(dropped,))

    def take_slowly(data: object, **more: typing.Any) -> list[pieces.Table]:
        live.latest = live.latest._replace(enabled=False, redactions=())
        other = threading.Thread(target=collector.collect, args=([[2]],))
        other.start()
        other.join()
        return take(data, **more)

    monkeypatch.setattr("modeldata.collector.rows.take", take_slowly)
    collector.collect({"secret": 1})
    assert [each.stream.redactions for each in spooled()] == [(dropped,)]


def test_a_log_that_raises_costs_the_row_and_nothing_else(
    spooled: Spooled, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: logging.LogRecord) -> typing.NoReturn:
        raise RuntimeError("as the test wants it")

    monkeypatch.setattr(caplog.handler, "emit", fail)
    collector = ModelDataCollector("m", "inputs")
    assert collector.collect(b"image") is None
    collector.collect([[1]])
    assert len(spooled()) == 1
    assert modeldata.stats().dropped == {"refused": 1}
