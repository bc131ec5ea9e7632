"""docs/operations.md: its alerts are the chart's, and its numbers those of the code."""

from __future__ import annotations

import re

import yaml

from modeldata import settings
from modeldata.delivery.files import pacing

from .pages import DOCS, REPOSITORY

TEXT = (DOCS / "operations.md").read_text()


def test_the_alerts_are_those_of_the_chart() -> None:
    rules = yaml.safe_load((REPOSITORY / "manifests/chart/files/alerts.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert re.findall(r"^\| `(Modeldata\w+)` \|", TEXT, re.MULTILINE) == alerts


def test_how_long_blocks_last() -> None:
    a_day = 86_400 / settings.DEFAULT_FLUSH_SECONDS
    assert f"always busy takes {a_day:,.0f} a day" in TEXT
    assert 2 * a_day < pacing.MOST_BLOCKS < 3 * a_day
    assert f"some {86_400 / pacing.MOST_BLOCKS:.1f} s × `n` between" in TEXT
    assert 170 * 86_400 / pacing.MOST_BLOCKS < pacing.MOST_SECONDS < 180 * 86_400 / pacing.MOST_BLOCKS
