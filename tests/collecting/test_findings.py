"""What the doctor makes of what it sees: pure functions, for what can't be had from Azurite on cue."""

from __future__ import annotations

import pytest

from modeldata import settings
from modeldata.doctor import backlog, credential, examination, findings, probe

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
HERE = settings.Storage("https://account.blob.core.windows.net", "modeldata", "{model}/{file}")
ON = settings.Settings(enabled=True, storage=HERE, flush_seconds=5.0, spool_bytes=1000)
WELL = "sv=2024-11-04&sr=c&sp=rac&se=2027-01-15T14:00:00Z&sig=c2VjcmV0"
PLENTY = 10**12


def worst(found: list[findings.Finding]) -> findings.Level:
    levels = list(findings.Level)
    return max((each.level for each in found), key=levels.index)


def sas(token: str, *, https: bool = True, reads: bool = True) -> list[findings.Finding]:
    return credential.examine(token, https=https, reads=reads, now=NOW)


def spool(seen: backlog.Backlog, *, room: int = PLENTY, writable: bool = True) -> list[findings.Finding]:
    return examination.spool_findings(seen, ON, room=room, writable=writable, now=NOW)


@pytest.mark.parametrize(
    ("token", "level", "expected"),
    [
        (WELL, findings.Level.OK, "valid for 6 h"),
        (f"?{WELL}", findings.Level.OK, "valid for 6 h"),
        ("sv=2024-11-04&sr=c&si=policy&sig=c2VjcmV0", findings.Level.OK, "a stored access policy says how long"),
        (WELL.replace("T14:00:00Z", ""), findings.Level.WRONG, "it expired 8 h ago"),
        (WELL.replace("2027-01-15T14:00:00Z", "tomorrow"), findings.Level.WARNING, "its end can't be read"),
        (WELL.replace("sr=c", "sr=b"), findings.Level.WRONG, "it is not for a container (sr=b)"),
        (WELL.replace("sr=c&", "ss=b&srt=co&"), findings.Level.OK, "valid for 6 h"),  # for a whole account
    ],
)
def test_a_sas_says_what_it_is(token: str, level: findings.Level, expected: str) -> None:
    found = sas(token)
    assert worst(found) is level
    assert any(expected in each.text for each in found)
    assert not any("c2VjcmV0" in str(each) for each in found)


def test_a_sas_for_https_is_refused_at_an_endpoint_of_http() -> None:
    assert worst(sas(f"{WELL}&spr=https")) is findings.Level.OK
    assert worst(sas(f"{WELL}&spr=https", https=False)) is findings.Level.WRONG


def test_who_need_not_read_needs_no_right_to() -> None:
    token = WELL.replace("sp=rac", "sp=ac")
    assert worst(sas(token, reads=True)) is findings.Level.WRONG
    assert worst(sas(token, reads=False)) is findings.Level.OK


@pytest.mark.parametrize(
    ("status", "code", "level", "expected"),
    [
        (404, "BlobNotFound", findings.Level.OK, "may append"),
        (412, "AppendPositionConditionNotMet", findings.Level.OK, "may append"),
        (404, "ContainerNotFound", findings.Level.WRONG, "does not exist"),
        (403, "AuthenticationFailed", findings.Level.WRONG, "a wrong signature"),
        (403, "AuthorizationFailure", findings.Level.WRONG, "network rules"),
        (403, "AuthorizationPermissionMismatch", findings.Level.WRONG, "may not append"),
        (403, "SomethingNew", findings.Level.WRONG, "the SAS is refused"),
        (503, "ServerBusy", findings.Level.WARNING, "busy"),
        (400, "InvalidHeaderValue", findings.Level.WRONG, "refuses the request"),
        (201, "", findings.Level.WRONG, "at an impossible position"),
        (404, "", findings.Level.WRONG, "no blob service"),
        (403, "", findings.Level.WRONG, "no blob service"),
        (502, "", findings.Level.WARNING, "out of order"),
    ],
)
def test_each_answer_of_storage_is_explained(status: int, code: str, level: findings.Level, expected: str) -> None:
    (found,) = probe.examine(HERE, probe.Answer(status, code))
    assert found.level is level
    assert expected in found.text
    assert bool(found.way_out) is (level is not findings.Level.OK)


@pytest.mark.parametrize(
    ("skew", "level", "expected"),
    [(2.0, findings.Level.OK, "as the storage"), (90.0, findings.Level.WARNING, "90 s ahead of"),
     (-7200.0, findings.Level.WARNING, "2 h behind")],
)  # fmt: skip
def test_a_clock_that_is_wrong(skew: float, level: findings.Level, expected: str) -> None:
    answer = probe.Answer(404, "BlobNotFound", server_clock=NOW, own_clock=NOW + skew)
    found = probe.examine(HERE, answer)[-1]
    assert (found.subject, found.level) == ("clock", level)
    assert expected in found.text


def test_an_empty_spool_is_well() -> None:
    assert worst(spool(backlog.Backlog())) is findings.Level.OK


@pytest.mark.parametrize(
    ("seen", "level", "expected"),
    [
        (backlog.Backlog(used_bytes=1000), findings.Level.WRONG, "it is full"),
        (backlog.Backlog(oldest=NOW - 100), findings.Level.OK, "collected 100 s ago"),
        (backlog.Backlog(oldest=NOW - 3600), findings.Level.WARNING, "collected 60 min ago"),
        (backlog.Backlog(oldest=NOW + 3600), findings.Level.OK, "collected 0 s ago"),  # the clock was set back
        (backlog.Backlog(taken=backlog.Taken(7, 1, NOW - 5, "c", "")), findings.Level.OK, "7 rows for c"),
        (backlog.Backlog(taken=backlog.Taken(7, 1, NOW - 90, "c", "")), findings.Level.WARNING, "7 rows for c"),
        (backlog.Backlog(aside=(2, 2048)), findings.Level.WARNING, "2 blocks (2.0 KiB)"),
        (backlog.Backlog(unreadable=("p/1.seg: Permission denied",)), findings.Level.WRONG, "Permission denied"),
        (backlog.Backlog((backlog.Process("p", True, 10),)), findings.Level.WARNING, "no process ships"),
        (backlog.Backlog((backlog.Process("p", True, 10),), shipped=True), findings.Level.OK, "one process ships"),
        (backlog.Backlog((backlog.Process("p", False, 10),), shipped=True), findings.Level.OK, "1 ended"),
        (backlog.Backlog((backlog.Process("p", False, 10),)), findings.Level.WARNING, "1 ended"),
        (backlog.Backlog((backlog.Process("p", False, 0),)), findings.Level.OK, "0 running"),
        (backlog.Backlog((backlog.Process("p", True, 9),), shipped=True), findings.Level.OK, "no whole row"),
    ],
)
def test_what_waits_in_the_spool(seen: backlog.Backlog, level: findings.Level, expected: str) -> None:
    found = spool(seen)
    assert worst(found) is level
    assert any(expected in each.text for each in found)


def test_a_disk_without_room_for_the_spool() -> None:
    assert worst(spool(backlog.Backlog(used_bytes=400), room=500)) is findings.Level.WARNING
    assert worst(spool(backlog.Backlog(used_bytes=400), room=600)) is findings.Level.OK


def test_a_spool_that_cannot_be_written() -> None:
    assert worst(spool(backlog.Backlog(), writable=False)) is findings.Level.WRONG
