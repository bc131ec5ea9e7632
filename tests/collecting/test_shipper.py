"""The shipper's thread, where something is wrong that is none of storage's doing."""

from __future__ import annotations

import pathlib
import typing

import pytest

from modeldata import pipeline


@pytest.fixture
def ours(collected: typing.Callable[..., pipeline.Pipeline]) -> typing.Iterator[pipeline.Pipeline]:
    made = collected()
    made.shipper.running = False
    yield made
    made.close(0)


def test_a_fault_in_what_people_see_does_not_end_delivery(
    ours: pipeline.Pipeline, eventually: typing.Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> typing.NoReturn:
        raise RuntimeError("a value that was collected")

    ours.shipper.ticked = fail
    ours.shipper.start()
    eventually(lambda: ours.shipper.ticks >= 3, seconds=30)
    assert ours.shipper.running
    assert caplog.text.count("shipping failed and goes on: RuntimeError in test_shipper.py") == 1
    assert "collected" not in caplog.text


def test_a_journal_that_can_not_be_made_is_said_and_what_waits_is_looked_at(
    ours: pipeline.Pipeline, eventually: typing.Any, caplog: pytest.LogCaptureFixture, tmp_path: pathlib.Path
) -> None:
    segment = tmp_path / "spool/pod-1-dead/000000001.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"123")
    (tmp_path / "spool/.shipper").write_text("in the way")
    ours.shipper.start()
    eventually(lambda: ours.shipper.waiting_bytes == 3, seconds=30)
    assert "rows wait, as the spool can't be changed: Not a directory" in caplog.text
    assert "shipping failed" not in caplog.text
