"""A feature that is dropped or hashed is in no byte that leaves the process, whatever shape it was collected in."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import io
import json
import logging
import pathlib
import sys
import tempfile
import types
import typing

import hypothesis
import numpy
import pandas
import polars
import pyarrow
import pytest
from hypothesis import strategies

from modeldata import ModelDataCollector, settings
from modeldata.delivery import matching, taking
from modeldata.doctor import examination
from modeldata.encoding import redaction
from modeldata.observe import counters
from modeldata.process import pipeline, running
from modeldata.requests import context
from modeldata.spool import records
from modeldata.tables import adapter, cells, rows

from .conftest import Spooled

DROP, HASH = settings.Action.DROP, settings.Action.HASH
KEY = b"a key"
STORAGE = settings.Storage("http://x", "c", "{model}/{designation}/{day}/{file}")


def sent(data: object, *redactions: settings.Redaction, names: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of files with these rows."""
    from modeldata.delivery import building

    builder = building.Builder(settings.Settings(storage=STORAGE, redactions=redactions), key=KEY)
    for table in rows.take(data, names=names, input_rows=0, columns=adapter.Columns()):
        builder.add(records.Record(records.Stream("m", "inputs", table.names), 0, "r", "", 0, table))
    assert not builder.drops
    return b"".join(block.header + block.data for block in builder.blocks())


Person = collections.namedtuple("Person", ["age", "ssn"])


@dataclasses.dataclass
class Customer:
    age: int
    ssn: object


class Model:
    """As a model of pydantic."""

    model_fields: typing.ClassVar[dict[str, object]] = {"age": None, "ssn": None}

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)


