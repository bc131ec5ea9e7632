"""Each block exactly once, under one header, whatever gets lost, who else writes, and when the process is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import pathlib
import random
import tempfile
import typing

import hypothesis
import pytest
from hypothesis import strategies

from modeldata.delivery import batches, journal
from modeldata.delivery.azure import answers
from modeldata.delivery.files import append, own

from .blobs import Connection, Killed, Service

HEADER = b"a,b\r\n"
FATES = ["lost before", "lost after", "killed before", "killed after"]


def block(data: bytes, header: bytes = HEADER, path: str = "d/{file}", owner: str = "") -> batches.Block:
    return batches.Block("http://x", "c", path, header, data, 1, owner)


def batch(*data: bytes, header: bytes = HEADER, name: str = "b", owner: str = "") -> batches.Batch:
    return batches.Batch(name, tuple(block(each, header, owner=owner) for each in data), {name: 1})


def own_service() -> Service:
    """A service as a SAS ``ac`` shows it."""
    service = Service()
    service.without_read = service.without_write = True
    return service


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append.time, "sleep", lambda _: None)


class Process:
    """A shipper's delivery of one batch, which may be killed and started again."""

    def __init__(self, directory: pathlib.Path, service: Service, work: batches.Batch) -> None:
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
            if self._work.id in log.consumed:
                return
            log.begin(self._work)
        blobs = append.Appender(connection, log)
        assert log.batch is not None
        index = log.intent.block if log.intent is not None else 0
        for _ in range(tries):
            try:
                blobs.deliver(log.batch, index)
                index += 1
            except answers.NotDone:
                pass
            if index == len(log.batch.blocks):
                log.finish({*log.consumed, log.batch.id})
                return
            yield
        pytest.fail("not delivered")


