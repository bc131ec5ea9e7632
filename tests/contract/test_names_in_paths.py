"""Who looks for a model by its name makes of it what the client does: the part of a path."""

from __future__ import annotations

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from modeldata.encoding import paths
from modeldata_analytics.days import names

CASES = json.loads((pathlib.Path(__file__).parents[2] / "docs/contract/names.json").read_text(encoding="utf-8"))[
    "names"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["part"][:20])
def test_both_sides_make_of_a_name_what_the_contract_says(case: dict[str, str]) -> None:
    assert paths.safe(case["name"]) == case["part"]
    assert names.safe(case["name"]) == case["part"]


@given(some.text(max_size=200))
def test_both_sides_make_the_same_of_any_name(name: str) -> None:
    assert paths.safe(name) == names.safe(name)
