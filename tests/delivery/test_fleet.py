"""Three pods of eight processes each, every fault at random, killed at random, Azurite restarted: each row once."""

from __future__ import annotations

import os
import pathlib
import random
import typing

import pytest

from . import fleet

pytestmark = pytest.mark.azurite


@pytest.mark.timeout(400)
@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_no_row_is_lost_repeated_or_torn(
    azurite_program: pathlib.Path, local_azurite: typing.Any, tmp_path: pathlib.Path, file: str
) -> None:
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    course = fleet.Course(rows=10_000, file=file, calls=60, most_rows=9, pause=0.2, restarts=7.0, kills=0.3)
    all_of_it = fleet.Fleet(azurite_program, local_azurite.account_key, tmp_path, seed=seed, course=course)
    try:
        verdict = all_of_it.run()
    finally:
        all_of_it.close()
    print(f"{verdict.rows} rows, {all_of_it.kills} kills, {all_of_it.restarts} restarts, {all_of_it.happened}")
    assert not verdict.violations
    assert verdict.rows >= 10_000
    assert all_of_it.restarts
    assert all_of_it.shippers_killed
