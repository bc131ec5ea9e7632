"""What the next shipper must know."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pathlib
import resource
import typing

import pytest

from modeldata.delivery import batches, elected, journal, ownfiles
from modeldata.observe import counters

BLOCK = batches.Block("http://x", "c", "a/{file}", b"h,\xc3\xbc\r\n", b"1,2\r\n3,4\r\n", 2)
BATCH = batches.Batch("b1", (BLOCK, dataclasses.replace(BLOCK, owner="pod")), {"p/1.seg": 10})
INTENT = journal.Intent("b1", 1, "a/data.csv", 77)


def saved(directory: pathlib.Path) -> tuple[object, ...]:
    found = journal.load(directory)
    return found.consumed, found.batch, found.intent


def test_a_new_journal_knows_nothing(tmp_path: pathlib.Path) -> None:
    journal.Journal(tmp_path)
    assert saved(tmp_path) == ({}, None, None)
    assert saved(tmp_path / "nowhere") == ({}, None, None)


def test_what_is_finished_is_remembered(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.finish({"p/1.seg"})
    assert saved(tmp_path) == ({"p/1.seg": 10}, None, None)
    assert journal.consumed(tmp_path) == {"p/1.seg": 10}


def test_segments_that_are_gone_are_forgotten(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.finish(set())
    assert saved(tmp_path) == ({}, None, None)


def test_a_killed_shippers_batch_and_intent_are_found(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    assert saved(tmp_path) == ({}, BATCH, INTENT)


def test_a_batch_of_which_nothing_was_tried_is_taken_anew(tmp_path: pathlib.Path) -> None:
    journal.Journal(tmp_path).begin(BATCH)
    assert saved(tmp_path) == ({}, None, None)


def test_an_open_batch_stays_until_the_first_intent_of_the_one_in_its_place(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    other = batches.Batch("b2", (BLOCK,), {})
    one.begin(other)
    assert saved(tmp_path) == ({}, BATCH, INTENT)
    intent = journal.Intent("b2", 0, "a/data.csv", 99)
    one.intend(intent)
    assert saved(tmp_path) == ({}, other, intent)


def test_the_name_of_the_spool_and_the_ends_of_own_files_stay(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    file = ownfiles.OwnFile("abc", 77, 3, closed=True)
    one.remember("http://x/c/a", file)
    one.save()
    other = journal.Journal(tmp_path)
    assert (other.pod, other.files) == (one.pod, {"http://x/c/a": file})


def test_a_thousand_own_files_are_all_remembered_and_what_is_written_for_each_append_stays_small(
    tmp_path: pathlib.Path,
) -> None:
    one = journal.Journal(tmp_path)
    for round_ in range(2):
        for number in range(1000):
            one.remember(f"https://account.blob.core.windows.net/c/{number}", ownfiles.OwnFile("abc", round_, number))
            one.save()
    assert (tmp_path / "journal").stat().st_size == 2 * journal.SLOT_BYTES
    files = journal.Journal(tmp_path).files
    assert [(file.end, file.blocks) for file in files.values()] == [(1, number) for number in range(1000)]


def test_no_more_own_files_than_fit_are_remembered_and_the_latest_stay(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path, batch_bytes=1000)
    names = ["first", *(f"{number} ".ljust(500, "x") for number in range(200))]
    for name in names:
        one.remember(name, ownfiles.OwnFile("abc", 1))
    one.remember(names[100], ownfiles.OwnFile("abc", 2))
    one.save()
    files = journal.Journal(tmp_path, batch_bytes=1000).files
    assert sum(map(len, files)) < ownfiles.LEAST_BYTES
    assert list(files)[-1] == names[100]
    assert list(files)[:-1] == [name for name in names[-len(files) :] if name != names[100]][-len(files) + 1 :]


@pytest.mark.parametrize("harm", ["killed", "damaged", "missing"])
def test_own_files_whose_list_was_being_written_when_the_process_was_killed(tmp_path: pathlib.Path, harm: str) -> None:
    one = journal.Journal(tmp_path)
    for number in range(300):
        one.remember(f"file {number}", ownfiles.OwnFile("abc", 1))
        one.save()
    before = (tmp_path / "journal").read_bytes()
    for number in range(300):
        one.remember(f"file {number}", ownfiles.OwnFile("abc", 2))
    if harm == "killed":  # when the list was written, and the journal not yet
        one.save()
        (tmp_path / "journal").write_bytes(before)
        assert {file.end for file in journal.Journal(tmp_path).files.values()} == {1}
        return
    one.save()
    (area,) = [each for each in tmp_path.glob("files.*") if b'",2,' in each.read_bytes()]
    area.write_bytes(b"{") if harm == "damaged" else area.unlink()
    again = journal.Journal(tmp_path)
    assert again.consumed == one.consumed  # the rest counts all the same
    assert all(file.end == 2 for file in again.files.values())


def test_own_files_are_remembered_on_a_full_disk_too(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = journal.Journal(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    real = ownfiles.sharing.create
    monkeypatch.setattr(
        ownfiles.sharing, "create", lambda path, flags: full() if "files." in path.name else real(path, flags)
    )
    for number in range(300):
        one.remember(f"file {number}", ownfiles.OwnFile("abc", number))
    one.save()
    assert len(journal.Journal(tmp_path).files) == 300


def test_a_journal_that_needs_more_room_gets_it(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    many = {f"some-pod-1234-abcdef/{number:09d}.seg": number for number in range(5000)}
    for name in ("b1", "b2", "b3"):
        one.begin(batches.Batch(name, (BLOCK,), many))
        one.intend(journal.Intent(name, 0, "a/data.csv", 77))
        one.finish(many)
        assert saved(tmp_path) == (many, None, None)


def test_a_batch_larger_than_its_room_leaves_no_larger_file_behind(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    large = batches.Batch("large", (dataclasses.replace(BLOCK, data=b"x" * (journal.BATCH_BYTES + 1)),), {})
    for number, batch in enumerate((large, BATCH, BATCH)):
        name = f"b{number}"
        one.begin(dataclasses.replace(batch, id=name))
        one.intend(journal.Intent(name, 0, "a/data.csv", 77))
        found = journal.load(tmp_path).batch
        assert found is not None
        assert found.blocks == batch.blocks
        one.finish(())
    assert [path.stat().st_size for path in sorted(tmp_path.glob("batch.*"))] == [journal.BATCH_BYTES] * 2


@pytest.mark.parametrize("name", ["journal", "batch.0", "batch.1"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"null\n", b"{}\n", bytes(100), b"\xff" * 200_000])
def test_a_damaged_file_does_not_stop_delivery(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    (tmp_path / name).write_bytes(content)
    other = journal.Journal(tmp_path)
    other.begin(BATCH)
    other.intend(INTENT)
    assert saved(tmp_path)[1:] == (BATCH, INTENT)
    journal.consumed(tmp_path)


@pytest.mark.parametrize("name", ["journal", "batch.0"])
def test_damage_to_what_is_needed_is_logged(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    content = bytearray((tmp_path / name).read_bytes())
    for start in (0, len(content) // 2):
        content[start + 20] ^= 1
    (tmp_path / name).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert journal.load(tmp_path).batch is None
    assert "may be sent again" in caplog.text


def test_a_journal_that_can_not_be_opened_at_this_time_is_not_taken_for_a_damaged_one(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            journal.Journal(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert saved(tmp_path) == ({}, BATCH, INTENT)


@contextlib.contextmanager
def full_disk() -> typing.Iterator[None]:
    """No file can grow; what has its room can be written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_where_nothing_can_be_written_nothing_is_begun(tmp_path: pathlib.Path) -> None:
    with full_disk():
        one = journal.Journal(tmp_path)
        with pytest.raises(OSError, match="too large"):
            one.begin(BATCH)
        assert (one.batch, one.intent) == (None, None)
    one.begin(BATCH)
    with full_disk():
        with pytest.raises(OSError, match="too large"):
            one.intend(INTENT)
        assert one.intent is None
    one.intend(INTENT)
    assert saved(tmp_path) == ({}, BATCH, INTENT)


