"""What goes wrong again and again is said once a minute, with the way out; and that it is over, once too."""

from __future__ import annotations

import logging

import pytest

from modeldata.observe import counters


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_same_complaint_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    tally = counters.Counters()
    for number in range(100):
        tally.complain("storage", "rows wait (%d)", number)
    assert lines(caplog) == ["modeldata: rows wait (0)"]


def test_after_a_minute_it_is_logged_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = counters.Counters()
    tally.complain("storage", "rows wait")
    monkeypatch.setattr(counters, "REPEAT_SECONDS", 0.0)  # the minute is over
    tally.complain("storage", "rows still wait")
    assert lines(caplog) == ["modeldata: rows wait", "modeldata: rows still wait"]


def test_other_complaints_are_not_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    tally = counters.Counters()
    tally.complain("storage", "rows wait")
    tally.complain("journal", "the disk is full")
    assert len(lines(caplog)) == 2


def test_what_fails_and_recovers_by_turns_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    tally = counters.Counters()
    recovered = 0
    for _ in range(100):
        tally.complain("storage", "rows wait")
        recovered += tally.quiet("storage")
    assert recovered == 1
    assert len(lines(caplog)) == 1


def test_what_was_not_complained_of_does_not_recover() -> None:
    assert not counters.Counters().quiet("storage")


@pytest.mark.parametrize("reason", list(counters.Drop))
def test_each_drop_is_counted_and_said_with_its_reason_and_the_way_out(
    reason: counters.Drop, caplog: pytest.LogCaptureFixture
) -> None:
    tally = counters.Counters()
    tally.drop(reason, "what happened", 3)
    tally.drop(reason, "what happened", 4)
    assert tally.dropped == {reason.value: 7}
    (line,) = lines(caplog)
    assert line.startswith(f"modeldata: what happened; 3 dropped so far ({reason.value}): ")
    assert reason.way_out
    assert line.endswith(reason.way_out)
