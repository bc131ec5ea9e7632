"""Sampling is by request: all that one request collects is kept, or all of it left."""

from __future__ import annotations

import collections
import typing
import uuid

import pytest

from modeldata import ModelDataCollector
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


@pytest.mark.parametrize("share", [1, 10, 50, 99])
def test_the_share_is_what_was_asked_for(share: int) -> None:
    made = [ids.new_id(number * 5000) for number in range(20_000)]
    kept = sum(sampling.is_sampled(each, share) for each in made)
    expected = 20_000 * share / 100
    deviation = (expected * (1 - share / 100)) ** 0.5
    assert abs(kept - expected) < 8 * deviation


def test_a_hundred_percent_is_everything(percent: typing.Callable[[int], Spooled]) -> None:
    spooled = percent(100)
    inputs = ModelDataCollector("m", "inputs")
    for number in range(100):
        inputs.collect([[number]])
    assert len(spooled()) == 100
