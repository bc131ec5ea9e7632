"""A day that is over becomes one sorted file and typed parts; what is late is taken in; nothing changes on the way."""

from __future__ import annotations

import datetime
import json
import pathlib
import typing

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from modeldata_analytics.catalog import open_store
from modeldata_analytics.closing import Outcome, State

from ..conftest import Azurite
from . import stores
from .stores import FOLDER, LEADING, NOW, Filled, close, row, written

pytestmark = pytest.mark.azurite

HEADER = (*LEADING, "age", "name")
ROWS = [row(2, "34", "x"), row(1, "35", ""), row(3, None, 'q"\r\n,')]


def test_a_day_is_one_sorted_file_and_a_typed_part(filled: Filled, scratch: pathlib.Path) -> None:
    filled.append("data.csv", written([HEADER, *ROWS]))
    (outcome,) = close(filled.store, scratch)
    assert (outcome.state, outcome.rows, outcome.new, outcome.late) == (State.CLOSED, 3, 3, False)
    assert filled.get(f"closed/{FOLDER}/data.csv") == written([HEADER, *sorted(ROWS, key=lambda each: each[2] or "")])
    (part,) = filled.parts()
    assert part["age"].to_pylist() == [35, 34, None]
    assert part["name"].to_pylist() == ["", "x", 'q"\r\n,']
    assert part["$Timestamp"].to_pylist()[0] == datetime.datetime(2025, 11, 28, 0, 0, 0, 1, datetime.UTC)
    assert part["$Rescued"].null_count == 3
    found = filled.store.entry(f"closed/{FOLDER}/data.csv")
    assert found is not None
    assert found[1]["pass"] == "1"
    assert list(scratch.iterdir()) == []


