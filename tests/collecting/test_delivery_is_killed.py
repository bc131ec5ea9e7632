"""Killed at any step of setting a block aside: its rows are still there, once."""

from __future__ import annotations

import contextlib
import pathlib
import typing

import pytest

from modeldata import settings
from modeldata.delivery import elected, journal, sending
from modeldata.delivery.azure import answers, blobs, credentials
from modeldata.observe import counters
from modeldata.spool import records
from modeldata.tables import pieces

from .blobs import Killed, Service

CURRENT = settings.Settings(enabled=True, storage=settings.Storage("http://x", "c", "{designation}/{file}"))


class Account:
    """What takes the place of ``blobs.Blobs``: a service in memory, and an account that may be asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.account = credentials.Account("http://x", "c", pathlib.Path("sas"))

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._service, name)

    def refresh_credential(self) -> bool:
        return False

    def close(self) -> None:
        pass


def spool_with_rows(directory: pathlib.Path) -> pathlib.Path:
    segment = directory / "spool/pod-1-dead/000000001.seg"
    segment.parent.mkdir(parents=True)
    lines = []
    for number, designation in enumerate(("good", "refused", "better", "refused")):
        stream = records.Stream("m", designation, ("n",))
        table = pieces.Table(("n",), 1, pieces.Encoding.JSON, b"[[%d]]" % number)
        lines += [stream.to_line(), records.Record(stream, 0, f"r{number}", "", records.SINGLE, table).to_line()]
    segment.write_bytes(b"".join(lines))
    return directory / "spool"


def life(spool: pathlib.Path, current: settings.Settings = CURRENT, *, ticks: int = 6) -> elected.Delivery:
    """Deliver what there is, as one process does until it ends."""
    ours = elected.Delivery(
        spool, own=str, sas_file=pathlib.Path("sas"), pod="pod", spool_bytes=2**28, tally=counters.Counters()
    )
    for _ in range(ticks):
        try:
            while ours.ship(current):
                pass
            while ours.ship_aside(current):
                pass
        except answers.NotDone:
            pass
    return ours


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(sending, "REFUSED_SECONDS", 0)
    monkeypatch.setattr(blobs, "Blobs", lambda account, _credential: Account(made))
    return made


@pytest.mark.parametrize("heals", [False, True], ids=["refused still", "taken after"])
@pytest.mark.parametrize("step", range(20))
def test_each_row_is_there_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, service: Service, step: int, heals: bool
) -> None:
    spool = spool_with_rows(tmp_path)
    service.refused["refused/data.csv"] = answers.Answer.REFUSED
    steps = 0

    def counted(original: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        def call(*args: typing.Any, **more: typing.Any) -> typing.Any:
            nonlocal steps
            steps += 1
            if steps == step:
                raise Killed
            answer = original(*args, **more)
            steps += 1
            if steps == step:
                raise Killed
            return answer

        return call

    with monkeypatch.context() as killing:
        killing.setattr(journal.Journal, "_write", counted(journal.Journal._write))
        for name in ("put", "remove"):
            killing.setattr(elected.aside.Aside, name, counted(getattr(elected.aside.Aside, name)))
        with contextlib.suppress(Killed):
            life(spool)
    if heals:
        service.refused.clear()
    life(spool)
    service.refused.clear()
    ours = life(spool)
    assert not ours.tries_again()
    assert rows_in(service) == ["0", "1", "2", "3"]


def test_what_is_delivered_does_not_move_with_the_rest(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    spool, new = spool_with_rows(tmp_path), Service()
    places = {"http://x": service, "http://y": new}
    monkeypatch.setattr(blobs, "Blobs", lambda account, _credential: Account(places[account.endpoint]))
    service.refused = dict.fromkeys(("refused/data.csv", "better/data.csv"), answers.Answer.AMBIGUOUS)
    life(spool)  # the first of three files gets its row
    service.refused = dict.fromkeys(("good/data.csv", *service.refused), answers.Answer.DENIED)
    life(spool, CURRENT._replace(storage=settings.Storage("http://y", "c", "{designation}/{file}")))
    assert rows_in(service) == ["0"]
    assert rows_in(new) == ["1", "2", "3"]


def rows_in(service: Service) -> list[str]:
    there = [row for content in service.blobs.values() for row in content.decode().split("\r\n")[1:-1]]
    return sorted(row.rpartition(",")[2] for row in there)
