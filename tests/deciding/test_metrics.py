"""What a scrape shows."""

from __future__ import annotations

from datetime import UTC, datetime

import prometheus_client
import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import (
    ClosingRun,
    ClosingStatus,
    Condition,
    CredentialStatus,
    PodCounts,
    Status,
)
from modeldata_operator.observe import metrics

KEY = ObjectKey("models", "churn")


@pytest.fixture
def shown():
    registry, collections = prometheus_client.CollectorRegistry(), metrics.Collections()
    registry.register(collections)

    def sample(name, **labels):
        return registry.get_sample_value(name, {"namespace": "models", "collection": "churn", **labels})

    return collections, sample


def test_what_a_collection_has_is_shown_until_it_is_deleted(shown):
    collections, sample = shown
    status = Status(
        pods=PodCounts(3, 2, 1),
        credential=CredentialStatus(expires_at="2026-11-21T10:00:00Z"),
        conditions=(Condition("Ready", "True", "Collecting", "", 1, ""), Condition("Stalled", "False", "x", "", 1, "")),
    )
    collections.show(KEY, status)
    assert [sample("modeldata_operator_pods", state=state) for state in ("matched", "injected", "current")] == [3, 2, 1]
    moment = datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()
    assert sample("modeldata_operator_sas_expiry_timestamp_seconds") == moment
    assert sample("modeldata_operator_condition", type="Ready") == 1
    assert sample("modeldata_operator_condition", type="Stalled") == 0
    collections.forget(KEY)
    assert sample("modeldata_operator_condition", type="Ready") is None


def test_one_that_was_not_looked_at_has_nothing_to_show_of_its_credential(shown):
    collections, sample = shown
    collections.show(KEY, Status())
    assert sample("modeldata_operator_sas_expiry_timestamp_seconds") is None
    assert sample("modeldata_operator_pods", state="matched") == 0


def test_a_reconcile_that_fails_is_counted_as_such():
    def count(result):
        return metrics.REGISTRY.get_sample_value("modeldata_operator_reconciles_total", {"result": result}) or 0

    done, failed = count("done"), count("failed")
    with metrics.reconciling():
        pass
    with pytest.raises(KeyError), metrics.reconciling():
        raise KeyError
    assert (count("done"), count("failed")) == (done + 1, failed + 1)


def test_a_port_that_is_taken_costs_the_metrics_and_nothing_else(caplog):
    import socket

    with socket.create_server(("", 0)) as taken:
        metrics.serve(taken.getsockname()[1])
    assert "no metrics: port" in caplog.text


def closed(reason="Closed", runs=(), since="2026-11-20T12:00:00Z"):
    """What is shown of a collection whose days are closed so."""
    key = ObjectKey("models", "closed")
    condition = Condition("DaysClosed", "True", reason, "", 1, since)
    metrics.COLLECTIONS.show(key, Status(conditions=(condition,), closing=ClosingStatus("job", runs)))
    try:
        return {
            sample.name.removeprefix("modeldata_operator_") + sample.labels.get("state", ""): sample.value
            for family in metrics.COLLECTIONS.collect()
            for sample in family.samples
            if sample.labels["collection"] == "closed"
        }
    finally:
        metrics.COLLECTIONS.forget(key)


def test_closed_days_are_shown_and_since_when_they_could_be_late():
    runs = (
        ClosingRun("a", "2026-11-20T08:00:00Z", "2026-11-19", 3, 30, 1, 5, 2),
        ClosingRun("b", "2026-11-20T07:00:00Z", "2026-11-18", 2, 20, 0, 0, 0),
    )
    shown = closed(runs=runs)
    assert (shown["closed_rows"], shown["late_rows"]) == (50, 5)
    assert (shown["closed_daysclosed"], shown["closed_dayspending"]) == (5, 2)
    # The end of that day, of the container that is behind.
    assert shown["closed_through_timestamp_seconds"] == datetime(2026, 11, 19, tzinfo=UTC).timestamp()
    assert shown["days_closed_timestamp_seconds"] == datetime(2026, 11, 20, 7, tzinfo=UTC).timestamp()


def test_of_what_was_never_closed_it_is_shown_since_when_and_of_what_is_suspended_nothing():
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
    assert closed("ClosingFailed")["days_closed_timestamp_seconds"] == moment
    assert "closed_through_timestamp_seconds" not in closed("ClosingFailed")
    assert "days_closed_timestamp_seconds" not in closed("ClosingSuspended")
