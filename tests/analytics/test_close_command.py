"""``modeldata close``: what it takes, what it says, how it ends."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import typing

import jsonschema
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from modeldata_analytics.__main__ import main
from modeldata_analytics.closing import Outcome, State, report
from modeldata_analytics.days import template

from ..conftest import REPOSITORY, Azurite
from . import stores
from .stores import FOLDER, LEADING, Filled, row, written

pytestmark = pytest.mark.azurite

HEADER = (*LEADING, "v")
PATH = f"--path={stores.PATH.text}"


class Ran(typing.NamedTuple):
    code: int
    said: str
    report: dict[str, typing.Any]


class Run(typing.Protocol):
    def __call__(self, address: str, *words: str) -> Ran: ...


@pytest.fixture
def run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)

    def do(address: str, *words: str) -> Ran:
        told = tmp_path / "report.json"
        told.unlink(missing_ok=True)
        arguments = ["close", address, PATH, f"--scratch={tmp_path / 'work'}", f"--report={told}", *words]
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(str(error.code))
        return Ran(code, capsys.readouterr().err, checked(told.read_text()) if told.exists() else {})

    return do


def checked(text: str) -> dict[str, typing.Any]:
    assert len(text.encode()) <= 4096
    found = json.loads(text)
    schema = REPOSITORY / "docs/contract/closing.schema.json"
    jsonschema.validate(found, json.loads(schema.read_text()), format_checker=jsonschema.FormatChecker())
    return dict(found)


def test_days_are_closed_and_told(local: Filled, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    address = local.store.address
    today = datetime.datetime.now(datetime.UTC).strftime("inputs/%Y/%m/%d")
    for folder in (FOLDER, FOLDER.replace("28", "29"), today):
        local.append("data.csv", written([HEADER, row(1, "1"), row(2, "2")]), folder)
    tried = run(address, "--dry-run")
    assert (tried.code, tried.report["closed"]["days"], tried.report["pending"]["days"]) == (0, 0, 3)
    assert local.store.folders("closed/") == []
    done = run(address)
    assert done.code == 0
    assert f"{FOLDER[-2:]}: 2 rows closed" in done.said
    assert done.report == {
        "version": 1,
        "closed": {"days": 2, "rows": 4, "through": "2025-11-29"},
        "late": {"days": 0, "rows": 0},
        "pending": {"days": 1},
        "failed": [],
        "deleted": {"files": 0},
        "streams": [{"stream": "default/default/default/inputs", "through": "2025-11-29", "rows": 4}],
    }
    local.append("data.csv", written([row(3, "3")]))
    local.put(f"{FOLDER.replace('28', '29')}/_closed.json", b"{")
    failed = run(address)
    assert failed.code == 1
    assert failed.report["closed"] == {"days": 1, "rows": 3, "through": "2025-11-28"}
    assert failed.report["late"] == {"days": 1, "rows": 1}
    assert [(each["day"], each["reason"]) for each in failed.report["failed"]] == [
        (FOLDER.replace("28", "29"), "Damaged")
    ]
    assert "NOT CLOSED: Damaged" in failed.said


def test_only_days_that_are_asked_for(local: Filled, run: Run) -> None:
    for folder in (FOLDER, FOLDER.replace("28", "29"), FOLDER.replace("inputs", "labels")):
        local.append("data.csv", written([HEADER, row(1, "1")]), folder)
    assert run(local.store.address, "--match=designation=labels").report["closed"]["days"] == 1
    assert run(local.store.address, "--since=2025-11-29", "--until=2025-12-31").report["closed"]["days"] == 1
    assert local.store.entry(f"{FOLDER}/_closed.json") is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--match=workspace=a"], "has no field {workspace}"),
        (["--match=designation"], "no FIELD=VALUE"),
        (["--path={model}/{file}"], "must have"),
        (["--format=XLSX"], "invalid choice"),
        (["--format=CSV", "--delta"], "--format Parquet"),
        (["--delete-after=24h"], "at least 7 days"),
        (["--after=soon"], "no time"),
        (["--since=yesterday"], "no date"),
        (["--memory=much"], "no size"),
        (["--threads=0"], "at least 1"),
        (["--scratch=/proc/none"], "/proc/none"),
        (["--sas-file=/none", "--identity"], "not allowed with"),
    ],
)
def test_what_makes_no_sense_is_told(local: Filled, run: Run, words: list[str], said: str) -> None:
    ran = run(local.store.address, *words)
    assert ran.code == 2
    assert said in ran.said


def test_credentials(contained: Filled, local_azurite: Azurite, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    contained.append("data.csv", written([HEADER, row(1, "1")]))
    address = contained.store.address
    none = run(address)
    assert (none.code, "no credential" in none.said) == (2, True)
    assert run(address, "--key-env=NONE").code == 2
    assert run(address, "--sas-file=/none").code == 2
    monkeypatch.setenv("WORD", local_azurite.connection_string)
    assert run(address.rpartition("/")[2], "--connection-string-env=WORD").code == 0
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", local_azurite.connection_string)
    assert run(address).report["closed"]["days"] == 1
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_KEY", local_azurite.account_key)
    assert run(address).report["closed"]["days"] == 1


def sas(azurite: Azurite, container: str, permissions: str, hours: float = 1) -> str:
    now = datetime.datetime.now(datetime.UTC)
    return generate_container_sas(
        azurite.account_name,
        container,
        account_key=azurite.account_key,
        permission=ContainerSasPermissions.from_string(permissions),
        start=now - datetime.timedelta(hours=3),
        expiry=now + datetime.timedelta(hours=hours),
    )


def test_a_sas_that_can_not_do_it(contained: Filled, local_azurite: Azurite, run: Run, tmp_path: pathlib.Path) -> None:
    contained.append("data.csv", written([HEADER, row(1, "1")]))
    container = contained.store.address.rpartition("/")[2]
    file = tmp_path / "sas"
    for permissions, hours in (("rwl", -1.0), ("rw", 1.0), ("rl", 1.0)):
        token = sas(local_azurite, container, permissions, hours)
        file.write_text(token + "\n")
        refused = run(contained.store.address, f"--sas-file={file}")
        assert (refused.code, refused.report["failed"][0]["reason"]) == (3, "Refused"), permissions
        assert "sig=" not in refused.said + json.dumps(refused.report)
        assert contained.names() == [f"{FOLDER}/data.csv"]
    file.write_text(sas(local_azurite, container, "rwl"))
    assert run(contained.store.address, f"--sas-file={file}").report["closed"]["rows"] == 1


def test_storage_that_is_not_there(local_azurite: Azurite, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", local_azurite.account_key)
    missing = run(f"{local_azurite.endpoint}/no-such-container")
    assert (missing.code, missing.report["failed"][0]["reason"]) == (3, "Missing")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "AAAA")
    refused = run(f"{local_azurite.endpoint}/no-such-container")
    assert (refused.code, refused.report["failed"][0]["reason"]) == (3, "Refused")


def test_a_process_of_its_own_leaves_nothing_in_the_scratch_directory(local: Filled, tmp_path: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, row(1, "1")]))
    left = tmp_path / "scratch/modeldata-closing-left"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "range-0.csv").touch()
    command = [sys.executable, "-m", "modeldata_analytics", "close", local.store.address, PATH]
    ran = subprocess.run([*command, f"--scratch={tmp_path / 'scratch'}"], capture_output=True, text=True, check=True)
    assert "days through 2025-11-28 are closed, 1 days, 1 rows" in ran.stderr
    assert ran.stdout == ""
    assert list((tmp_path / "scratch").iterdir()) == []


def test_bars_on_a_terminal(local: Filled) -> None:
    local.append("data.csv", written([HEADER, row(1, "1")]))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "modeldata_analytics", "close", local.store.address, PATH]
    with subprocess.Popen(command, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # its end
            while some := os.read(ours, 65536):
                said += some
    assert process.returncode == 0
    assert b"1 rows closed" in said
    assert b"\x1b[" in said


def test_a_report_is_never_too_long() -> None:
    summary = report.Summary()
    day = datetime.date(2025, 1, 1)
    for number in range(50):
        stream = template.Stream("é" * 128, "m" * 128, "v" * 128, f"d{number}" * 20, "t", ())
        for state in (State.CLOSED, State.FAILED):
            summary.add(
                Outcome(template.Day(stream, day, "f" * 500), state, rows=number, reason="Why", message="é" * 5000)
            )
    found = checked(summary.to_json())
    assert found["closed"]["days"] == 50
    assert found["failed"]


def test_through_which_day_all_is_closed() -> None:
    def through(*states: State) -> str | None:
        summary = report.Summary()
        for number, state in enumerate(states, 1):
            stream = template.Stream("w", "m", "v", f"d{number % 2}", "t", ())
            summary.add(Outcome(template.Day(stream, datetime.date(2025, 1, number), "f"), state, reason="Why"))
        found: str | None = checked(summary.to_json())["closed"].get("through")
        return found

    closed, failed, is_open, empty = State.CLOSED, State.FAILED, State.OPEN, State.EMPTY
    assert through() is None
    assert through(closed, closed, is_open) == "2025-01-02"
    assert through(closed, failed, closed, is_open) == "2025-01-01"
    assert through(failed, closed) is None
    assert through(closed, empty, closed) == "2025-01-03"
