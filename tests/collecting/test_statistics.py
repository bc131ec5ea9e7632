"""``modeldata.stats()``: what it counts, and what it says where there is nothing to count."""

from __future__ import annotations

import json
import pathlib

import pytest

import modeldata
from modeldata.observe import counters, statistics
from modeldata.process import pipeline, running


@pytest.fixture
def ours(tmp_path: pathlib.Path) -> pipeline.Pipeline:
    (tmp_path / "settings").mkdir()
    document = {"version": 1, "enabled": False, "collection": "models/test", "generation": 1}
    (tmp_path / "settings/settings.json").write_text(json.dumps(document))
    return pipeline.Pipeline(tmp_path)  # not started


def test_where_nothing_is_configured_all_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELDATA_DIR", raising=False)
    assert modeldata.stats() == statistics.Statistics()
    assert modeldata.stats().since_delivery is None


def test_before_the_first_delivery_there_is_no_time_since_it(ours: pipeline.Pipeline) -> None:
    assert ours.statistics(1000.0).since_delivery is None
    assert ours.statistics(1000.0).oldest_waiting_age == 0.0


def test_ages_are_in_seconds(ours: pipeline.Pipeline) -> None:
    ours.counters.last_delivery = 1000.0
    ours.shipper.oldest_waiting = 990.0
    seen = ours.statistics(1002.5)
    assert (seen.since_delivery, seen.oldest_waiting_age) == (2.5, 12.5)


def test_a_clock_that_was_set_back_makes_no_negative_age(ours: pipeline.Pipeline) -> None:
    ours.counters.last_delivery = ours.shipper.oldest_waiting = 1000.0
    seen = ours.statistics(400.0)
    assert (seen.since_delivery, seen.oldest_waiting_age) == (0.0, 0.0)


def test_rows_are_counted_by_what_became_of_them(ours: pipeline.Pipeline) -> None:
    ours.counters.accepted += 5
    ours.counters.deliver(3)
    ours.counters.drop(counters.Drop.DISK, "the spool can't be written", 2)
    ours.counters.sampled_out += 1
    seen = ours.statistics(0.0)
    assert (seen.accepted, seen.delivered, seen.dropped, seen.sampled_out) == (5, 3, {"disk": 2}, 1)


def test_what_was_returned_does_not_change_afterwards(ours: pipeline.Pipeline) -> None:
    before = ours.statistics(0.0)
    ours.counters.drop(counters.Drop.DISK, "the spool can't be written", 2)
    assert before.dropped == {}


def test_requests_that_sampling_leaves_out_are_counted_once_whoever_gave_their_id(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").mkdir()
    storage = {"endpoint": "http://127.0.0.1:9/x"}
    document = {"version": 1, "enabled": True, "storage": storage, "sampling": {"percent": 1}}
    (tmp_path / "settings/settings.json").write_text(json.dumps(document))
    made = pipeline.Pipeline(tmp_path)
    made.shipper.running = True  # nothing is shipped
    monkeypatch.setattr(running, "mine", made)
    inputs, predictions = (modeldata.ModelDataCollector("m", name) for name in ("inputs", "predictions"))
    latest = made.live.latest
    (given,) = [f"id-{n}" for n in range(9) if not made.sampler.keeps(f"id-{n}", 1, latest)][:1]
    with modeldata.request_id(given):
        inputs.collect([[1]])
        predictions.collect([2])
    assert modeldata.stats().sampled_out == 1
    assert modeldata.stats().accepted == 0