SECRET = "123-45-6789"
FRAME = pandas.DataFrame({"age": [41], "ssn": [SECRET]})
LEVELS = pandas.DataFrame([[41, SECRET]], columns=pandas.MultiIndex.from_tuples([("a", "age"), ("a", "ssn")]))
SHAPES: dict[str, tuple[object, tuple[str, ...]]] = {
    "a list under names": ([[41, SECRET]], ("age", "ssn")),
    "a flat list under names": ([41, SECRET], ("age", "ssn")),
    "a column under its name": ([SECRET, SECRET], ("ssn",)),
    "an array under names": (numpy.array([[41, SECRET]], object), ("age", "ssn")),
    "a frame": (FRAME, ()),
    "a frame under other names": (FRAME, ("x", "y")),
    "a frame without names": (pandas.DataFrame([[41, SECRET]]), ("age", "ssn")),
    "a frame of polars without names": (polars.DataFrame([["41"], [SECRET]]), ("age", "ssn")),
    "a frame of polars": (polars.from_pandas(FRAME), ()),
    "an arrow table": (pyarrow.Table.from_pandas(FRAME), ()),
    "a structured array": (numpy.array([(41, SECRET)], [("age", int), ("ssn", "U20")]), ()),
    "a named index": (FRAME.set_index("ssn"), ()),
    "columns of levels": (LEVELS, ()),
    "a level of columns": (pandas.DataFrame([[SECRET]], columns=pandas.MultiIndex.from_tuples([("ssn", "text")])), ()),
    "letters of another case": (pandas.DataFrame({"SSN": [SECRET]}), ()),
    "a row of a frame": (FRAME.iloc[0], ()),
    "rows of iterrows": ([row for _, row in FRAME.iterrows()], ()),
    "rows of itertuples": (list(FRAME.itertuples()), ()),
    "rows of itertuples without names": (list(FRAME.itertuples(name=None, index=False)), ("age", "ssn")),
    "a named tuple": (Person(41, SECRET), ()),
    "a dataclass": (Customer(41, SECRET), ()),
    "dataclasses": ([Customer(41, SECRET)], ()),
    "a model": (Model(age=41, ssn=SECRET), ()),
    "a dict": ({"age": 41, "ssn": SECRET}, ()),
    "a dict of columns": ({"age": [41], "ssn": [SECRET]}, ()),
    "a mapping": (collections.UserDict(age=41, ssn=SECRET), ()),
    "a mapping proxy": (types.MappingProxyType({"ssn": SECRET, "age": 1}), ()),
    "nested": ({"customer": {"ssn": SECRET}}, ()),
    "deeply nested": ({"a": [{"b": {"c": [{"Ssn": [SECRET, {"x": SECRET}]}]}}]}, ()),
    "within what has its name": ({"ssn": {"text": SECRET, "parts": [SECRET]}}, ()),
    "a path in a key": ({"customer.ssn": SECRET, "customer[ssn]": SECRET, "customer/ssn": SECRET}, ()),
    "instances": ({"instances": [{"age": 41, "ssn": SECRET}]}, ()),
    "a frame in a dict": ({"x": FRAME, "n": 1}, ()),
    "a dataclass in a cell": ([[1, Customer(41, SECRET)]], ("n", "who")),
    "a frame in a cell": ([[1, FRAME]], ("n", "who")),
    "JSON in a cell": ([[json.dumps({"customer": {"ssn": SECRET}})]], ("body",)),
    "JSON with blanks in a cell": ([[" \n[" + json.dumps({"ssn": SECRET}) + "]"]], ("body",)),
    "JSON within JSON": ([[json.dumps({"body": json.dumps({"ssn": SECRET})})]], ("raw",)),
    "JSON with NaN": ([[f'{{"ssn": "{SECRET}", "n": [NaN, -Infinity]}}']], ("body",)),
    "JSON with a key twice": ([[f'{{"a": {{"ssn": "{SECRET}"}}, "a": 1}}']], ("body",)),
    "JSON with escapes": ([[f'{{"\\u0073sn": "{SECRET}", "n": NaN}}']], ("body",)),
    "cut JSON with escapes": ([[f'{{"\\u0073sn": "{SECRET}"']], ("body",)),
    "JSON nested too deeply": ([["[" * 100_000 + f'{{"ssn": "{SECRET}"}}' + "]" * 100_000]], ("body",)),
    "what was to be JSON": ([[json.dumps({"ssn": SECRET})[:-1]]], ("body",)),
    "a dict's text": ([[str({"ssn": SECRET})]], ("body",)),
    "a split frame": (json.loads(FRAME.to_json(orient="split")), ()),
    "a split frame within": ({"dataframe_split": json.loads(FRAME.to_json(orient="split"))}, ()),
    "names beside an array": ({"data": {"names": ["age", "ssn"], "ndarray": [[41, SECRET]]}}, ()),
    "a named tensor": ({"inputs": [{"name": "ssn", "shape": [1], "datatype": "BYTES", "data": [SECRET]}]}, ()),
    "a column of bytes": (pandas.DataFrame({"ssn": [SECRET.encode()], "n": [1]}), ()),
    "dicts in an array": (numpy.array([{"ssn": SECRET}, {"ssn": SECRET}], object), ()),
    "structs of polars": (polars.DataFrame({"who": [{"ssn": SECRET}]}), ()),
    "structs of arrow": (pyarrow.table({"who": [{"ssn": SECRET}]}), ()),
    "a Series in a dict": ({"who": pandas.Series({"ssn": SECRET, "x": 1}), "n": 1}, ()),
    "as if correlated": ([[1, *(SECRET,) * 2, "2026-01-01T00:00:00.000000", 1440, *(SECRET,) * 4, "r"]], ("a",)),
}


@pytest.mark.parametrize("feature", ["ssn", "SSN", "Ssn "])
@pytest.mark.parametrize("action", [DROP, HASH])
@pytest.mark.parametrize("shape", [each for each in SHAPES if each != "as if correlated"])
def test_a_feature_is_found_in_any_shape(shape: str, action: settings.Action, feature: str) -> None:
    data, names = SHAPES[shape]
    assert SECRET.encode() in sent(data, names=names), "the test sees nothing"
    assert SECRET.encode() not in sent(data, settings.Redaction(feature, action), names=names)


def test_cells_that_look_as_if_they_were_appended_keep_their_names() -> None:
    data, names = SHAPES["as if correlated"]
    demanded = [settings.Redaction(f"feature_{n}", DROP) for n in range(1, 9)]
    assert SECRET.encode() not in sent(data, *demanded, names=names)
    given = ("a", *(f"b{n}" for n in range(9)))
    assert b"$aml" not in sent([[each if each != "r" else "q" for each in data[0]]], names=given)  # type: ignore[index]


