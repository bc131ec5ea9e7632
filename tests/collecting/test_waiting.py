"""How much waits, and since when."""

from __future__ import annotations

import pathlib

from modeldata.spool import records, waiting
from modeldata.tables import pieces

STREAM = records.Stream("m", "inputs", ("n",))


def line(seconds: float, encoding: pieces.Encoding = pieces.Encoding.JSON) -> bytes:
    payload, dtype = (b"[[1]]", "") if encoding is pieces.Encoding.JSON else (bytes(8), "<f8")
    table = pieces.Table(("n",), 1, encoding, payload, dtype, 1 if dtype else 0)
    return records.Record(STREAM, int(seconds * 1e6), "r", "", records.SINGLE, table).to_line()


def segment(spool: pathlib.Path, key: str, *content: bytes) -> int:
    path = spool / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(b"".join(content))


def look(
    spool: pathlib.Path, consumed: dict[str, int] | None = None, unreadable: tuple[str, ...] = ()
) -> waiting.Waiting:
    return waiting.Onlooker(spool, str).look(consumed=consumed or {}, unreadable=unreadable)


def test_in_an_empty_spool_nothing_waits(tmp_path: pathlib.Path) -> None:
    assert look(tmp_path) == waiting.Waiting()


def test_the_oldest_row_is_the_first_that_is_not_delivered(tmp_path: pathlib.Path) -> None:
    first = STREAM.to_line() + line(1000.5)
    size = segment(tmp_path, "a/000000001.seg", first, line(2000.25))
    assert look(tmp_path).oldest == 1000.5
    assert look(tmp_path, {"a/000000001.seg": len(first)}).oldest == 2000.25
    assert look(tmp_path, {"a/000000001.seg": size}).oldest == 0


def test_the_oldest_row_may_be_any_processs_and_an_arrays(tmp_path: pathlib.Path) -> None:
    for number, seconds in enumerate((3000, 1000, 2000)):
        content = STREAM.to_line() + line(seconds, pieces.Encoding.ARRAY)
        segment(tmp_path, f"{number}/000000001.seg", content)
        segment(tmp_path, f"{number}/000000002.seg", STREAM.to_line(), line(1))  # the clock was set back
    assert look(tmp_path).oldest == 1000


def test_what_has_no_whole_record_has_no_moment(tmp_path: pathlib.Path) -> None:
    segment(tmp_path, "a/000000001.seg", STREAM.to_line(), b"[1,")
    segment(tmp_path, "b/000000001.seg", b"\0" * 100)
    found = look(tmp_path)
    assert found.oldest == 0
    assert found.bytes > 100


def test_what_can_not_be_read_or_is_set_aside_waits_and_is_not_owed(tmp_path: pathlib.Path) -> None:
    known = len(STREAM.to_line())
    here = segment(tmp_path, "a/000000001.seg", STREAM.to_line(), line(1000))
    there = segment(tmp_path, "b/000000001.seg", STREAM.to_line(), line(500))
    apart = segment(tmp_path, ".shipper/aside/b1-0", b"x" * 100)
    found = look(tmp_path, {"a/000000001.seg": known}, ("b/000000001.seg",))
    assert found == waiting.Waiting(
        here + there + apart, here - known + there + apart, here - known, 1000, aside_bytes=100
    )
