"""Each block exactly once, under one header, whatever gets lost, who else writes, and when the process is killed."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import random
import tempfile
import typing

import hypothesis
import pytest
from hypothesis import strategies

from modeldata import appender, journal, storage

from .blobs import Connection, Killed, Service

HEADER = b"a,b\r\n"
FATES = ["lost before", "lost after", "killed before", "killed after"]


def block(data: bytes, header: bytes = HEADER, path: str = "d/{file}") -> journal.Block:
    return journal.Block("http://x", "c", path, header, data, 1)


def batch(*data: bytes, header: bytes = HEADER, name: str = "b") -> journal.Batch:
    return journal.Batch(name, tuple(block(each, header) for each in data), {})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender.time, "sleep", lambda _: None)


class Process:
    """A shipper's delivery of one batch, which may be killed and started again."""

    def __init__(self, directory: pathlib.Path, service: Service, work: journal.Batch) -> None:
        self._directory = directory
        self._service = service
        self._work = work

    def run(self, fate: typing.Callable[[int, str], str] = lambda number, request: "", tries: int = 30) -> int:
        """Deliver until done; return how many requests it took."""
        connection = Connection(self._service, fate)
        for _ in self.steps(connection, tries):
            pass
        return connection.requests

    def steps(self, connection: Connection, tries: int = 200) -> typing.Iterator[None]:
        log = journal.Journal(self._directory)
        if log.batch is None:
            if not (self._directory / "state").exists():
                log.begin(self._work)
            else:
                return
        blobs = appender.Appender(connection, log)
        assert log.batch is not None
        index = log.intent.block if log.intent is not None else 0
        for _ in range(tries):
            try:
                blobs.deliver(log.batch, index)
                index += 1
            except appender.Later:
                pass
            if index == len(log.batch.blocks):
                log.finish(())
                return
            yield
        pytest.fail("not delivered")


def deliver(
    directory: pathlib.Path, service: Service, work: journal.Batch, fate: typing.Callable[[int, str], str]
) -> int:
    """Deliver a batch, starting again whenever killed; return how many requests the first process made."""
    connection = Connection(service, fate)
    with contextlib.suppress(Killed):
        for _ in Process(directory, service, work).steps(connection):
            pass
    Process(directory, service, work).run()
    return connection.requests


def at(*numbers: int, fate: str) -> typing.Callable[[int, str], str]:
    return lambda number, request: fate if number in numbers else ""


def test_the_header_comes_first_and_once(tmp_path: pathlib.Path) -> None:
    service = Service()
    Process(tmp_path, service, batch(b"1\r\n", b"2\r\n")).run()
    assert service.blobs == {"d/data.csv": HEADER + b"1\r\n2\r\n"}


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("before", [{}, {"d/data.csv": HEADER + b"0\r\n"}], ids=["new", "there"])
def test_one_fault_at_any_request(tmp_path: pathlib.Path, fate: str, number: int, before: dict[str, bytes]) -> None:
    service = Service()
    service.blobs, service.blocks = dict(before), dict.fromkeys(before, 1)
    deliver(tmp_path, service, batch(b"1\r\n", b"2\r\n"), at(number, fate=fate))
    assert service.blobs == {"d/data.csv": before.get("d/data.csv", HEADER) + b"1\r\n2\r\n"}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FATES, FATES)))
