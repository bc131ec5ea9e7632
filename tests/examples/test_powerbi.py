"""What the queries of examples/powerbi do, done here: there is no Power BI where this runs.

Each step of a query is known by its text, and has an equivalent here; one whose text changes fails until its
equivalent is written. What a function of Power Query does is from its documentation.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import pathlib
import re
import typing

import pandas
import pytest

from . import days

QUERIES = pathlib.Path(__file__).resolve().parents[2] / "examples/powerbi"
CSV, PARQUET = "closed-days.pq", "parquet-days.pq"
PARAMETERS = ("Account", "Container", "Folder", "Since", "Until", "Types")

Table = pandas.DataFrame
Steps = dict[str, typing.Any]


def read(name: str) -> tuple[dict[str, str], str]:
    """Return a query's steps, in order, and the name of the one that is its answer."""
    text = re.sub(r"^\s*//.*$", "", (QUERIES / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    body, _, answer = text.strip().removeprefix("let").rpartition("\nin\n")
    found = re.findall(r"^    (\w+) = (.*?)(?:,\n|\Z)(?=\s*\w+ = |\Z)", body, re.MULTILINE | re.DOTALL)
    return {name: " ".join(value.split()) for name, value in found}, answer.strip()


def parameter(text: str) -> object:
    """Return the value of a literal of M."""
    if date := re.fullmatch(r"#date\((\d+), (\d+), (\d+)\)", text):
        return datetime.date(*map(int, date.groups()))
    if text.startswith("{"):
        return re.findall(r'{"([^"]+)", ([\w. ]+)}', text)
    return text.strip('"')


def blobs(steps: Steps, root: pathlib.Path) -> list[tuple[str, bytes]]:
    """List all files below the container, as the connector does: their names have their folders."""
    assert steps["Account"].startswith("https://")
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [(path.relative_to(root).as_posix(), path.read_bytes()) for path in found]


def between(files: list[tuple[str, bytes]], steps: Steps) -> list[tuple[str, bytes]]:
    return [each for each in files if steps["Since"] <= steps["Day"](each[0]) <= steps["Until"]]


def promoted(content: bytes) -> Table:
    """Do as Csv.Document with QuoteStyle.Csv: line ends within quotation marks stay; nothing is a text too."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=",", strict=True))
    return pandas.DataFrame(rows[1:], columns=rows[0], dtype=object)


def combined(tables: list[Table]) -> Table:
    """Do as Table.Combine: columns by name, in the order in which they come; null where a table has none."""
    return pandas.concat(tables, ignore_index=True).astype(object).where(lambda cells: cells.notna(), None)


def with_gaps(steps: Steps) -> Table:
    table = steps["Combined"].copy()
    for name, _ in steps["Typed"]:
        table[name] = pandas.Series([None if cell == "" else cell for cell in table[name]], dtype=object)
    return table


CONVERSIONS: dict[str, typing.Callable[[str], object]] = {
    "type datetimezone": datetime.datetime.fromisoformat,
    "Int64.Type": int,
    "type number": float,
    "type logical": {"true": True, "false": False}.__getitem__,
}


def converted(steps: Steps) -> Table:
    table = steps["Gaps"].copy()
    for name, kind in steps["Typed"]:
        cells = [None if cell is None else CONVERSIONS[kind](cell) for cell in table[name]]
        table[name] = pandas.Series(cells, dtype=object)
    return table


def by_request(table: Table) -> Table:
    return table.sort_values("$RequestId", kind="stable", ignore_index=True)


BLOBS = "AzureStorage.Blobs(Account){[Name = Container]}[Data]"
BETWEEN = "Table.SelectRows(Below, each Day([Name]) >= Since and Day([Name]) <= Until)"
KNOWN: dict[str, typing.Callable[[Steps, pathlib.Path], object]] = {
    BLOBS: blobs,
    '(name as text) as date => let Parts = List.LastN(Text.Split(name, "/"), 4) in'
    " #date(Number.FromText(Parts{0}), Number.FromText(Parts{1}), Number.FromText(Parts{2}))": (
        lambda steps, root: lambda name: datetime.date(*map(int, name.split("/")[-4:-1]))
    ),
    'Table.SelectRows(Files, each Text.StartsWith([Name], Folder & "/") and Text.EndsWith([Name], "/data.csv"))': (
        lambda steps, root: [
            each
            for each in steps["Files"]
            if each[0].startswith(steps["Folder"] + "/") and each[0].endswith("/data.csv")
        ]
    ),
    BETWEEN: lambda steps, root: between(steps["Below"], steps),
    'List.Transform( Wanted[Content], each Table.PromoteHeaders( Csv.Document(_, [Delimiter = ",", Encoding = 65001,'
    " QuoteStyle = QuoteStyle.Csv]), [PromoteAllScalars = true] ) )": (
        lambda steps, root: [promoted(content) for _, content in steps["Wanted"]]
    ),
    "Table.Combine(Tables)": lambda steps, root: combined(steps["Tables"]),
    "List.Select(Types, each List.Contains(Table.ColumnNames(Combined), _{0}))": (
        lambda steps, root: [each for each in steps["Types"] if each[0] in steps["Combined"].columns]
    ),
    'Table.ReplaceValue(Combined, "", null, Replacer.ReplaceValue, List.Transform(Typed, each _{0}))': (
        lambda steps, root: with_gaps(steps)
    ),
    'Table.TransformColumnTypes(Gaps, Typed, "en-US")': lambda steps, root: converted(steps),
    'Table.Sort(Converted, {{"$RequestId", Order.Ascending}})': lambda steps, root: by_request(steps["Converted"]),
    '(name as text) as date => Date.FromText(Text.BetweenDelimiters(name, "/day=", "/"), [Format = "yyyy-MM-dd"])': (
        lambda steps, root: lambda name: datetime.date.fromisoformat(name.partition("/day=")[2].partition("/")[0])
    ),
    'Table.SelectRows(Files, each Text.StartsWith([Name], Folder & "/day=") and Text.EndsWith([Name], ".parquet"))': (
        lambda steps, root: [
            each
            for each in steps["Files"]
            if each[0].startswith(steps["Folder"] + "/day=") and each[0].endswith(".parquet")
        ]
    ),
    "List.Transform(Wanted[Content], each Parquet.Document(_))": (
        lambda steps, root: [
            pandas.read_parquet(io.BytesIO(content), dtype_backend="pyarrow") for _, content in steps["Wanted"]
        ]
    ),
    'Table.Sort(Combined, {{"$RequestId", Order.Ascending}})': lambda steps, root: by_request(steps["Combined"]),
}


def run(name: str, root: pathlib.Path, **parameters: object) -> Table:
    """Return what a query answers over the files of a directory."""
    texts, answer = read(name)
    steps: Steps = {}
    for step, text in texts.items():
        if step in PARAMETERS:
            steps[step] = parameters.get(step, parameter(text))
        else:
            assert text in KNOWN, f"no equivalent for {step} = {text}"
            steps[step] = KNOWN[text](steps, root)
    table: Table = steps[answer]
    return table


def rows(table: Table, names: typing.Sequence[str]) -> dict[str, tuple[object, ...]]:
    found = table.astype(object).where(lambda cells: cells.notna(), None)
    return {row[0]: row[1:] for row in found[["$RequestId", *names]].itertuples(index=False)}


def same(one: object, other: object) -> bool:
    return one == other and (not isinstance(other, float) or math.copysign(1, other) == math.copysign(1, one))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [CSV, PARQUET])
def test_a_query_gives_each_row_that_was_collected_sorted_and_typed(name: str, closed: pathlib.Path) -> None:
    table = run(name, closed, Until=days.LAST)
    assert table["$RequestId"].tolist() == sorted(table["$RequestId"]) == sorted(f"{each}-0" for each in days.INPUTS)
    for request, cells in rows(table, days.COLUMNS).items():
        found, collected = list(cells), list(days.INPUTS[request.removesuffix("-0")])
        if name == CSV:  # text that nobody gave a type: nothing and a text of no length are one
            found[3:] = [found[3] or None, found[4] or None]
            collected[3:] = [collected[3] or None, collected[4] and str(collected[4])]
        assert all(map(same, found, collected)), (found, collected)


@pytest.mark.parametrize("name", [CSV, PARQUET])
def test_the_times_are_those_of_the_rows(name: str, closed: pathlib.Path) -> None:
    moments = run(name, closed)["$Timestamp"]
    assert {moment.tzinfo is not None and moment.utcoffset() == datetime.timedelta(0) for moment in moments} == {True}


@pytest.mark.parametrize("name", [CSV, PARQUET])
def test_the_first_and_the_last_day_are_parameters(name: str, closed: pathlib.Path) -> None:
    assert run(name, closed)["$RequestId"].tolist() == ["0007-0", "r-1-0", "r-2-0"]
    found = run(name, closed, Since=days.LAST, Until=days.LAST)
    assert found["$RequestId"].tolist() == ["r-3-0", "r-4-0"]


@pytest.mark.parametrize("name", [CSV, PARQUET])
def test_inputs_and_predictions_are_related_one_to_one(name: str, closed: pathlib.Path) -> None:
    folder = str(parameter(read(name)[0]["Folder"])).replace("inputs", "predictions")
    kinds = [("risk", "type number"), ("none has it", "type number")]
    predictions = run(name, closed, Folder=folder, Types=kinds, Until=days.LAST)
    joined = run(name, closed, Until=days.LAST).merge(predictions, on="$RequestId", validate="one_to_one")
    risks = {request.removesuffix("-0"): risk for request, (risk,) in rows(joined, ["risk"]).items()}
    assert risks == {request: risk for request, (risk,) in days.PREDICTIONS.items()}


@pytest.mark.parametrize("name", [CSV, PARQUET])
def test_the_documented_parameters_are_those_of_the_query(name: str) -> None:
    document = (QUERIES / "README.md").read_text(encoding="utf-8")
    wanted = [each for each in PARAMETERS if name == CSV or each != "Types"]
    assert [step for step in read(name)[0] if step in PARAMETERS] == wanted
    assert all(f"`{each}`" in document for each in PARAMETERS)
