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


def test_what_was_set_aside_first_comes_first(tmp_path: pathlib.Path) -> None:
    apart = aside.Aside(tmp_path)
    for name in ("b1-0", "b1-1", "b2-0"):
        apart.put(name, BLOCK, None)
    assert list(apart.sizes) == list(aside.Aside(tmp_path).sizes) == ["b1-0", "b1-1", "b2-0"]
    assert apart.bytes == aside.Aside(tmp_path).bytes == waiting.set_aside_bytes(tmp_path)


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