def test_nothing_is_done_twice(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    close(local.store, scratch)
    before = {name: local.store.entry(name) for name in local.names()}
    (outcome,) = close(local.store, scratch)
    assert (outcome.state, outcome.rows, outcome.new) == (State.CLOSED, 3, 0)
    assert {name: local.store.entry(name) for name in local.names()} == before


def test_a_day_that_is_not_over_is_left_alone(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    (outcome,) = close(local.store, scratch, now=NOW - datetime.timedelta(seconds=1))
    assert outcome.state is State.OPEN
    (outcome,) = close(local.store, scratch, now=NOW - datetime.timedelta(hours=6), after=datetime.timedelta(0))
    assert outcome.state is State.CLOSED


def test_late_rows_are_taken_in_by_a_part_of_their_own(filled: Filled, scratch: pathlib.Path) -> None:
    filled.append("data.csv", written([HEADER, *ROWS]))
    close(filled.store, scratch)
    filled.append("data.csv", written([row(0, "1", "late")]))
    filled.append("data.pod.csv", written([(*LEADING, "new", "age"), row(9, "0.5", "2")]))
    (outcome,) = close(filled.store, scratch)
    assert (outcome.rows, outcome.new, outcome.late) == (5, 2, True)
    header, rows = filled.closed()
    assert header == (*HEADER, "new")
    assert [each[2] for each in rows] == ["r0", "r1", "r2", "r3", "r9"]
    assert rows[0][3:] == ("1", "late", None)
    assert rows[4][3:] == ("2", None, "0.5")
    first, second = filled.parts()
    assert (first.num_rows, second.num_rows) == (3, 2)
    assert second["new"].to_pylist() == [None, 0.5]
    assert filled.manifest()["rows"] == 5


def test_rows_that_are_closed_already_are_dropped_and_others_of_their_id_are_not(
    filled: Filled, scratch: pathlib.Path
) -> None:
    for formats in (("CSV",), ("Parquet",)):
        folder = FOLDER.replace("inputs", formats[0].lower())
        filled.append("data.csv", written([HEADER, *ROWS]), folder)
        close(filled.store, scratch, formats=formats)
        other = (*ROWS[0][:3], "99", "x")
        filled.append("data.1.csv", written([HEADER, ROWS[2], other, ROWS[0], ROWS[1]]), folder)
        outcome = next(each for each in close(filled.store, scratch, formats=formats) if each.day.folder == folder)
        assert (outcome.rows, outcome.new) == (4, 1)
        assert sum(source["rows"] for source in filled.manifest(folder)["sources"].values()) == 7
    assert filled.closed(FOLDER.replace("inputs", "csv"))[1].count(other) == 1
    assert filled.parts(FOLDER.replace("inputs", "parquet"))[1]["age"].to_pylist() == [99]


def test_a_pass_of_nothing_new_is_a_pass(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    close(local.store, scratch)
    local.append("data.1.csv", written([HEADER, *ROWS]))
    (outcome,) = close(local.store, scratch)
    assert (outcome.rows, outcome.new) == (3, 0)
    assert (local.manifest()["pass"], len(local.parts())) == (2, 1)
    found = local.store.entry(f"closed/{FOLDER}/data.csv")
    assert found is not None
    assert found[1]["pass"] == "2"


@pytest.mark.parametrize("text", ["n/a", "1.5", "", "007", "9223372036854775808"])
def test_a_late_value_that_its_column_can_not_hold_stays_beside_it(
    local: Filled, scratch: pathlib.Path, text: str
) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    close(local.store, scratch)
    local.append("data.csv", written([row(7, "7", "x"), row(8, text, "x")]))
    close(local.store, scratch)
    second = local.parts()[1]
    assert str(second.schema.field("age").type) == "int64"
    assert second["age"].to_pylist() == [7, None]
    assert [each and json.loads(each) for each in second["$Rescued"].to_pylist()] == [None, {"age": text}]
    assert [part["rescued"] for part in local.manifest()["parts"]] == [[], ["age"]]
    assert local.closed()[1][-1][3] == text
    local.append("data.1.csv", written([HEADER, row(8, text, "x")]))
    (outcome,) = close(local.store, scratch)
    assert (outcome.rows, outcome.new) == (5, 0)


def test_a_day_has_the_types_of_the_one_before_where_its_values_allow(local: Filled, scratch: pathlib.Path) -> None:
    days = {"27": "0.5", "28": "1", "29": "x"}
    for date, text in days.items():
        local.append("data.csv", written([(*LEADING, "v"), row(1, text)]), f"inputs/2025/11/{date}")
    close(local.store, scratch, now=NOW + datetime.timedelta(days=1))
    found = [str(local.parts(f"inputs/2025/11/{date}")[0].schema.field("v").type) for date in days]
    assert found == ["double", "double", "string"]


NAMES = [
    "a",
    "A",
    "a",
    "",
    " a ",
    'say "a"',
    "a,b",
    "x\r\ny",
    "version",
    "Day",
    "$rescued",
    "a_1",
    "row",
    "é",
    "\ufeff",
]


def test_no_name_of_a_column_is_lost_or_changed(local: Filled, scratch: pathlib.Path) -> None:
    cells = [f"v{number}" for number in range(len(NAMES))]
    local.append("data.csv", written([(*LEADING, *NAMES), row(1, *cells)]))
    local.append("data.1.csv", written([(*NAMES[::-1], *LEADING), (*cells[::-1], *row(2))]))
    (outcome,) = close(local.store, scratch)
    assert outcome.state is State.CLOSED, outcome.message
    header, rows = local.closed()
    assert header == (*LEADING, *NAMES)
    assert rows[0] == row(1, *cells)
    # Of two of one name, the first in one file is the first in the other.
    turned = list(cells)
    turned[0], turned[2] = turned[2], turned[0]
    assert rows[1] == row(2, *turned)
    (part,) = local.parts()
    lower = [name.lower() for name in part.schema.names]
    assert len(set(lower)) == len(lower)
    assert not {"version", "day"} & set(lower)
    assert [part[name].to_pylist() for name in part.schema.names[3:-1]] == [
        list(each) for each in zip(cells, turned, strict=True)
    ]


def test_files_without_rows_are_no_hindrance(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", b"")
    local.append("data.1.csv", written([("$RequestId", "z")]))
    (outcome,) = close(local.store, scratch)
    assert outcome.state is State.EMPTY
    assert local.store.entry(f"{FOLDER}/_closed.json") is None
    local.append("data.2.csv", written([HEADER, *ROWS]))
    (outcome,) = close(local.store, scratch)
    assert outcome.rows == 3
    assert local.closed()[0] == HEADER
    local.append("data.1.csv", written([("r9", "9")]))
    (outcome,) = close(local.store, scratch)
    assert outcome.rows == 4
    assert local.closed()[0] == (*HEADER, "z")


AZUREML = ("f", "$aml_dc_correlation_id", "$aml_dc_scoring_timestamp", "$aml_dc_boundary", "$aml_request_id")


def test_both_layouts_of_columns_in_one_day(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([AZUREML, ("1", "c", "t", "1440", "r2"), ("2", "c", "t", "1440", "r0")]))
    local.append("data.1.csv", written([(*LEADING, "f"), row(1, "3")]))
    (outcome,) = close(local.store, scratch)
    assert outcome.rows == 3
    header, rows = local.closed()
    assert header == (*AZUREML, *LEADING)
    assert [each[0] for each in rows] == ["2", "3", "1"]


def test_rows_as_json_beside_others(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    document = '{"a": "x,\\"y\\"", "n": [1, null]}'
    local.append("data.0a1b2c3d.csv", written([(*LEADING, "row"), row(4, document)]))
    close(local.store, scratch)
    assert local.closed()[1][-1][-1] == document
    assert local.parts()[0]["row"].to_pylist()[-1] == document


@pytest.mark.parametrize("formats", [("CSV",), ("Parquet",)])
def test_one_format_alone_and_a_closed_day_keeps_it(
    local: Filled, scratch: pathlib.Path, formats: tuple[str, ...]
) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    close(local.store, scratch, formats=formats)
    local.append("data.csv", written([row(9, "9", "x")]))
    local.append("data.csv", written([HEADER, *ROWS]), FOLDER.replace("28", "27"))
    close(local.store, scratch)  # both formats, from now on
    assert tuple(local.manifest()["formats"]) == formats
    kinds = {name.partition("/")[0] for name in local.names() if "28" in name}
    assert kinds == {"inputs", "closed" if formats == ("CSV",) else "tables"}
    if formats == ("CSV",):
        assert len(local.closed()[1]) == 4
    else:
        assert sum(part.num_rows for part in local.parts()) == 4
    assert local.manifest(FOLDER.replace("28", "27"))["formats"] == ["CSV", "Parquet"]


WEEK = datetime.timedelta(days=7)


def test_raw_files_go_when_their_time_is_over_and_never_with_the_run_that_closed_them(
    filled: Filled, scratch: pathlib.Path
) -> None:
    def raw() -> list[str]:
        return [name.rpartition("/")[2] for name in filled.names() if name.startswith("inputs") and "data" in name]

    filled.append("data.csv", written([HEADER, *ROWS]))
    filled.append("data.1.csv", written([HEADER, row(5, "5", "x")]))
    # What was written last is as old as this test, whatever day its rows are of.
    late = max(datetime.datetime.now(datetime.UTC), NOW) + WEEK
    (outcome,) = close(filled.store, scratch, now=late, delete_after=WEEK)
    assert (outcome.new, outcome.deleted) == (4, 0)
    filled.append("data.1.csv", written([row(6, "6", "x")]))
    (outcome,) = close(filled.store, scratch, now=late - WEEK, delete_after=WEEK)
    assert (outcome.new, outcome.deleted) == (1, 0)
    (outcome,) = close(filled.store, scratch, now=late - datetime.timedelta(hours=1), delete_after=WEEK)
    assert (outcome.deleted, raw()) == (0, ["data.1.csv", "data.csv"])
    (outcome,) = close(filled.store, scratch, now=late + datetime.timedelta(hours=1), delete_after=WEEK)
    assert (outcome.deleted, raw()) == (2, [])
    (outcome,) = close(filled.store, scratch, now=late + datetime.timedelta(hours=1), delete_after=WEEK)
    assert (outcome.state, outcome.rows, outcome.deleted) == (State.CLOSED, 5, 0)
    # One that was late for all of that, with rows that are closed and one that is not, in a file of the same name.
    filled.append("data.csv", written([HEADER, ROWS[1], row(7, "7", "x")]))
    (outcome,) = close(filled.store, scratch, now=late, delete_after=WEEK)
    assert (outcome.rows, outcome.new) == (6, 1)
    assert len(filled.closed()[1]) == sum(part.num_rows for part in filled.parts()) == 6


def test_they_stay_for_a_week_at_least() -> None:
    with pytest.raises(ValueError, match="7 days"):
        close(typing.cast("typing.Any", None), pathlib.Path(), delete_after=datetime.timedelta(days=6))


@pytest.fixture
def broken(local: Filled, scratch: pathlib.Path) -> typing.Callable[[typing.Callable[[], None]], Outcome]:
    """Break a closed day that has a late row; another day is closed all the same, and nothing of this one changed."""

    def close_it(breaking: typing.Callable[[], None]) -> Outcome:
        local.append("data.csv", written([HEADER, *ROWS]))
        close(local.store, scratch)
        local.append("data.csv", written([row(9, "9", "x")]))
        breaking()
        before = {name: local.store.entry(name) for name in local.names()}
        other = FOLDER.replace("28", "29")
        local.append("data.csv", written([HEADER, *ROWS]), other)
        failed, closed = close(local.store, scratch, now=NOW + datetime.timedelta(days=1))
        assert (closed.state, closed.rows) == (State.CLOSED, 3)
        assert failed.state is State.FAILED
        assert {name: local.store.entry(name) for name in local.names() if "28" in name} == before
        return failed

    return close_it


Broken = typing.Callable[[typing.Callable[[], None]], Outcome]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "Damaged"), (b'{"version": 1}', "Damaged"), (b'{"version": 2}', "Newer")]
)
def test_a_manifest_that_can_not_be_obeyed(local: Filled, broken: Broken, content: bytes, reason: str) -> None:
    failed = broken(lambda: local.put(f"{FOLDER}/_closed.json", content))
    assert failed.reason == reason
    assert f"{FOLDER}/_closed.json" in failed.message


def remove(filled: Filled, name: str) -> None:
    found = filled.store.entry(name)
    assert found is not None
    assert filled.store.delete(name, etag=found[0].etag)


CLOSED = f"closed/{FOLDER}/data.csv"


def test_a_closed_file_that_is_gone(local: Filled, broken: Broken) -> None:
    assert broken(lambda: remove(local, CLOSED)).reason == "Missing"


def test_a_closed_file_that_somebody_replaced(local: Filled, broken: Broken) -> None:
    failed = broken(lambda: local.put(CLOSED, written([HEADER, *ROWS[:1]])))
    assert failed.reason == "Foreign"
    assert "pass" in failed.message


def test_a_manifest_that_is_gone_while_what_it_names_is_there(local: Filled, broken: Broken) -> None:
    failed = broken(lambda: remove(local, f"{FOLDER}/_closed.json"))
    assert failed.reason == "Foreign"


def test_a_file_of_others(local: Filled, broken: Broken) -> None:
    failed = broken(lambda: local.append("data.others.csv", b"id,name\r\n1,x\r\n"))
    assert (failed.reason, "data.others.csv" in failed.message) == ("Foreign", True)


def test_a_file_that_is_no_table(local: Filled, broken: Broken) -> None:
    failed = broken(lambda: local.append("data.others.csv", written([HEADER]) + b"secret value,1\r\n"))
    assert failed.reason == "Unreadable"
    assert "secret" not in failed.message


def test_a_part_of_others_is_not_taken_for_ours(filled: Filled, scratch: pathlib.Path) -> None:
    part = "tables/inputs/version=default/day=2025-11-28/part-0001.parquet"
    filled.append("data.csv", written([HEADER, *ROWS]))
    filled.put(part, b"PAR1 somebody's PAR1")
    (failed,) = close(filled.store, scratch)
    assert (failed.reason, part in failed.message) == ("Foreign", True)
    assert filled.store.entry(CLOSED) is None
    remove(filled, part)
    (outcome,) = close(filled.store, scratch)
    assert (outcome.state, outcome.rows) == (State.CLOSED, 3)


def test_a_block_blob_in_the_place_of_a_raw_file(contained: Filled, scratch: pathlib.Path) -> None:
    contained.put(f"{FOLDER}/data.csv", written([HEADER, *ROWS]))
    (failed,) = close(contained.store, scratch)
    assert (failed.reason, "data.csv" in failed.message) == ("Foreign", True)


def test_a_raw_file_that_was_cut(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *ROWS]))
    close(local.store, scratch)
    document = local.manifest()
    document["sources"]["data.csv"]["to"] += 10
    local.put(f"{FOLDER}/_closed.json", json.dumps(document).encode())
    (failed,) = close(local.store, scratch)
    assert failed.reason == "Shortened"