def test_two_faults_at_any_requests(tmp_path: pathlib.Path, first: str, second: str) -> None:
    for numbers in itertools.combinations(range(9), 2):
        service = Service()
        fates = dict(zip(numbers, (first, second), strict=True))
        directory = tmp_path / "-".join(map(str, numbers))
        deliver(directory, service, batch(b"1\r\n", b"2\r\n"), lambda number, _, fates=fates: fates.get(number, ""))
        assert service.blobs == {"d/data.csv": HEADER + b"1\r\n2\r\n"}, numbers


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("name", ["batch", "intent", "state"])
def test_killed_between_any_steps_of_the_journal(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    service, written = Service(), itertools.count()
    original = journal.Journal._replace

    def replace(self: journal.Journal, which: str, parts: typing.Any) -> bool:
        if which == name and next(written) == number // 2:
            if number % 2:
                original(self, which, parts)
            raise Killed
        return original(self, which, parts)

    monkeypatch.setattr(journal.Journal, "_replace", replace)
    work = batch(b"1\r\n", b"2\r\n", b"3\r\n")
    with contextlib.suppress(Killed):
        Process(tmp_path, service, work).run()
    monkeypatch.undo()
    monkeypatch.setattr(appender.time, "sleep", lambda _: None)
    Process(tmp_path, service, work).run()
    assert service.blobs == {"d/data.csv": HEADER + b"1\r\n2\r\n3\r\n"}


def test_another_writers_rows_are_not_taken_for_ours(tmp_path: pathlib.Path) -> None:
    service = Service()
    service.blobs, service.blocks = {"d/data.csv": HEADER}, {"d/data.csv": 1}

    def fate(number: int, request: str) -> str:
        if request == "append" and number and not service.blobs["d/data.csv"].endswith(b"theirs\r\n"):
            service.blobs["d/data.csv"] += b"theirs\r\n"
            return "lost before"
        return ""

    deliver(tmp_path, service, batch(b"ours12\r\n"), fate)
    assert service.blobs["d/data.csv"] == HEADER + b"theirs\r\nours12\r\n"


def test_another_header_gets_a_file_of_its_own(tmp_path: pathlib.Path) -> None:
    service = Service()
    Process(tmp_path / "one", service, batch(b"1\r\n")).run()
    Process(tmp_path / "two", service, batch(b"2\r\n", header=b"a,c\r\n")).run()
    Process(tmp_path / "three", service, batch(b"3\r\n", header=b"a,c\r\n")).run()
    other = (set(service.blobs) - {"d/data.csv"}).pop()
    assert other.startswith("d/data.")
    assert service.blobs == {"d/data.csv": HEADER + b"1\r\n", other: b"a,c\r\n2\r\n3\r\n"}


def test_a_full_file_is_followed_by_the_next(tmp_path: pathlib.Path) -> None:
    service = Service(most_blocks=3)
    Process(tmp_path, service, batch(b"1", b"2", b"3", b"4", b"5")).run()
    assert service.blobs == {
        "d/data.csv": HEADER + b"12",
        "d/data.1.csv": HEADER + b"34",
        "d/data.2.csv": HEADER + b"5",
    }


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("number", range(14))
def test_a_fault_while_a_file_fills_up(tmp_path: pathlib.Path, fate: str, number: int) -> None:
    service = Service(most_blocks=2)
    deliver(tmp_path, service, batch(b"1", b"2", b"3"), at(number, fate=fate))
    assert sorted(service.blobs.values()) == [HEADER + b"1", HEADER + b"2", HEADER + b"3"]


def test_a_closed_day_is_followed_by_the_next_file(tmp_path: pathlib.Path) -> None:
    service = Service()
    service.blobs["d/data.csv"] = HEADER + b"0"
    service.block_blobs.add("d/data.csv")
    Process(tmp_path, service, batch(b"1")).run()
    assert service.blobs == {"d/data.csv": HEADER + b"0", "d/data.1.csv": HEADER + b"1"}


def test_creating_what_another_has_just_created_is_no_failure(tmp_path: pathlib.Path) -> None:
    service = Service()
    service.without_write = True

    def fate(number: int, request: str) -> str:
        if request == "create":
            Service.create(service, "d/data.csv")
        return ""

    Process(tmp_path, service, batch(b"1")).run(fate)
    assert service.blobs == {"d/data.csv": HEADER + b"1"}


def test_a_file_that_is_deleted_in_between_is_made_anew(tmp_path: pathlib.Path) -> None:
    service = Service()
    process = Process(tmp_path, service, batch(b"1", b"2"))
    steps = process.steps(Connection(service))
    next(steps)
    service.remove("d/data.csv")
    assert list(steps) == []
    assert service.blobs == {"d/data.csv": HEADER + b"2"}


@pytest.mark.parametrize("answer", [storage.Answer.DENIED, storage.Answer.NO_CONTAINER, storage.Answer.REFUSED])
def test_what_is_refused_waits(tmp_path: pathlib.Path, answer: storage.Answer) -> None:
    class Refusing(Service):
        def append(self, name: str, data: bytes, position: int) -> storage.Reply:
            return storage.Reply(answer)

    log = journal.Journal(tmp_path)
    work = batch(b"1")
    log.begin(work)
    with pytest.raises(appender.Later):
        appender.Appender(Refusing(), log).deliver(work, 0)


@hypothesis.given(strategies.integers(0, 2**32))
@hypothesis.settings(deadline=None, max_examples=150)
def test_several_writers_of_one_file_under_any_schedule(seed: int) -> None:
    chance = random.Random(seed)
    service = Service(most_blocks=chance.choice([3, 7, 50_000]))

    def fate(number: int, request: str) -> str:
        return chance.choice(FATES) if chance.random() < 0.3 else ""

    with tempfile.TemporaryDirectory() as temporary:
        works = {
            name: [f"{name}{number:02d}\r\n".encode() for number in range(chance.randrange(1, 5))] for name in "xyz"
        }
        processes = {
            name: Process(pathlib.Path(temporary) / name, service, batch(*data, name=name))
            for name, data in works.items()
        }
        running = {name: process.steps(Connection(service, fate)) for name, process in processes.items()}
        while running:
            name = chance.choice(list(running))
            try:
                next(running[name])
            except StopIteration:
                del running[name]
            except Killed:
                running[name] = processes[name].steps(Connection(service, fate))
    files = [content for content in service.blobs.values() if content]
    assert all(content.startswith(HEADER) and content.count(HEADER) == 1 for content in files)
    rows = [row for content in files for row in content[len(HEADER) :].splitlines(keepends=True)]
    assert sorted(rows) == sorted(row for data in works.values() for row in data)


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (201, "", "DONE"),
        (412, "AppendPositionConditionNotMet", "POSITION"),
        (412, "LeaseIdMissing", "REFUSED"),
        (404, "BlobNotFound", "NO_BLOB"),
        (404, "ContainerNotFound", "NO_CONTAINER"),
        (409, "BlobAlreadyExists", "EXISTS"),
        (409, "BlockCountExceedsLimit", "CLOSED"),
        (409, "InvalidBlobType", "CLOSED"),
        (409, "BlobIsSealed", "CLOSED"),
        (409, "BlobModifiedWhileReading", "AMBIGUOUS"),
        (409, "ContainerBeingDeleted", "AMBIGUOUS"),
        (401, "", "DENIED"),
        (403, "AuthorizationFailure", "DENIED"),
        (400, "InvalidHeaderValue", "REFUSED"),
        (408, "", "AMBIGUOUS"),
        (429, "", "AMBIGUOUS"),
        (500, "OperationTimedOut", "AMBIGUOUS"),
        (503, "ServerBusy", "AMBIGUOUS"),
        (None, "", "AMBIGUOUS"),
    ],
)
def test_what_an_answer_means(status: int | None, code: str, answer: str) -> None:
    assert storage.classify(status, code).name == answer