@pytest.mark.parametrize(
    ("feature", "found"),
    [
        ("customer.ssn", ["customer.ssn", "Customer.SSN", "order.customer.ssn", "customer.ssn.text", "customer/ssn"]),
        ("ssn", ["ssn", "SSN", "customer.ssn", "ssn.text", "\uff33\uff33\uff2e", " ssn "]),
        ("straße", ["STRASSE", "straße"]),
        (".", ["."]),
    ],
)
def test_columns_of_these_names_are_the_feature(feature: str, found: list[str]) -> None:
    others = ["ssn_known", "customer", "customer.name", "xssn", "other.ssn.", "n"]
    redactions = [settings.Redaction(feature, DROP)]
    columns, _, matched = redaction.apply((*found, *others), [], redactions, b"")
    assert not set(columns) & set(found)
    assert {"ssn_known", "customer", "customer.name", "xssn", "n"} <= set(columns)
    assert matched == set(redactions)


def test_all_other_values_stay_as_they_are() -> None:
    data = [{"a": {"b": [1, {"c": None, "d": [True, "{x}", "[1, 2]", '{"k": 1.50}', ""]}]}, "t": "[brackets", "n": 1.5}]
    assert sent(data, settings.Redaction("ssn", DROP)) == sent(data)
    assert b"[brackets" in sent(data)


def test_equal_values_have_equal_hashes_at_any_depth() -> None:
    demand = settings.Redaction("ssn", HASH)
    expected = redaction._Redactor([demand], KEY).hash(SECRET)
    assert expected is not None
    for data in ({"ssn": SECRET}, {"who": {"ssn": SECRET}}, [[json.dumps({"ssn": SECRET})]]):
        assert expected.encode() in sent(data, demand)


@pytest.mark.parametrize("action", [DROP, HASH])
@pytest.mark.parametrize(
    "text",
    [
        '{"ssn": 123456789012345678901234567890}',
        '{"ssn": "\\ud800"}',
        '{"ssn": {"a": NaN}}',
        '{"ssn": [1e999, "\\ud800"]}',
    ],
)
def test_odd_json_in_a_cell_costs_no_row(text: str, action: settings.Action) -> None:
    outer = f'{{"a": "\\ud800", "n": 123456789012345678901234567890, "inner": {text}}}'
    for body in (text, outer):
        out = sent([[body, 1]], settings.Redaction("ssn", action), names=("body", "n"))
        assert out.endswith(b",1\r\n")
        assert b"1234567890" not in out.replace(b'""n"":123456789012345678901234567890', b"")


NAMES = ["ssn", "SSN", "e-mail", "customer.email", "Email", "a b", "n", "x", "é", "name", "columns", "data"]
LEAVES = strategies.integers(0, 9) | strategies.none() | strategies.booleans() | strategies.floats() | strategies.text()
VALUES = strategies.sampled_from([SECRET, "kept"])


@strategies.composite
def nested(draw: strategies.DrawFn, depth: int = 3) -> typing.Any:
    """Draw data in which secrets stand under names; what stands elsewhere is no secret."""
    if depth == 0:
        return draw(LEAVES)
    kind = draw(strategies.sampled_from(["dict", "list", "json", "object", "leaf"]))
    if kind == "leaf":
        return draw(LEAVES)
    if kind == "list":
        return [draw(nested(depth - 1)) for _ in range(draw(strategies.integers(0, 3)))]
    keys = draw(strategies.lists(strategies.sampled_from(NAMES), unique=True, max_size=4))
    made = {key: draw(nested(depth - 1)) for key in keys}
    if kind == "json":
        return json.dumps(made)
    return types.SimpleNamespace(**{}) and made if kind == "dict" else made


