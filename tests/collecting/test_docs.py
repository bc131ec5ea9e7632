"""``docs/client.md`` names what there is, no less and no more."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pathlib
import re
import typing

import pytest

from modeldata import ModelDataCollector
from modeldata.observe import counters, metrics, statistics

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docs/client.md").read_text()


def table(heading: str) -> list[str]:
    """Return what stands in the first column of the first table under a heading, in code."""
    section = re.split(r"\n#+ ", TEXT.split(f"# {heading}\n", 1)[1])[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [name for row in rows[2:] for name in re.findall(r"`([^`]+)`", row)]


def test_the_reasons_for_drops() -> None:
    assert sorted(table("What is dropped, and why")) == sorted(each.value for each in counters.Drop)


def test_the_statistics() -> None:
    assert table("Statistics") == [field.name for field in dataclasses.fields(statistics.Statistics)]


def test_the_metrics() -> None:
    there = metrics.numbers(statistics.Statistics(), enabled=True, generation=1)
    assert [name.partition("{")[0] for name in table("Prometheus")] == [each.name for each in there]


def test_the_collectors_parameters() -> None:
    documented = set(table("API")[: len(inspect.signature(ModelDataCollector).parameters)])
    assert documented == set(inspect.signature(ModelDataCollector).parameters)


def fields(schema: dict[str, typing.Any], prefix: str = "") -> set[str]:
    found = set()
    for name, inner in schema["properties"].items():
        found |= fields(inner, f"{prefix}{name}.") if "properties" in inner else {f"{prefix}{name}"}
    return found


def test_the_settings() -> None:
    schema = json.loads((REPOSITORY / "docs/contract/settings.schema.json").read_text())
    documented = table("Settings")
    for name in fields(schema):
        assert name in documented or f"{name.partition('.')[0]}.*" in documented


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT))
def test_links_lead_somewhere(target: str) -> None:
    assert (REPOSITORY / "docs" / target).exists()


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([^)]+)\)", TEXT))
def test_links_within_the_page_lead_somewhere(anchor: str) -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
