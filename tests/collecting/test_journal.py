"""What the next shipper must know."""

from __future__ import annotations

import contextlib
import pathlib
import resource
import typing

import pytest

from modeldata import journal

BLOCK = journal.Block("http://x", "c", "a/{file}", b"h,\xc3\xbc\r\n", b"1,2\r\n3,4\r\n", 2)
BATCH = journal.Batch("b1", (BLOCK, BLOCK), {"p/1.seg": 10})


def test_a_new_journal_knows_nothing(tmp_path: pathlib.Path) -> None:
    new = journal.Journal(tmp_path)
    assert (new.consumed, new.batch, new.intent) == ({}, None, None)


def test_what_is_finished_is_remembered(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.finish({"p/1.seg"})
    other = journal.Journal(tmp_path)
    assert (other.consumed, other.batch) == ({"p/1.seg": 10}, None)
    assert journal.consumed(tmp_path) == {"p/1.seg": 10}


def test_segments_that_are_gone_are_forgotten(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.finish(set())
    assert journal.Journal(tmp_path).consumed == {}


def test_a_killed_shippers_batch_and_intent_are_found(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    assert (journal.Journal(tmp_path).batch, journal.Journal(tmp_path).intent) == (BATCH, None)
    intent = journal.Intent("b1", 1, "a/data.csv", 77)
    one.intend(intent)
    assert (journal.Journal(tmp_path).batch, journal.Journal(tmp_path).intent) == (BATCH, intent)


def test_an_intent_of_an_earlier_batch_is_none(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(journal.Intent("b1", 0, "a/data.csv", 77))
    one.begin(journal.Batch("b2", (BLOCK,), {}))
    assert journal.Journal(tmp_path).intent is None


def test_a_batch_that_was_finished_but_not_removed_is_not_sent_again(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    left = (tmp_path / "batch").read_bytes()
    one.finish({"p/1.seg"})
    (tmp_path / "batch").write_bytes(left)
    assert journal.Journal(tmp_path).batch is None


@pytest.mark.parametrize("name", ["state", "batch", "intent"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", bytes(100)])
def test_a_damaged_file_does_not_stop_delivery(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(journal.Intent("b1", 0, "a/data.csv", 77))
    (tmp_path / name).write_bytes(content)
    journal.Journal(tmp_path).begin(BATCH)
    assert journal.Journal(tmp_path).batch == BATCH
    journal.consumed(tmp_path)


def test_a_batch_that_is_cut_is_taken_anew(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    content = (tmp_path / "batch").read_bytes()
    (tmp_path / "batch").write_bytes(content[:-1])
    assert journal.Journal(tmp_path).batch is None


@contextlib.contextmanager
def full_disk() -> typing.Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_on_a_full_disk_delivery_goes_on(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    with full_disk():
        one.begin(BATCH)
        one.intend(journal.Intent("b1", 0, "a/data.csv", 77))
        one.finish({"p/1.seg"})
    assert (one.consumed, one.batch) == ({"p/1.seg": 10}, None)


def test_a_disk_that_fills_up_before_the_end_of_a_batch_keeps_its_intent(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    intent = journal.Intent("b1", 1, "a/data.csv", 77)
    one.intend(intent)
    with full_disk():
        one.finish({"p/1.seg"})
    killed = journal.Journal(tmp_path)
    assert (killed.batch, killed.intent) == (BATCH, intent)
    one.save()
    assert (journal.Journal(tmp_path).batch, journal.Journal(tmp_path).consumed) == (None, {"p/1.seg": 10})
