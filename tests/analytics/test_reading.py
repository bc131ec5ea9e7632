"""What was collected is one table: from a directory, raw and closed."""

from __future__ import annotations

import csv
import datetime
import gc
import io
import math
import os
import pathlib
import subprocess
import sys
import typing
import uuid
import warnings

import duckdb
import pandas
import pytest
from pyarrow import parquet

from modeldata import settings
from modeldata_analytics import AmbiguousError, CountError, NotFoundError, RepeatsWarning, Store
from modeldata_analytics.reading import scratch as scratch_module
from modeldata_analytics.reading import sources, staging
from modeldata_analytics.reading.scratch import Scratch

from .collecting import NOON, ORIGIN, Collected, into_directory

DAY = datetime.timedelta(days=1)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def collected(root: pathlib.Path) -> Collected:
    return Collected(into_directory(root))


def by_request(frame: pandas.DataFrame, *names: str) -> dict[str, tuple[typing.Any, ...]]:
    return {row[0]: row[1:] for row in frame[["$RequestId", *names]].itertuples(index=False, name=None)}


def test_designations_are_joined_row_by_row(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([[41, "a"], [29, ""]], ["age", "text"])
    collected.collect([[0.41], [0.29]], ["risk"], designation="predictions")
    collected.collect([[True]], ["churned"], designation="labels", at=NOON + 9 * DAY)
    frame = Store(root).model("churn", version="10").table()
    assert list(frame.columns) == ["$Timestamp", "$CorrelationId", "$RequestId", "age", "text", "risk", "churned"]
    assert [str(each) for each in frame.dtypes] == [
        "datetime64[us, UTC]", "str", "str", "Int64", "str", "float64", "boolean"
    ]  # fmt: skip
    assert by_request(frame, "age", "text", "risk", "churned") == {
        "r-0": (41, "a", 0.41, True),
        "r-1": (29, "", 0.29, pandas.NA),
    }
    assert (frame["$Timestamp"] == pandas.Timestamp(NOON)).all()


def test_columns_that_two_designations_have_say_whose_they_are(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([[1, 2]], ["age", "score"])
    collected.collect([[3]], ["score"], designation="predictions")
    frame = Store(root).model("churn", version="10").table()
    assert by_request(frame, "age", "score_inputs", "score_predictions") == {"r-0": (1, 2, 3)}


def test_columns_that_change_are_put_together_by_name(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([[1, "x"]], ["a", "b"], request="one")
    collected.collect([["y", 2, 0.5]], ["b", "a", "A"], request="two")
    collected.collect([["z", 3]], ["b", "a"], request="three", at=NOON + DAY)
    frame = Store(root).model("churn").table(designations=["inputs"])
    assert frame["$Version"].tolist() == ["10"] * 3
    found = by_request(frame.fillna({"A": -1.0}), "a", "b", "A")
    assert found == {"one-0": (1, "x", -1.0), "two-0": (2, "y", 0.5), "three-0": (3, "z", -1.0)}


def test_azureml_columns_are_read_as_the_others(root: pathlib.Path) -> None:
    for number, columns in enumerate(settings.Columns):
        collected = Collected(into_directory(root), columns=columns)
        at = NOON + number * DAY
        collected.collect([[number, "x"]], ["a", "b"], request=f"r{number}", at=at)
        collected.collect([[number / 2]], ["risk"], designation="predictions", request=f"r{number}", at=at)
    frame = Store(root).model("churn", version="10").table()
    assert list(frame.columns) == ["$Timestamp", "$CorrelationId", "$RequestId", "a", "b", "risk"]
    assert by_request(frame, "$Timestamp", "$CorrelationId", "a", "b", "risk") == {
        "r0-0": (NOON, "r0", 0, "x", 0.0),
        "r1-0": (NOON + DAY, "r1", 1, "x", 0.5),
    }


def test_rows_as_json_are_columns_again(root: pathlib.Path, collected: Collected) -> None:
    for number in range(20):
        collected.collect([{f"n{number}": number, "t/~": f"{number}", "x": 0.1}], request=f"r{number}", single=True)
    assert any(b",row\r\n" in path.read_bytes() for path in root.rglob("data*.csv"))
    frame = Store(root).model("churn", version="10").table()
    assert len(frame) == 20
    assert sorted(frame.columns[3:]) == sorted([*(f"n{number}" for number in range(20)), "t/~", "x"])
    found = by_request(frame, "t/~", "x")
    assert found == {f"r{number}": (number, 0.1) for number in range(20)}
    assert {frame.set_index("$RequestId")[f"n{number}"][f"r{number}"] for number in range(20)} == set(range(20))


def test_a_feature_called_row_stays_what_it_is(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([['{"a":1}'], ['{"b":2}']], ["row"])
    frame = Store(root).model("churn", version="10").table()
    assert frame["row"].tolist() == ['{"a":1}', '{"b":2}']


def test_a_time_is_of_the_first_designation_and_what_belongs_to_it_may_come_later(
    root: pathlib.Path, collected: Collected
) -> None:
    for number in range(4):
        at = NOON + number * DAY + datetime.timedelta(hours=11, minutes=59, seconds=59.9)
        collected.collect([[number]], ["n"], request=f"r{number}", at=at)
        after = at + datetime.timedelta(seconds=1)
        collected.collect([[number * 2]], ["p"], designation="predictions", request=f"r{number}", at=after)
        collected.collect([[number * 3]], ["l"], designation="labels", request=f"r{number}", at=at + 40 * DAY)
    model = Store(root).model("churn", version="10")
    expected = {"r1-0": (1, 2, 3), "r2-0": (2, 4, 6)}
    assert by_request(model.table("2026-11-21", "2026-11-22"), "n", "p", "l") == expected
    assert by_request(model.table(NOON + DAY, datetime.date(2026, 11, 22)), "n", "p", "l") == expected
    assert by_request(model.table("2026-11-21", "2026-11-22T23:00:00+01:00"), "n", "p", "l") == {"r1-0": (1, 2, 3)}
    assert len(model.table(until="2026-11-21")) == 2
    with pytest.raises(NotFoundError, match="from 2026-11-20 to 2026-11-23"):
        model.table(since="2026-11-24")
    with pytest.raises(NotFoundError, match=r"no labels of .* in this time"):
        model.table(since="2027-11-24", designations=["labels"])
    with pytest.raises(ValueError, match="before since"):
        model.table(since="2026-11-24", until="2026-11-22")
    with pytest.raises(ValueError, match="until must be a day"):
        model.table(until="tomorrow")


def test_there_is_a_row_for_each_of_the_first_designation(root: pathlib.Path, collected: Collected) -> None:
    for request in ("both", "inputs"):
        collected.collect([[1]], ["a"], request=request)
    for request in ("both", "predictions"):
        collected.collect([[2]], ["p"], designation="predictions", request=request)
    model = Store(root).model("churn", version="10")
    assert by_request(model.table(), "a", "p") == {"both-0": (1, 2), "inputs-0": (1, pandas.NA)}
    turned = model.table(designations=["predictions", "inputs"])
    assert by_request(turned, "p", "a") == {"both-0": (2, 1), "predictions-0": (2, pandas.NA)}


def test_repeated_requests_are_said_and_left_out_on_demand(root: pathlib.Path, collected: Collected) -> None:
    for number, request in enumerate(("same", "same", "again", "again.1", "id.5", "id.6", "tried.attempt2", "tried")):
        at = NOON + datetime.timedelta(seconds=number)
        collected.collect([[number]], ["n"], request=request, at=at)
        collected.collect([[number * 10]], ["p"], designation="predictions", request=request, at=at)
    model = Store(root).model("churn", version="10")
    with pytest.warns(RepeatsWarning, match="of inputs, 1 have an id that stands there before"):
        frame = model.table()
    assert frame.attrs["repeats"]["inputs"] == {"same": 1, "attempts": 1, "parts": 1}
    assert sorted(zip(frame["n"], frame["p"], strict=True)) == [(number, number * 10) for number in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        last = model.table(repeated="last")
    assert sorted(last["n"]) == [1, 3, 4, 5, 7]


def test_the_last_of_a_request_is_the_last_that_has_all(root: pathlib.Path, collected: Collected) -> None:
    for number, request in enumerate(("r", "r.attempt2")):
        collected.collect([[number]], ["n"], request=request, at=NOON + datetime.timedelta(seconds=number))
    collected.collect([[7]], ["p"], designation="predictions", request="r")
    frame = Store(root).model("churn", version="10").table(repeated="last")
    assert by_request(frame, "n", "p") == {"r-0": (0, 7)}


def test_what_is_there_more_than_once_must_be_named(root: pathlib.Path) -> None:
    for workspace, webservice, version in (("a", "churn", "1"), ("b", "churn", "1"), ("b", "churn-test", "2")):
        origin = ORIGIN._replace(workspace=workspace, webservice=webservice, model_version=version)
        collected = Collected(into_directory(root), origin=origin)
        collected.collect([[workspace + webservice + version]], ["v"], request="same")
        collected.collect([[f"{workspace}-{version}"]], ["p"], designation="predictions", request="same")
    store = Store(root)
    with pytest.raises(AmbiguousError, match=r"more than once, in workspaces a, b: name one, as workspace='a'"):
        store.model("churn").table()
    with pytest.raises(AmbiguousError, match=r"webservices churn, churn-test"):
        store.model("churn", workspace="b").table()
    frame = store.model("churn", webservice="churn-test").table()
    assert (frame["v"].tolist(), frame["$Version"].tolist()) == (["bchurn-test2"], ["2"])
    every = store.model("churn", workspace="*", webservice="*").table()
    assert list(every.columns[:3]) == ["$Version", "$Webservice", "$Workspace"]
    assert sorted(zip(every["v"], every["p"], strict=True)) == [
        ("achurn1", "a-1"), ("bchurn-test2", "b-2"), ("bchurn1", "b-1")
    ]  # fmt: skip


def test_labels_of_another_process_are_joined_by_the_request(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([[1]], ["a"], request="one")
    other = Collected(into_directory(root), origin=ORIGIN._replace(webservice="feed", model_version="default"))
    other.collect([[True]], ["churned"], designation="labels", request="one")
    model = Store(root).model("churn", webservice="*")
    assert by_request(model.table(), "a", "churned", "$Version", "$Webservice") == {"one-0": (1, True, "10", "churn")}
    collected.collect([[False]], ["churned"], designation="labels", request="one")
    assert by_request(model.table(), "a", "churned") == {"one-0": (1, False)}


def test_what_is_not_there_is_told_with_what_is(root: pathlib.Path, collected: Collected) -> None:
    store = Store(root)
    with pytest.raises(NotFoundError, match=r"nothing was collected in file://.*spec.storage.path"):
        store.model("churn").table()
    collected.collect([[1]], ["a"])
    with pytest.raises(NotFoundError, match=r"'chum' was not collected in .*: there are .* churn/churn/10"):
        store.model("chum").table()
    with pytest.raises(NotFoundError, match="version '11' was not collected"):
        store.model("churn", version="11").table()
    with pytest.raises(NotFoundError, match=r"has no labels .*: there are inputs"):
        store.model("churn").table(designations=("inputs", "labels"))
    with pytest.raises(NotFoundError, match=r"has no \{namespace\}"):
        store.model("churn", namespace="x")


def test_a_model_is_found_by_the_name_it_was_given(root: pathlib.Path, collected: Collected) -> None:
    for name in ("fraud/v1", "fraud v1", "fraud-v1"):
        collected.collect([[name]], ["name"], model=name)
    for name in ("fraud/v1", "fraud v1", "fraud-v1"):
        assert Store(root).model(name, version="10").table()["name"].tolist() == [name]


@pytest.mark.parametrize(
    "path",
    [
        "{designation}/{year}-{month}-{day}/{file}",
        "raw/{model}-{version}/{designation}/dt={year}{month}{day}/{file}",
        "{year}/{month}/{day}/{designation}/v{version}/{model}/{file}",
    ],
)
def test_other_paths(root: pathlib.Path, path: str) -> None:
    collected = Collected(into_directory(root), path=path)
    collected.collect([[1]], ["a"])
    collected.collect([[2]], ["p"], designation="predictions")
    store = Store(root, path=path)
    model = store.model("churn") if "{model}" in path else store.model()
    assert by_request(model.table(), "a", "p") == {"r-0": (1, 2)}


def test_a_row_that_is_not_written_to_its_end_is_left_for_later(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([["a\r\nb"]], ["text"], request="one")
    (path,) = root.rglob("data.csv")
    whole = path.read_bytes()
    collected.collect([["c\r\nd"]], ["text"], request="two")
    for end in (len(whole) + 1, path.stat().st_size - 1, path.stat().st_size - 6):
        path.write_bytes(path.read_bytes()[:end])
        assert Store(root).model("churn", version="10").table()["text"].tolist() == ["a\r\nb"]
    path.write_bytes(whole[:10])
    with pytest.raises(NotFoundError, match="have no rows yet"):
        Store(root).model("churn", version="10").table()


def test_a_row_of_4_mib(root: pathlib.Path, collected: Collected) -> None:
    text = 'é"\r\n' * 500_000
    collected.collect([[text, 1]], ["text", "n"])
    assert Store(root).model("churn", version="10").table()["text"].tolist() == [text]


def test_nothing_stays_on_the_disk(root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path) -> None:
    collected.collect([[1]], ["a"])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    Store(root, scratch=scratch).model("churn", version="10").table()
    with pytest.raises(NotFoundError):
        Store(root, scratch=scratch).model("x").table()
    assert list(scratch.iterdir()) == []


def many(collected: Collected, rows: int = 3000) -> None:
    for number in range(0, rows, 100):
        data = [
            [each, None if each % 3 else each / 7, "" if each % 2 else None] for each in range(number, number + 100)
        ]
        collected.collect(data, ["n", "x", "Text"], request=f"r{number}")
        collected.collect(
            [[each] for each in range(number, number + 100)], ["text"], designation="labels", request=f"r{number}"
        )


def test_rows_come_in_batches_and_leave_nothing_behind(
    root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path
) -> None:
    many(collected)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    model = Store(root, scratch=scratch).model("churn", version="10")
    with model.scan(batch_rows=500) as reader:
        assert reader.schema.names == ["$Timestamp", "$CorrelationId", "$RequestId", "n", "x", "Text", "text"]
        first = reader.read_next_batch()
        assert len(list(scratch.iterdir())) == 1
        rest = reader.read_all()
        assert first.num_rows + rest.num_rows == 3000
    assert list(scratch.iterdir()) == []
    model.scan()  # and nobody reads it
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_a_relation_of_duckdb_lives_as_long_as_its_connection(
    root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path
) -> None:
    many(collected)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    connection = duckdb.connect()
    relation = (
        Store(root, scratch=scratch)
        .model("churn", version="10")
        .relation(connection, designations=["inputs", "labels"])
    )
    assert relation.columns == ["$Timestamp", "$CorrelationId", "$RequestId", "n", "x", "Text", "text_1"]
    assert relation.filter("text is null and n >= 2998").aggregate("sum(n), count(x), sum(text_1)").fetchall() == [
        (2998, 0, 2998)
    ]
    del relation, connection
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_a_table_is_exported(root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path) -> None:
    many(collected)
    collected.collect([[1, math.inf, 'say "a,b"\r\n']], ["n", "x", "Text"], request="odd")
    collected.collect([[2, math.nan, "\0"]], ["n", "x", "Text"], request="odder")
    model = Store(root).model("churn", version="10")
    for name in ("a.parquet", "b.csv"):
        assert model.export(tmp_path / name) == 3002
    found = parquet.read_table(tmp_path / "a.parquet")
    assert found.schema.names == ["$Timestamp", "$CorrelationId", "$RequestId", "n", "x", "Text", "text"]
    texts = dict(zip(found["$RequestId"].to_pylist(), found["Text"].to_pylist(), strict=True))
    assert (texts["r0-0"], texts["r0-1"], texts["odd-0"]) == (None, "", 'say "a,b"\r\n')
    rows = {row[2]: row for row in csv.reader(io.StringIO((tmp_path / "b.csv").read_bytes().decode(), newline=""))}
    assert len(rows) == 3003
    assert rows["$RequestId"] == found.schema.names
    assert rows["odd-0"] == ["2026-11-20T12:00:00.000000Z", "odd", "odd-0", "1", "1e999", 'say "a,b"\r\n', ""]
    assert rows["odder-0"][4:6] == ["NaN", "\0"]
    with pytest.raises(ValueError, match=r"\.parquet or \.csv"):
        model.export(tmp_path / "c.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.csv", "store"]


def test_one_request_is_found_with_its_tries(root: pathlib.Path, collected: Collected) -> None:
    many(collected)
    for request in ("id", "id.attempt2", "id-x", "ide", "i"):
        collected.collect([[1], [2]], ["n"], request=request)
    model = Store(root).model("churn", version="10")
    assert sorted(model.request("id")["$RequestId"]) == ["id-0", "id-1", "id.attempt2-0", "id.attempt2-1"]
    assert by_request(model.request("r200-7"), "n", "text") == {"r200-7": (207, 207)}
    with pytest.raises(NotFoundError, match="no request 'r2' of model 'churn', version '10' was collected"):
        model.request("r2")


def test_a_request_is_looked_for_on_the_day_its_id_tells_and_then_on_others(
    root: pathlib.Path, collected: Collected
) -> None:
    def made(at: datetime.datetime) -> str:
        return f"{int(at.timestamp() * 1000):012x}7000800000000000000f"

    for number, at in enumerate((NOON, NOON - 9 * DAY)):
        request = str(uuid.UUID(made(at)))
        collected.collect([[number]], ["n"], request=request, at=NOON, single=True)
        assert Store(root).model("churn", version="10").request(request)["n"].tolist() == [number]


def test_streams_say_what_there_is(root: pathlib.Path, collected: Collected) -> None:
    assert Store(root).streams().empty
    collected.collect([[1]], ["a"])
    collected.collect([[1]], ["a"], at=NOON + 2 * DAY)
    collected.collect([[1]], ["p"], designation="predictions")
    (root / "other/file.txt").parent.mkdir()
    (root / "other/file.txt").touch()
    found = Store(root).streams()
    size = sum(path.stat().st_size for path in root.rglob("inputs/**/data.csv"))
    assert found.astype(object).where(found.notna(), None).iloc[0].to_dict() == {
        "workspace": "models", "webservice": "churn", "model": "churn", "version": "10", "designation": "inputs",
        "first": NOON.date(), "last": (NOON + 2 * DAY).date(), "days": 2, "rows": None, "closed_rows": 0, "files": 2,
        "bytes": size, "open_bytes": size, "closed_days": 0, "closed_through": None,
    }  # fmt: skip
    assert found["designation"].tolist() == ["inputs", "predictions"]


def test_an_engine_that_reads_no_rows_in_silence_is_an_error(
    root: pathlib.Path, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected.collect([[1], [2]], ["a"])
    real = sources.of_csv

    def strict(*of: typing.Any) -> sources.Source:
        found = real(*of)
        return found._replace(sql=found.sql.replace("header = true", "header = true, strict_mode = true"))

    monkeypatch.setattr(sources, "of_csv", strict)
    model = Store(root).model("churn", version="10")
    with pytest.raises(CountError, match="0 of 2 rows"):
        model.table()
    with pytest.raises(CountError, match="0 of 2 rows"):
        model.request("r-0")


def test_a_file_that_grows_after_it_was_counted_is_read_anew(
    root: pathlib.Path, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected.collect([[1]], ["a"], request="before")
    real, grown = staging.tail, []

    def tail(*of: typing.Any, copy: bool) -> staging.Staged | None:
        found = real(*of, copy=copy)
        collected.collect([[2]], ["a"], request=f"after {len(grown)}")
        grown.append(copy)
        return found

    monkeypatch.setattr(staging, "tail", tail)
    frame = Store(root).model("churn", version="10").table()
    assert sorted(frame["$RequestId"]) == ["after 0-0", "before-0"]
    assert grown == [False, True]


def test_what_a_killed_process_left_is_removed_by_the_next(
    root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path
) -> None:
    collected.collect([[1]], ["a"])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = "import sys, os, modeldata_analytics as m\n"
    script += (
        f"reader = m.Store({str(root)!r}, scratch={str(scratch)!r}).model('churn').scan(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    (left,) = scratch.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    other = Scratch(scratch)
    assert left.exists()  # it may just have been made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch_module, "_MINUTE", -1.0)
        Store(root, scratch=scratch).model("churn").table()
    assert list(scratch.iterdir()) == [other.path]
    other.close()


def test_a_system_without_locks_reads_and_removes_nothing_of_others(
    root: pathlib.Path, collected: Collected, tmp_path: pathlib.Path
) -> None:
    collected.collect([[1]], ["a"])
    others = tmp_path / "scratch/modeldata-reading-others"
    others.mkdir(parents=True)
    (others / "lock").touch()
    os.utime(others, (0, 0))
    script = "import sys\nsys.modules['fcntl'] = None\nimport modeldata_analytics as m, modeldata_analytics.__main__\n"
    script += "import modeldata_analytics.reading.scratch as scratch\nscratch._MINUTE = -1.0\n"
    script += f"print(len(m.Store({str(root)!r}, scratch={str(others.parent)!r}).model('churn').table()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert list(others.parent.iterdir()) == [others]


def test_times_are_utc_wherever_the_machine_is(root: pathlib.Path, collected: Collected) -> None:
    collected.collect([[1, NOON]], ["a", "at"])
    script = f"import modeldata_analytics as m; model = m.Store({str(root)!r}).model('churn'); frame = model.table()\n"
    script += (
        "print(frame.dtypes['$Timestamp'], frame['$Timestamp'][0], frame['at'][0], model.scan().schema.field(1).type)"
    )
    environment = {**os.environ, "TZ": "America/New_York"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, text=True, stdout=subprocess.PIPE, check=True)
    at = "2026-11-20 12:00:00+00:00"
    assert ran.stdout.strip() == f"datetime64[us, UTC] {at} {at} timestamp[us, tz=UTC]"


@pytest.mark.filterwarnings("ignore::modeldata_analytics.RepeatsWarning")
@pytest.mark.parametrize("predictions", [[0, 1, 2], [2, 1, 0], [0, 1, 1], [0, 1]])
def test_rows_in_one_order_and_in_another_are_joined_by_the_request(
    root: pathlib.Path, collected: Collected, predictions: list[int]
) -> None:
    for number in range(3):
        collected.collect([[number]], ["n"], request=f"r{number}")
        collected.collect([[number]], ["l"], designation="labels", request=f"r{2 - number}")
    for number in predictions:
        collected.collect([[number]], ["p"], designation="predictions", request=f"r{number}")
    frame = Store(root).model("churn", version="10").table(designations=["inputs", "labels", "predictions"])
    assert list(frame.columns[3:]) == ["n", "l", "p"]
    wanted = {f"r{number}-0": (number, 2 - number, number if number in predictions else None) for number in range(3)}
    found = by_request(frame.astype(object).where(frame.notna(), None), "n", "l", "p")
    assert found == wanted


@pytest.mark.parametrize("misfit", ["inputs", "predictions", "labels"])
def test_a_value_that_does_not_fit_is_found_behind_thousands_that_do(
    root: pathlib.Path, collected: Collected, misfit: str
) -> None:
    names = {"inputs": "n", "predictions": "p", "labels": "l"}
    for designation, name in names.items():
        data: list[list[object]] = [[number] for number in range(2100 if designation == "labels" else 2500)]
        if designation == misfit:
            data[-1] = ["9" * 30]
        collected.collect(data, [name], designation=designation)
    frame = Store(root).model("churn", version="10").table()
    assert {each: str(frame[each].dtype) for each in names.values()} == {
        name: "str" if designation == misfit else "Int64" for designation, name in names.items()
    }
    last = frame.set_index("$RequestId")[names[misfit]][f"r-{2099 if misfit == 'labels' else 2499}"]
    assert last == "9" * 30