def deliver(
    directory: pathlib.Path, service: Service, work: batches.Batch, fate: typing.Callable[[int, str], str]
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


@pytest.mark.parametrize("cut", [0, 0.5, 1], ids=["before", "amid", "after"])
@pytest.mark.parametrize("number", range(3, 11))  # those before make the files
@pytest.mark.parametrize("owner", ["", "pod"], ids=["shared", "own"])
def test_killed_at_any_write_of_the_journal(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, owner: str, number: int, cut: float
) -> None:
    service, written = own_service() if owner else Service(), itertools.count()
    original = journal._write

    def write(descriptor: int, parts: typing.Iterable[bytes], offset: int) -> None:
        content = b"".join(parts)
        if next(written) == number:
            original(descriptor, [content[: int(len(content) * cut)]], offset)
            raise Killed
        original(descriptor, [content], offset)

    monkeypatch.setattr(journal, "_write", write)
    first, second = batch(b"1\r\n", b"2\r\n", owner=owner), batch(b"3\r\n", b"4\r\n", name="c", owner=owner)
    with contextlib.suppress(Killed):
        Process(tmp_path, service, first).run()
        Process(tmp_path, service, second).run()
    assert next(written) > number, "a test of nothing"
    monkeypatch.undo()
    monkeypatch.setattr(append.time, "sleep", lambda _: None)
    for work in (first, second):
        Process(tmp_path, service, work).run()
    (content,) = service.blobs.values()
    assert content == HEADER + b"1\r\n2\r\n3\r\n4\r\n"


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


@pytest.mark.parametrize("answer", [answers.Answer.DENIED, answers.Answer.NO_CONTAINER, answers.Answer.REFUSED])
def test_what_is_refused_waits(tmp_path: pathlib.Path, answer: answers.Answer) -> None:
    class Refusing(Service):
        def append(self, name: str, data: bytes, position: int) -> answers.Reply:
            return answers.Reply(answer)

    log = journal.Journal(tmp_path)
    work = batch(b"1")
    log.begin(work)
    with pytest.raises(answers.NotDone):
        append.Appender(Refusing(), log).deliver(work, 0)


def test_the_next_process_goes_on_where_an_own_file_ends(tmp_path: pathlib.Path) -> None:
    service = own_service()
    Process(tmp_path, service, batch(b"1", b"2", owner="pod")).run()
    Process(tmp_path, service, batch(b"3", name="c", owner="pod")).run()
    assert service.blobs == {"d/data.pod.csv": HEADER + b"123"}


@pytest.mark.parametrize("second", ["", *FATES])
@pytest.mark.parametrize("first", FATES)
def test_faults_at_any_requests_to_an_own_file(tmp_path: pathlib.Path, first: str, second: str) -> None:
    for numbers in itertools.combinations(range(8), 2):
        service = own_service()
        fates = dict(zip(numbers, (first, second), strict=True))
        directory = tmp_path / "-".join(map(str, numbers))
        work = batch(b"1\r\n", b"2\r\n", owner="pod")
        deliver(directory, service, work, lambda number, _, fates=fates: fates.get(number, ""))
        assert service.blobs == {"d/data.pod.csv": HEADER + b"1\r\n2\r\n"}, numbers


def test_when_the_journal_is_lost_an_own_file_is_followed_by_the_next(tmp_path: pathlib.Path) -> None:
    service = own_service()
    for number, life in enumerate(("one", "two", "three")):
        for part in "ab":
            data = f"{number}{part}".encode()
            Process(tmp_path / life, service, batch(data, name=part, owner="pod")).run()
    assert service.blobs == {
        "d/data.pod.csv": HEADER + b"0a0b",
        "d/data.pod.1.csv": HEADER + b"1a1b",
        "d/data.pod.2.csv": HEADER + b"2a2b",
    }


def test_another_header_gets_an_own_file_of_its_own(tmp_path: pathlib.Path) -> None:
    service = own_service()
    other = b"a,c\r\n"
    for number, header in enumerate((HEADER, other, HEADER, other)):
        name = str(number)
        Process(tmp_path, service, batch(name.encode(), header=header, name=name, owner="pod")).run()
    (changed,) = set(service.blobs) - {"d/data.pod.csv"}
    assert changed.startswith("d/data.pod.")
    assert service.blobs == {"d/data.pod.csv": HEADER + b"02", changed: other + b"13"}


def test_an_own_file_that_is_nearly_full_is_followed_by_the_next(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "MOST_BLOCKS", 3)
    service = own_service()
    for data in "1234":
        Process(tmp_path, service, batch(data.encode(), name=data, owner="pod")).run(at(2, fate="lost after"))
    assert service.blobs == {"d/data.pod.csv": HEADER + b"12", "d/data.pod.1.csv": HEADER + b"34"}


def test_an_own_file_that_was_closed_is_followed_by_the_next(tmp_path: pathlib.Path) -> None:
    service = own_service()
    Process(tmp_path, service, batch(b"1", owner="pod")).run()
    service.block_blobs.add("d/data.pod.csv")
    Process(tmp_path, service, batch(b"2", b"3", name="c", owner="pod")).run()
    assert service.blobs == {"d/data.pod.csv": HEADER + b"1", "d/data.pod.1.csv": HEADER + b"23"}


def test_an_own_file_that_was_deleted_is_made_anew(tmp_path: pathlib.Path) -> None:
    service = own_service()
    Process(tmp_path, service, batch(b"1", owner="pod")).run()
    service.remove("d/data.pod.csv")
    Process(tmp_path, service, batch(b"2", name="c", owner="pod")).run()
    assert service.blobs == {"d/data.pod.csv": HEADER + b"2"}


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("owner", ["", "pod"], ids=["shared", "own"])
def test_a_file_that_is_deleted_while_an_append_is_in_doubt(
    tmp_path: pathlib.Path, owner: str, number: int, fate: str
) -> None:
    service = own_service() if owner else Service()
    work = batch(b"1", owner=owner)
    steps = Process(tmp_path, service, work).steps(Connection(service, at(3, fate="lost after")))
    next(steps)
    (name,) = service.blobs
    assert service.blobs[name] == HEADER + b"1"
    service.remove(name)
    deliver(tmp_path, service, work, at(number, fate=fate))
    assert service.blobs == {name: HEADER + b"1"}


def test_where_somebody_else_writes_the_own_file_rows_go_to_the_next(tmp_path: pathlib.Path) -> None:
    service = own_service()
    Process(tmp_path, service, batch(b"1", owner="pod")).run()
    service.blobs["d/data.pod.csv"] += b"theirs"
    Process(tmp_path, service, batch(b"2", name="c", owner="pod")).run()
    assert service.blobs == {"d/data.pod.csv": HEADER + b"1theirs", "d/data.pod.1.csv": HEADER + b"2"}


@pytest.mark.parametrize("fate", ["lost before", "lost after"])
@pytest.mark.parametrize("owner", ["", "pod"], ids=["shared", "own"])
def test_a_block_in_doubt_that_was_set_aside_is_there_once(tmp_path: pathlib.Path, owner: str, fate: str) -> None:
    service = own_service() if owner else Service()
    name = "d/data.pod.csv" if owner else "d/data.csv"
    log = journal.Journal(tmp_path)
    work = batch(b"doubt", b"next", owner=owner)
    log.begin(work)
    blobs = append.Appender(Connection(service, lambda number, _: fate if number == 3 else ""), log)
    with pytest.raises(answers.NotDone):
        blobs.deliver(work, 0)
    service.refused[name] = answers.Answer.REFUSED
    with pytest.raises(answers.NotDone):
        blobs.deliver(work, 0)
    intent = blobs.set_aside(work, 0)
    assert intent is not None
    del service.refused[name]
    blobs.deliver(work, 1)
    log.finish(())
    again = batches.Batch("again", (work.blocks[0],), {})
    log.begin(again, dataclasses.replace(intent, batch="again", block=0))
    blobs.deliver(again, 0)
    contents = b"".join(service.blobs.values())
    assert contents.count(b"doubt") == contents.count(b"next") == 1
    assert contents.count(HEADER) == len(service.blobs)


@pytest.mark.parametrize("fate", ["lost before", "lost after"])
def test_no_own_file_stays_empty_where_its_maker_is_killed_and_the_one_before_it_is_written_again(
    tmp_path: pathlib.Path, fate: str
) -> None:
    service = own_service()
    log = journal.Journal(tmp_path)
    work = batch(b"doubt", b"next", owner="pod")
    log.begin(work)
    blobs = append.Appender(Connection(service, lambda number, _: {3: fate, 7: "killed before"}.get(number, "")), log)
    with pytest.raises(answers.NotDone):
        blobs.deliver(work, 0)
    service.refused["d/data.pod.csv"] = answers.Answer.REFUSED
    with pytest.raises(answers.NotDone):
        blobs.deliver(work, 0)
    intent = blobs.set_aside(work, 0)
    assert intent is not None
    with pytest.raises(Killed):
        blobs.deliver(work, 1)
    assert service.blobs["d/data.pod.1.csv"] == b""
    del service.refused["d/data.pod.csv"]
    later = journal.Journal(tmp_path)
    blobs = append.Appender(Connection(service, lambda number, _: ""), later)
    again = batches.Batch("again", (work.blocks[0],), {})
    later.begin(again, dataclasses.replace(intent, batch="again", block=0))
    blobs.deliver(again, 0)
    later.finish(())
    later.begin(work)
    blobs.deliver(work, 1)
    assert service.blobs == {"d/data.pod.csv": HEADER + b"doubt", "d/data.pod.1.csv": HEADER + b"next"}


@hypothesis.given(strategies.integers(0, 2**32))
@hypothesis.settings(deadline=None, max_examples=100)
def test_an_own_file_under_any_schedule(seed: int) -> None:
    chance = random.Random(seed)
    service = own_service()
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        for number in range(5):
            work = batch(*(b"%d%c\r\n" % (number, letter) for letter in b"ab"), name=str(number), owner="pod")
            while True:
                fate = chance.choice([*FATES, ""])
                try:
                    Process(directory, service, work).run(at(chance.randrange(6), fate=fate))
                    break
                except Killed:
                    pass
    expected = HEADER + b"".join(b"%d%c\r\n" % (number, letter) for number in range(5) for letter in b"ab")
    assert service.blobs == {"d/data.pod.csv": expected}


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
        (409, "BlockCountExceedsLimit", "FULL"),
        (409, "InvalidBlobType", "NO_APPEND_BLOB"),
        (409, "BlobIsSealed", "SEALED"),
        (409, "BlobModifiedWhileReading", "AMBIGUOUS"),
        (409, "ContainerBeingDeleted", "AMBIGUOUS"),
        (401, "", "DENIED"),
        (403, "AuthorizationFailure", "DENIED"),
        (400, "InvalidHeaderValue", "REFUSED"),
        (408, "", "AMBIGUOUS"),
        (429, "", "AMBIGUOUS"),
        (500, "OperationTimedOut", "AMBIGUOUS"),
        (503, "ServerBusy", "AMBIGUOUS"),
        (507, "", "AMBIGUOUS"),
        (400, "InvalidResourceName", "REFUSED"),
        (413, "RequestBodyTooLarge", "REFUSED"),
        (None, "", "AMBIGUOUS"),
    ],
)
def test_what_an_answer_means(status: int | None, code: str, answer: str) -> None:
    assert answers.classify(status, code).name == answer