def test_a_batch_that_is_finished_while_that_can_not_be_written_is_finished(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path)
    one.begin(BATCH)
    one.intend(INTENT)
    content = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").unlink()
    with full_disk(), pytest.raises(OSError, match="too large"):
        one.finish({"p/1.seg"})
    assert (one.consumed, one.batch) == ({"p/1.seg": 10}, None)
    (tmp_path / "journal").write_bytes(content)
    assert saved(tmp_path) == ({}, BATCH, INTENT)
    one.save()
    assert saved(tmp_path) == ({"p/1.seg": 10}, None, None)


def test_a_journal_whose_directory_was_removed_is_restored(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "spool/.shipper"
    one = journal.Journal(directory)
    one.begin(BATCH)
    one.intend(INTENT)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    assert not one.exists()
    with pytest.raises(FileNotFoundError):
        one.intend(INTENT)
    one.restore()
    assert saved(directory) == ({}, BATCH, INTENT)


def test_where_the_spool_is_small_the_journal_is_too(tmp_path: pathlib.Path) -> None:
    # The kubelet evicts a pod that uses more disk than it may.
    sizes = {}
    for spool_bytes in (256 * 1024, 4 * 1024 * 1024, 256 * 1024 * 1024):
        directory = tmp_path / str(spool_bytes)
        directory.mkdir()
        elected.Delivery(
            directory, own=str, sas_file=tmp_path / "sas", pod="p", spool_bytes=spool_bytes, tally=counters.Counters()
        )
        sizes[spool_bytes] = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    assert all(size <= spool_bytes for spool_bytes, size in sizes.items())
    assert sizes[4 * 1024 * 1024] <= 1024 * 1024


def test_a_small_journal_takes_a_large_batch(tmp_path: pathlib.Path) -> None:
    one = journal.Journal(tmp_path, batch_bytes=1000)
    large = batches.Batch("large", (dataclasses.replace(BLOCK, data=b"x" * 10_000),), {})
    one.begin(large)
    one.intend(journal.Intent("large", 0, "data.csv", 5))
    assert journal.Journal(tmp_path, batch_bytes=1000).batch == large
    one.finish({})
    for _ in range(2):
        one.begin(BATCH)
        one.intend(journal.Intent(BATCH.id, 0, "data.csv", 5))
    assert [path.stat().st_size for path in sorted(tmp_path.glob("batch.*"))] == [1000, 1000]