def test_what_is_torn_at_the_end_waits(local: Filled, scratch: pathlib.Path) -> None:
    """In a directory, an append may be seen half."""
    content = written([HEADER, *ROWS])
    local.append("data.csv", content[:-5])
    (outcome,) = close(local.store, scratch)
    assert outcome.rows == 2
    local.append("data.csv", content[-5:])
    (outcome,) = close(local.store, scratch)
    assert (outcome.rows, outcome.new) == (3, 1)


def test_a_copy_of_a_container_knows_what_is_closed(
    contained: Filled, tmp_path: pathlib.Path, scratch: pathlib.Path
) -> None:
    contained.append("data.csv", written([HEADER, *ROWS]))
    close(contained.store, scratch)
    root = tmp_path / "copy"
    for name in contained.names():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(contained.get(name))
    (outcome,) = close(open_store(str(root)), scratch)
    assert (outcome.state, outcome.rows, outcome.new) == (State.CLOSED, 3, 0)


def test_a_row_of_four_mebibytes_and_a_name_of_many_kilobytes(local: Filled, scratch: pathlib.Path) -> None:
    long, name = "é\r\n" * 1_000_000, "n" * 100_000
    local.append("data.csv", written([(*LEADING, name), row(1, long[: 3 * 2**20])]))
    close(local.store, scratch)
    local.append("data.csv", written([row(2, "x"), row(3, "y")]))
    (outcome,) = close(local.store, scratch)
    assert (outcome.state, outcome.rows) == (State.CLOSED, 3), outcome.message
    header, rows = local.closed()
    assert (header[-1], rows[0][-1], rows[2][-1]) == (name, long[: 3 * 2**20], "y")


def test_stores_are_told_apart() -> None:
    assert stores.parsed(written([("a", "b"), ("", None), ('"', "x\r\n")])) == (
        ("a", "b"),
        [("", None), ('"', "x\r\n")],
    )


def test_raw_files_that_may_not_be_deleted_hold_up_no_other_day(
    contained: Filled, scratch: pathlib.Path, local_azurite: Azurite
) -> None:
    for folder in (FOLDER, FOLDER.replace("28", "29")):
        contained.append("data.csv", written([HEADER, *ROWS]), folder)
    late = datetime.datetime.now(datetime.UTC) + 2 * WEEK
    close(contained.store, scratch, now=NOW)
    container = contained.store.address.rpartition("/")[2]
    sas = generate_container_sas(
        local_azurite.account_name,
        container,
        account_key=local_azurite.account_key,
        permission=ContainerSasPermissions.from_string("rwl"),
        expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )
    one, other = close(open_store(contained.store.address, sas), scratch, now=late, delete_after=WEEK)
    assert (one.state, one.reason) == (State.FAILED, "NotDeleted")
    assert (other.state, other.new) == (State.CLOSED, 3)
    assert sas not in one.message
