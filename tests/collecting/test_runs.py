"""Rows that are read many at once are those that are read one by one, from any offset, and make the same files."""

from __future__ import annotations

import random
import typing

import hypothesis
import hypothesis.strategies as st
import orjson
import pytest

from modeldata import settings
from modeldata.delivery import building
from modeldata.encoding import csvtext, redaction
from modeldata.spool import records, segments
from modeldata.tables import pieces

from .conftest import one_by_one

NOON = 1_795_867_200_000_000
DAY = 86_400_000_000
STREAMS = [
    records.Stream("churn", "inputs", ("age", "tenure")),
    records.Stream("churn", "predictions", ("risk",)),
    records.Stream("churn", "wide", ("a", "b", "c", "d")),
]
CHANGES: list[dict[str, object]] = [
    {},
    {"columns": "AzureML"},
    {"redact": [{"feature": "age", "action": "Hash"}]},
]
SEEDS = st.integers(0, 2**32)


def number(chance: random.Random) -> object:
    return chance.choice([chance.random(), chance.uniform(-1e300, 1e300), chance.randrange(-99, 99), True, False])


def cell(chance: random.Random) -> object:
    return chance.choice([number(chance), None, "a,b", "x", "null", [1, 2], "\r", ""])


def identity(chance: random.Random) -> str:
    return chance.choice([f"{chance.getrandbits(128):032x}", 'say "a"', "a,b", "\x01", "\\", "é", "x" * 300, "1\n2"])


def drawn(seed: int) -> list[records.Record]:
    """Return what a process wrote, mostly rows of numbers under usual ids, of three streams."""
    chance = random.Random(seed)
    made = []
    odd = chance.choice([0, 0, 0.02, 0.5])
    step = chance.choice([1, 700_000, DAY // 300])
    for place in range(chance.choice([1, 5, 200])):
        is_odd = chance.random() < odd
        width = chance.choice([1, 2, 3]) if is_odd else 2
        row = [cell(chance) if is_odd else number(chance) for _ in range(width)]
        count = chance.choice([1, 2]) if is_odd else 1
        stream = STREAMS[chance.choice([0, 0, 0, 1, 2])]
        table = pieces.Table(stream.names, count, pieces.Encoding.JSON, orjson.dumps([row] * count))
        ids = identity(chance) if is_odd else f"{chance.getrandbits(128):032x}"
        correlation = identity(chance) if chance.random() < odd else ""
        first_row = records.SINGLE if count == 1 else 0
        made.append(records.Record(stream, NOON + place * step, ids, correlation, first_row, table))
    return made


def content(of: typing.Iterable[records.Record]) -> tuple[bytes, list[int]]:
    """Return what a segment holds of them, and the offset behind each."""
    written, ends = b"", []
    defined: set[int] = set()
    for each in of:
        if each.stream.number not in defined:
            defined.add(each.stream.number)
            written += each.stream.to_line()
        written += each.to_line()
        ends.append(len(written))
    return written, ends


def built(
    of: typing.Iterable[records.Record | records.Run | None], **changes: object
) -> dict[tuple[str, bytes], bytes]:
    """Return the files that come of it."""
    document: dict[str, typing.Any] = {
        "version": 1,
        "enabled": True,
        "storage": {"endpoint": "https://a.blob.core.windows.net", "container": "c"},
        **changes,
    }
    builder = building.Builder(settings.parse(orjson.dumps(document)), key=b"key")
    for each in of:
        builder.add(each)
    assert not builder.drops
    return {(block.path, block.header): block.data for block in builder.blocks()}


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(SEEDS)
def test_a_run_is_its_records(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    made = drawn(seed)
    path = tmp_path_factory.mktemp("runs") / "1.seg"
    written, ends = content(made)
    path.write_bytes(written)
    began = random.Random(seed).randrange(len(made))
    start = ends[began - 1] if began else 0
    assert one_by_one(segments.Segment("s", path).read(start)) == made[began:]
    # And where the reader has been further already.
    known = segments.Segment("s", path)
    assert [*known.read(0)][-1][1] == ends[-1]
    assert one_by_one(known.read(start)) == made[began:]


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(SEEDS, st.sampled_from(CHANGES))
def test_a_run_makes_the_files_of_its_records(seed: int, changes: dict[str, object]) -> None:
    made = drawn(seed)
    found = [each for each, _ in records.Reader().read(content(made)[0])]
    assert built(found, **changes) == built(made, **changes)


def usual(count: int, stream: records.Stream = STREAMS[0]) -> list[records.Record]:
    table = pieces.Table(stream.names, 1, pieces.Encoding.JSON, b"[[41.5,3]]")
    return [records.Record(stream, NOON + each, f"id-{each}", "", records.SINGLE, table) for each in range(count)]


def test_usual_rows_come_in_runs() -> None:
    found = [each for each, _ in records.Reader().read(content(usual(1000))[0])]
    assert all(isinstance(each, records.Run) for each in found)
    assert len(found) < 100


def test_a_run_ends_at_a_damaged_row_and_at_one_that_is_not_whole() -> None:
    written, ends = content(usual(10))
    damaged = bytearray(written)
    damaged[ends[4] - 5] = 0
    assert one_by_one(records.Reader().read(bytes(damaged[: ends[8] + 20]))) == [*usual(4), None, *usual(9)[5:]]


def test_rows_of_a_stream_that_is_not_known_are_damaged_each() -> None:
    written, _ = content(usual(3))
    assert [each for each, _ in records.Reader().read(written[len(STREAMS[0].to_line()) :])] == [None] * 3


def test_of_a_run_nothing_is_added_while_a_key_is_missing() -> None:
    hashed = STREAMS[1].like(("risk",), (settings.Redaction("risk", settings.Action.HASH),))
    mixed = [each for pair in zip(usual(5), usual(5, hashed), strict=True) for each in pair]
    *_, (run, _) = records.Reader().read(content(mixed)[0])  # the last one knows both streams
    assert isinstance(run, records.Run)
    assert len([*run.by_stream()]) == 2
    builder = building.Builder(
        settings.parse(b'{"version":1,"enabled":true,"storage":{"endpoint":"https://a","container":"c"}}')
    )
    with pytest.raises(redaction.KeyMissing):
        builder.add(run)
    assert builder.blocks() == ()


def test_a_run_that_can_not_be_written_at_once_is_written_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> csvtext.Csv:
        raise OverflowError

    made = usual(10)
    ((run, _),) = records.Reader().read(content(made)[0])
    monkeypatch.setattr(csvtext, "singles_to_csv", fail)
    assert built([run]) == built(made)
