"""Sampling is by request: all that one request collects is kept, or all of it left."""

from __future__ import annotations

import collections
import pathlib
import time
import typing
import uuid

import pytest

from modeldata import ModelDataCollector, settings
from modeldata.process import running
from modeldata.requests import context, ids, sampling

from .conftest import Spooled


@pytest.fixture
def percent(collecting: typing.Callable[..., Spooled]) -> typing.Callable[[int], Spooled]:
    """Collect so many requests of a hundred; the result returns what is in the spool."""
    return lambda share: collecting(sampling={"percent": share})


def test_inputs_and_predictions_are_kept_or_left_together(percent: typing.Callable[[int], Spooled]) -> None:
    spooled = percent(30)
    inputs, predictions = (ModelDataCollector("m", name) for name in ("inputs", "predictions"))
    for number in range(2000):
        correlations = inputs.collect([[number, 0.5]])
        predictions.collect([[number]])
        assert correlations is not None
    kept: dict[str, set[str]] = collections.defaultdict(set)
    for each in spooled():
        kept[each.request].add(each.stream.designation)
    assert all(both == {"inputs", "predictions"} for both in kept.values())
    assert running.mine is not None
    assert len(kept) == 2000 - running.mine.counters.sampled_out
    assert running.mine.counters.dropped == {}
    assert 450 < len(kept) < 750  # 600 expected; either end is seven standard deviations away


def test_a_request_is_kept_or_left_wherever_its_id_turns_up(percent: typing.Callable[[int], Spooled]) -> None:
    spooled = percent(50)
    inputs, labels = ModelDataCollector("m", "inputs"), ModelDataCollector("m", "labels")
    ids = [str(uuid.uuid4()) for _ in range(200)]
    for given in ids:
        with context.request_id(given):
            inputs.collect([[1], [2]])
    for given in ids:
        with context.request_id(f"{given}-1"):  # the label of one of its rows, days later
            labels.collect([[0]])
    kept = {each.request for each in spooled() if each.stream.designation == "inputs"}
    assert 50 < len(kept) < 150
    assert {each.request for each in spooled() if each.stream.designation == "labels"} == {f"{each}-1" for each in kept}


def keeper(directory: pathlib.Path, key: str = "", **changes: typing.Any) -> typing.Callable[[str, int], bool]:
    """Return what decides in a pod whose key is in a directory."""
    if key:
        (directory / "hash-key").write_text(key)
    storage = settings.Storage("https://a.example", "modeldata", "{file}")
    current = settings.Settings(**{"collection": "models/churn", "storage": storage, **changes})
    sampler = sampling.Sampler(directory / "hash-key")
    return lambda request_id, percent: sampler.keeps(request_id, percent, current)


def chosen(keeps: typing.Callable[[str, int], bool]) -> list[bool]:
    return [keeps(f"order-{number}", 50) for number in range(200)]


def test_the_key_decides_and_all_pods_that_have_it_agree(tmp_path: pathlib.Path) -> None:
    one, other = chosen(keeper(tmp_path, "key")), chosen(keeper(tmp_path, "key", collection="models/other"))
    assert one == other
    assert chosen(keeper(tmp_path, "another key")) != one


def test_without_a_key_the_pods_of_a_collection_agree(tmp_path: pathlib.Path) -> None:
    assert chosen(keeper(tmp_path)) == chosen(keeper(tmp_path / "elsewhere", generation=7))
    assert chosen(keeper(tmp_path)) != chosen(keeper(tmp_path, collection="models/other"))


def test_a_key_that_comes_later_counts_from_then_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeps = keeper(tmp_path)
    before = chosen(keeps)
    expected = chosen(keeper(tmp_path, "key"))
    assert chosen(keeps) == before
    later = time.monotonic() + 10
    monkeypatch.setattr(sampling.time, "monotonic", lambda: later)
    assert chosen(keeps) == expected


OF_ONE_REQUEST = [
    ("order-17", "order-17-3"),
    ("0196ae5c-0000-7000-8000-000010000000", "0196ae5c-0000-7000-8000-000010000000-12"),
    ("0196ae5c-0000-7000-8000-000010000000", "0196ae5c-0000-7000-8000-000010000000.1-12"),
    ("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736-0"),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV-999"),
    ("order-17.1", "order-17.1-3"),
    ("order-17.attempt2", "order-17.attempt2-3"),
    ("17", "17-3"),
    ("eu1-order-17", "eu1-order-17-3"),
]


@pytest.mark.parametrize(("request_id", "row"), OF_ONE_REQUEST)
def test_a_row_is_kept_or_left_with_its_request(request_id: str, row: str, tmp_path: pathlib.Path) -> None:
    assert sampling.request_of(request_id) == sampling.request_of(row)
    keeps = keeper(tmp_path, "key")
    assert all(keeps(request_id, percent) == keeps(row, percent) for percent in range(1, 100))


OF_DIFFERENT_REQUESTS = [
    ("order-17", "order-18"),
    ("eu1-order-17", "eu1-order-18"),
    ("order", "order-17"),
    ("order-17.1", "order-17.2"),
    ("2026-11-05", "2026-11-06"),  # a row's number has no zero before it
    ("run-123456789012", "run-123456789013"),
    ("-1", "-2"),
]


@pytest.mark.parametrize(("one", "other"), OF_DIFFERENT_REQUESTS)
def test_requests_are_decided_on_their_own(one: str, other: str) -> None:
    assert sampling.request_of(one) != sampling.request_of(other)


@pytest.mark.parametrize("share", [1, 10, 50, 99])
@pytest.mark.parametrize("form", ["", "order-{}", "eu1-order-{}", "{:032x}"])
def test_the_share_is_what_was_asked_for(share: int, form: str, tmp_path: pathlib.Path) -> None:
    made = [form.format(number) if form else ids.new_id(number * 5000) for number in range(20_000)]
    keeps = keeper(tmp_path, "key")
    kept = sum(keeps(each, share) for each in made)
    expected = 20_000 * share / 100
    deviation = (expected * (1 - share / 100)) ** 0.5
    assert abs(kept - expected) < 8 * deviation


def test_a_hundred_percent_is_everything(percent: typing.Callable[[int], Spooled]) -> None:
    spooled = percent(100)
    inputs = ModelDataCollector("m", "inputs")
    for number in range(100):
        inputs.collect([[number]])
    assert len(spooled()) == 100