def marked(value: typing.Any, hidden: bool, wanted: set[str]) -> typing.Any:
    """Return data whose leaves below a wanted name are the secret."""
    if isinstance(value, dict):
        return {
            key: marked(inner, hidden or bool(wanted & set(redaction.parts(key))), wanted)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [marked(inner, hidden, wanted) for inner in value]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.dumps(marked(json.loads(value), hidden, wanted))
        except ValueError:
            return "text"
    return SECRET if hidden else value


def shaped(draw: typing.Any, row: dict[str, typing.Any]) -> tuple[object, tuple[str, ...]]:
    """Return a row in a shape that scripts collect, and the names that they give."""
    keys = list(row)
    named = dataclasses.make_dataclass("Made", [f"f{n}" for n in range(len(row))])(*row.values())
    shapes: list[tuple[object, tuple[str, ...]]] = [
        (row, ()),
        ([row, dict(reversed(row.items()))], ()),
        ([list(row.values())], tuple(keys)),
        ([[1, row]], ("n", "row")),
        ({"instances": [row]}, ()),
        ([json.dumps(row)], ("raw",)) if _is_json(row) else (row, ()),
        (pandas.DataFrame([list(row.values())], columns=keys), ()),
        (pandas.DataFrame([list(row.values())]), tuple(keys)),
        (pandas.Series(list(row.values()), index=keys, dtype=object), ()),
        (list(pandas.DataFrame([list(row.values())], columns=keys).itertuples()), tuple(keys)),
        (collections.UserDict(row), ()),
        ([named], ()) if not keys else (row, ()),
        ({"columns": keys, "data": [list(row.values())]}, ()),
        ({"split": {"columns": keys, "data": [list(row.values())]}}, ()),
        ([{"name": key, "data": [value]} for key, value in row.items()], ()),
    ]
    chosen: tuple[object, tuple[str, ...]] = draw(strategies.sampled_from(shapes))
    return chosen


def _is_json(row: object) -> bool:
    try:
        json.dumps(row)
    except (TypeError, ValueError):
        return False
    return True


@hypothesis.given(draw=strategies.data())
@hypothesis.settings(
    deadline=None, max_examples=500, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # fmt: skip
def test_no_value_of_a_redacted_feature_is_in_any_byte_that_is_sent(draw: strategies.DataObject) -> None:
    keys = draw.draw(strategies.lists(strategies.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    features = draw.draw(strategies.lists(strategies.sampled_from(["ssn", "EMAIL", "E-Mail", "É"]), min_size=1))
    wanted = {part for feature in features for part in redaction.parts(feature)}
    row = marked({key: draw.draw(nested()) for key in keys}, False, wanted)
    data, names = shaped(draw.draw, row)
    redactions = [settings.Redaction(each, draw.draw(strategies.sampled_from([DROP, HASH]))) for each in features]
    try:
        assert SECRET.encode() not in sent(data, *redactions, names=names)
    except cells.Refused:
        return


@hypothesis.given(draw=strategies.data())
@hypothesis.settings(deadline=None, max_examples=150, suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_no_value_of_a_redacted_feature_leaves_the_process(draw: strategies.DataObject) -> None:
    """Neither by storage nor by the log nor by what is printed: only to the spool, on the pod's own disk."""
    keys = draw.draw(strategies.lists(strategies.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    features = draw.draw(strategies.lists(strategies.sampled_from(["ssn", "EMAIL", "É"]), min_size=1, unique=True))
    wanted = {part for feature in features for part in redaction.parts(feature)}
    row = marked({key: draw.draw(nested()) for key in keys}, False, wanted)
    data, names = shaped(draw.draw, row)
    demands = [
        {"feature": each, "action": draw.draw(strategies.sampled_from(["Drop", "Hash"]))}
        | ({"onMissing": "Hold"} if draw.draw(strategies.booleans()) else {})
        for each in features
    ]
    ordered_late = draw.draw(strategies.booleans())
    columns = draw.draw(strategies.sampled_from(["Leading", "AzureML"]))
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("modeldata").addHandler(handler)
    with (
        tempfile.TemporaryDirectory() as name,
        contextlib.redirect_stdout(said),
        pytest.MonkeyPatch.context() as patch,
    ):
        directory = pathlib.Path(name)
        (directory / "settings").mkdir()
        document = {"version": 1, "enabled": True, "columns": columns, "storage": {"endpoint": "http://127.0.0.1:1/x"}}
        late = {**document, "redact": demands}
        (directory / "settings/settings.json").write_text(json.dumps(document if ordered_late else late))
        ours = pipeline.Pipeline(directory)
        ours.shipper.running = True
        patch.setattr(running, "mine", ours)
        patch.setenv("AML_MODEL_DC_DEBUG", "false" if ordered_late else "true")
        context.leave()
        made = ModelDataCollector("m", "inputs", names)
        made.collect(data)
        ModelDataCollector("m", "predictions").collect([0.5, 0.25])
        (directory / "key").write_bytes(KEY)
        ours_taker = taking.Taker(
            directory / "spool", own=lambda: "none", key_file=directory / "key", owner="", tally=ours.counters
        )
        taken = ours_taker.take(settings.parse(json.dumps(late).encode()), {}, most=10**9)
        for block in taken.blocks if taken is not None else ():
            said.write(f"{block.path} {block.header.decode()} {block.data.decode()}")
    logging.getLogger("modeldata").removeHandler(handler)
    assert SECRET not in said.getvalue()


@pytest.fixture
def debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("action", ["Drop", "Hash"])
def test_rows_that_are_printed_are_redacted(
    collecting: typing.Callable[..., Spooled],
    capsys: pytest.CaptureFixture[str],
    action: str,
    enabled: bool,
) -> None:
    collecting(enabled=enabled, redact=[{"feature": "ssn", "action": action}])
    ModelDataCollector("m", "inputs", ["age", "ssn"]).collect([[41, SECRET]])
    out = capsys.readouterr().out
    assert "41" in out
    assert SECRET not in out


@pytest.mark.usefixtures("debugging")
@pytest.mark.parametrize("unknown", [{"version": 2}, {"redact": [{"feature": "a", "action": "Blur"}]}, {"redact": 1}])
def test_rows_are_not_printed_under_settings_that_cannot_be_fulfilled(
    collecting: typing.Callable[..., Spooled], capsys: pytest.CaptureFixture[str], unknown: dict[str, object]
) -> None:
    collecting(**unknown)
    ModelDataCollector("m", "inputs", ["age", "ssn"]).collect([[41, SECRET]])
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("debugging")
def test_rows_that_are_held_are_not_printed(
    collecting: typing.Callable[..., Spooled], capsys: pytest.CaptureFixture[str]
) -> None:
    collecting(redact=[{"feature": "ssn_no", "action": "Drop", "onMissing": "Hold"}])
    ModelDataCollector("printed and held", "inputs", ["age", "ssn"]).collect([[41, SECRET]])
    assert capsys.readouterr().out == ""


def demanding(*redactions: settings.Redaction) -> settings.Settings:
    return settings.Settings(enabled=True, storage=STORAGE, redactions=redactions)


@pytest.fixture
def taker(tmp_path: pathlib.Path) -> typing.Callable[[], taking.Taker]:
    def make() -> taking.Taker:
        tally = counters.Counters()
        return taking.Taker(tmp_path / "spool", own=lambda: "none", key_file=tmp_path / "key", owner="", tally=tally)

    return make


def collected(*calls: tuple[str, object, tuple[str, ...]]) -> None:
    for designation, data, names in calls:
        context.leave()
        ModelDataCollector("m", designation, names).collect(data)


def test_rows_wait_until_a_feature_that_holds_them_is_found(
    collecting: typing.Any, taker: typing.Any, caplog: pytest.LogCaptureFixture
) -> None:
    collecting()
    ours, now = taker(), demanding(settings.Redaction("ssn", DROP, hold=True))
    collected(("inputs", [[41, SECRET]], ("age", "snn")))
    with caplog.at_level(logging.WARNING):
        assert ours.take(now, {}, most=10**9) is None
    assert "rows of m wait for one that has ssn" in caplog.text
    assert SECRET not in caplog.text
    # The demand's name is mended, not the data's.
    taken = ours.take(demanding(settings.Redaction("snn", DROP, hold=True)), {}, most=10**9)
    assert taken is not None
    (block,) = taken.blocks
    assert SECRET.encode() not in block.data


@pytest.mark.parametrize("inputs_first", [True, False])
def test_predictions_need_not_have_what_the_inputs_have(
    collecting: typing.Any,
    taker: typing.Any,
    inputs_first: bool,
) -> None:
    collecting()
    calls = [("inputs", [[41, SECRET]], ("age", "ssn")), ("predictions", [[0.5]], ("risk",))]
    collected(*(calls if inputs_first else reversed(calls)))
    taken = taker().take(demanding(settings.Redaction("SSN", DROP, hold=True)), {}, most=10**9)
    assert taken is not None
    assert sum(block.rows for block in taken.blocks) == 2


def test_another_model_waits_for_its_own_rows(collecting: typing.Any, taker: typing.Any) -> None:
    collecting()
    collected(("inputs", [[41, SECRET]], ("age", "ssn")))
    context.leave()
    ModelDataCollector("other", "inputs", ["age"]).collect([[41]])
    taken = taker().take(demanding(settings.Redaction("ssn", DROP, hold=True)), {}, most=10**9)
    assert taken is not None
    assert [block.path for block in taken.blocks] == ["m/inputs/" + block.path.split("/")[2] + "/{file}"
                                                      for block in taken.blocks]  # fmt: skip


def test_what_was_found_is_known_to_the_process_that_ships_next(collecting: typing.Any, taker: typing.Any) -> None:
    collecting()
    now = demanding(settings.Redaction("ssn", DROP, hold=True))
    collected(("inputs", [[41, SECRET]], ("age", "ssn")))
    taken = taker().take(now, {}, most=10**9)
    collected(("predictions", [[0.5]], ("risk",)))
    later = taker().take(now, taken.upto, most=10**9)
    assert later is not None
    assert [block.rows for block in later.blocks] == [1]


def test_a_misspelt_feature_is_said_everywhere(
    collecting: typing.Any, taker: typing.Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    collecting(redact=[{"feature": name, "action": "Drop"} for name in ("snn", "Age")])
    now = demanding(settings.Redaction("snn", DROP), settings.Redaction("Age", DROP))
    assert running.mine is not None
    assert running.mine.statistics(0).unmatched_redactions == {}
    collected(("inputs", [[41, SECRET]], ("age", "ssn")))
    with caplog.at_level(logging.INFO):
        taker().take(now, {}, most=10**9)
    assert "nothing is redacted as 'snn': no row of m has such a column or key so far: is it misspelt?" in caplog.text
    assert "no column of m/inputs is to be redacted as 'snn'" in caplog.text
    assert running.mine.statistics(0).unmatched_redactions == {"snn": ("m",)}
    found = list(examination._unmatched(tmp_path / "spool/.shipper" / matching.FILE, now))
    assert [each.level.value for each in found] == ["warning"]
    assert "'snn'" in found[0].text


def test_a_feature_that_any_model_has_is_not_said_to_be_misspelt(
    collecting: typing.Any, taker: typing.Any, tmp_path: pathlib.Path
) -> None:
    collecting()
    collected(("inputs", [[41, SECRET]], ("age", "ssn")), ("predictions", [[1]], ("risk",)))
    now = demanding(settings.Redaction("ssn", DROP))
    taker().take(now, {}, most=10**9)
    assert matching.read(tmp_path / "spool/.shipper" / matching.FILE).unmatched(now.redactions) == {}


def test_what_is_remembered_of_models_is_bounded(tmp_path: pathlib.Path) -> None:
    ours = matching.Matching(tmp_path / matching.FILE)
    for n in range(1500):
        ours.look(f"model {n}", "inputs", [settings.Redaction("a", DROP), settings.Redaction("b", DROP)],
                  [settings.Redaction("a", DROP)])  # fmt: skip
    assert len(matching.read(tmp_path / matching.FILE).matched) <= 1000
    assert len(matching.read(tmp_path / matching.FILE).missed) <= 1000


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the least that the client supports")
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: pathlib.Path) -> None:
    for content in (b"", b"{", b"[]", b'{"matched": 1}', b'{"matched": [[1]], "missed": []}'):
        (tmp_path / "file").write_bytes(content)
        assert matching.read(tmp_path / "file") == matching.Seen()
