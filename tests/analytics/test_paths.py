"""What the path of a collected file tells, and where what is made of its day lies."""

from __future__ import annotations

import datetime

import pytest

from modeldata_analytics.days import template

FOLDER = "sub/rg/models/churn/churn/10/inputs/2026/11/30"


def test_the_default_path_tells_all_fields() -> None:
    day = template.Template().day(FOLDER)
    assert day is not None
    assert str(day.stream) == "churn/churn/10/inputs"
    assert dict(day.stream.fields)["workspace"] == "models"
    assert day.date == datetime.date(2026, 11, 30)
    assert day.manifest == f"{FOLDER}/_closed.json"
    assert day.closed == f"closed/{FOLDER}/data.csv"
    assert day.parts == "tables/sub/rg/models/churn/churn/inputs/version=10/day=2026-11-30"


def test_two_workspaces_never_share_a_table() -> None:
    one, other = (template.Template().day(FOLDER.replace("models", each)) for each in ("a", "b"))
    assert one is not None
    assert other is not None
    assert one.parts != other.parts


@pytest.mark.parametrize(
    ("text", "folder", "table"),
    [
        ("{designation}/{year}-{month}-{day}/{file}", "inputs/2026-11-30", "inputs"),
        ("raw/{model}/{designation}/dt={year}{month}{day}/{file}", "raw/m/inputs/dt=20261130", "raw/m/inputs"),
        ("{year}/{month}/{day}/{designation}/v{version}/{file}", "2026/11/30/inputs/v7", "inputs"),
        ("{model}-{version}/{designation}/{year}/{month}/{day}/{file}", "m-7/inputs/2026/11/30", "m-7/inputs"),
        ("{model}/{model}/{designation}/{year}/{month}/{day}/{file}", "m/m/inputs/2026/11/30", "m/m/inputs"),
    ],
)
def test_other_paths(text: str, folder: str, table: str) -> None:
    day = template.Template(text).day(folder)
    assert day is not None
    assert (day.stream.designation, day.date, day.stream.table) == ("inputs", datetime.date(2026, 11, 30), table)


@pytest.mark.parametrize(
    "folder",
    [
        f"closed/{FOLDER}",
        "closed" + FOLDER.removeprefix("sub"),
        "tables" + FOLDER.removeprefix("sub"),
        FOLDER.replace("/11/", "/13/"),
        FOLDER.replace("30", "x"),
        FOLDER + "/more",
        FOLDER.rpartition("/")[0],
        "",
    ],
)
def test_other_folders_are_no_days(folder: str) -> None:
    assert template.Template().day(folder) is None


@pytest.mark.parametrize(
    "text",
    [
        "{model}/{year}/{month}/{day}/{file}",
        "{designation}/{file}",
        "{designation}/{year}/{month}/{day}",
        "{designation}/{who}/{year}/{month}/{day}/{file}",
    ],
)
def test_a_path_that_no_file_has_is_refused(text: str) -> None:
    with pytest.raises(template.TemplateError, match="the path"):
        template.Template(text)


def test_folders_outside_the_days_wanted_are_not_entered() -> None:
    wanted = template.Wanted(since=datetime.date(2026, 2, 10), until=datetime.date(2026, 3, 5))
    taken = [
        found
        for found in (
            {"year": "2025"},
            {"year": "2026"},
            {"year": "2026", "month": "01"},
            {"year": "2026", "month": "02"},
            {"year": "2026", "month": "02", "day": "09"},
            {"year": "2026", "month": "02", "day": "10"},
            {"year": "2026", "month": "03", "day": "05"},
            {"year": "2026", "month": "03", "day": "06"},
            {"year": "2026", "month": "13"},
        )
        if wanted.takes(found)
    ]
    assert [tuple(found.values()) for found in taken] == [
        ("2026",),
        ("2026", "02"),
        ("2026", "02", "10"),
        ("2026", "03", "05"),
    ]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("data.csv", True),
        ("data.1.csv", True),
        ("data.pod-1.csv", True),
        ("_closed.json", False),
        ("data.csv.tmp", False),
        ("mydata.csv", False),
    ],
)
def test_which_files_are_raw(name: str, raw: bool) -> None:
    assert template.is_raw(name) is raw
