"""Blocks set aside."""

from __future__ import annotations

import pathlib
import resource

import pytest

from modeldata.delivery import aside, batches, journal
from modeldata.spool import waiting

BLOCK = batches.Block("http://x", "c", "a/{file}", b"h,\xc3\xbc\r\n", b"1,2\r\n3,4\r\n", 2, "pod")
INTENT = journal.Intent("b1", 3, "a/data.csv", 77)


def test_a_block_comes_back_as_it_was(tmp_path: pathlib.Path) -> None:
    aside.Aside(tmp_path / "aside").put("b1-3", BLOCK, None)
    assert aside.Aside(tmp_path / "aside").get("b1-3") == (batches.Batch("b1-3", (BLOCK,), {}, "b1-3"), None)


def test_an_append_in_doubt_comes_back_as_that_of_the_one_block(tmp_path: pathlib.Path) -> None:
    aside.Aside(tmp_path).put("b1-3", BLOCK, INTENT)
    found = aside.Aside(tmp_path).get("b1-3")
    assert found is not None
    assert found[1] == journal.Intent("b1-3", 0, "a/data.csv", 77)


def of(path: str, data: bytes = BLOCK.data, *, header: bytes = BLOCK.header, writer: str = "") -> batches.Block:
    writers = (writer,) if writer else ()
    return batches.Block("http://x", "c", path, header, data, data.count(b"\r\n"), writers=writers)


def test_what_was_set_aside_first_comes_first(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    for name in ("b1-0", "b1-1", "b2-0"):
        apart.put(name, of(name), None)
    assert list(apart.sizes) == list(aside.Aside(tmp_path).sizes) == ["b1-0", "b1-1", "b2-0"]
    assert apart.bytes == aside.Aside(tmp_path).bytes == waiting.set_aside_bytes(tmp_path)


def test_blocks_for_one_file_are_joined(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    for number in range(100):
        apart.put(f"b{number}-0", of("a", b"%d\r\n" % number, writer=f"w{number % 3}"), None)
        apart.put(f"b{number}-1", of("b", b"%d\r\n" % number), None)
    assert list(apart.sizes) == list(aside.Aside(tmp_path).sizes) == ["b0-0", "b0-1"]
    assert apart.bytes == aside.Aside(tmp_path).bytes == waiting.set_aside_bytes(tmp_path)
    found = apart.get("b0-0")
    assert found is not None
    assert found[0].blocks[0].data == b"".join(b"%d\r\n" % number for number in range(100))
    assert found[0].blocks[0].rows == 100
    assert all(aside.holds(tmp_path, f"w{number}") for number in range(3))


def test_blocks_of_other_columns_or_beside_one_in_doubt_or_too_large_are_not_joined(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    apart.put("b0-0", of("a"), None)
    apart.put("b1-0", of("a", header=b"x\r\n"), None)
    apart.put("b2-0", of("a", header=b"x\r\n"), INTENT)
    apart.put("b3-0", of("a", header=b"x\r\n"), None)
    apart.put("b4-0", of("a", b"1\r\n" * aside.JOIN_BYTES, header=b"x\r\n"), None)
    assert len(apart.sizes) == 5


def test_a_block_that_is_set_aside_again_after_a_try_stays_what_it_is(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    apart.put("b0-0", of("a", b"0\r\n"), None)
    apart.put("b1-0", of("a", b"1\r\n"), None)
    found = apart.get("b0-0")
    assert found is not None
    apart.put("b0-0", found[0].blocks[0], INTENT)
    apart.put("b2-0", of("a", b"2\r\n"), None)
    assert list(apart.sizes) == ["b0-0", "b2-0"]
    again = aside.Aside(tmp_path).get("b0-0")
    assert again is not None
    assert again[0].blocks[0].data == b"0\r\n1\r\n"


@pytest.mark.parametrize("joined", [True, False])
def test_the_block_of_a_process_that_was_killed_before_it_noted_it_is_taken_back(
    tmp_path: pathlib.Path, joined: bool
) -> None:
    apart = aside.Aside(tmp_path)
    if joined:
        apart.put("b0-0", of("a", b"0\r\n"), None)
        apart.put("b1-0", of("a", b"1\r\n"), None)
    apart.put("b2-0", of("a", b"2\r\n"), None)
    again = aside.Aside(tmp_path)
    again.take_back("b2-0")
    again.take_back("b2-0")
    again.take_back("b1-0")  # noted long ago
    found = again.get("b0-0") if joined else None
    assert list(aside.Aside(tmp_path).sizes) == (["b0-0"] if joined else [])
    if joined:
        assert found is not None
        assert found[0].blocks[0].data == b"0\r\n1\r\n"
        assert found[0].blocks[0].rows == 2


def test_what_is_removed_is_gone(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    apart.put("b1-0", BLOCK, None)
    apart.remove("b1-0")
    apart.remove("never there")
    assert apart.bytes == waiting.set_aside_bytes(tmp_path) == 0


def test_where_nothing_was_set_aside_nothing_is_used(tmp_path: pathlib.Path) -> None:
    assert waiting.set_aside_bytes(tmp_path / "nowhere") == aside.Aside(tmp_path / "nowhere").bytes == 0


@pytest.mark.parametrize("content", [b"", b"null\n", b"null\n{}\n", b"\xff" * 100])
def test_a_damaged_block_is_passed_over(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "b1-0").write_bytes(content)
    assert aside.Aside(tmp_path).get("b1-0") is None


def test_a_block_that_can_not_be_opened_at_this_time_is_not_passed_over(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    apart.put("b1-0", BLOCK, None)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        for look in (lambda: apart.get("b1-0"), lambda: aside.Aside(tmp_path)):
            with pytest.raises(OSError, match="Too many open files"):
                look()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert apart.get("b1-0") is not None


def test_what_a_killed_process_left_half_written_takes_no_room(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b1-0.new").write_bytes(b"half")
    assert aside.Aside(tmp_path).bytes == waiting.set_aside_bytes(tmp_path) == 0
