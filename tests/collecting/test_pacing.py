"""How long a file's blocks last."""

from __future__ import annotations

import heapq
import random

import pytest

from modeldata.delivery.files import pacing

NOON = 1_795_219_200.0 + 43_200


def pace(used: int, writers: int = 1) -> pacing.Pace:
    """Return the pace of one of so many writers that take turns."""
    made = pacing.Pace()
    for count in range(max(1, used - 50 * writers), used + 1, writers):
        made.appended(count)
    return made


def test_a_file_with_many_blocks_left_sets_no_pace() -> None:
    assert pacing.Pace().seconds(NOON) == 0
    assert pace(pacing.FREE_BLOCKS - 1).seconds(NOON) == 0


def test_what_is_left_of_the_blocks_is_spread_over_what_is_left_of_the_day() -> None:
    assert pace(30_000).seconds(NOON) == pytest.approx(43_200 / 20_000)
    assert pace(49_900).seconds(NOON) == pytest.approx(300)
    assert pace(49_900).seconds(NOON + 42_200) == pytest.approx(10)


def test_who_shares_a_file_waits_for_the_others_too() -> None:
    assert pace(30_000, writers=10).seconds(NOON) == pytest.approx(10 * 43_200 / 20_000, rel=0.01)


def test_no_row_waits_longer_than_the_bound() -> None:
    assert pace(49_999, writers=100).seconds(NOON) == pacing.MOST_SECONDS
    assert pace(60_000).seconds(NOON) == pacing.MOST_SECONDS


def test_an_answer_with_too_low_a_number_changes_nothing() -> None:
    made = pace(30_000)
    before = made.seconds(NOON)
    made.appended(20_000)
    assert made.seconds(NOON) == pytest.approx(before)


@pytest.mark.parametrize("writers", [1, 8, 60])
def test_the_blocks_last_the_day_however_many_write_the_file(writers: int) -> None:
    chance = random.Random(writers)
    paces = [pacing.Pace() for _ in range(writers)]
    midnight = NOON - 43_200
    turns = [(midnight + chance.random(), number) for number in range(writers)]
    used = 1
    while turns:  # each appends as soon as it may, at every second at most
        now, number = heapq.heappop(turns)
        used += 1
        paces[number].appended(used)
        after = now + max(1.0, paces[number].seconds(now)) * chance.uniform(1, 1.1)
        if after < midnight + 86_400:
            heapq.heappush(turns, (after, number))
    assert 35_000 < used <= pacing.MOST_BLOCKS
