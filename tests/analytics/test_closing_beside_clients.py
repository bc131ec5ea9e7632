"""Pods collect under every fault while their day is closed again and again: each row is there once, all the time."""

from __future__ import annotations

import os
import pathlib
import random
import typing

import pytest

from ..delivery import fleet
from . import closing_fleet

pytestmark = pytest.mark.azurite


@pytest.mark.timeout(400)
def test_each_row_is_there_once_all_the_time(
    azurite_program: pathlib.Path,
    local_azurite: typing.Any,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The files of pods, and more of all: make soak SOAK=--close
    monkeypatch.setattr(fleet, "PROCESSES", 1)
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    course = fleet.Course(rows=1_000, file="Shared", calls=60, most_rows=9, pause=0.2, restarts=9.0, kills=1.0)
    all_of_it = closing_fleet.ClosingFleet(
        azurite_program, local_azurite.account_key, tmp_path, seed=seed, course=course
    )
    try:
        verdict = all_of_it.run()
        wrong, codes = all_of_it.wrong, all_of_it.codes
    finally:
        all_of_it.close()
    print(f"{verdict.rows} rows, {all_of_it.reads} reads, closers {codes}, {all_of_it.happened}")
    assert not verdict.violations
    assert not wrong
    assert verdict.rows >= 1_000
    assert all_of_it.killed
    assert 0 in codes
